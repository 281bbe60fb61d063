"""The envelope around every artefact: what it is, under which parameters, and that it is whole.

    magic 8 | version 4 | parameter hash 32 | payload length 8 | payload | SHA-256 32

The magic names the kind, integers are little-endian, and the SHA-256 covers all that stands
before it. The checksum finds damage; it proves nothing about who wrote the file.
"""

from __future__ import annotations

import enum
import hashlib
import os
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from zkjax.files.atomic import PUBLIC_MODE, SECRET_MODE, open_plain, read_at_most, write_whole
from zkjax.files.errors import (
    DamagedFile,
    FileTooLarge,
    ForeignFile,
    InsecureSecret,
    OtherParameters,
    TruncatedFile,
    UnknownVersion,
)

VERSION = 1
PREFIX = b"\x89zkj"
HEADER = struct.Struct("<8sI32sQ")
CHECKSUM_BYTES = 32
PARAMETER_HASH_BYTES = 32
ENVELOPE_BYTES = HEADER.size + CHECKSUM_BYTES
COPY_AGAIN = "it was damaged on its way or on disk, copy it again"


class Kind(enum.Enum):
    """What an artefact is; the value is the second half of its magic."""

    STATEMENT = b"STMT"
    PROOF = b"PROF"
    COMMITMENT_OPENING = b"OPEN"
    STATE = b"STAT"

    @property
    def magic(self) -> bytes:
        return PREFIX + self.value

    @property
    def secret(self) -> bool:
        """Whether whoever reads the file learns private data or weights."""
        return self in (Kind.COMMITMENT_OPENING, Kind.STATE)

    @property
    def title(self) -> str:
        return self.name.lower().replace("_", " ")


@dataclass(frozen=True)
class Artefact:
    """A whole, undamaged artefact. The payload is not yet decoded."""

    kind: Kind
    version: int
    parameters: bytes
    payload: bytes


def encode(kind: Kind, parameters: bytes, payload: bytes) -> bytes:
    """The bytes of an artefact. `parameters` is the 32-byte hash of the protocol parameters."""
    if len(parameters) != PARAMETER_HASH_BYTES:
        raise ValueError(f"a parameter hash has 32 bytes, not {len(parameters)}")
    body = HEADER.pack(kind.magic, VERSION, parameters, len(payload)) + payload
    return body + hashlib.sha256(body).digest()


def decode(
    content: bytes,
    path: Path | str,
    *,
    kind: Kind | None = None,
    parameters: bytes | None = None,
    max_payload: int | Mapping[Kind, int],
) -> Artefact:
    """The artefact in `content`, or a typed error; `path` is only named in messages.

    `max_payload` bounds the payload, for each kind apart where it is a mapping.

    Raises:
        ForeignFile, UnknownVersion, OtherParameters, FileTooLarge, TruncatedFile, DamagedFile
    """
    found, version, stamp, length = _decode_header(content, path, kind, parameters, max_payload)
    total = HEADER.size + length + CHECKSUM_BYTES
    if len(content) < total:
        raise TruncatedFile(path, f"has {len(content):,} bytes where its header says {total:,}: {COPY_AGAIN}")
    if len(content) > total:
        raise DamagedFile(path, f"has bytes after its end (header says {total:,}): {COPY_AGAIN}")
    if hashlib.sha256(memoryview(content)[:-CHECKSUM_BYTES]).digest() != content[-CHECKSUM_BYTES:]:
        raise DamagedFile(path, f"does not match its checksum: {COPY_AGAIN}")
    return Artefact(found, version, stamp, content[HEADER.size : -CHECKSUM_BYTES])


def _decode_header(
    content: bytes,
    path: Path | str,
    kind: Kind | None,
    parameters: bytes | None,
    max_payload: int | Mapping[Kind, int],
) -> tuple[Kind, int, bytes, int]:
    magic = content[: len(PREFIX) + 4]
    known = {each.magic: each for each in Kind}
    if len(magic) < len(PREFIX) + 4 and any(each.startswith(magic) for each in known):
        raise TruncatedFile(path, f"has {len(content)} bytes, too few for a header: {COPY_AGAIN}")
    if magic not in known:
        raise ForeignFile(path, "is not a file of zkjax")
    found = known[magic]
    if kind is not None and found is not kind:
        raise ForeignFile(path, f"is a {found.title}, expected a {kind.title}: is it under another's name?")
    if len(content) < HEADER.size:
        raise TruncatedFile(path, f"has {len(content)} bytes, too few for a header: {COPY_AGAIN}")
    _, version, stamp, length = HEADER.unpack_from(content)
    if version != VERSION:
        raise UnknownVersion(
            path, f"has format version {version}; this release reads {VERSION}: use the one that made it"
        )
    if parameters is not None and stamp != parameters:
        made, ours = stamp.hex()[:16], parameters.hex()[:16]
        raise OtherParameters(path, f"was made under parameters {made}, expected {ours}: use the release that made it")
    limit = max_payload if isinstance(max_payload, int) else max_payload[found]
    if length > limit:
        raise FileTooLarge(path, f"announces {length:,} bytes, the limit is {limit:,}")
    return found, version, stamp, length


def read(
    path: Path,
    *,
    kind: Kind | None = None,
    parameters: bytes | None = None,
    max_payload: int | Mapping[Kind, int],
) -> Artefact:
    """The artefact at `path`. Never reads more than `max_payload` bytes and the envelope.

    Raises:
        MissingFile, CannotRead, and what `decode` raises
        InsecureSecret: a secret that group or others may read or write
    """
    descriptor = open_plain(path)
    try:
        content = read_at_most(descriptor, HEADER.size, path)
        found, _, _, length = _decode_header(content, path, kind, parameters, max_payload)
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        if found.secret and mode & 0o077:
            raise InsecureSecret(path, f"is secret, but its mode is {mode:04o}; if nobody read it: chmod 600")
        # One byte more than announced, so that trailing bytes are seen.
        content += read_at_most(descriptor, length + CHECKSUM_BYTES + 1, path)
    finally:
        os.close(descriptor)
    return decode(content, path, kind=kind, parameters=parameters, max_payload=max_payload)


def write(path: Path, kind: Kind, parameters: bytes, payload: bytes) -> int:
    """Write an artefact whole or not at all, a secret with mode 0600; returns its size.

    Raises:
        CannotWrite
    """
    content = encode(kind, parameters, payload)
    write_whole(path, content, mode=SECRET_MODE if kind.secret else PUBLIC_MODE)
    return len(content)
