"""Reading is strict: anything but a whole artefact of the asked kind is refused by type."""

from __future__ import annotations

import hashlib
import os

import pytest

from zkjax.errors import FileError
from zkjax.files import (
    CannotRead,
    DamagedFile,
    FileTooLarge,
    ForeignFile,
    InsecureSecret,
    Kind,
    MissingFile,
    OtherParameters,
    TruncatedFile,
    UnknownVersion,
    decode,
    encode,
    read,
    write,
)

PARAMETERS = bytes(range(32))
PAYLOAD = b"sixteen training steps"
WHOLE = encode(Kind.PROOF, PARAMETERS, PAYLOAD)


def decoded(content, **options):
    options = {"kind": Kind.PROOF, "parameters": PARAMETERS, "max_payload": 1000, **options}
    return decode(content, "it", **options)


def test_round_trip(tmp_path):
    path = tmp_path / "proof.zkjax"
    size = write(path, Kind.PROOF, PARAMETERS, PAYLOAD)
    assert size == path.stat().st_size == len(WHOLE)
    artefact = read(path, kind=Kind.PROOF, parameters=PARAMETERS, max_payload=len(PAYLOAD))
    assert artefact.payload == PAYLOAD
    assert artefact.parameters == PARAMETERS


def test_the_layout_is_frozen():
    assert hashlib.sha256(WHOLE).hexdigest() == ("8f0e92d7a8ef25b7d0c40cb71eac61a2393766559b9a897cf3fd5e66560135b1")


@pytest.mark.parametrize("length", range(len(WHOLE)))
def test_truncation_at_every_length(tmp_path, length):
    path = tmp_path / "proof.zkjax"
    path.write_bytes(WHOLE[:length])
    with pytest.raises(TruncatedFile):
        read(path, kind=Kind.PROOF, parameters=PARAMETERS, max_payload=1000)


@pytest.mark.parametrize("position", range(len(WHOLE)))
def test_every_flipped_bit_is_refused(position):
    for bit in range(8):
        content = bytearray(WHOLE)
        content[position] ^= 1 << bit
        with pytest.raises(FileError):
            decoded(bytes(content))
        with pytest.raises(FileError):
            decoded(bytes(content), parameters=None, kind=None)


@pytest.mark.parametrize(
    "content", [b"\x7fELF" + bytes(200), b"PK\x03\x04" + bytes(200), b"{}", b"hello, world\n" * 20]
)
def test_foreign_files(content):
    with pytest.raises(ForeignFile, match="not a file of zkjax"):
        decoded(content)


def test_another_kind():
    with pytest.raises(ForeignFile, match="is a statement, expected a proof"):
        decoded(encode(Kind.STATEMENT, PARAMETERS, PAYLOAD))


def test_another_version():
    with pytest.raises(UnknownVersion, match="version 2"):
        decoded(WHOLE[:8] + (2).to_bytes(4, "little") + WHOLE[12:])


def test_other_parameters():
    with pytest.raises(OtherParameters):
        decoded(encode(Kind.PROOF, bytes(32), PAYLOAD))


def test_trailing_bytes(tmp_path):
    path = tmp_path / "proof.zkjax"
    for extra in (b"\0", bytes(100_000)):
        path.write_bytes(WHOLE + extra)
        with pytest.raises(DamagedFile, match="after its end"):
            read(path, max_payload=1000)


def test_an_announced_length_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "proof.zkjax"
    path.write_bytes(WHOLE[:44] + (1 << 60).to_bytes(8, "little") + WHOLE[52:])
    with pytest.raises(FileTooLarge):
        read(path, max_payload=1 << 30)


def test_each_kind_has_a_limit_of_its_own():
    limits = {**dict.fromkeys(Kind, 0), Kind.PROOF: len(PAYLOAD)}
    assert decoded(WHOLE, kind=None, max_payload=limits).payload == PAYLOAD
    with pytest.raises(FileTooLarge):
        decoded(WHOLE, kind=None, max_payload={**dict.fromkeys(Kind, 1000), Kind.PROOF: len(PAYLOAD) - 1})


def test_missing_and_unreadable(tmp_path):
    with pytest.raises(MissingFile):
        read(tmp_path / "nothing", max_payload=1000)
    with pytest.raises(MissingFile):
        read(tmp_path / "no" / "folder", max_payload=1000)
    with pytest.raises(CannotRead):
        read(tmp_path, max_payload=1000)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CannotRead, match="not a plain file"):
        read(tmp_path / "pipe", max_payload=1000)


def test_permissions(tmp_path):
    old = os.umask(0)
    try:
        write(tmp_path / "secret", Kind.COMMITMENT_OPENING, PARAMETERS, PAYLOAD)
        write(tmp_path / "public", Kind.PROOF, PARAMETERS, PAYLOAD)
    finally:
        os.umask(old)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "public").stat().st_mode & 0o777 == 0o644


def test_a_secret_that_others_can_read_is_refused(tmp_path):
    path = tmp_path / "secret"
    write(path, Kind.COMMITMENT_OPENING, PARAMETERS, PAYLOAD)
    assert read(path, max_payload=1000).payload == PAYLOAD
    path.chmod(0o640)
    with pytest.raises(InsecureSecret, match="0640"):
        read(path, max_payload=1000)
