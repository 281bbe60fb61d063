"""Changes of proofs message by message, and of statements part by part, that keep most of the structure."""

from __future__ import annotations

import random

from tests.fuzzing.deep import Message, Pair
from tests.fuzzing.run import WORDS, changed_json
from zkjax.fields.mersenne61 import ELEMENT_BYTES, P
from zkjax.statement.parameters import DIGEST_BYTES, SALT_BYTES

SECTIONS = {"advice": 1, "lookups": 3, "claims": 3, "products": 3, "opening": 12, "columns": 12}
CIRCUIT = 16 + 32 + 8 + 3 * DIGEST_BYTES  # where its length stands in a statement
OPENINGS, CODE, ROOTS = 16 + 32, 16 + 32 + 4, 16 + 32 + 8


def changed_proof(rng: random.Random, pair: Pair, others: tuple[Pair, ...], mode: str) -> bytes:
    """One change, sometimes two or three; in the mode "opened" of symbols only."""
    data = bytearray(pair.data)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        message = _message(rng, pair, mode)
        if message.start + message.size > len(data):
            continue  # cut off by the change before
        if mode != "opened" and rng.random() < 0.08:
            _whole(rng, data, message, pair, rng.choice(others))
        elif message.kind in ("elements", "column"):
            _element(rng, data, message, pair, rng.choice(others))
        else:
            _bytes(rng, data, message)
    return bytes(data)


def _message(rng: random.Random, pair: Pair, mode: str) -> Message:
    if mode == "opened":
        return rng.choice(_of(pair, "column"))
    while True:
        (section,) = rng.choices(list(SECTIONS), list(SECTIONS.values()))
        labels = list(dict.fromkeys(message.label for message in _of(pair, section)))
        message = rng.choice(_of(pair, rng.choice(labels)))
        if not (mode == "answered" and message.kind == "nonce"):
            return message


def _of(pair: Pair, what: str) -> list[Message]:
    """The messages of a section, of a label, or of a kind."""
    key = (pair.name, what)
    if key not in _FOUND:
        _FOUND[key] = [message for message in pair.messages if what in (message.section, message.label, message.kind)]
    return _FOUND[key]


_FOUND: dict[tuple[str, str], list[Message]] = {}


def _whole(rng: random.Random, data: bytearray, message: Message, pair: Pair, other: Pair) -> None:
    """A message dropped, doubled or moved, the proof cut short or made longer, or its tail that of another one."""
    start, end = message.start, message.start + message.size
    match rng.randrange(7):
        case 0:
            del data[start:end]
        case 1:
            data[end:end] = data[start:end]
        case 2:
            second = rng.choice(pair.messages)
            data[start:end] = pair.data[second.start : second.start + second.size]
        case 3:
            del data[rng.choice((start, end, rng.randint(start, end))) :]
        case 4:
            data += rng.randbytes(rng.choice((1, 8, 16, 32)))
        case 5:
            data[start:] = other.data[start:]
        case _:
            data[start:end] = bytes(message.size)


def _element(rng: random.Random, data: bytearray, message: Message, pair: Pair, other: Pair) -> None:
    """One part of an element, a whole one, or two that change places."""
    first = message.start + (SALT_BYTES if message.kind == "column" else 0)
    count = (message.start + message.size - first) // ELEMENT_BYTES
    at = first + ELEMENT_BYTES * rng.randrange(count)
    part = at + 8 * rng.randrange(2)
    value = int.from_bytes(data[part : part + 8], "little")
    match rng.randrange(10):
        case 0:
            data[part : part + 8] = rng.randrange(P).to_bytes(8, "little")
        case 1:
            data[part : part + 8] = ((value + rng.choice((-1, 1))) % P).to_bytes(8, "little")
        case 2:
            data[part : part + 8] = ((P - value) % P).to_bytes(8, "little")
        case 3:
            data[part : part + 8] = rng.choice(WORDS).to_bytes(8, "little")
        case 4:
            data[part : part + 8] = ((value + P) % (1 << 64)).to_bytes(8, "little")  # the same residue
        case 5:
            data[part] ^= 1 << rng.randrange(8)
        case 6:
            data[at : at + ELEMENT_BYTES] = bytes(ELEMENT_BYTES)
        case 7:
            second = first + ELEMENT_BYTES * rng.randrange(count)
            _swap(data, at, second, ELEMENT_BYTES)
        case 8:
            alike = rng.choice([each for each in _of(pair, message.kind) if each.size == message.size])
            _swap(data, message.start, alike.start, message.size)
        case _:
            data[at : at + ELEMENT_BYTES] = other.data[at : at + ELEMENT_BYTES]


def _swap(data: bytearray, first: int, second: int, size: int) -> None:
    one, two = data[first : first + size], data[second : second + size]
    data[first : first + size], data[second : second + size] = two, one


def _bytes(rng: random.Random, data: bytearray, message: Message) -> None:
    at = message.start + rng.randrange(message.size)
    match rng.randrange(3):
        case 0:
            data[at] ^= 1 << rng.randrange(8)
        case 1:
            data[message.start : message.start + message.size] = rng.randbytes(message.size)
        case _:
            data[at : at + 1] = rng.randbytes(1)


def changed_statement(rng: random.Random, pair: Pair, others: tuple[Pair, ...]) -> bytes:
    """One part changed: code, a root, the circuit, the schedule or the outputs; or a part of another statement."""
    data, other = bytearray(pair.encoded), rng.choice(others).encoded
    size = int.from_bytes(data[CIRCUIT : CIRCUIT + 8], "little")
    begin, end = CIRCUIT + 8, CIRCUIT + 8 + size
    match rng.randrange(16):
        case 0:
            at = rng.choice((OPENINGS, CODE))
            value = int.from_bytes(data[at : at + 4], "little") + rng.choice((-2, -1, 1, 2, 7))
            data[at : at + 4] = (value % (1 << 32)).to_bytes(4, "little")
        case 1:
            at = ROOTS + DIGEST_BYTES * rng.randrange(3)
            data[at + rng.randrange(DIGEST_BYTES)] ^= 1 << rng.randrange(8)
        case 2:
            at, theirs = (ROOTS + DIGEST_BYTES * rng.randrange(3) for _ in range(2))
            data[at : at + DIGEST_BYTES] = rng.choice((pair.encoded, other))[theirs : theirs + DIGEST_BYTES]
        case 3 if len(data) > end:
            at = end + 4 * rng.randrange((len(data) - end) // 4)
            value = int.from_bytes(data[at : at + 4], "little") + rng.choice((-1, 1, 2))
            data[at : at + 4] = (value % (1 << 32)).to_bytes(4, "little")
        case 4 if len(data) >= end + 8:
            one, two = (end + 4 * rng.randrange((len(data) - end) // 4) for _ in range(2))
            _swap(data, one, two, 4)
        case 5:
            at = rng.randrange(len(data))
            data[at] ^= 1 << rng.randrange(8)
        case _:
            inside = changed_json(rng, pair.encoded[begin:end])
            data[CIRCUIT:end] = len(inside).to_bytes(8, "little") + inside
    return bytes(data)
