"""Which of two secrets is behind a proof? A distinguisher that knows both, and all that is public.

For each candidate it runs the real prover on it, under the challenges of the proof at hand and without any
randomness: that is what the proof would show if nothing were masked. What is left when this is taken from the
proof is, for the true candidate, the prover's randomness itself: where a mask is missing, zero; where one serves
twice, the same number twice. A leaf without a salt can be computed once as many columns are open as a row has
masks. Where nothing of the kind turns up, it goes by which candidate leaves the smaller numbers, which is as good
as a coin.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np

from tests.privacy.recording import Recorded, record
from tests.privacy.view import View, view
from tests.soundness.block import Case, commit
from tests.soundness.test_mutants import interpolated
from zkjax.fields.mersenne61 import K, P, evaluation_point
from zkjax.fields.vectors import Ext, ext_scale, ext_sub, transform
from zkjax.prover import prove as course
from zkjax.prover.commit import _message
from zkjax.prover.randomness import Randomness
from zkjax.statement.parameters import SALT_BYTES
from zkjax.statement.plan import Plan
from zkjax.statement.proof import Proof
from zkjax.statement.statement import OBJECTS, Statement
from zkjax.transcript.sponge import STATE_BYTES, Transcript

UNSALTED = bytes(SALT_BYTES)


def answering(answers: list[bytes]) -> type[Transcript]:
    """Transcripts that draw what another one drew."""

    class Answering(Transcript):
        __slots__ = ("left",)

        def __init__(self, protocol_id: bytes, log: list | None = None):
            super().__init__(protocol_id, log)
            self.left = list(answers)

        def draw(self, label: str) -> bytes:
            self._record("draw", label, STATE_BYTES)
            return self.left.pop(0)

        def prove_work(self, label: str, bits: int) -> int:
            return 0

    return Answering


@dataclass(frozen=True)
class Unmasked:
    """What the proof at hand would be for a candidate without randomness, and the candidate's unmasked factors."""

    shown: Recorded
    factors: list[K]


def unmasked(candidate: Case, seen: View) -> Unmasked:
    factors: list[K] = []
    honest = course.prove_products

    def products(channel, owed) -> None:  # type: ignore[no-untyped-def]
        """The masks of the factors are known for a candidate: they enter into the cross terms."""
        left = (each for quadratic in owed.quadratics for p in quadratic.products for each in (p.left, p.right))
        factors.extend(channel.plaintext(each) for each in left)
        masked = seen.sent["masked factors"]
        channel.pads = list(channel.pads)
        for number, (shown, value) in enumerate(zip(masked, factors, strict=True), start=channel.pads_used):
            channel.pads[number] = (shown - value) / seen.tau
        honest(channel, owed)

    def zeros(self: Randomness, label: str, *shape: int) -> Ext:
        return Ext(*np.zeros((2, *shape), np.uint64))

    with (
        patch.object(Randomness, "extension", zeros),
        patch.object(Randomness, "base", lambda self, label, count: np.zeros(count, np.uint64)),
        patch.object(Randomness, "bytes", lambda self, label, count: bytes(count)),
        patch.object(course, "prove_products", products),
    ):
        commitments = commit(candidate.plan, candidate.committed)
        shown = record(candidate, commitments=commitments, transcript=answering(seen.answers))
    return Unmasked(shown, factors)


def residues(candidate: Case, seen: View) -> dict[str, list[K]]:
    """By kind, what is left of the proof: the masks, if the candidate is the true one."""
    plan, code = candidate.plan, candidate.plan.code
    plain = unmasked(candidate, seen)
    ciphers = [a - b for a, b in zip(seen.ciphers, plain.shown.ciphers, strict=True)]
    factors = [a - b for a, b in zip(seen.sent["masked factors"], plain.factors, strict=True)]
    pads = [K.ZERO] * plan.pads
    for number, pad in zip(seen.pad_numbers, ciphers, strict=True):
        pads[number] = pad
    for number, factor in zip(seen.mask_numbers, factors, strict=True):
        pads[number] = factor / seen.tau
    found = {"messages": ciphers, "masked factors": factors}
    (split,), (plain_split,) = seen.sent["opening split"], plain.shown.sent["opening split"]
    found["split"] = [split - plain_split]
    rows = ext_sub(*(Ext.from_list(each.sent["row combination"]) for each in (seen, plain.shown)))
    combined = Ext.from_list(seen.sent["pad combination"])
    pad_row = Ext.from_list(pads)
    of_pads = ext_sub(combined[: plan.pads], ext_scale(pad_row, seen.zeta))
    found["row combination"], found["pad combination"] = rows.to_list(), of_pads.to_list()
    with_masks = plan.layout.oracle("advice").masks // code.message
    for name, columns in seen.columns.items():
        pairs = list(zip(columns, plain.shown.columns[name], strict=True))
        values: list[K] = []
        for row in range(plan.layout.oracle(name).rows):
            left = [own.symbols[row].item() - other.symbols[row].item() for own, other in pairs]
            values += _bent(left, seen.positions, plan) if (name, row) == ("advice", with_masks) else left
        found[f"columns of {name}"] = values
    beyond = {}
    codewords = [transform(row, code.log_length) for row in (rows[: code.message], pad_row, of_pads)]
    for number, kind in enumerate(("mask row", "pads", "mask of the pads")):
        shown = [column.symbols[plan.layout.oracle("advice").rows + number].item() for column in seen.columns["advice"]]
        beyond[kind] = [
            value - codewords[number][position].item() for value, position in zip(shown, seen.positions, strict=True)
        ]
    beyond["mask row"] = _bent(beyond["mask row"], seen.positions, plan)
    found |= {f"columns of the {kind}": values for kind, values in beyond.items()}
    return found


def _bent(values: list[K], positions: list[int], plan: Plan) -> list[K]:
    """How far values at some points are from a polynomial of the two symbols that hold the masks of the split.

    Those are the prover's randomness, adjacent and of even place: their polynomial is a power times a line.
    """
    first = plan.layout.oracle("advice").masks % plan.code.message
    points = [evaluation_point(position, plan.code.log_length) for position in positions]
    heights = [value / point**first for value, point in zip(values, points, strict=True)]
    slopes = [(h - heights[0]) / (x - points[0]) for h, x in zip(heights[1:], points[1:], strict=True)]
    return [slope - slopes[0] for slope in slopes[1:]]


def unsalted_leaves(candidate: Case, seen: View) -> int:
    """How many leaves beside opened ones the candidate explains without a salt.

    If as many columns are open as a row has masks, the masks follow from them.
    """
    code, found = candidate.plan.code, 0
    if len(seen.positions) < code.mask_symbols:
        return 0
    positions = seen.positions[: code.mask_symbols]
    points = [evaluation_point(position, code.log_length) for position in positions]
    beside = [position ^ 1 for position in seen.positions if position ^ 1 not in seen.positions]
    for name in OBJECTS:
        layout = candidate.plan.layout.oracle(name)
        tensors = {node: candidate.values[node] for node in candidate.circuit.committed(name)}
        message, words = _message(layout, code, tensors), []
        for row in range(layout.rows):
            word = transform(message[row], code.log_length)
            opened = [column.symbols[row].item() for column in seen.columns[name][: code.mask_symbols]]
            values = [
                (value - word[position].item()) / point**code.message
                for value, position, point in zip(opened, positions, points, strict=True)
            ]
            masks = interpolated(points, values)
            words.append(transform(Ext.from_list([*message[row].to_list(), *masks]), code.log_length))
        for position, sibling in zip(beside, seen.siblings[name], strict=False):
            column = b"".join(word[position : position + 1].to_bytes() for word in words)
            found += hashlib.sha256(b"\x00" + UNSALTED + column).digest() == sibling
    return found


@dataclass(frozen=True)
class Guess:
    """`evidence` is by candidate and kind: zeros, repetitions and leaves; empty where the guess is a coin."""

    number: int
    evidence: tuple[dict[str, int], ...]


def guess(candidates: tuple[Case, ...], statement: Statement, proof: Proof) -> Guess:
    """The candidate that the proof is about, for all that can be seen."""
    seen = view(statement, proof)
    evidence, small = [], []
    for candidate in candidates:
        left = residues(candidate, seen)
        found = {kind: sum(not value for value in values) for kind, values in left.items()}
        counted = Counter(value for values in left.values() for value in values if value)
        found["repetitions"] = sum(count - 1 for count in counted.values())
        found["leaves"] = unsalted_leaves(candidate, seen)
        evidence.append({kind: count for kind, count in found.items() if count})
        parts = [part for values in left.values() for value in values for part in (value.re, value.im)]
        small.append(sum(min(part, P - part) < P // 64 for part in parts))
    totals = [(sum(found.values()), smallness) for found, smallness in zip(evidence, small, strict=True)]
    return Guess(totals.index(max(totals)), tuple(evidence))
