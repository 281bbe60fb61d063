"""The distribution of everything that travels, over many proofs of one secret under one set of challenges.

With the challenges fixed, what varies is the prover's randomness, and every element must be uniform
whatever the secret is. Pads and masks that are used together are tested together: a ciphertext minus
what the combination of pads says of its pad is a plaintext if the combination is not masked. The
randomness is seeded, so the outcome is always the same. The same distinguisher then finds a prover
that leaves out any one mask, pad or salt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from math import sqrt
from unittest.mock import patch

import numpy as np
import pytest

from tests.privacy.recording import FixedTranscript, Recorded, record
from tests.soundness.block import OPENINGS, Case, commit, residues
from tests.witness.naive import interpret
from zkjax.circuit import builder
from zkjax.circuit.builder import CircuitBuilder
from zkjax.circuit.program import Lowered
from zkjax.fields.mersenne61 import P
from zkjax.fields.vectors import Ext, ext_scale, ext_sub
from zkjax.prover import commit as committing
from zkjax.prover import randomness
from zkjax.prover.commit import AdviceOracle, commit_advice
from zkjax.prover.randomness import Randomness
from zkjax.statement.layout import MASK_COUNT
from zkjax.statement.plan import Plan

IN_ROWS, IN_COLUMNS = "neighbours in the row combination", "columns of advice"
CIPHERS, FACTORS = "ciphertexts against pads", "masked factors against pads"

CELLS = 16
PROOFS = 16
FEW = 8
# Something constant over a few proofs deviates by 8.3; of 20,000 uniform places the worst by 6.
LIMIT = 7.5


def model() -> Lowered:
    """A step with everything in it: a product, a rescaling, a ReLU, an update, a node that vanishes."""
    with patch.multiple(builder, LIMB_BITS=8):
        b = CircuitBuilder(steps=2, batch=2, rows=4)
        x = b.rows(b.committed("x", (4, 3), oracle="data"))
        b.range_check(x, 0, 7, "data/x")
        state = b.state_before("w", (3,), fraction_bits=0, bits=7)
        quotient = b.rescale(b.contract(x, state, "tbi,i->tb"), 3, "layer/quotient")
        output, _ = b.relu(quotient, lo=-512, hi=511, limit=63, name="layer")
        total = b.axes(b.contract(output, x, "tb,tbi->ti"), (1,), (3,))
        b.signed_range(b.rescale(total, 6, "total"), 7, "total")
        b.state_after("w", b.combine((1, state)), 0, fraction_bits=0, bits=7)
        return b.finish()


LOWERED = model()


def secret(seed: int) -> Case:
    """Data and weights; seed 0 is all zero."""
    random = np.random.default_rng(seed)
    nodes = LOWERED.circuit.nodes
    given = {i: random.integers(0, 8, nodes[i].shape) * bool(seed) for i in LOWERED.circuit.committed("data")}
    given |= {i: random.integers(-90, 90, nodes[i].shape) * bool(seed) for i in LOWERED.circuit.committed("before")}
    schedule = np.array([[0, 1], [2, 3]])
    values = tuple(residues(value) for value in interpret(LOWERED, given, schedule))
    return Case(LOWERED, Plan(LOWERED.circuit, OPENINGS), schedule, values)


SECRETS = {seed: secret(seed) for seed in (0, 1)}


@contextmanager
def seeded(name: str) -> Iterator[None]:
    """The operating system's randomness, the same in every run of the test."""
    numbers = count()

    class Seeded:
        @staticmethod
        def urandom(size: int) -> bytes:
            return hashlib.shake_256(f"{name} {next(numbers)}".encode()).digest(size)

    with patch.object(randomness, "os", Seeded):
        yield


# What is looked at


def observed(one: Recorded) -> dict[str, np.ndarray]:
    """By kind, int [elements, 2]: the top four bits of both parts of every element of a proof."""
    found = {label: Ext.from_list(values) for label, values in one.sent.items()}
    for name, columns in one.columns.items():
        symbols = [column.symbols.to_list() for column in columns]
        found[f"columns of {name}"] = Ext.from_list([symbol for column in symbols for symbol in column])
    # Both sides of an equation that a mask must keep apart.
    pads = ext_scale(Ext.from_list(one.sent["pad combination"]), one.zeta.inverse())
    found[CIPHERS] = ext_sub(Ext.from_list(one.ciphers), pads[np.array(one.pad_numbers)])
    factors = ext_scale(Ext.from_list(one.sent["masked factors"]), one.tau.inverse())
    found[FACTORS] = ext_sub(factors, pads[np.array(one.mask_numbers)])
    rows = Ext.from_list(one.sent["row combination"])
    found[IN_ROWS] = ext_sub(rows[:-1], rows[1:])
    result = {}
    for kind, elements in found.items():
        planes = [np.asarray(plane).reshape(-1) for plane in elements]
        result[kind] = np.stack(planes, axis=-1).astype(object) * CELLS // P
    for name, columns in one.columns.items():
        salts = np.frombuffer(b"".join(column.salt for column in columns), np.uint8) >> 4
        result[f"salts of {name}"] = salts.reshape(-1, 2).astype(object)
    return result


@dataclass(frozen=True)
class Finding:
    """How far a kind of element is from uniform: all of them together, and the worst one."""

    together: float
    worst: float

    @property
    def uniform(self) -> bool:
        return abs(self.together) < 5 and self.worst < LIMIT


def deviation(statistic: float, freedom: float) -> float:
    """A chi-square statistic as a normal one (Wilson and Hilferty)."""
    return ((statistic / freedom) ** (1 / 3) - 1 + 2 / (9 * freedom)) / sqrt(2 / (9 * freedom))


def findings(proofs: list[dict[str, np.ndarray]]) -> dict[str, Finding]:
    """Chi-square of every place over the proofs."""
    found = {}
    for kind in proofs[0]:
        samples = np.stack([proof[kind] for proof in proofs]).astype(int).reshape(len(proofs), -1)
        expected = len(proofs) / CELLS
        counts = np.stack([(samples == cell).sum(axis=0) for cell in range(CELLS)])
        statistics = ((counts - expected) ** 2 / expected).sum(axis=0)
        freedom = (CELLS - 1) * statistics.size
        found[kind] = Finding(deviation(statistics.sum(), freedom), deviation(statistics.max(), CELLS - 1))
    return found


def proofs_of(case: Case, number: int, prove: Callable[[Case], Recorded]) -> dict[str, Finding]:
    with seeded(f"{number} proofs"):
        return findings([observed(prove(case)) for _ in range(number)])


def proved(case: Case, advice=commit_advice) -> Recorded:
    """A proof from fresh commitments, under challenges that never change."""
    return record(
        case,
        commitments=commit(case.plan, case.committed),
        advice=advice,
        transcript=FixedTranscript,
        seed=bytes(32),
    )


def test_the_model_uses_every_message(recorded):
    one = proved(SECRETS[1])
    assert one.sent.keys() == recorded.sent.keys() - {"lookup partial sum"} or one.sent.keys() == recorded.sent.keys()


def test_challenges_and_positions_are_fixed():
    first, second = proved(SECRETS[1]), proved(SECRETS[0])
    assert first.positions == second.positions
    assert (first.zeta, first.tau) == (second.zeta, second.tau)
    assert first.sent != second.sent


@pytest.mark.parametrize("seed", SECRETS)
def test_everything_that_travels_is_uniform(seed):
    found = proofs_of(SECRETS[seed], PROOFS, proved)
    assert len(found) > 20
    for kind, finding in found.items():
        assert finding.uniform, (kind, finding)


# Provers that forget one thing


def forgetting(attribute: str, *, keep: int = 0) -> Callable[[Case], Recorded]:
    """An advice commitment in which one kind of randomness is zero, but for the first `keep` symbols."""

    def advice(plan: Plan, tensors) -> AdviceOracle:
        honest = Randomness.extension

        def extension(self, label, *shape):
            drawn = honest(self, label, *shape)
            if label == attribute:
                for plane in drawn:
                    plane.reshape(-1)[keep:] = 0
            return drawn

        with patch.object(Randomness, "extension", extension):
            return commit_advice(plan, tensors)

    return lambda case: proved(case, advice)


def without_split_masks(case: Case) -> Recorded:
    honest = Randomness.base

    def base(self, label, size):
        return honest(self, label, size) * np.uint64(label != "split masks")

    with patch.object(Randomness, "base", base):
        return proved(case)


def without_a_pad(kind: str) -> Callable[[Case], Recorded]:
    """One pad, used for a message or for a factor, is always the same."""
    usual = proved(SECRETS[1])
    number = (usual.pad_numbers if kind == "message" else usual.mask_numbers)[7]

    def advice(plan: Plan, tensors) -> AdviceOracle:
        honest = Randomness.extension

        def extension(self, label, *shape):
            drawn = honest(self, label, *shape)
            if label == "pads":
                drawn.re[number], drawn.im[number] = 5, 7
            return drawn

        with patch.object(Randomness, "extension", extension):
            return commit_advice(plan, tensors)

    return lambda case: proved(case, advice)


def without_salts(case: Case) -> Recorded:
    honest = Randomness.bytes

    def salts(self, label, size):
        return bytes(size) if label == "salts" else honest(self, label, size)

    with patch.object(Randomness, "bytes", salts):
        return proved(case)


def without_row_masks(case: Case) -> Recorded:
    """Reused commitments whose rows are the message alone."""
    honest = Randomness.extension

    def extension(self, label, *shape):
        drawn = honest(self, label, *shape)
        return Ext(drawn.re * np.uint64(label != "masks"), drawn.im * np.uint64(label != "masks"))

    with patch.object(Randomness, "extension", extension):
        return proved(case)


def with_one_key(case: Case) -> Recorded:
    """The same advice randomness for every proof."""
    return proved(case, lambda plan, tensors: commit_advice(plan, tensors, Randomness(bytes(32))))


FORGETFUL: dict[str, tuple[Callable, set[str]]] = {
    "mask row": (lambda: forgetting("mask row", keep=1), {"row combination", IN_ROWS, IN_COLUMNS}),
    "part of the mask row": (lambda: forgetting("mask row", keep=2000), {"row combination", IN_ROWS}),
    "mask of the pads": (lambda: forgetting("pad mask"), {CIPHERS, FACTORS, IN_COLUMNS}),
    "split masks": (lambda: without_split_masks, {"opening split"}),
    "a pad of a message": (lambda: without_a_pad("message"), {"lookup root", "lookup round", "lookup children"}),
    "a mask of a factor": (lambda: without_a_pad("factor"), {"masked factors"}),
    "salts": (lambda: without_salts, {"salts of data", "salts of before", "salts of after", "salts of advice"}),
    "masks of rows": (lambda: without_row_masks, {"columns of data", "columns of before", "columns of after"}),
    "the key": (lambda: with_one_key, {"row combination", "masked factors", "lookup round", "opening split"}),
}


@pytest.mark.parametrize("name", FORGETFUL)
def test_a_prover_that_forgets_is_found(name):
    make, kinds = FORGETFUL[name]
    found = proofs_of(SECRETS[1], FEW, make())
    odd = {kind for kind, finding in found.items() if finding.worst >= LIMIT}
    assert odd & kinds, found
    assert odd <= kinds or name == "the key", odd


def test_pads_that_are_used_twice_are_found():
    """Two messages under one pad: their difference does not vary."""

    def advice(plan: Plan, tensors) -> AdviceOracle:
        oracle = commit_advice(plan, tensors)
        oracle.pads[9] = oracle.pads[8]
        return oracle

    def difference(one: Recorded) -> np.ndarray:
        ciphers = dict(zip(one.pad_numbers, one.ciphers, strict=True))
        value = ciphers[9] - ciphers[8]
        return np.array([[value.re * CELLS // P, value.im * CELLS // P]])

    for prove, uniform in ((proved, True), (lambda case: proved(case, advice), False)):
        with seeded("twice"):
            proofs = [{"difference": difference(prove(SECRETS[1]))} for _ in range(FEW)]
        assert (findings(proofs)["difference"].worst < LIMIT) == uniform


def test_masks_are_as_many_as_the_model_needs():
    """The advice's own symbols beside the tensors: two masks of the split, uniform in the base field."""
    oracle = committing.commit_advice(SECRETS[1].plan, _advice_tensors(SECRETS[1]))
    masks = oracle.message.reshape(-1)[SECRETS[1].plan.layout.oracle("advice").masks :][:MASK_COUNT]
    assert masks.re.all()
    assert not masks.im.any()


def _advice_tensors(case: Case) -> dict[int, np.ndarray]:
    tables = {-1 - t: np.zeros(1 << table.bits, np.int64) for t, table in enumerate(case.circuit.tables)}
    return {**{node: case.values[node] for node in case.circuit.committed("advice")}, **tables}
