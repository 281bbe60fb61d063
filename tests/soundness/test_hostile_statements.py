"""Statements made to exhaust the verifier: bounded work, or a typed refusal."""

from __future__ import annotations

import time

import numpy as np
import pytest

from zkjax.fields.mersenne61 import K
from zkjax.fields.vectors import Ext
from zkjax.statement.circuit import Circuit, CircuitError, Committed, Contract, Lookup, Node, Rows
from zkjax.statement.claims import ClaimSet
from zkjax.statement.plan import Plan
from zkjax.statement.proof import Proof
from zkjax.statement.statement import Statement, StatementError
from zkjax.statement.tables import Table
from zkjax.verifier import verify

BITS = Table("range", 0, 1, 0)
ROOTS = (b"d" * 32, b"b" * 32, b"a" * 32)


def circuit_with(*nodes: Node, steps: int = 1, batch: int = 1) -> Circuit:
    """A scalar of each oracle, all in one table, then `nodes`, the last of them looked up."""
    scalars = [
        Committed((1,), "data", "x", 0),
        *(Committed((), name, "w", 0) for name in ("before", "after", "advice")),
    ]
    every = (*scalars, *nodes)
    lookups = tuple(Lookup(0, index, -1, -1, f"bit {index}") for index in (0, 1, 2, 3, len(every) - 1))
    return Circuit(steps, batch, 1, every, (BITS,), lookups, (), ())


def powers(count: int) -> Circuit:
    """The powers of a bit, each one phase of its own."""
    return circuit_with(*(Contract((), 3 + index, 3, (), (), ()) for index in range(count)))


def test_a_long_chain_of_phases_is_planned_in_linear_time():
    circuit = powers(16_000)
    statement = Statement(circuit, np.zeros((1, 1), np.int64), 1, ROOTS)
    start = time.process_time()
    statement.check()
    assert len(statement.plan.phases) == 16_000
    claims = ClaimSet(circuit, statement.schedule)
    for phase in statement.plan.phases:
        claims.rewrite_linear(statement.plan.levels, statement.plan.levels[phase.nodes[0]])
    assert time.process_time() - start < 10


@pytest.mark.parametrize(("steps", "batch", "claims"), [(4096, 4096, 3), (1024, 1024, 64), (64, 1024, 600)])
def test_a_long_schedule_read_by_many_claims_is_refused(steps, batch, claims):
    shape, labels = (steps, batch), (0, 1)
    rows = Rows(shape, 0)
    nodes = [rows, *(Contract(shape, 4 + index, 4, labels, labels, labels) for index in range(claims))]
    with pytest.raises(CircuitError, match="too many to verify"):
        Plan(circuit_with(*nodes, steps=steps, batch=batch), 1).check_work()


def test_a_long_schedule_read_once_is_fine():
    Plan(circuit_with(Rows((1024, 1024), 0), steps=1024, batch=1024), 1).check_work()


def test_the_schedule_is_sorted_once_for_all_claims(monkeypatch):
    schedule = np.array([[2, 0, 2], [1, 0, 2]])
    claims = ClaimSet(circuit_with(Rows((2, 3), 0), steps=2, batch=3), schedule)
    claims.circuit = Circuit(2, 3, 4, claims.circuit.nodes, (BITS,), claims.circuit.lookups, (), ())
    sorts = []
    argsort = np.argsort
    monkeypatch.setattr(np, "argsort", lambda *a, **k: sorts.append(1) or argsort(*a, **k))
    for seed in range(3):
        steps, batch = Ext.from_list([K(2 + seed), K(3)]), Ext.from_list([K(5), K(7, seed), K(11)])
        weights = claims._row_weights(steps, batch).to_list()
        expected = [K.ZERO] * 4
        for t in range(2):
            for b in range(3):
                expected[schedule[t, b]] += steps[t].item() * batch[b].item()
        assert weights == expected
    assert len(sorts) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"schedule": [[0]]},
        {"schedule": None},
        {"schedule": np.ma.masked_array([[7]], mask=[[True]])},
        {"schedule": np.zeros((1, 1))},
        {"schedule": np.zeros((1, 1), object)},
        {"schedule": np.zeros((1, 1), bool)},
        {"schedule": np.zeros((1, 1, 1), np.int64)},
        {"roots": ROOTS[:2]},
        {"roots": (*ROOTS, ROOTS[0])},
        {"roots": ("d" * 32, *ROOTS[1:])},
        {"roots": (ROOTS[0][:31], *ROOTS[1:])},
        {"openings": 0},
        {"openings": 1.0},
        {"openings": True},
        {"openings": 1 << 40},
        {"log_message": 10},
        {"log_message": 60},
        {"log_message": -1},
    ],
    ids=str,
)
def test_a_statement_of_other_types_is_refused(changes):
    """Made by hand, not decoded: still a typed rejection."""
    fields = {"circuit": powers(1), "schedule": np.zeros((1, 1), np.int64), "openings": 1, "roots": ROOTS}
    with pytest.raises(StatementError):
        verify(Statement(**{**fields, **changes}), Proof(bytes(1 << 20)))
