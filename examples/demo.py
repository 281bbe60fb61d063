"""The whole path on handwritten digits: train, prove, verify without JAX, print one table.

python examples/demo.py [FOLDER]
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from zkjax.cli.report import demo_table, print_places
from zkjax.files import RunFolder

STEPS = 16
EXPERIMENT = Path(__file__).with_name("digits_mlp.py")


def run(module, *arguments):
    """One command of zkjax in a process of its own; the JSON object on its last line."""
    command = [sys.executable, "-m", module, *arguments, "--json"]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode != 0:
        sys.exit(result.returncode)
    return json.loads(result.stdout.splitlines()[-1])


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "demo-run"
    print(f"Training and proving {STEPS} steps of {EXPERIMENT.name} into {folder}/ ...", flush=True)
    proved = run("zkjax.cli", "prove", str(EXPERIMENT), "--steps", str(STEPS), "--out", folder)
    print("Verifying in another process ...", flush=True)
    verified = run("zkjax.cli.without_jax", "verify", folder)
    demo_table(proved, verified)
    print_places(RunFolder(folder))
    command = os.path.relpath(Path(sys.executable).with_name("zkjax"))
    print(f"What was proved, and of which commitments: {command} verify {folder}")


if __name__ == "__main__":
    main()
