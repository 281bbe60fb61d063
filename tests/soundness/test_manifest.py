"""Each entry of the tamper manifest, carried out; and that there is an entry for everything."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.soundness import manifest, test_mutants
from tests.soundness.test_errors import all_rejections
from zkjax.errors import VerificationError
from zkjax.fields.mersenne61 import P
from zkjax.files import RunFolder
from zkjax.statement.circuit import (
    Axes,
    Circuit,
    Combine,
    Committed,
    Constant,
    Contract,
    Filter,
    Lookup,
    Output,
    Positions,
    Public,
    Rows,
)
from zkjax.statement.proof import MAX_PROOF_BYTES, Proof
from zkjax.statement.statement import MAX_STATEMENT_BYTES, Statement
from zkjax.statement.tables import Table
from zkjax.transcript.channel import NONCE_BYTES, VerifierChannel
from zkjax.transcript.sponge import Transcript
from zkjax.verifier import verify

VERIFY = sys.modules[verify.__module__]
FOLDER = Path(__file__).parents[1] / "vectors" / "proofs"
KINDS = (Circuit, Committed, Constant, Positions, Public, Combine, Axes, Rows, Filter, Contract, Lookup, Output, Table)


@cache
def frozen(name: str = "two-layers") -> tuple[Statement, bytes]:
    run = RunFolder(FOLDER / name)
    statement = Statement.from_bytes(run.read_statement(max_payload=MAX_STATEMENT_BYTES).payload)
    return statement, Proof.from_bytes(run.read_proof(max_payload=MAX_PROOF_BYTES).payload).data


@dataclass(frozen=True)
class Message:
    start: int
    end: int


@cache
def messages() -> dict[str, list[Message]]:
    """All messages of the frozen proof by label; nonces that share one have a name of their own."""
    found: dict[str, list[Message]] = {}

    class Recording(VerifierChannel):
        def take(self, label, size):
            name = f"{label} nonce" if label == "opening round" and size == NONCE_BYTES else label
            found.setdefault(name, []).append(Message(self._position, self._position + size))
            return super().take(label, size)

    statement, data = frozen()
    with patch.object(VERIFY, "VerifierChannel", Recording):
        verify(statement, Proof(data))
    return found


def said(statement: Statement, data: bytes, nonces_are_good: bool = True) -> str:
    """The class of the rejection."""
    judge = Transcript.check_work

    def good(self: Transcript, label: str, bits: int, nonce: int) -> bool:
        return judge(self, label, bits, nonce) or nonces_are_good

    with patch.object(Transcript, "check_work", good), pytest.raises(VerificationError) as caught:
        verify(statement, Proof(data))
    return type(caught.value).__name__


def check(got: str, expected: manifest.Expected) -> None:
    assert got in ((expected,) if isinstance(expected, str) else expected)


# The proof


def element_at(label: str, message: Message) -> int:
    """Where the first field element of a message begins: behind the salt of a column."""
    return message.start + (32 if label.startswith("column") else 0)


def tampered(label: str, way: str) -> bytes:
    data, alike = frozen()[1], messages()[label]
    message = alike[len(alike) // 2]
    own = data[message.start : message.end]
    others = [m for m in alike if m.end - m.start == len(own) and data[m.start : m.end] != own]
    at = element_at(label, message)
    match way:
        case "changed":
            return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        case "last changed":
            return data[: message.end - 16] + bytes([data[message.end - 16] ^ 1]) + data[message.end - 15 :]
        case "swapped":
            first, second = sorted([message, others[0]], key=lambda m: m.start)
            middle = data[first.end : second.start]
            swapped = data[second.start : second.end] + middle + data[first.start : first.end]
            return data[: first.start] + swapped + data[second.end :]
        case "repeated":
            other = data[others[0].start : others[0].end]
            return data[: message.start] + other + data[message.end :]
        case "truncated":
            return data[: message.end - 1]
        case "extended":
            return data[: message.end] + b"\x01" + data[message.end :]
        case "non-canonical":
            return data[:at] + (P + 5).to_bytes(8, "little") + data[at + 8 :]
    raise AssertionError(way)


@pytest.mark.parametrize(("label", "way"), [(label, way) for label, ways in manifest.PROOF.items() for way in ways])
def test_a_tampered_message_is_caught(label, way):
    expected = manifest.PROOF[label][way]
    if expected != manifest.WORK:
        check(said(frozen()[0], tampered(label, way)), expected)
        return
    # A wrong nonce does the work once in 2^8: then another one is tried.
    message, data = messages()[label][-1], tampered(label, way)
    for other in range(256):
        got = said(frozen()[0], data, nonces_are_good=False)
        if got == expected:
            return
        data = data[: message.start] + other.to_bytes(NONCE_BYTES, "little") + data[message.end :]
    raise AssertionError(f"no nonce is refused: {got}")


def test_every_message_has_an_entry():
    assert messages().keys() == manifest.PROOF.keys()


def test_every_message_is_tampered_with_in_every_way_that_it_has():
    for label, alike in messages().items():
        ways = {"changed", "truncated", "extended"}
        nonce = alike[0].end - alike[0].start == NONCE_BYTES
        if not nonce and label != "advice root" and not label.startswith("sibling"):
            ways.add("non-canonical")
        if len(alike) > 1:
            ways |= {"swapped", "repeated"}
        assert manifest.PROOF[label].keys() - {"last changed"} == ways, label


# The statement


# The statement that is tampered with: one that publishes something.
PUBLISHING = "softmax"


def encoded_parts() -> dict[str, tuple[int, int]]:
    """Where the parts of the encoding stand."""
    statement = frozen(PUBLISHING)[0]
    size = len(statement.circuit.to_bytes())
    lengths = {
        "head": 16,
        "parameter hash": 32,
        "openings": 4,
        "log_message": 4,
        "root of data": 32,
        "root of before": 32,
        "root of after": 32,
        "length of the circuit": 8,
        "circuit": size,
        "schedule": 4 * statement.schedule.size,
        "outputs": 8 * sum(values.size for values in statement.outputs),
    }
    parts, position = {}, 0
    for name, length in lengths.items():
        parts[name] = (position, position + length)
        position += length
    assert position == len(statement.to_bytes())
    return parts


def reencoded(start: int, end: int, content: bytes) -> bytes:
    """The statement with one part replaced; a circuit's length is told."""
    encoded = frozen(PUBLISHING)[0].to_bytes()
    result = encoded[:start] + content + encoded[end:]
    if start == encoded_parts()["circuit"][0]:
        at, until = encoded_parts()["length of the circuit"]
        result = result[:at] + len(content).to_bytes(8, "little") + result[until:]
    return result


def tampered_statement(part: str, way: str) -> bytes:
    start, end = encoded_parts()[part]
    own = frozen(PUBLISHING)[0].to_bytes()[start:end]
    document = json.loads(own) if part == "circuit" else {}
    row = frozen(PUBLISHING)[0].circuit.rows
    match way:
        case "changed" if part == "log_message":
            return reencoded(start, end, bytes([own[0] + 1]) + own[1:])
        case "changed" if part == "schedule":
            return reencoded(start, end, bytes([(own[0] + 1) % row]) + own[1:])
        case "changed":
            return reencoded(start, end, bytes([own[0] ^ 3]) + own[1:])
        case "zero":
            return reencoded(start, end, bytes(len(own)))
        case "huge":
            return reencoded(start, end, b"\xff" * len(own))
        case "swapped" if part == "schedule":
            return reencoded(start, end, own[-4:] + own[4:-4] + own[:4])
        case "swapped" if part == "outputs":
            return reencoded(start, end, own[8:16] + own[:8] + own[16:])
        case "swapped":
            other = encoded_parts()["root of before" if part == "root of data" else "root of data"]
            whole = frozen(PUBLISHING)[0].to_bytes()
            swapped = reencoded(start, end, whole[other[0] : other[1]])
            return swapped[: other[0]] + own + swapped[other[1] :]
        case "plus p":
            number = int.from_bytes(own[:8], "little", signed=True) + P
            return reencoded(start, end, number.to_bytes(8, "little", signed=True) + own[8:])
        case "out of range":
            return reencoded(start, end, row.to_bytes(4, "little") + own[4:])
        case "truncated" if part == "head":
            return own
        case "truncated":
            return reencoded(start, end, own[:-1])
        case "extended":
            return reencoded(start, end, own + b"\0")
        case "repeated":
            return reencoded(start, end, own + own)
        case "space":
            return reencoded(start, end, own.replace(b",", b", ", 1))
        case "another order":
            backwards = dict(reversed(list(document.items())))
            return reencoded(start, end, json.dumps(backwards, separators=(",", ":")).encode())
        case "a field twice":
            return reencoded(start, end, b'{"steps":1,' + own[1:])
        case "a field more":
            return reencoded(start, end, json.dumps({**document, "note": 1}, separators=(",", ":")).encode())
    raise AssertionError((part, way))


def statement_said(encoded: bytes) -> str:
    try:
        statement = Statement.from_bytes(encoded)
    except VerificationError as error:
        return type(error).__name__
    return said(statement, frozen(PUBLISHING)[1])


@pytest.mark.parametrize(("part", "way"), [(part, way) for part, ways in manifest.STATEMENT.items() for way in ways])
def test_a_tampered_statement_is_caught(part, way):
    check(statement_said(tampered_statement(part, way)), manifest.STATEMENT[part][way])


def test_every_part_of_a_statement_has_an_entry():
    assert encoded_parts().keys() == manifest.STATEMENT.keys()
    held = {"circuit", "schedule", "openings", "log_message", "roots", "outputs"}
    assert {field.name for field in fields(Statement)} == held


# The circuit


def changed(value: object) -> Iterator[object]:
    """Other values of the same type, nearest first."""
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, int):
        yield from (value + 1, value - 1)
    elif isinstance(value, str):
        yield from (*([value[:-1] + chr(ord(value[-1]) ^ 1)] if value else []), value + "'")
    elif isinstance(value, tuple):
        for index, entry in enumerate(value):
            if not isinstance(entry, int | str | tuple):
                continue
            for other in changed(entry):
                yield (*value[:index], other, *value[index + 1 :])
        if value:
            yield value[:-1]


def with_changed(field: str) -> Iterator[tuple[str, Circuit]]:
    """Names of frozen proofs, and circuits that differ from theirs in this field of one part."""
    for frozen_name in ("two-layers", "softmax", "masked"):
        for circuit in _with_changed(frozen(frozen_name)[0].circuit, *field.split(".")):
            yield frozen_name, circuit


def _with_changed(circuit: Circuit, kind: str, name: str) -> Iterator[Circuit]:
    if kind == "Circuit":
        value = getattr(circuit, name)
        others = (
            changed(value) if not (isinstance(value, tuple) and value and not isinstance(value[0], int | str)) else ()
        )
        for other in others:
            yield replace(circuit, **{name: other})
        if isinstance(value, tuple) and value:
            yield replace(circuit, **{name: value[:-1]})
        if name == "remarks":
            yield replace(circuit, remarks=(*value, "the learning rate is 0.1"))
        return
    for group in ("nodes", "tables", "lookups", "outputs"):
        parts = getattr(circuit, group)
        for index, part in enumerate(parts):
            if type(part).__name__ == kind:
                for other in changed(getattr(part, name)):
                    yield replace(
                        circuit, **{group: (*parts[:index], replace(part, **{name: other}), *parts[index + 1 :])}
                    )


@pytest.mark.parametrize("field", manifest.FIELDS)
def test_a_changed_field_of_the_circuit_is_caught(field):
    """Whatever it is changed to, there is a rejection; what the manifest names is among them."""
    expected = manifest.FIELDS[field]
    found = set()
    for number, (name, circuit) in enumerate(with_changed(field)):
        statement, data = frozen(name)
        found.add(said(replace(statement, circuit=circuit), data))
        if number >= 12 and expected in found:
            break
    assert expected in found
    assert found <= {"CircuitError", "RangeError", "StatementError", "ConsistencyError", "CanonicalError"}, found


def test_every_field_of_a_circuit_has_an_entry():
    assert {f"{kind.__name__}.{field.name}" for kind in KINDS for field in fields(kind)} == manifest.FIELDS.keys()
    kinds = {type(node) for name in ("two-layers", "softmax", "masked") for node in frozen(name)[0].circuit.nodes}
    assert kinds | {Circuit, Lookup, Output, Table} == set(KINDS)


# The errors


def test_every_class_of_rejection_is_the_only_one_to_reject_something():
    """`test_mutants.necessary` shows it: without the check, the forged proof is accepted."""
    tree = ast.parse(Path(test_mutants.__file__).read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "necessary"]
    shown = {ast.unparse(call.args[2]).rpartition(".")[2] for call in calls} - {"LATER"}
    # A proof of another format is not read, whatever it says; and no proof can cause an open end.
    assert shown | {"ProofFormatError", "OpenEndError"} == all_rejections()


def test_every_class_of_rejection_is_in_the_manifest():
    named = {
        name
        for entries in (*manifest.PROOF.values(), *manifest.STATEMENT.values(), manifest.FIELDS)
        for expected in entries.values()
        for name in ([expected] if isinstance(expected, str) else expected)
    }
    # Combinations that are consistent and wrong take a cheating prover; so does a weak parameter set.
    elsewhere = {"ProximityError", "PadProximityError", "SoundnessError", "ProofFormatError", "OpenEndError"}
    assert named | elsewhere == all_rejections()
