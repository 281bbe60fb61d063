"""One class per way in which a file can fail, each naming the file, what was expected and found."""

from __future__ import annotations

from pathlib import Path

from zkjax.errors import FileError


class ArtefactError(FileError):
    """Base of the errors here: a message that starts with the path it is about."""

    def __init__(self, path: Path | str, message: str):
        self.path = Path(path)
        super().__init__(f"{path}: {message}")


class MissingFile(ArtefactError):
    """There is no such file or folder."""


class CannotRead(ArtefactError):
    """The operating system refused to read, or the path is not a plain file."""


class CannotWrite(ArtefactError):
    """The operating system refused to write: full disk, read-only folder, no permission."""


class ForeignFile(ArtefactError):
    """Not an artefact of zkjax, or one of another kind than asked for."""


class UnknownVersion(ArtefactError):
    """Written in a format version that this release does not read."""


class OtherParameters(ArtefactError):
    """Made under other protocol parameters than asked for."""


class TruncatedFile(ArtefactError):
    """Ends before the length that its header announces."""


class FileTooLarge(ArtefactError):
    """Announces more than the reader is willing to hold in memory."""


class DamagedFile(ArtefactError):
    """The checksum, the canonical form or the length does not hold."""


class InsecureSecret(ArtefactError):
    """A secret file that others can read or write."""


class BudgetUsedUp(ArtefactError):
    """The commitment was opened as often as its hiding covers."""
