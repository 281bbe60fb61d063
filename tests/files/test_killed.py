"""A process that is killed at any system call leaves a whole run or none, and no secret outside of `secret/`."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from zkjax.errors import FileError
from zkjax.files import Kind, RunFolder

# Replaces run 1 by run 2 and is killed at the system call number argv[2]; half of a write reaches the disk.
WRITER = """
    import os, signal, sys
    from pathlib import Path
    from zkjax.files import RunFolder
    from tests.files.test_run_folder import fill

    left = int(sys.argv[2])

    def dying(real, torn):
        def call(*arguments, **options):
            global left
            left -= 1
            if left == 0:
                if torn:
                    real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **options)
        return call

    with RunFolder(Path(sys.argv[1])).writing() as folder:
        for name in ("open", "write", "fsync", "replace", "unlink", "fchmod"):
            setattr(os, name, dying(getattr(os, name), name == "write"))
        folder.ledger.reserve(b"d" * 32, 8)
        fill(folder, 2)
    """


def killed_at(call: int, path: Path, root: Path) -> bool:
    """Whether the writer was killed there; if not, it has fewer system calls."""
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(path), str(call)]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert result.returncode in (0, -signal.SIGKILL), result.stderr
    return result.returncode != 0


def generation(folder: RunFolder) -> bytes | None:
    """Which run is there, 1 or 2; None where no proof can be read."""
    try:
        proof = folder.read_proof(max_payload=100).payload
    except FileError:
        return None
    number = proof[-1:]
    assert folder.read_statement(max_payload=100).payload == b"statement " + number
    assert folder.read_secret("after", Kind.COMMITMENT_OPENING, max_payload=100).payload == b"weights " + number
    return number


@pytest.mark.slow
def test_at_every_system_call_of_a_replacement(tmp_path, root):
    from tests.files.test_run_folder import fill

    seen = []
    for call in range(1, 200):
        path = tmp_path / str(call)
        with RunFolder(path).writing() as folder:
            fill(folder, 1)
        killed = killed_at(call, path, root)
        seen.append(generation(folder))
        for file in path.rglob("*"):
            if file.is_file() and file.parent == path:
                assert b"weights" not in file.read_bytes()
            elif file.is_file():
                assert file.stat().st_mode & 0o077 == 0
        with folder.writing():
            fill(folder, 3)
        assert generation(folder) == b"3"
        assert not list(path.rglob("*.part"))
        assert folder.ledger.used(b"d" * 32) <= 1
        if not killed:
            break
    assert not killed
    assert len(seen) > 15
    assert seen == sorted(seen, key=[b"1", None, b"2"].index)
    assert {b"1", b"2"} <= set(seen)
