"""The course of a proof as the circuit determines it: levels, phases, claims, pads."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from tests.blocks import DenseShape, dense_block
from tests.statement.circuits import PRODUCT, QUOTIENT, REMAINDER, STATE, appended, small, small_statement
from tests.statement.random_circuits import random_circuit
from tests.witness.cases import odd_block
from zkjax.fields.mersenne61 import K
from zkjax.statement import plan as plan_module
from zkjax.statement.circuit import (
    Axes,
    Circuit,
    CircuitError,
    Combine,
    Committed,
    Constant,
    Contract,
    Filter,
    Lookup,
    Public,
    Rows,
    operands,
)
from zkjax.statement.claims import ClaimSet, EqualityCache
from zkjax.statement.layout import tensor_bits
from zkjax.statement.opening import OpenEndError, batch, committed_terms, pad_form
from zkjax.statement.parameters import MIN_LOOKUP_ROW_BITS
from zkjax.statement.phases import claim_zeros, zero_point_sizes
from zkjax.statement.plan import MAX_CLAIM_WORK, Phase, Plan
from zkjax.statement.relations import Quadratic, Relations
from zkjax.statement.statement import StatementError
from zkjax.statement.tables import Table
from zkjax.transcript.channel import VerifierChannel
from zkjax.transcript.hidden import Hidden
from zkjax.transcript.sponge import Transcript
from zkjax.verifier.claims import verify_claims
from zkjax.verifier.lookup import verify_lookups
from zkjax.verifier.opening import ConsistencyError, verify_opening
from zkjax.verifier.products import verify_products


def test_levels_count_the_phases_that_claims_wait_for():
    plan = Plan(small(), 8)
    assert plan.levels[REMAINDER] == 0
    assert plan.levels[PRODUCT] == 1
    assert plan.levels[STATE] == 1
    assert plan.levels[QUOTIENT] == 0
    assert plan.phases == (Phase((PRODUCT,), 2, 2),)


def test_a_contraction_that_no_claim_reaches_delays_nothing():
    """A virtual node read by a dead contraction must still be rewritten, or its lookup binds nothing."""
    circuit = small()
    dead = Contract((), REMAINDER, REMAINDER, (0, 1), (0, 1), ())
    deader = Contract((), len(circuit.nodes), len(circuit.nodes), (), (), ())
    plan, reference = Plan(appended(circuit, dead, deader), 8), Plan(circuit, 8)
    assert plan.levels[: len(circuit.nodes)] == reference.levels
    assert plan.phases == reference.phases


def chain(count: int, node) -> tuple:
    """`count` nodes, each made by `node` from the index of the one before."""
    first = len(small().nodes)
    return tuple(node(index - 1 if index > first else STATE) for index in range(first, first + count))


@pytest.mark.parametrize(
    "node",
    [
        lambda i: Combine((2,), ((1, i), (1, i))),
        lambda i: Contract((2,), i, i, (0,), (0,), (0,)),
    ],
    ids=["combine", "contract"],
)
def test_exponentially_many_claims_are_refused(node):
    nodes = chain(200, node)
    circuit = small()
    circuit = appended(circuit, *nodes, lookups=(Lookup(0, len(circuit.nodes) + 199, -1, -1, "deep"),))
    circuit.check()
    with pytest.raises(CircuitError, match="too many to verify"):
        Plan(circuit, 8).check_work()
    with pytest.raises(CircuitError, match="too many to verify"):
        small_statement(circuit).check()


def test_claims_on_scalars_have_their_price():
    """A claim costs time and memory even where its vectors have one entry."""
    depth = MAX_CLAIM_WORK.bit_length() - 4
    nodes = (Constant((), 1), *(Combine((), ((1, i), (1, i))) for i in range(13, 13 + depth - 1)))
    circuit = appended(small(), *nodes, lookups=(Lookup(0, 12 + depth, -1, -1, "scalar"),))
    with pytest.raises(CircuitError, match="too many to verify"):
        Plan(circuit, 8).check_work()


def test_pads_that_exceed_a_row_are_refused(monkeypatch):
    """The pads occupy one row: with more of them the pads' code would lose its distance."""
    monkeypatch.setattr("zkjax.statement.plan.MAX_CLAIM_WORK", 1 << 40)
    nodes = [Constant((), 1), Contract((), 13, 13, (), (), ())]
    nodes += [Combine((), ((1, i), (1, i))) for i in range(14, 30)]
    circuit = appended(small(), *nodes, lookups=(Lookup(0, 30, -1, -1, "many"),))
    assert Plan(circuit, 8).pads > Plan(circuit, 8).code.message
    with pytest.raises(StatementError, match="pads do not fit"):
        small_statement(circuit).check()


@pytest.mark.parametrize(
    "shape",
    [
        DenseShape(),
        DenseShape(widths=(3, 2), batch=1, steps=1, rows=1),
        DenseShape(widths=(64, 128, 128, 10), batch=64),
    ],
    ids=str,
)
def test_dense_blocks_have_as_many_phases_as_contractions_follow_each_other(shape):
    plan = Plan(dense_block(shape).circuit, 8)
    plan.check_work()
    assert len(plan.phases) == 2
    assert plan.pads <= plan.code.message


# What the channel uses


class Blind(VerifierChannel):
    """Reads zeros for ever and asks for no work: shows what is read, not what it says."""

    def take(self, label, size):
        self._count(size)
        return bytes(size)

    def work(self, label, bits):
        self.transcript.absorb(label, self.take(label, 8))


CIRCUITS = {
    "small": small(),
    "odd": odd_block().circuit,
    "dense": dense_block().circuit,
    "deep": dense_block(DenseShape(widths=(3, 4, 5, 6, 2))).circuit,
    **{f"random {seed}": random_circuit(seed) for seed in range(25)},
}


@pytest.mark.parametrize("circuit", CIRCUITS.values(), ids=CIRCUITS)
def test_the_verifier_uses_the_pads_of_the_plan(circuit):
    plan = Plan(circuit, 8)
    schedule = np.zeros((circuit.steps, circuit.batch), int)
    channel = Blind(Transcript(bytes(32)), b"")
    claims, owed = ClaimSet(circuit, schedule), Relations()
    alpha, beta = channel.challenges("alpha and beta", 2)
    verify_lookups(channel, plan, alpha, beta, claims, owed)
    roots = 2 * len(plan.classes) + 2 * (len(plan.classes) - 1) + 1
    depth = max(cls.depth for cls in plan.classes)
    rounds = 2 * sum(range(depth))
    assert channel.pads_used == roots + rounds + sum(4 * cls.depth for cls in plan.classes)
    points = [channel.challenges("zero point", size) for size in zero_point_sizes(plan)]
    claim_zeros(plan, channel.challenge("zero batching"), points, claims)
    verify_claims(channel, plan, claims, owed)
    assert owed.products == plan.products
    assert len(plan.phases) == max(plan.levels, default=0)
    verify_products(channel, owed)
    assert channel.pads_used == plan.hidden_before_opening
    assert set(claims.terms) <= {*circuit.committed(), *range(-len(circuit.tables), 0)}
    with pytest.raises(ConsistencyError):
        verify_opening(channel, plan, [bytes(32)] * 4, claims, owed)
    assert channel.pads_used == plan.pads


@pytest.mark.parametrize("circuit", CIRCUITS.values(), ids=CIRCUITS)
def test_claims_are_counted_as_they_arrive(circuit):
    """`claim_counts` is what `ClaimSet` sees when each node's turn comes."""
    plan = Plan(circuit, 8)
    counts = [0] * len(circuit.nodes)
    claims = ClaimSet(circuit, np.zeros((circuit.steps, circuit.batch), int))
    rewrite = claims._rewrite

    def counted(node, term):
        counts[next(i for i, other in enumerate(circuit.nodes) if other is node)] += 1
        rewrite(node, term)

    claims._rewrite = counted
    for index, lookup in enumerate(circuit.lookups):
        for node in lookup.coordinates:
            claims.add(node, K(index), tuple(claims.ones(size) for size in circuit.nodes[node].shape))
    for index in circuit.zeros:
        claims.add(index, K.ONE, tuple(claims.ones(size) for size in circuit.nodes[index].shape))
    claims.rewrite_linear(plan.levels, 0)
    for phase in plan.phases:
        instances = claims.instances(phase.nodes)
        assert len(instances) == phase.instances
        assert max(instance.variables for instance in instances) == phase.variables
        for instance in instances:
            counts[instance.node] += 1
            left, right = instance.reduced([K(5)] * phase.variables, EqualityCache())
            claims.add(instance.left_node, K.ONE, left)
            claims.add(instance.right_node, K.ONE, right)
        claims.rewrite_linear(plan.levels, plan.levels[phase.nodes[0]])
    for index, terms in claims.terms.items():
        counts[index] += len(terms)
    assert tuple(counts) == plan.claim_counts


@pytest.mark.parametrize("circuit", CIRCUITS.values(), ids=CIRCUITS)
def test_lookup_classes_hold_every_column_once(circuit):
    plan = Plan(circuit, 8)
    assert sorted(index for cls in plan.classes for index in cls.lookups) == list(range(len(circuit.lookups)))
    assert sorted(index for cls in plan.classes for index in cls.tables) == list(range(len(circuit.tables)))
    assert [cls.row_bits for cls in plan.classes] == sorted({cls.row_bits for cls in plan.classes})
    for cls in plan.classes:
        assert cls.row_bits >= MIN_LOOKUP_ROW_BITS
        assert 1 << cls.column_bits >= cls.columns > 1 << cls.column_bits >> 1
        assert cls.depth == cls.row_bits + cls.column_bits
        for index in cls.lookups:
            bits = tensor_bits(circuit.nodes[circuit.lookups[index].re].shape)
            assert cls.row_bits == max(bits, MIN_LOOKUP_ROW_BITS)
        for index in cls.tables:
            assert cls.row_bits == max(circuit.tables[index].bits, MIN_LOOKUP_ROW_BITS)


@pytest.mark.parametrize("circuit", CIRCUITS.values(), ids=CIRCUITS)
def test_levels_are_the_longest_way_from_a_claim(circuit):
    """Against the definition: a node waits for its consumers that claims reach, and a phase itself."""
    plan = Plan(circuit, 8)
    consumers = {index: [] for index in range(len(circuit.nodes))}
    for index, node in enumerate(circuit.nodes):
        for operand in operands(node):
            consumers[operand].append(index)
    claimed = {node for lookup in circuit.lookups for node in lookup.coordinates} | set(circuit.zeros)

    def reached(index):
        return index in claimed or any(map(reached, consumers[index]))

    def level(index):
        waits = max((level(other) for other in consumers[index] if reached(other)), default=0)
        return waits + (isinstance(circuit.nodes[index], Contract) and reached(index))

    for index in range(len(circuit.nodes)):
        assert (plan.claim_counts[index] > 0) == reached(index)
        assert plan.levels[index] == level(index)


def test_a_claim_left_on_a_virtual_tensor_is_no_proof():
    circuit = small()
    claims = ClaimSet(circuit, np.zeros((2, 2), int))
    claims.add(PRODUCT, K.ONE, (claims.ones(2), claims.ones(2)))
    with pytest.raises(OpenEndError, match="without commitment"):
        committed_terms(Plan(circuit, 8).layout, claims)


@pytest.mark.parametrize("pad", [5, 6, 1000])
def test_a_pad_without_commitment_is_no_proof(pad):
    form = Hidden.ciphertext(K(3), 0) + Hidden.of_pad(pad)
    with pytest.raises(OpenEndError, match="pads without commitment"):
        pad_form(form, 5)


def test_a_quadratic_relation_left_over_is_no_proof():
    owed = Relations(quadratics=[Quadratic((), Hidden.known(0))])
    with pytest.raises(OpenEndError, match="left over"):
        batch(K(3), ClaimSet(small(), np.zeros((2, 2), int)), owed)


def test_the_work_of_claims_counted_by_hand(monkeypatch):
    """256 for each claim and each of its axes, one for each entry of a vector; and what its kind adds."""
    nodes = (
        Committed((5, 3), "data", "x", 0),
        *(Committed((4,), oracle, "w", 0) for oracle in ("before", "after", "advice")),
        Rows((2, 3, 3), 0),
        Filter((2, 4), 7, (((1, 1), (1, 2)), ((2, 3),))),
        Contract((4,), 1, 3, (0,), (0,), (0,)),
        Axes((2, 4), 1, (-1, 0)),
    )
    nodes = (*nodes[:5], nodes[7], Filter((2, 4), 5, nodes[5].rows), nodes[6], Public.of(np.eye(64, dtype=int)[None]))
    lookups = tuple(Lookup(0, index, -1, -1, "of a node") for index in (1, 2, 3, 4, 4, 6, 7, 8))
    circuit = Circuit(2, 3, 5, nodes, (Table("range", -1, 1, 0),), lookups, (), ())
    claims = {0: 2, 1: 3, 2: 1, 3: 2, 4: 2, 5: 1, 6: 1, 7: 1, 8: 1}
    plan = Plan(circuit, 1)
    assert dict(enumerate(plan.claim_counts)) == claims
    monkeypatch.setattr(plan_module, "MAX_CLAIM_WORK", 0)
    expected = (
        2 * (256 * 3 + 8)  # data
        + (3 + 1 + 2) * (256 * 2 + 4)  # state and advice
        + 2 * (256 * 4 + 8 + 2 * 3)  # rows, and the schedule
        + (256 * 3 + 6)  # axes
        + (256 * 3 + 6 + 3)  # a filter of three runs
        + (256 * (2 + 4 + 1 + 1) + 4)  # a contraction of two vectors
        + 2 * 256 * 2  # its rounds
        + (256 * 4 + 129 + 64 + 1 + 64)  # a public tensor of 4096 entries, and what its axes leave of it: 64, then 1
    )
    with pytest.raises(CircuitError) as caught:
        plan.check_work()
    assert caught.value.got == expected
    monkeypatch.setattr(plan_module, "MAX_CLAIM_WORK", expected)
    plan.check_work()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["scalars", "products", "long axis", "lookups", "tables"])
def test_the_most_expensive_circuits_are_verified_in_bounded_time(kind):
    """A proof of zeros makes the verifier walk the whole way before anything can be wrong."""
    circuit, first = small(), len(small().nodes)
    match kind:
        case "scalars":
            nodes = [Constant((), 1), *(Combine((), ((1, i), (1, i))) for i in range(first, first + 14))]
            circuit = appended(circuit, *nodes, lookups=tuple(Lookup(0, first + 14, -1, -1, "s") for _ in range(3)))
        case "products":
            nodes = [Constant((), 1), Contract((), first, first, (), (), ())]
            nodes += [Combine((), ((1, i), (1, i))) for i in range(first + 1, first + 12)]
            circuit = appended(circuit, *nodes, lookups=tuple(Lookup(0, first + 12, -1, -1, "p") for _ in range(2)))
        case "long axis":
            circuit = appended(circuit, Constant((1 << 22,), 1), lookups=(Lookup(0, first, -1, -1, "long"),))
        case "lookups":
            circuit = replace(circuit, lookups=circuit.lookups + 2_100 * (Lookup(0, REMAINDER, -1, -1, "again"),))
        case "tables":
            tables = tuple(Table("range", i - (1 << 17), (1 << 17) - 1 - i, 0) for i in range(64 - len(circuit.tables)))
            circuit = replace(circuit, tables=circuit.tables + tables)
    circuit.check()
    plan = Plan(circuit, 8)
    plan.check_work()
    start = time.process_time()
    channel = Blind(Transcript(bytes(32)), b"")
    claims, owed = ClaimSet(circuit, np.zeros((2, 2), int)), Relations()
    verify_lookups(channel, plan, K(3), K(5), claims, owed)
    verify_claims(channel, plan, claims, owed)
    verify_products(channel, owed)
    assert time.process_time() - start < 60
