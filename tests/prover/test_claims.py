"""The way of claims back to committed tensors, without lookups and without commitment."""

from __future__ import annotations

import random
from collections.abc import Mapping

import jax
import numpy as np
import pytest

from tests.blocks import DenseShape
from tests.statement import dense
from tests.statement.evaluate import evaluate
from tests.statement.random_circuits import random_circuit, random_schedule, random_values
from tests.witness.cases import dense_inputs, odd_inputs
from zkjax.fields.mersenne61 import K
from zkjax.prover.claims import prove_claims
from zkjax.prover.contract import Contractor
from zkjax.prover.products import prove_products
from zkjax.statement.circuit import Circuit, Committed, Contract, Lookup
from zkjax.statement.claims import ClaimSet
from zkjax.statement.plan import Plan
from zkjax.statement.relations import Relations
from zkjax.statement.tables import Table
from zkjax.transcript.channel import ProverChannel, VerifierChannel
from zkjax.transcript.hidden import Hidden
from zkjax.transcript.sponge import Transcript
from zkjax.verifier.claims import verify_claims
from zkjax.verifier.products import verify_products
from zkjax.witness import execute

SEED = bytes(range(32))


class Case:
    """A circuit, the values of all nodes that claims start from, and what the prover has."""

    def __init__(self, circuit: Circuit, values: Mapping[int, np.ndarray], schedule: np.ndarray, seed: int = 0):
        self.circuit, self.values, self.schedule = circuit, values, schedule
        self.plan = Plan(circuit, 8)
        rng = random.Random(seed)
        self.pads = dense.random_elements(rng, self.plan.pads)
        starts = [node for lookup in circuit.lookups for node in lookup.coordinates] + list(circuit.zeros)
        self.starts = [
            (node, dense.random_element(rng), dense.random_vectors(rng, circuit.nodes[node].shape)) for node in starts
        ]
        self.balance = sum((c * dense.value(values[node], vectors) for node, c, vectors in self.starts), K.ZERO)

    def claims(self) -> ClaimSet:
        """Random claims on every coordinate of every lookup and on every zero node, with their true values."""
        claims = ClaimSet(self.circuit, self.schedule)
        for node, coefficient, vectors in self.starts:
            claims.add(node, coefficient, vectors)
        claims.balance = Hidden.known(self.balance)
        return claims

    def committed(self, values: Mapping[int, np.ndarray] | None = None) -> dict[int, np.ndarray]:
        """What the prover reads: committed values only, so that nothing virtual can be taken from them."""
        values = values or self.values
        return {index: np.asarray(values[index], np.int64) for index in self.circuit.committed()}

    def prove(self, committed: Mapping[int, np.ndarray] | None = None) -> Course:
        channel = ProverChannel(Transcript(SEED, log=[]), self.pads)
        claims, owed = self.claims(), Relations()
        committed = committed or self.committed()
        with jax.enable_x64(True):
            prove_claims(channel, self.plan, Contractor(self.circuit, committed, self.schedule), claims, owed)
        quadratics = [
            sum((p.weight * channel.plaintext(p.left) * channel.plaintext(p.right) for p in q.products), K.ZERO)
            == channel.plaintext(q.result)
            for q in owed.quadratics
        ]
        prove_products(channel, owed)
        return Course(channel, claims, owed, quadratics, committed)


class Course:
    """A run of the prover, and what can be checked with the plaintexts at hand."""

    def __init__(self, channel, claims, owed, quadratics, committed):
        self.channel, self.claims, self.owed = channel, claims, owed
        self.quadratics, self.committed = quadratics, committed

    @property
    def zeros(self) -> list[bool]:
        return [not self.channel.plaintext(zero) for zero in self.owed.zeros]

    @property
    def balanced(self) -> bool:
        terms = self.claims.merge_committed()
        total = sum(
            (t.coefficient * dense.value(self.committed[node], t.vectors) for node, ts in terms.items() for t in ts),
            K.ZERO,
        )
        return total == self.channel.plaintext(self.claims.balance)

    @property
    def holds(self) -> bool:
        return all(self.quadratics) and all(self.zeros) and self.balanced


def executed(inputs) -> Case:
    lowered, data, before, schedule = inputs
    witness = execute(lowered, data, before, schedule)
    return Case(lowered.circuit, {node: witness.values[node] for node in witness.values}, witness.schedule)


@pytest.fixture(scope="module")
def block() -> Case:
    return executed(dense_inputs(DenseShape(), 0))


@pytest.fixture(scope="module")
def course(block) -> Course:
    return block.prove()


# A true witness


def test_what_a_true_witness_owes_holds(block, course):
    assert len(course.quadratics) == len(block.plan.phases)
    assert all(course.quadratics)
    assert all(course.zeros)
    assert course.balanced
    phases = block.plan.phases
    in_phases = sum(1 + 2 * phase.variables + 2 * phase.instances for phase in phases)
    in_products = 2 * sum(phase.instances for phase in phases) + 2
    assert course.channel.pads_used == in_phases + in_products


def test_the_verifier_arrives_at_the_same_claims(block, course):
    channel = VerifierChannel(Transcript(SEED, log=[]), bytes(course.channel.proof))
    claims, owed = block.claims(), Relations()
    verify_claims(channel, block.plan, claims, owed)
    verify_products(channel, owed)
    channel.finish()
    assert channel.transcript.log == course.channel.transcript.log
    assert channel.transcript.state == course.channel.transcript.state
    assert channel.pads_used == course.channel.pads_used
    assert claims.balance.linear_form() == course.claims.balance.linear_form()
    assert [zero.linear_form() for zero in owed.zeros] == [zero.linear_form() for zero in course.owed.zeros]
    ours, theirs = course.claims.merge_committed(), claims.merge_committed()
    assert ours.keys() == theirs.keys()
    for node in ours:
        assert len(ours[node]) == len(theirs[node])
        for a, b in zip(ours[node], theirs[node], strict=True):
            assert a.coefficient == b.coefficient
            assert [v.to_list() for v in a.vectors] == [v.to_list() for v in b.vectors]


def test_claims_reach_every_committed_tensor(block, course):
    assert set(course.claims.merge_committed()) == set(block.circuit.committed())


@pytest.mark.parametrize("seed", range(2))
def test_unusual_circuits(seed):
    case = executed(odd_inputs(seed))
    assert case.prove().holds


SHAPES = [
    DenseShape(widths=(3, 2), batch=1, steps=1, rows=1),
    DenseShape(widths=(2, 3, 1), batch=3, steps=2, rows=5),
    DenseShape(widths=(4, 4, 4, 2), batch=2, steps=2, rows=4),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_blocks_of_other_shapes(shape):
    assert executed(dense_inputs(shape, 1)).prove().holds


def randomly(seed: int, **options) -> Case:
    """A random circuit with large committed integers: claims do not ask for ranges."""
    circuit = random_circuit(seed, **options)
    committed = random_values(circuit, seed, -(1 << 60), 1 << 60)
    schedule = random_schedule(circuit, seed)
    values = evaluate(circuit, {i: array.astype(object) for i, array in committed.items()}, schedule)
    return Case(circuit, dict(enumerate(values)), schedule, seed)


@pytest.mark.parametrize("seed", range(6))
def test_every_rule_on_random_circuits(seed):
    with jax.disable_jit():
        assert randomly(seed, nodes=10, sizes=3, outer=True).prove().holds


# A false witness


def test_one_changed_value_breaks_the_balance(block):
    """Each committed tensor in turn, at an entry that the block reads: the claims were true of the
    witness, so they cannot be true of its neighbour."""
    held = []
    for node in block.circuit.committed():
        committed = block.committed()
        changed = committed[node].copy()
        at = (int(block.schedule[0, 0]), 0) if block.circuit.nodes[node].oracle == "data" else (0,) * changed.ndim
        changed[at] += 1
        if block.prove({**committed, node: changed}).holds:
            held.append(block.circuit.nodes[node])
    assert held == []


def test_a_data_row_that_the_schedule_does_not_use_may_change():
    lowered, data, before, schedule = dense_inputs(DenseShape(), 0)
    schedule = np.where(schedule == 3, 4, schedule)
    case = executed((lowered, data, before, schedule))
    committed = case.committed()
    for node in case.circuit.committed("data"):
        committed[node] = committed[node].copy()
        committed[node][3] += 1
    assert case.prove(committed).holds


def test_a_false_claim_breaks_the_balance(block):
    false = Case.__new__(Case)
    false.__dict__.update(block.__dict__)
    false.balance = block.balance + 1
    course = false.prove()
    assert all(course.quadratics)
    assert all(course.zeros)
    assert not course.balanced


def test_another_schedule_breaks_the_balance(block):
    other = Case.__new__(Case)
    other.__dict__.update(block.__dict__)
    other.schedule = block.schedule.copy()
    other.schedule[0, 0] = (other.schedule[0, 0] + 1) % block.circuit.rows
    assert not other.prove().holds


@pytest.mark.parametrize("what", ["total", "round", "factor", "cross", "masked"])
def test_a_changed_message_breaks_a_relation(block, course, what):
    """Any value that the prover sends is tied to the others by what is owed."""
    proof = bytearray(course.channel.proof)
    labels = [(label, size) for kind, label, size in course.channel.transcript.log if kind == "absorb"]
    wanted = {
        "total": "phase total",
        "round": "phase round",
        "factor": "phase factors",
        "cross": "product cross terms",
        "masked": "masked factors",
    }[what]
    position = 0
    for label, size in labels:
        if label == wanted:
            break
        position += size
    sent = K.from_bytes(bytes(proof[position : position + 16]))
    proof[position : position + 16] = (sent + 1).to_bytes()
    channel = VerifierChannel(Transcript(SEED), bytes(proof))
    claims, owed = block.claims(), Relations()
    verify_claims(channel, block.plan, claims, owed)
    verify_products(channel, owed)
    # The plaintexts that the changed ciphertexts stand for, by the committed pads.
    assert not Course(_Reader(block.pads), claims, owed, [], block.committed()).holds


class _Reader:
    def __init__(self, pads):
        self.pads = pads

    plaintext = ProverChannel.plaintext


# Zero knowledge


def test_no_message_is_a_plaintext(block, course):
    """Every hidden value differs from its ciphertext, and other pads give another proof of one length."""
    other = Case(block.circuit, block.values, block.schedule)
    other.pads = dense.random_elements(random.Random(99), block.plan.pads)
    proofs = course.channel.proof, other.prove().channel.proof
    assert len(proofs[0]) == len(proofs[1])
    elements = [{bytes(p[at : at + 16]) for at in range(0, len(p), 16)} for p in proofs]
    assert not elements[0] & elements[1]
    assert len(elements[0]) == len(proofs[0]) // 16


# Contractions of tensors that are not committed


@pytest.mark.parametrize("seed", range(4))
def test_contractor_against_dense_sums(seed):
    case = randomly(seed, nodes=10, sizes=3)
    rng = random.Random(seed)
    with jax.enable_x64(True), jax.disable_jit():
        contractor = Contractor(case.circuit, case.committed(), case.schedule)
        for node, described in enumerate(case.circuit.nodes):
            for _ in range(2):
                vectors = [v if rng.random() < 0.6 else None for v in dense.random_vectors(rng, described.shape)]
                got = contractor.contract(node, vectors)
                expected = dense.contract(case.values[node], vectors)
                for plane, wanted in zip(got, expected, strict=True):
                    assert plane.shape == np.shape(wanted)
                    assert np.array_equal(np.asarray(plane).astype(object), wanted), (node, described)


def test_contractor_reads_given_values_where_it_has_them():
    case = randomly(1, nodes=6, sizes=3)
    node = len(case.circuit.nodes) - 1
    with jax.enable_x64(True), jax.disable_jit():
        values = {**case.committed(), node: np.zeros(case.circuit.nodes[node].shape, np.int64)}
        contractor = Contractor(case.circuit, values, case.schedule)
        got = contractor.contract(node, [None] * len(case.circuit.nodes[node].shape))
    assert not np.asarray(got.re).any()


def test_contractor_needs_every_committed_value():
    case = randomly(0, nodes=2, sizes=3)
    with jax.enable_x64(True), pytest.raises(KeyError, match="no value for committed node"):
        Contractor(case.circuit, {}, case.schedule).contract(
            0, [None, *([None] * 3)][: len(case.circuit.nodes[0].shape)]
        )


def test_a_contraction_without_shared_axes():
    """An outer product: its sumcheck has no rounds."""
    nodes = (
        Committed((3,), "advice", "a", 0),
        Committed((5,), "advice", "b", 0),
        Contract((5, 3), 0, 1, (0,), (1,), (1, 0)),
    )
    circuit = Circuit(1, 1, 1, nodes, (Table("range", 0, 1, 0),), (Lookup(0, 2, -1, -1, "outer"),), (), ())
    committed = random_values(circuit, 0, -(1 << 60), 1 << 60)
    values = evaluate(circuit, {i: array.astype(object) for i, array in committed.items()}, np.zeros((1, 1), int))
    assert Case(circuit, dict(enumerate(values)), np.zeros((1, 1), int)).prove().holds
