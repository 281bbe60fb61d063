"""What is fuzzed: everything that reads bytes of strangers, each with inputs to begin from.

A target takes bytes and returns; a typed refusal is as good as acceptance, and what is accepted must be the one
encoding of what it means. Anything else that is raised is a finding.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from unittest.mock import patch

from tests.fuzzing.deep import unchanged, weakened_verifier
from zkjax.errors import FileError, VerificationError
from zkjax.fields.mersenne61 import K
from zkjax.fields.vectors import Ext
from zkjax.files import Kind, Ledger, decode, decode_tensors, encode, encode_tensors
from zkjax.statement.circuit import Circuit, Combine, Committed, Contract, Filter, Lookup, Rows
from zkjax.statement.formulas import FormulaError, parse
from zkjax.statement.proof import Proof
from zkjax.statement.ranges import check_ranges
from zkjax.statement.statement import Statement
from zkjax.statement.tables import Table
from zkjax.verifier import verify

FROZEN = Path(__file__).parents[1] / "vectors" / "proofs"
Target = Callable[[bytes], None]


@cache
def frozen(kind: str) -> tuple[bytes, ...]:
    """Statements or proofs of the frozen vectors, as they are inside their envelopes."""
    files = [(folder / f"{kind}.zkjax").read_bytes() for folder in sorted(FROZEN.iterdir())]
    return tuple(decode(file, kind, max_payload=1 << 30).payload for file in files)


def tiny() -> Circuit:
    """One node of most kinds, in a few hundred bytes."""
    nodes = (
        Committed((2, 1), "data", "x", 0),
        Committed((1,), "before", "w", 0),
        Committed((1,), "after", "w", 0),
        Committed((1,), "advice", "a", 0),
        Rows((1, 1, 1), 0),
        Combine((1,), ((1, 1), (-2, 3))),
        Contract((1,), 1, 3, (0,), (0,), (0,)),
        Filter((1,), 1, (((1, 1),),)),
    )
    tables = (Table("range", -8, 7, 0), Table("relu", -8, 7, 3), Table("function", -3, 3, 0, "x*x/2", 1, 1))
    named = [(0, node, -1, -1) for node in range(8)] + [(1, 1, 2, 3), (2, 1, 3, -1)]
    lookups = tuple(Lookup(*each, f"l{number}") for number, each in enumerate(named))
    return Circuit(1, 1, 2, nodes, tables, lookups, (), ("a remark",))


def circuit(data: bytes) -> None:
    try:
        decoded = Circuit.from_bytes(data)
    except VerificationError:
        return
    assert decoded.to_bytes() == data
    try:
        check_ranges(decoded)
    except VerificationError:
        return
    str(decoded)


def statement(data: bytes) -> None:
    try:
        decoded = Statement.from_bytes(data)
    except VerificationError:
        return
    assert decoded.to_bytes() == data


def proof(data: bytes) -> None:
    try:
        assert Proof.from_bytes(data).to_bytes() == data
    except VerificationError:
        pass


def file(data: bytes) -> None:
    try:
        artefact = decode(data, "it", max_payload=1 << 20)
    except FileError:
        return
    assert encode(artefact.kind, artefact.parameters, artefact.payload) == data


def sealed_file(data: bytes) -> None:
    """With the checksum that belongs to it, so that the rest is read."""
    file(data[:-32] + hashlib.sha256(data[:-32]).digest())


def arrays(data: bytes) -> None:
    try:
        found, metadata = decode_tensors(data, "it")
    except FileError:
        return
    assert encode_tensors(found, metadata) == data


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="fuzzing"))


def ledger(data: bytes) -> None:
    path = _folder() / "ledger"
    path.write_bytes(data)
    with patch.object(os, "fsync"):  # the disk is not what is fuzzed
        try:
            Ledger(path).counts()
            Ledger(path).reserve(bytes(32), 8)
        except FileError:
            pass


def formula(data: bytes) -> None:
    try:
        parse(data.decode("latin-1"))
    except FormulaError:
        pass


def elements(data: bytes) -> None:
    try:
        assert Ext.from_bytes(data).to_bytes() == data
        assert K.from_bytes(data).to_bytes() == data
    except ValueError:
        pass


def whole(data: bytes) -> None:
    """Statement and proof together, from bytes on: the length of the statement stands in front."""
    size = int.from_bytes(data[:4], "little")
    try:
        read = Statement.from_bytes(data[4 : 4 + size])
        verify(read, Proof.from_bytes(data[4 + size :]))
    except VerificationError:
        return
    pairs = zip(frozen("statement"), frozen("proof"), strict=True)
    assert (data[4 : 4 + size], data[4 + size :]) in list(pairs), "a changed pair is accepted"


def _seeds() -> dict[str, tuple[Target, tuple[bytes, ...]]]:
    circuits = tuple(Statement.from_bytes(each).circuit.to_bytes() for each in frozen("statement"))
    head = {"arrays": [{"dtype": "<u4", "name": "a", "shape": [2, 3]}], "metadata": None}
    encoded = json.dumps(head, sort_keys=True, separators=(",", ":")).encode()
    counted = Ledger(_folder() / "seed")
    for _ in range(3):
        counted.reserve(bytes(32), 8)
    files = tuple(encode(kind, bytes(32), b"payload") for kind in Kind)
    pairs = tuple(zip(frozen("statement"), frozen("proof"), strict=True))
    return {
        "circuit": (circuit, (tiny().to_bytes(), *circuits)),
        "statement": (statement, frozen("statement")),
        "proof": (proof, tuple(each[:400] for each in frozen("proof"))),
        "file": (file, files),
        "sealed_file": (sealed_file, files),
        "arrays": (arrays, (len(encoded).to_bytes(4, "little") + encoded + bytes(24),)),
        "ledger": (ledger, ((_folder() / "seed").read_bytes(),)),
        "formula": (formula, (b"x*(1 + tanh(x))/2", b"positive(x)*exp(0 - x*x) - 3/4", b"log(1 + exp(x))")),
        "elements": (elements, (bytes(48), b"\x01" * 32)),
        "verifier": (weakened_verifier, unchanged()),
        "whole": (whole, tuple(len(s).to_bytes(4, "little") + s + p for s, p in pairs)),
    }


@cache
def targets() -> dict[str, tuple[Target, tuple[bytes, ...]]]:
    """By name: what is called, and inputs that it accepts."""
    return _seeds()
