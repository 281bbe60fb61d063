"""A write happens whole or not at all: on a full disk, in a read-only folder, when killed."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from zkjax.files import CannotWrite, Kind, atomic, read, write
from zkjax.files.atomic import remove_partial, write_whole

MEGABYTE = 1 << 20


@pytest.fixture
def small_disk():
    """Files of this process may not grow beyond 64 KiB: the write comes back short, then fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, ignored)


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, small_disk):
    path = tmp_path / "file"
    write_whole(path, b"old")
    with pytest.raises(CannotWrite, match="1,048,576 bytes"):
        write_whole(path, bytes(MEGABYTE))
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("call", ["write", "fsync", "fchmod"])
def test_a_failing_system_call_leaves_nothing(tmp_path, monkeypatch, call):
    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(atomic.os, call, fail)
    with pytest.raises(CannotWrite, match="No space left"):
        write_whole(tmp_path / "file", b"new")
    monkeypatch.undo()
    assert os.listdir(tmp_path) == []


def test_an_interrupt_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "file", b"new")
    monkeypatch.undo()
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_missing_or_a_file(tmp_path):
    with pytest.raises(CannotWrite, match="No such file"):
        write_whole(tmp_path / "missing" / "file", b"new")
    (tmp_path / "plain").touch()
    with pytest.raises(CannotWrite, match="Not a directory"):
        write_whole(tmp_path / "plain" / "file", b"new")


WRITE_AS_NOBODY = """
    import os, sys
    from pathlib import Path
    from zkjax.files import CannotWrite
    from zkjax.files.atomic import write_whole
    if os.getuid() == 0:  # root ignores permissions
        os.setgid(65534); os.setuid(65534)
    try:
        write_whole(Path(sys.argv[1]) / "file", b"new")
    except CannotWrite as error:
        print(error)
"""


def test_a_read_only_folder(tmp_path, root):
    # Not under tmp_path, whose parents other users may not enter.
    folder = subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip()
    os.chmod(folder, 0o555)
    try:
        result = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(WRITE_AS_NOBODY), folder],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
        assert "Permission denied" in result.stdout
        assert os.listdir(folder) == []
    finally:
        os.rmdir(folder)


WRITE_FOREVER = """
    import sys
    from pathlib import Path
    from zkjax.files import Kind, write
    path, number = Path(sys.argv[1]) / "proof", 0
    while True:
        number = (number + 1) % 256
        write(path, Kind.PROOF, bytes(32), bytes([number]) * (1 << 18))
        print(number, flush=True)
"""


def test_killed_during_writes(tmp_path, root):
    path = tmp_path / "proof"
    write(path, Kind.PROOF, bytes(32), b"\0" * (1 << 18))
    for round_ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WRITE_FOREVER), str(tmp_path)],
            cwd=root,
            stdout=subprocess.PIPE,
        )
        process.stdout.readline()
        time.sleep(0.013 * round_)
        process.kill()
        process.stdout.close()
        process.wait()
        payload = read(path, kind=Kind.PROOF, max_payload=1 << 18).payload
        assert payload == payload[:1] * (1 << 18)
    remove_partial(tmp_path)
    assert os.listdir(tmp_path) == ["proof"]
