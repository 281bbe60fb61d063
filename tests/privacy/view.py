"""What the public sees of a proof: the verifier runs, and everything that it reads and draws is kept."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from unittest.mock import patch

from tests.privacy.recording import Column
from zkjax.fields.mersenne61 import K
from zkjax.fields.vectors import Ext
from zkjax.statement.parameters import SALT_BYTES
from zkjax.statement.proof import Proof
from zkjax.statement.statement import Statement
from zkjax.transcript.channel import VerifierChannel
from zkjax.transcript.hidden import Hidden
from zkjax.transcript.sponge import Transcript
from zkjax.verifier import verify

VERIFY = sys.modules[verify.__module__]


@dataclass
class View:
    """`sent` holds elements by label; `ciphers` are in the order of `pad_numbers`; `mask_numbers` are the pads of
    factors; `answers` is every digest drawn. Columns are by position, siblings level by level.
    """

    sent: dict[str, list[K]] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    ciphers: list[K] = field(default_factory=list)
    pad_numbers: list[int] = field(default_factory=list)
    mask_numbers: list[int] = field(default_factory=list)
    census: list[tuple[str, str, int]] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)
    sections: dict[str, int] = field(default_factory=dict)
    positions: list[int] = field(default_factory=list)
    columns: dict[str, list[Column]] = field(default_factory=dict)
    siblings: dict[str, list[bytes]] = field(default_factory=dict)
    zeta: K = K.ZERO
    tau: K = K.ZERO


def view(statement: Statement, proof: Proof, transcript: Callable[..., Transcript] = Transcript) -> View:
    """All that the verifier sees of an accepted proof; `transcript` takes a protocol id and a log."""
    seen = View()

    class Reading(VerifierChannel):
        def receive_hidden(self, label: str, count: int) -> list[Hidden]:
            seen.hidden.add(label)
            forms = super().receive_hidden(label, count)
            seen.ciphers += [form.constant for form in forms]
            seen.pad_numbers += range(self.pads_used - count, self.pads_used)
            return forms

        def receive_public(self, label: str, count: int) -> list[K]:
            values = super().receive_public(label, count)
            seen.sent.setdefault(label, []).extend(values)
            return values

        def reserve_pads(self, count: int) -> list[int]:
            numbers = super().reserve_pads(count)
            seen.mask_numbers += numbers
            return numbers

        def take(self, label: str, size: int) -> bytes:
            data = super().take(label, size)
            kind, _, name = label.partition(" of " if label.startswith("column") else " in ")
            if kind == "column":
                columns = seen.columns.setdefault(name, [])
                symbols = Ext.from_bytes(data[SALT_BYTES:])
                columns.append(Column(seen.positions[len(columns)], data[:SALT_BYTES], symbols))
            elif kind == "sibling":
                seen.siblings.setdefault(name, []).append(data)
            return data

        def challenge(self, label: str) -> K:
            drawn = super().challenge(label)
            if label == "opening combination":
                seen.zeta = drawn
            return drawn

        def nonzero_challenge(self, label: str) -> K:
            seen.tau = super().nonzero_challenge(label)
            return seen.tau

        def finish(self) -> None:
            super().finish()
            seen.sections = dict(self.sections)

    def watched(protocol_id: bytes) -> Transcript:
        made = transcript(protocol_id, seen.census)

        class Watched(type(made)):  # type: ignore[misc]
            __slots__ = ()

            def draw(self, label: str) -> bytes:
                answer = super().draw(label)
                seen.answers.append(answer)
                return answer

            def indices(self, label: str, count: int, bound_log2: int) -> list[int]:
                drawn = super().indices(label, count, bound_log2)
                seen.positions = sorted(set(drawn))
                return drawn

        made.__class__ = Watched
        return made

    with patch.object(VERIFY, "Transcript", watched), patch.object(VERIFY, "VerifierChannel", Reading):
        verify(statement, proof)
    used = set(seen.pad_numbers)
    seen.mask_numbers = [number for number in seen.mask_numbers if number not in used]
    return seen
