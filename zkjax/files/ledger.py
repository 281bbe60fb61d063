"""The ledger of openings: how often each commitment was opened, counted before a proof leaves.

A commitment to a data set or to weights hides them for a stated number of openings. Every
opening is one record appended to the ledger, synced before the caller may send anything, and
never taken back: a proof that was aborted after its reservation still used it up.

    magic 8 | version 4 | records: digest 32 | budget 4 | used 4 | link 32

Each link is the SHA-256 of the link before it and of its own record, so a record cannot be
changed or dropped from the middle unnoticed. Dropping the last records can only be noticed by
comparing with a copy: a ledger restored from a backup counts too little, and so must never be.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zkjax.files.artefact import PREFIX
from zkjax.files.atomic import SECRET_MODE, open_plain, read_at_most, sync_folder, write_all
from zkjax.files.errors import (
    BudgetUsedUp,
    CannotRead,
    CannotWrite,
    DamagedFile,
    ForeignFile,
    MissingFile,
    UnknownVersion,
)

MAGIC = PREFIX + b"LEDG"
VERSION = 1
HEADER = MAGIC + struct.pack("<I", VERSION)
RECORD = struct.Struct("<32sII32s")
COUNTS = struct.Struct("<32sII")
MAX_BYTES = 1 << 26


class Ledger:
    """Counts of openings per commitment digest, shared by all processes that use one file."""

    def __init__(self, path: Path):
        self.path = Path(path)

    def reserve(self, digest: bytes, budget: int) -> int:
        """Use up one opening of `digest` and return how many are now used, this one included.

        On return the record is on disk. The budget of a digest is fixed by its first record.

        Raises:
            BudgetUsedUp: all `budget` openings are used
            DamagedFile, ForeignFile, UnknownVersion: the ledger cannot be trusted
            CannotWrite: the record could not be made durable; the opening must not be sent
        """
        if len(digest) != 32 or not 0 < budget < 1 << 32:
            raise ValueError("a digest has 32 bytes, a budget is a positive 32-bit number")
        with self._locked() as descriptor:
            counts, link, end = self._load(descriptor)
            used, first_budget = counts.get(digest, (0, budget))
            if first_budget != budget:
                raise DamagedFile(
                    self.path,
                    f"gives {digest.hex()[:16]} a budget of {first_budget}, expected {budget}",
                )
            if used >= budget:
                raise BudgetUsedUp(
                    self.path,
                    f"commitment {digest.hex()[:16]} was opened {used} times, all that its hiding covers; "
                    "begin afresh with a commitment that may be opened more often (openings)",
                )
            self._append(descriptor, end, COUNTS.pack(digest, budget, used + 1), link)
            return used + 1

    def used(self, digest: bytes) -> int:
        """How many openings of `digest` are used up.

        Raises:
            DamagedFile, ForeignFile, UnknownVersion, CannotRead
        """
        return self.counts().get(digest, (0, 0))[0]

    def counts(self) -> dict[bytes, tuple[int, int]]:
        """(openings used, budget) by digest, in the order of their first opening.

        Raises:
            DamagedFile, ForeignFile, UnknownVersion, CannotRead
        """
        try:
            descriptor = open_plain(self.path)  # for reading only, and without making one
        except MissingFile:
            return {}
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            return self._load(descriptor)[0]
        finally:
            os.close(descriptor)

    def is_one(self) -> bool:
        """Whether the file is there and begins as a ledger does."""
        try:
            descriptor = open_plain(self.path)
        except (MissingFile, CannotRead):
            return False
        try:
            return read_at_most(descriptor, len(MAGIC), self.path) == MAGIC
        finally:
            os.close(descriptor)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """The ledger open under an exclusive lock, which the system drops with the descriptor."""
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, SECRET_MODE)
        except OSError as error:
            raise CannotWrite(self.path, f"cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)

    def _load(self, descriptor: int) -> tuple[dict[bytes, tuple[int, int]], bytes, int]:
        """(used, budget) by digest, the last link, and the offset at which whole records end."""
        content = read_at_most(descriptor, MAX_BYTES + 1, self.path)
        if len(content) > MAX_BYTES:
            raise DamagedFile(self.path, f"is longer than {MAX_BYTES:,} bytes")
        if len(content) < len(HEADER) and HEADER.startswith(content):
            return {}, HEADER, 0  # new, or its creation was interrupted: nothing was reserved
        if not content.startswith(MAGIC):
            raise ForeignFile(self.path, "is not a ledger of zkjax")
        if not content.startswith(HEADER):
            raise UnknownVersion(self.path, f"is not a ledger of version {VERSION}")
        counts: dict[bytes, tuple[int, int]] = {}
        link = HEADER
        end = len(HEADER)
        # A torn last record was never synced, so its reservation never returned.
        while end + RECORD.size <= len(content):
            digest, budget, used, found = RECORD.unpack_from(content, end)
            link = hashlib.sha256(link + COUNTS.pack(digest, budget, used)).digest()
            before, first_budget = counts.get(digest, (0, budget))
            if found != link or used != before + 1 or not used <= budget == first_budget:
                raise DamagedFile(self.path, f"record {(end - len(HEADER)) // RECORD.size} is wrong")
            counts[digest] = (used, budget)
            end += RECORD.size
        return counts, link, end

    def _append(self, descriptor: int, end: int, record: bytes, link: bytes) -> None:
        content = record + hashlib.sha256(link + record).digest()
        if end == 0:
            content = HEADER + content
        try:
            os.ftruncate(descriptor, end)
            os.lseek(descriptor, end, os.SEEK_SET)
            write_all(descriptor, content)
            os.fsync(descriptor)
            if end == 0:
                sync_folder(self.path.parent)
        except OSError as error:
            raise CannotWrite(self.path, f"the opening could not be recorded: {error.strerror}") from error
