"""The whole verifier with one of its defences taken away, so that changed proofs get to those behind it.

Every mode lets all nonces count. Beyond that:

- "statement": a changed statement and the proof of the unchanged one, from bytes on
- "proof": a changed proof, under the challenges that follow from it
- "answered": a changed proof under the challenges of the unchanged one: what it says meets the checks themselves
- "opened": opened columns with changed symbols, whose roots count: only the tests of proximity are left

In none of them is anything accepted but the unchanged proof of the unchanged statement.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from unittest.mock import patch

from zkjax.errors import VerificationError
from zkjax.files import decode
from zkjax.statement.parameters import DIGEST_BYTES, SALT_BYTES
from zkjax.statement.proof import Proof
from zkjax.statement.statement import OBJECTS, Statement
from zkjax.transcript.channel import NONCE_BYTES, VerifierChannel
from zkjax.transcript.sponge import Transcript
from zkjax.verifier import merkle, verify

FROZEN = Path(__file__).parents[1] / "vectors" / "proofs"
MODES = ("statement", "proof", "answered", "opened")
HEAD = len(Proof(b"").to_bytes())


@dataclass(frozen=True)
class Message:
    """What the verifier reads at once. `kind` is "bytes", "nonce", "elements", "column" or "sibling"."""

    section: str
    label: str
    kind: str
    start: int
    size: int


@dataclass(frozen=True, eq=False)
class Pair:
    """A frozen statement with its proof; the messages of the proof, and all that the verifier draws."""

    name: str
    encoded: bytes
    statement: Statement
    data: bytes
    messages: tuple[Message, ...]
    answers: tuple[bytes, ...]

    @property
    def roots(self) -> dict[str, bytes]:
        return dict(zip((*OBJECTS, "advice"), (*self.statement.roots, self.data[:DIGEST_BYTES]), strict=True))


@dataclass
class Weakened:
    """What the weakened verifier knows. `answers` are given in their order once there are some."""

    answers: tuple[bytes, ...] = ()
    roots: dict[str, bytes] = field(default_factory=dict)
    drawn: list[bytes] = field(default_factory=list)


@contextmanager
def weakened(by: Weakened) -> Iterator[None]:
    honest_draw, honest_root = Transcript.draw, merkle._root

    def draw(self: Transcript, label: str) -> bytes:
        digest = honest_draw(self, label)
        if by.answers:
            digest = self.state = by.answers[len(by.drawn)]
        by.drawn.append(digest)
        return digest

    def check_work(self: Transcript, label: str, bits: int, nonce: int) -> bool:
        self.absorb(label, nonce.to_bytes(NONCE_BYTES, "little"))
        return True

    def root(channel: VerifierChannel, level: dict[int, bytes], height: int, name: str) -> bytes:
        return by.roots.get(name, honest_root(channel, level, height, name))

    with (
        patch.object(Transcript, "draw", draw),
        patch.object(Transcript, "check_work", check_work),
        patch.object(merkle, "_root", root),
    ):
        yield


def knowing(mode: str, pair: Pair) -> Weakened:
    return Weakened(answers=pair.answers if mode == "answered" else (), roots=pair.roots if mode == "opened" else {})


@cache
def pairs() -> tuple[Pair, ...]:
    return tuple(_read(folder) for folder in sorted(FROZEN.iterdir()))


def _read(folder: Path) -> Pair:
    files = ((folder / f"{name}.zkjax").read_bytes() for name in ("statement", "proof"))
    encoded, proof = (decode(data, "frozen", max_payload=1 << 30).payload for data in files)
    statement, data = Statement.from_bytes(encoded), Proof.from_bytes(proof).data
    messages: list[Message] = []
    taken, public, work = VerifierChannel.take, VerifierChannel.receive_public, VerifierChannel.work
    inside: list[str] = []

    def within(kind: str, method):  # type: ignore[no-untyped-def]
        def called(*arguments: object) -> object:
            inside.append(kind)
            try:
                return method(*arguments)
            finally:
                inside.pop()

        return called

    def take(self: VerifierChannel, label: str, size: int) -> bytes:
        kind = inside[-1] if inside else label.split()[0] if label.startswith(("column", "sibling")) else "bytes"
        messages.append(Message(self._section, label, kind, self._position, size))
        return taken(self, label, size)

    seen = Weakened()
    with (
        weakened(seen),
        patch.object(VerifierChannel, "take", take),
        patch.object(VerifierChannel, "receive_public", within("elements", public)),
        patch.object(VerifierChannel, "work", within("nonce", work)),
    ):
        verify(statement, Proof(data))
    return Pair(folder.name, encoded, statement, data, tuple(messages), tuple(seen.drawn))


def judged(statement: Statement | bytes, data: bytes) -> str:
    """What is said, by the verifier as it is at the time: "accepted", the class of a refusal, or a traceback."""
    try:
        if isinstance(statement, bytes):
            encoded, statement = statement, Statement.from_bytes(statement)
            assert statement.to_bytes() == encoded
        verify(statement, Proof(data))
    except VerificationError as error:
        return type(error).__name__
    except Exception:  # noqa: BLE001  whatever it is, it is a finding
        return traceback.format_exc()
    return "accepted"


def unchanged() -> tuple[bytes, ...]:
    """Inputs of `weakened_verifier` that are accepted: every pair in every mode."""
    return tuple(
        encoded(mode, number, pair.encoded if mode == "statement" else pair.data)
        for number, pair in enumerate(pairs())
        for mode in MODES
    )


def is_refusal(said: str) -> bool:
    return said.isidentifier() and said != "accepted"


def encoded(mode: str, number: int, changed: bytes) -> bytes:
    """An input of `weakened_verifier`."""
    return bytes([MODES.index(mode), number]) + changed


def weakened_verifier(data: bytes) -> None:
    """A mode, the number of a pair, and the statement or the data of a proof in its place."""
    mode = MODES[data[0] % len(MODES)] if data else MODES[0]
    pair = pairs()[data[1] % len(pairs()) if len(data) > 1 else 0]
    changed, by_statement = data[2:], mode == "statement"
    with weakened(knowing(mode, pair)):
        said = judged(changed, pair.data) if by_statement else judged(pair.statement, changed)
    if changed == (pair.encoded if by_statement else pair.data):
        assert said == "accepted", said
    else:
        assert is_refusal(said) or free(mode, pair, changed), said


def free(mode: str, pair: Pair, changed: bytes) -> bool:
    """Whether only such bytes differ as the weakened verifier cannot look at: nonces, or paths to the roots."""
    if mode not in ("answered", "opened") or len(changed) != len(pair.data):
        return False
    return all(
        changed[start : start + size] == pair.data[start : start + size]
        for message in pair.messages
        for start, size in _looked_at(mode, message)
    )


def _looked_at(mode: str, message: Message) -> list[tuple[int, int]]:
    if mode == "answered" and message.kind == "nonce":
        return []
    if mode == "opened" and message.kind == "sibling":
        return []
    if mode == "opened" and message.kind == "column":
        return [(message.start + SALT_BYTES, message.size - SALT_BYTES)]
    return [(message.start, message.size)]
