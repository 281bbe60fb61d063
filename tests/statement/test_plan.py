"""The course of a proof as the circuit determines it: levels, phases, claims, pads."""

from __future__ import annotations

import pytest

from tests.blocks import DenseShape, dense_block
from tests.statement.circuits import PRODUCT, QUOTIENT, REMAINDER, STATE, appended, small, small_statement
from zkjax.statement.circuit import CircuitError, Combine, Constant, Contract, Lookup
from zkjax.statement.plan import MAX_CLAIM_WORK, Phase, Plan
from zkjax.statement.statement import StatementError


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
