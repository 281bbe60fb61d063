"""Tampered proofs: every byte, every message boundary, every section; always a typed rejection."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from unittest.mock import patch

import numpy as np
import pytest

from tests.soundness.cheating import Forgery, forge
from tests.statement.random_circuits import random_circuit
from zkjax.errors import VerificationError
from zkjax.fields.mersenne61 import P
from zkjax.statement.proof import Proof, ProofFormatError
from zkjax.statement.ranges import RangeError
from zkjax.statement.statement import Statement
from zkjax.transcript.channel import CanonicalError, ProofLengthError, VerifierChannel, WorkError
from zkjax.transcript.sponge import Transcript
from zkjax.verifier import verify
from zkjax.verifier.merkle import MerkleError
from zkjax.verifier.opening import ConsistencyError, PadProximityError, ProximityError

VERIFY = sys.modules[verify.__module__]
VERIFY_OPENING = sys.modules[VERIFY.verify_opening.__module__]


@dataclass(frozen=True)
class Message:
    """A message in the stream of a proof."""

    section: str
    label: str
    start: int
    end: int


@cache
def messages_of(forgery: Forgery) -> tuple[Message, ...]:
    """All messages of an accepted proof, in order."""
    found: list[Message] = []

    class Recording(VerifierChannel):
        def take(self, label, size):
            found.append(Message(self._section, label, self._position, self._position + size))
            return super().take(label, size)

    with patch.object(VERIFY, "VerifierChannel", Recording):
        forgery.verify()
    assert found[0].start == 0
    assert [m.end for m in found[:-1]] == [m.start for m in found[1:]]
    assert found[-1].end == len(forgery.proof.data)
    return tuple(found)


Forgery.__hash__ = object.__hash__  # a proof is itself, for the cache


@contextmanager
def statement_known_to_be_good() -> Iterator[None]:
    """Skip the checks of a statement that many proofs are checked against."""
    with (
        patch.object(Statement, "check", lambda self: None),
        patch.object(VERIFY, "check_ranges", lambda circuit: None),
    ):
        yield


def rejection(statement: Statement, data: bytes) -> VerificationError:
    """How `data` is rejected. Any other exception fails the test."""
    with statement_known_to_be_good(), pytest.raises(VerificationError) as caught:
        verify(statement, Proof(data))
    assert type(caught.value) is not VerificationError
    return caught.value


@cache
def opening_of(forgery: Forgery) -> tuple:
    """What the verifier gives to `receive_columns`, but for the channel; changed columns change none of it."""
    asked: list[tuple] = []
    original = VERIFY_OPENING.receive_columns

    def asking(channel, *arguments):
        asked.append(arguments)
        return original(channel, *arguments)

    with patch.object(VERIFY_OPENING, "receive_columns", asking):
        forgery.verify()
    return asked[0]


def rejection_of_columns(forgery: Forgery, data: bytes) -> VerificationError:
    """How changed columns are rejected, without the long way there."""
    channel = VerifierChannel(Transcript(bytes(32)), data)
    channel.take("all before", next(m.start for m in messages_of(forgery) if m.section == "columns"))
    with pytest.raises(VerificationError) as caught:
        VERIFY_OPENING.receive_columns(channel, *opening_of(forgery))
    return caught.value


@pytest.fixture(scope="module")
def other(case) -> Forgery:
    """Another proof of the same statement: other advice, the same commitments."""
    forgery = forge(case)
    forgery.verify()
    return forgery


# What may be wrong with a message of each kind. A wrong nonce is as good as any once in 2^8 or more,
# a wrong value survives a proof of work as often; then the next check finds it.
LATER = (WorkError, ConsistencyError)
ERRORS: dict[str, tuple[type[VerificationError], ...]] = {
    "advice root": LATER,
    "lookup challenges": LATER,
    **dict.fromkeys(("lookup root", "lookup partial sum", "lookup inverse", "lookup round"), (CanonicalError, *LATER)),
    **dict.fromkeys(("lookup children", "phase total", "phase round", "phase factors"), (CanonicalError, *LATER)),
    **dict.fromkeys(("product cross terms", "masked factors"), (CanonicalError, *LATER)),
    **dict.fromkeys(("opening split", "opening round", "opening mask"), (CanonicalError, *LATER)),
    "opening combination": LATER,
    "row combination": (CanonicalError, ConsistencyError, WorkError, ProximityError),
    "pad combination": (CanonicalError, ConsistencyError, WorkError, PadProximityError, MerkleError),
    "opening": (WorkError, MerkleError, ProofLengthError, CanonicalError),
    **{f"column of {name}": (MerkleError, CanonicalError) for name in ("data", "before", "after", "advice")},
    **{f"sibling in {name}": (MerkleError,) for name in ("data", "before", "after", "advice")},
}


def flipped(data: bytes, position: int, bit: int) -> bytes:
    return data[:position] + bytes([data[position] ^ (1 << bit)]) + data[position + 1 :]


def sample(messages: tuple[Message, ...], per_label: int) -> list[tuple[Message, int]]:
    """Positions in messages of every label: the first and the last byte of the first and the last, and random ones."""
    random = np.random.default_rng(8)
    chosen = []
    for _, group in groupby(sorted(messages, key=lambda m: m.label), key=lambda m: m.label):
        alike = list(group)
        chosen += [(alike[0], alike[0].start), (alike[-1], alike[-1].end - 1)]
        for _ in range(per_label):
            message = alike[random.integers(len(alike))]
            chosen.append((message, int(random.integers(message.start, message.end))))
    return chosen


def test_every_message_has_its_errors(honest):
    assert {message.label for message in messages_of(honest)} == set(ERRORS)


def test_a_flipped_bit_is_rejected(honest):
    random = np.random.default_rng(9)
    chosen = sample(messages_of(honest), 11)
    assert len(chosen) > 300
    for number, (message, position) in enumerate(chosen):
        data = flipped(honest.proof.data, position, int(random.integers(8)))
        if message.section == "columns" and number % 13 > 1:
            error = rejection_of_columns(honest, data)
        else:
            error = rejection(honest.statement, data)
        assert isinstance(error, ERRORS[message.label]), (message, error)


@pytest.mark.slow
def test_every_flipped_byte_is_rejected(honest):
    """Every byte but those of columns and combinations, of which every 17th."""
    for message in messages_of(honest):
        columns = message.section == "columns"
        every = 17 if columns or "combination" in message.label else 1
        for position in range(message.start + message.start % every, message.end, every):
            data = flipped(honest.proof.data, position, position % 8)
            error = rejection_of_columns(honest, data) if columns else rejection(honest.statement, data)
            assert isinstance(error, ERRORS[message.label]), (message, position, error)


# Lengths


def boundaries(forgery: Forgery, columns: int) -> list[int]:
    """Where messages begin: all outside the columns, and a sample of `columns` inside."""
    messages = messages_of(forgery)
    outside = [message.start for message in messages if message.section != "columns"]
    inside = [message.start for message in messages if message.section == "columns"]
    return outside + inside[:: max(1, len(inside) // columns)] if columns else outside


def test_a_proof_cut_at_a_message_is_rejected(honest):
    for position in boundaries(honest, 12)[::2]:
        error = rejection(honest.statement, honest.proof.data[:position])
        assert isinstance(error, ProofLengthError)


def test_a_proof_cut_within_a_message_is_rejected(honest):
    for message, position in sample(messages_of(honest), 1)[1::3]:
        error = rejection(honest.statement, honest.proof.data[:position])
        assert isinstance(error, ProofLengthError), message


@pytest.mark.parametrize("extra", [b"\0", bytes(16), b"\xff" * 32])
def test_bytes_after_the_end_are_rejected(honest, extra):
    assert isinstance(rejection(honest.statement, honest.proof.data + extra), ProofLengthError)


def test_a_proof_after_a_proof_is_rejected(honest):
    assert isinstance(rejection(honest.statement, honest.proof.data * 2), ProofLengthError)


def test_bytes_between_messages_are_rejected(honest):
    for number, position in enumerate(boundaries(honest, 4)[::5]):
        extra = (b"\0", bytes(16), honest.proof.data[position : position + 16])[number % 3]
        rejection(honest.statement, honest.proof.data[:position] + extra + honest.proof.data[position:])


def test_a_message_left_out_is_rejected(honest):
    messages = messages_of(honest)
    for message in [*messages[:300:9], *messages[300::800]]:
        rejection(honest.statement, honest.proof.data[: message.start] + honest.proof.data[message.end :])


@pytest.mark.slow
def test_every_boundary(honest):
    """Cut, left out, repeated: every message, of columns and siblings every eleventh."""
    data = honest.proof.data
    every = [m for i, m in enumerate(messages_of(honest)) if m.section != "columns" or not i % 11]
    for message in every:
        assert isinstance(rejection(honest.statement, data[: message.start]), ProofLengthError)
        rejection(honest.statement, data[: message.start] + data[message.end :])
        rejection(honest.statement, data[: message.end] + data[message.start :])


# Order


def test_sections_in_another_order_are_rejected(honest):
    messages = messages_of(honest)
    sections = [
        honest.proof.data[group[0].start : group[-1].end]
        for group in (list(group) for _, group in groupby(messages, key=lambda m: m.section))
    ]
    assert len(sections) == 6
    for first in range(6):
        for second in range(first):
            order = list(range(6))
            order[first], order[second] = second, first
            rejection(honest.statement, b"".join(sections[i] for i in order))


def test_messages_of_equal_length_in_another_order_are_rejected(honest):
    messages = messages_of(honest)
    random = np.random.default_rng(4)
    for _, group in groupby(sorted(messages, key=lambda m: (m.label, m.start)), key=lambda m: m.label):
        alike = list(group)
        if len(alike) > 1:
            first, second = sorted(random.choice(len(alike), 2, replace=False))
            first, second = alike[first], alike[second]
            data = bytearray(honest.proof.data)
            data[first.start : first.end] = honest.proof.data[second.start : second.end]
            data[second.start : second.end] = honest.proof.data[first.start : first.end]
            if bytes(data) != honest.proof.data:
                error = rejection(honest.statement, bytes(data))
                assert isinstance(error, ERRORS[first.label]), first


# Replay


def test_messages_of_another_proof_of_the_same_statement_are_rejected(honest, other):
    """All messages of one label from the other proof; the columns differ in number, hence in length."""
    ours, theirs = messages_of(honest), messages_of(other)
    for label in ERRORS:
        if label.startswith(("column of", "sibling in")):
            continue
        data = bytearray(honest.proof.data)
        replaced = 0
        for mine, yours in zip(ours, theirs, strict=False):
            if mine.label == label:
                assert (mine.start, mine.label) == (yours.start, yours.label)
                data[mine.start : mine.end] = other.proof.data[yours.start : yours.end]
                replaced += data[mine.start : mine.end] != honest.proof.data[mine.start : mine.end]
        assert replaced, label
        error = rejection(honest.statement, bytes(data))
        assert isinstance(error, ERRORS[label]), label


def test_the_rest_of_another_proof_of_the_same_statement_is_rejected(honest, other):
    ours, theirs = messages_of(honest), messages_of(other)
    starts = {message.section: message.start for message in reversed(ours)}
    for section, start in starts.items():
        if start:
            assert start == min(message.start for message in theirs if message.section == section)
            rejection(honest.statement, honest.proof.data[:start] + other.proof.data[start:])
    columns = starts["columns"]
    error = rejection(honest.statement, honest.proof.data[:columns] + other.proof.data[columns:])
    assert isinstance(error, MerkleError | ProofLengthError | CanonicalError)


# Anything at all


@pytest.mark.parametrize("size", [0, 1, 31, 32, 39, 40, 41, 200_000])
@pytest.mark.parametrize("fill", [b"\0", b"\xff", None], ids=["zeros", "ones", "random"])
def test_arbitrary_bytes_are_rejected(honest, size, fill):
    data = np.random.default_rng(size).bytes(size) if fill is None else fill * size
    rejection(honest.statement, data)


def canonical(seed: int, elements: int) -> bytes:
    return np.random.default_rng(seed).integers(0, P, 2 * elements, dtype=np.uint64).astype("<u8").tobytes()


@pytest.mark.parametrize("seed", range(12))
def test_elements_that_mean_nothing_are_rejected_for_any_circuit(seed, monkeypatch):
    """Past the proofs of work the verifier walks its whole way on random values, for any circuit."""
    monkeypatch.setattr(Transcript, "check_work", lambda self, label, bits, nonce: True)
    circuit = random_circuit(seed)
    schedule = np.random.default_rng(seed).integers(0, circuit.rows, (circuit.steps, circuit.batch))
    statement = Statement(circuit, schedule, 2, (bytes(32),) * 3)
    statement.check()
    try:
        VERIFY.check_ranges(circuit)
    except RangeError:
        monkeypatch.setattr(VERIFY, "check_ranges", lambda circuit: None)
    # Root and nonce before the elements; the nonces between them shift what follows by half of one.
    for data in (bytes(40) + bytes(1 << 20), bytes(40) + canonical(seed, 1 << 16)):
        with pytest.raises(VerificationError):
            verify(statement, Proof(data))


# Files


def test_a_changed_head_of_a_proof_is_rejected(honest):
    encoded = honest.proof.to_bytes()
    assert Proof.from_bytes(encoded) == honest.proof
    head = len(encoded) - len(honest.proof.data)
    for position in range(head):
        with pytest.raises(ProofFormatError):
            Proof.from_bytes(flipped(encoded, position, position % 8))


def statement_rejection(data: bytes, proof: Proof) -> None:
    with pytest.raises(VerificationError):
        verify(Statement.from_bytes(data), proof)


def test_a_changed_statement_is_rejected(honest):
    encoded = honest.statement.to_bytes()
    random = np.random.default_rng(2)
    head, tail = range(0, 190, 9), range(len(encoded) - 48, len(encoded), 6)
    for position in [*head, *tail, *random.integers(0, len(encoded), 100).tolist()]:
        statement_rejection(flipped(encoded, position, int(random.integers(8))), honest.proof)


@pytest.mark.slow
def test_every_changed_byte_of_a_statement_is_rejected(honest):
    encoded = honest.statement.to_bytes()
    for position in range(len(encoded)):
        statement_rejection(flipped(encoded, position, position % 8), honest.proof)
