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

    The file survives a crash of the machine once this returns.

    Raises:
        CannotWrite: the operating system refused; nothing is left behind.
    """
    with Staging() as staging:
        staging.add(path, content, mode=mode)
        staging.put_in_place()


class Staging:
    """Several files that are written first, under temporary names, and then renamed together.

    Everything that is likely to fail, for want of space or permission, fails before the first
    rename. A temporary file stands in the folder of its target and has its final permissions from
    the moment it exists. Only a killed process can leave one behind; `remove_partial` clears those.
    """

    def __init__(self) -> None:
        self._staged: list[tuple[Path, Path]] = []

    def __enter__(self) -> Staging:
        return self

    def __exit__(self, *_: object) -> None:
        for partial, _target in self._staged:
            with contextlib.suppress(OSError):
                partial.unlink()

    def add(self, path: Path, content: bytes, *, mode: int = PUBLIC_MODE) -> None:
        """Write and sync `content`, to be renamed to `path` later.

        Raises:
            CannotWrite
        """
        partial = self._partial(path)
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            self._staged.append((partial, path))
            try:
                os.fchmod(descriptor, mode)
                write_all(descriptor, content)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise CannotWrite(path, f"cannot write {len(content):,} bytes: {error.strerror}") from error

    def add_link(self, path: Path, source: Path) -> None:
        """A second name `path` for the file `source`, to be put in place like the others.

        Raises:
            CannotWrite: they do not lie on one file system, or it has no hard links
        """
        if path.exists() and path.samefile(source):
            return
        partial = self._partial(path)
        try:
            partial.hardlink_to(source)
        except OSError as error:
            raise CannotWrite(path, f"cannot be linked to {source}: {error.strerror}") from error
        self._staged.append((partial, path))

    def put_in_place(self) -> None:
        """Rename everything, in the order in which it was added, and sync the folders.

        Raises:
            CannotWrite
        """
        for partial, path in self._staged:
            try:
                partial.replace(path)
            except OSError as error:
                raise CannotWrite(path, f"cannot be put in place: {error.strerror}") from error
        try:
            for folder in dict.fromkeys(path.parent for _, path in self._staged):
                sync_folder(folder)
        except OSError as error:
            raise CannotWrite(folder, f"cannot be synced: {error.strerror}") from error
        self._staged.clear()

    @staticmethod
    def _partial(path: Path) -> Path:
        return path.with_name(f".{path.name}.{secrets.token_hex(8)}{PARTIAL_SUFFIX}")


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
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise CannotRead(path, "is a folder, not a plain file" if stat.S_ISDIR(mode) else "is not a plain file")
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
