"""Commands that run into a limit of memory: a typed error or a death, never half of an artefact or a leaked secret.

An allocation that fails inside of a library may end the process at once; what counts is what it leaves behind.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_killed import EXPERIMENT, secrets_of, started

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("command line")]

# Shares of the memory that a whole run takes; the limit counts data alone, so that even the last ones are not enough.
SHARES = (0.25, 0.4, 0.55, 0.7, 0.85)
# No process of ours uses another word for it; the others are those of NumPy's and XLA's own libraries.
SAID = (
    "out of memory",
    "MemoryError",
    "Memory allocation",
    "RESOURCE_EXHAUSTED",
    "bad_alloc",
    "Check failed",
    "Unable",
    "cannot allocate memory",
    "OpenBLAS",
)
# How libraries end the process: by a signal, or with a status of their own, 127 glibc's loader and 130 OpenBLAS,
# which interrupts the process that it cannot start a thread in. All say so, unless they touch what is no memory.
SILENT = (-signal.SIGSEGV, -signal.SIGBUS)
LOADER, INTERRUPTED = 127, 130


@pytest.fixture(scope="module")
def whole(tmp_path_factory, root) -> tuple[Path, int]:
    """A folder with a run, and the most memory that proving it took."""
    folder = tmp_path_factory.mktemp("memory")
    process = started(folder, root, "prove", str(EXPERIMENT), "--steps", "2", "--out", "run", "--json")
    output, errors = process.communicate(timeout=500)
    assert process.returncode == 0, errors
    return folder, json.loads(output.splitlines()[-1])["peak_rss_bytes"]


def limited(folder: Path, root: Path, limit: int, *arguments: str) -> tuple[int, str]:
    """A command whose data may not grow beyond `limit` bytes; status and all that it says."""
    own = {"PYTHONPATH": str(root), "XDG_CACHE_HOME": str(folder / "cache"), "TMPDIR": str(folder / "temporary")}
    # A shell sets the limits: a function that runs between fork and exec would run among the threads of JAX.
    shell = ["sh", "-c", f'ulimit -c 0; ulimit -d {limit >> 10}; exec "$@"', "sh"]
    result = subprocess.run(
        [*shell, sys.executable, "-m", "zkjax.cli", *arguments],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder)} | own,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    return result.returncode, result.stdout + result.stderr


def nothing_leaks(folder: Path, patterns: list[bytes]) -> None:
    for file in folder.rglob("*"):
        if file.is_file() and file.parent.name != "secret":
            content = file.read_bytes()
            assert not any(pattern in content for pattern in patterns), file
    assert not list((folder / "temporary").iterdir())


def test_proving(whole, root):
    folder, peak = whole
    patterns = secrets_of(root)
    refused = 0
    for share in SHARES:
        out = f"run at {share}"
        status, said = limited(folder, root, int(share * peak), "prove", str(EXPERIMENT), "--steps", "2", "--out", out)
        nothing_leaks(folder, patterns)
        if status == 0:
            continue
        refused += 1
        assert status in (1, LOADER, INTERRUPTED, -signal.SIGABRT, *SILENT), (status, said)
        assert any(word in said for word in SAID) or status in SILENT, said
        assert not (folder / out / "proof.zkjax").exists()
        assert not (folder / out / "statement.zkjax").exists()
        if (folder / out).exists():
            process = started(folder, root, "verify", out)
            _, errors = process.communicate(timeout=500)
            assert process.returncode == 2
            assert "did not finish; prove again" in errors
    assert refused >= 3
    process = started(folder, root, "prove", str(EXPERIMENT), "--steps", "2", "--out", out)
    _, errors = process.communicate(timeout=500)
    assert process.returncode == 0, errors
    process = started(folder, root, "verify", out)
    process.communicate(timeout=500)
    assert process.returncode == 0


def test_replacing_a_run(whole, root):
    """The old run stays whole."""
    folder, peak = whole
    shutil.copytree(folder / "run", folder / "old")
    before = {name: (folder / "old" / name).read_bytes() for name in ("statement.zkjax", "proof.zkjax")}
    status, said = limited(folder, root, peak // 2, "prove", str(EXPERIMENT), "--steps", "2", "--out", "old")
    assert status != 0, said
    assert before == {name: (folder / "old" / name).read_bytes() for name in before}


@pytest.mark.parametrize("megabytes", [40, 60, 80, 100, 120, 160])
def test_verifying(whole, root, megabytes):
    """Without JAX and in little memory: accepted or not, but never accepted for want of memory."""
    folder, _ = whole
    status, said = limited(folder, root, megabytes << 20, "verify", "run")
    assert status in (0, 1, LOADER, INTERRUPTED) or status < 0, said
    forged = folder / f"forged {megabytes}"
    shutil.copytree(folder / "run", forged, ignore=shutil.ignore_patterns("secret"))
    proof = bytearray((forged / "proof.zkjax").read_bytes())
    proof[5000] ^= 1
    (forged / "proof.zkjax").write_bytes(proof)
    assert limited(folder, root, megabytes << 20, "verify", forged.name)[0] != 0
