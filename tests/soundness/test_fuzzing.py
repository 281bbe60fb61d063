"""Structured fuzzing of all that reads untrusted bytes: whatever comes in, a typed rejection comes out.

Inputs are frozen statements, proofs and files, changed in ways that keep some of their structure:
bytes, elements, messages, JSON values, whole parts of another one. `make fuzz` takes a million of them.
"""

from __future__ import annotations

import json
import os
import sys
from functools import cache
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from zkjax.errors import FileError, VerificationError
from zkjax.fields.mersenne61 import P
from zkjax.files import Kind, decode, decode_tensors, encode
from zkjax.statement.circuit import Circuit
from zkjax.statement.proof import Proof
from zkjax.statement.statement import Statement
from zkjax.transcript.channel import NONCE_BYTES
from zkjax.transcript.sponge import Transcript
from zkjax.verifier import verify

FOLDERS = sorted((Path(__file__).parents[1] / "vectors" / "proofs").iterdir())
FACTOR = int(os.environ.get("ZKJAX_FUZZ", "1"))
VERIFY = sys.modules[verify.__module__]


def fuzzed(count: int) -> settings:
    return settings(
        max_examples=count * FACTOR,
        deadline=10_000,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        derandomize=FACTOR == 1,
        database=None,
    )


@cache
def frozen() -> tuple[tuple[bytes, bytes], ...]:
    """(statement, proof) as they are inside their envelopes."""
    files = [[(folder / f"{name}.zkjax").read_bytes() for name in ("statement", "proof")] for folder in FOLDERS]
    return tuple(
        (decode(s, "s", max_payload=1 << 30).payload, decode(p, "p", max_payload=1 << 30).payload) for s, p in files
    )


# Words that numbers go wrong at.
WORDS = st.sampled_from([0, 1, P - 1, P, P + 1, (1 << 61) + 7, 1 << 63, (1 << 64) - 1]) | st.integers(0, (1 << 64) - 1)


@st.composite
def edits(draw: st.DrawFn, data: bytes) -> bytes:
    """Some bytes of `data`, changed once to three times."""
    result = bytearray(data)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(result)))
        length = draw(st.sampled_from([1, 4, 8, 16, 32, 64]))
        match draw(st.sampled_from(["word", "bytes", "cut", "insert", "repeat", "end", "zeros"])):
            case "word":
                at -= at % 8
                result[at : at + 8] = draw(WORDS).to_bytes(8, "little")
            case "bytes":
                result[at : at + length] = draw(st.binary(min_size=1, max_size=length))
            case "cut":
                del result[at : at + length]
            case "insert":
                result[at:at] = draw(st.binary(min_size=1, max_size=length))
            case "repeat":
                result[at:at] = result[at : at + length]
            case "end":
                del result[at:]
            case "zeros":
                result[at : at + length] = bytes(length)
    return bytes(result)


def good_nonces() -> object:
    """All nonces count, absorbed as always, so that later challenges are those of the proof."""

    def check_work(self: Transcript, label: str, bits: int, nonce: int) -> bool:
        self.absorb(label, nonce.to_bytes(NONCE_BYTES, "little"))
        return True

    return patch.object(Transcript, "check_work", check_work)


def test_with_good_nonces_frozen_proofs_are_accepted():
    for statement, proof in frozen():
        with good_nonces():
            verify(_decoded(statement), Proof.from_bytes(proof))


@fuzzed(60)
@given(st.data())
def test_proofs(data):
    """With nonces that count as good, so that the verifier gets past its first challenge."""
    statement, proof = data.draw(st.sampled_from(frozen()))
    changed = data.draw(edits(proof[48:]))
    with good_nonces():
        if changed != proof[48:]:
            with pytest.raises(VerificationError):
                verify(_decoded(statement), Proof(changed))


@cache
def _decoded(statement: bytes) -> Statement:
    return Statement.from_bytes(statement)


@fuzzed(60)
@given(st.binary(max_size=2048) | st.sampled_from(frozen()).flatmap(lambda pair: edits(pair[1])))
def test_bytes_of_proofs(data):
    try:
        assert Proof.from_bytes(data).to_bytes() == data
    except VerificationError:
        pass


@fuzzed(150)
@given(st.data())
@example(None)
def test_statements(data):
    statement, proof = frozen()[0] if data is None else data.draw(st.sampled_from(frozen()))
    changed = statement if data is None else data.draw(edits(statement))
    try:
        decoded = Statement.from_bytes(changed)
    except VerificationError:
        return
    assert decoded.to_bytes() == changed
    with good_nonces():
        try:
            verify(decoded, Proof.from_bytes(proof))
        except VerificationError:
            return
    assert changed == statement


# Circuits: JSON with values replaced


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-8, 8),
    st.sampled_from([1 << 16, 1 << 22, 1 << 31, 1 << 60, -(1 << 60), 1 << 64, 10**4000]),
    st.floats(allow_nan=True),
    st.sampled_from(["", "data", "advice", "range", "relu", "exp(x)", "1/x", "\u202e", "x" * 300, "\ud800"]),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
)


def places(value: object, way: tuple = ()) -> list[tuple]:
    """The ways to all values inside a JSON document."""
    found = [way] if way else []
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        found += places(child, (*way, key))
    return found


@cache
def documents() -> tuple[tuple[str, tuple], ...]:
    texts = [_decoded(statement).circuit.to_bytes().decode() for statement, _ in frozen()]
    return tuple((text, tuple(places(json.loads(text)))) for text in texts)


@fuzzed(300)
@given(st.data())
def test_circuits(data):
    text, ways = data.draw(st.sampled_from(documents()))
    document = json.loads(text)
    for _ in range(data.draw(st.integers(1, 2))):
        *way, last = data.draw(st.sampled_from(ways))
        inside = document
        try:
            for key in way:
                inside = inside[key]
            match data.draw(st.sampled_from(["value", "value", "near", "drop", "double"])):
                case "value":
                    inside[last] = data.draw(VALUES)
                case "near":
                    inside[last] += data.draw(st.integers(-2, 2))
                case "drop":
                    del inside[last]
                case "double":
                    inside[last] = [inside[last], inside[last]]
        except (TypeError, IndexError, KeyError):
            continue  # the first change took the place of the second
    encoded = json.dumps(document, separators=(",", ":")).encode()
    try:
        circuit = Circuit.from_bytes(encoded)
    except VerificationError:
        return
    assert circuit.to_bytes() == encoded
    statement, proof = frozen()[documents().index((text, ways))]
    original = _decoded(statement)
    other = Statement(circuit, original.schedule, original.openings, original.roots, original.plan.code.log_message)
    with good_nonces():
        try:
            verify(other, Proof.from_bytes(proof))
        except VerificationError:
            return
    assert circuit == original.circuit


# Files


@fuzzed(150)
@given(st.data())
def test_files(data):
    kind = data.draw(st.sampled_from(Kind))
    whole = encode(kind, bytes(32), data.draw(st.binary(max_size=200)))
    changed = data.draw(edits(whole) | st.binary(max_size=300))
    try:
        artefact = decode(changed, "it", max_payload=1 << 20)
    except FileError:
        return
    assert encode(artefact.kind, artefact.parameters, artefact.payload) == changed


@fuzzed(150)
@given(st.data())
def test_arrays(data):
    head = {"arrays": [{"dtype": "<u4", "name": "a", "shape": [2, 3]}], "metadata": None}
    encoded = json.dumps(head, sort_keys=True, separators=(",", ":")).encode()
    changed = data.draw(edits(len(encoded).to_bytes(4, "little") + encoded + bytes(24)))
    try:
        decode_tensors(changed, "it")
    except FileError:
        pass
