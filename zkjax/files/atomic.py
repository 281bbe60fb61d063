"""Whole-file writes: a reader sees the old file or the new one, never a part of either."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

from zkjax.files.errors import CannotRead, CannotWrite, MissingFile

PARTIAL_SUFFIX = ".part"
PUBLIC_MODE = 0o644
SECRET_MODE = 0o600


def write_whole(path: Path, content: bytes, *, mode: int = PUBLIC_MODE) -> None:
    """Put `content` at `path`, replacing what is there, or change nothing.

    The bytes go to a temporary name in the same folder, are synced, renamed, and the folder is
    synced, so the file survives a crash of the machine once this returns. The temporary file
    has its final permissions from the moment it exists. Only a killed process can leave a
    temporary file behind; `remove_partial` clears those.

    Raises:
        CannotWrite: the operating system refused; nothing is left behind.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}{PARTIAL_SUFFIX}")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            try:
                os.fchmod(descriptor, mode)
                write_all(descriptor, content)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            partial.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise CannotWrite(path, f"cannot write {len(content):,} bytes: {error.strerror}") from error


def write_all(descriptor: int, content: bytes) -> None:
    """`os.write` until nothing is left; a full disk otherwise shows as a short count."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_partial(folder: Path) -> None:
    """Delete what killed writers left in `folder`. The caller holds the folder's lock."""
    for leftover in folder.glob(f".*{PARTIAL_SUFFIX}"):
        with contextlib.suppress(OSError):
            leftover.unlink()


def open_plain(path: Path) -> int:
    """A descriptor for reading a plain file; anything else (a folder, a pipe) is refused.

    Raises:
        MissingFile, CannotRead
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingFile(path, "there is no such file") from error
    except (OSError, ValueError) as error:
        raise CannotRead(path, f"cannot be opened: {error}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise CannotRead(path, "is not a plain file")
    return descriptor


def read_at_most(descriptor: int, count: int, path: Path) -> bytes:
    """Up to `count` bytes from where the descriptor stands; fewer only at the end of the file.

    Raises:
        CannotRead
    """
    pieces = []
    try:
        while count:
            piece = os.read(descriptor, min(count, 1 << 24))
            if not piece:
                break
            pieces.append(piece)
            count -= len(piece)
    except OSError as error:
        raise CannotRead(path, f"cannot be read: {error.strerror}") from error
    return b"".join(pieces)
