"""Proofs of which everything is kept: what travelled, and what the prover knew and did not send."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from tests.soundness.block import Case
from zkjax.fields.mersenne61 import ELEMENT_BYTES, K
from zkjax.fields.vectors import Ext
from zkjax.prover import prove as course
from zkjax.prover.commit import AdviceOracle, commit_advice
from zkjax.prover.prove import Commitments
from zkjax.statement.layout import EXTRA_ADVICE_ROWS
from zkjax.statement.parameters import SALT_BYTES
from zkjax.statement.plan import Plan
from zkjax.statement.proof import Proof
from zkjax.statement.statement import Statement
from zkjax.transcript.channel import ProverChannel
from zkjax.transcript.sponge import Transcript

Advice = Callable[[Plan, dict], AdviceOracle]


@dataclass(frozen=True)
class Column:
    """An opened column of one oracle."""

    position: int
    salt: bytes
    symbols: Ext


@dataclass
class Recorded:
    """One proof and its prover's knowledge.

    `sent` holds elements by label, `plain` the plaintexts of the hidden ones; `ciphers` are in the
    order of `pad_numbers`; `census` is (kind, label, length) of all that the transcript saw.
    """

    statement: Statement
    proof: Proof
    sent: dict[str, list[K]]
    plain: dict[str, list[K]]
    ciphers: list[K]
    pad_numbers: list[int]
    mask_numbers: list[int]
    census: list[tuple[str, str, int]]
    sections: dict[str, int]
    positions: list[int]
    columns: dict[str, list[Column]]
    siblings: dict[str, bytes]
    advice: AdviceOracle
    zeta: K
    tau: K
    counts: list = field(default_factory=list)


class FixedTranscript(Transcript):
    """Challenges that depend on nothing: what then varies from proof to proof is the prover's randomness."""

    __slots__ = ()

    def absorb(self, label: str, payload: bytes) -> None:
        self._record("absorb", label, len(payload))

    def absorb_zeros(self, label: str, count: int) -> None:
        self._record("absorb", label, count)

    def prove_work(self, label: str, bits: int) -> int:
        return 0


class RecordingChannel(ProverChannel):
    """Keeps plaintexts, pads and messages by label."""

    def __init__(self, transcript: Transcript, pads: Any):
        super().__init__(transcript, pads)
        self.sent: dict[str, list[K]] = {}
        self.plain: dict[str, list[K]] = {}
        self.ciphers: list[K] = []
        self.pad_numbers: list[int] = []
        self.reserved: list[int] = []
        self.drawn: dict[str, K] = {}
        self.columns: list[bytes] = []

    def reserve_pads(self, count: int) -> list[int]:
        numbers = super().reserve_pads(count)
        self.reserved += numbers
        return numbers

    def send_hidden(self, label: str, values: Any) -> list:
        before = self.pads_used
        forms = super().send_hidden(label, values)
        self.plain.setdefault(label, []).extend(values)
        self.ciphers += [form.constant for form in forms]
        self.pad_numbers += range(before, self.pads_used)
        return forms

    def send_bytes(self, label: str, data: bytes) -> None:
        if len(data) % ELEMENT_BYTES == 0 and label != "advice root":
            self.sent.setdefault(label, []).extend(Ext.from_bytes(data).to_list())
        super().send_bytes(label, data)

    def append(self, data: bytes) -> None:
        if self._section == "columns":
            self.columns.append(data)
        super().append(data)

    def challenge(self, label: str) -> K:
        self.drawn[label] = super().challenge(label)
        return self.drawn[label]

    def nonzero_challenge(self, label: str) -> K:
        self.drawn[label] = super().nonzero_challenge(label)
        return self.drawn[label]


def record(
    case: Case,
    *,
    commitments: Commitments | None = None,
    advice: Advice = commit_advice,
    transcript: type[Transcript] = Transcript,
    seed: bytes | None = None,
) -> Recorded:
    """Prove the case's true statement. `seed` makes the transcript start elsewhere than at the statement."""
    made: dict[str, Any] = {"census": []}

    class Indexed(transcript):  # type: ignore[misc, valid-type]
        def indices(self, label: str, count: int, bound_log2: int) -> list[int]:
            drawn = super().indices(label, count, bound_log2)
            made["positions"] = sorted(set(drawn))
            return drawn

    def new_transcript(protocol_id: bytes) -> Transcript:
        return Indexed(protocol_id if seed is None else seed, made["census"])

    def new_channel(transcript: Transcript, pads: Any) -> RecordingChannel:
        made["channel"] = RecordingChannel(transcript, pads)
        return made["channel"]

    def new_advice(plan: Plan, tensors: dict) -> AdviceOracle:
        made["advice"] = advice(plan, tensors)
        made["counts"] = [tensors[-1 - table] for table in range(len(plan.circuit.tables))]
        return made["advice"]

    with ExitStack() as stack:
        for name, value in (
            ("Transcript", new_transcript),
            ("ProverChannel", new_channel),
            ("commit_advice", new_advice),
        ):
            stack.enter_context(patch.object(course, name, value))
        statement, proof = course.prove_block(case.lowered, case.witness, commitments or case.commitments, case.plan)
    channel = made["channel"]
    columns, siblings = _opened(case.plan, channel, made["positions"])
    used = set(channel.pad_numbers)
    return Recorded(
        statement=statement,
        proof=proof,
        sent=channel.sent,
        plain=channel.plain,
        ciphers=channel.ciphers,
        pad_numbers=channel.pad_numbers,
        mask_numbers=[number for number in channel.reserved if number not in used],
        census=made["census"],
        sections=channel.sections,
        positions=made["positions"],
        columns=columns,
        siblings=siblings,
        advice=made["advice"],
        zeta=channel.drawn["opening combination"],
        tau=channel.drawn["product mask"],
        counts=made["counts"],
    )


def _opened(
    plan: Plan, channel: RecordingChannel, positions: list[int]
) -> tuple[dict[str, list[Column]], dict[str, bytes]]:
    """The opened columns of every oracle, and the siblings after them."""
    columns, siblings = {}, {}
    for oracle, data in zip(plan.layout.oracles, channel.columns, strict=True):
        rows = oracle.rows + (EXTRA_ADVICE_ROWS if oracle.name == "advice" else 0)
        size = SALT_BYTES + rows * ELEMENT_BYTES
        parts = [data[number * size : (number + 1) * size] for number in range(len(positions))]
        columns[oracle.name] = [
            Column(position, part[:SALT_BYTES], Ext.from_bytes(part[SALT_BYTES:]))
            for position, part in zip(positions, parts, strict=True)
        ]
        siblings[oracle.name] = data[len(positions) * size :]
    return columns, siblings
