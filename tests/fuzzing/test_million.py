"""The fuzzer that forks, in a process of its own: a fork of one that has JAX in memory is neither small nor safe."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_in_a_process_without_jax():
    suite = Path(__file__).with_name("million_suite.py")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(suite)]
    done = subprocess.run(command, cwd=suite.parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout and "skipped" not in done.stdout
