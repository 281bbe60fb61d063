"""Statements made to exhaust the verifier: bounded work, or a typed refusal."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from zkjax.cli.process import peak_memory
from zkjax.errors import VerificationError
from zkjax.fields.mersenne61 import K
from zkjax.fields.vectors import Ext
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
    Node,
    Public,
    Rows,
)
from zkjax.statement.claims import ClaimSet
from zkjax.statement.filters import Rows as Matrix
from zkjax.statement.filters import row
from zkjax.statement.plan import Plan
from zkjax.statement.proof import Proof
from zkjax.statement.statement import Statement, StatementError
from zkjax.statement.tables import Table
from zkjax.transcript.sponge import Transcript
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
    named = [index for index, node in enumerate(every) if isinstance(node, Committed)]
    lookups = tuple(Lookup(0, index, -1, -1, f"bit {index}") for index in (*named, len(every) - 1))
    return Circuit(steps, batch, 1, every, (BITS,), lookups, (), ())


def powers(count: int) -> Circuit:
    """The powers of a bit, each one phase of its own."""
    return circuit_with(*(Contract((), 3 + index, 3, (), (), ()) for index in range(count)))


def long_phases(count: int) -> Circuit:
    """As `powers`, of a tensor with as many entries as there may be: a phase has 40 rounds."""
    shape, labels = (32,) * 8, tuple(range(8))
    tensor = Axes(shape, 3, (-1,) * 8)
    chain = [Contract(shape, 4 + index, 4, labels, labels, labels) for index in range(count)]
    return circuit_with(tensor, *chain, Axes((), 4 + count, ()))


def many_axes(count: int, copies: int = 1) -> Circuit:
    """Claims on contractions of two tensors with eight axes of two entries each."""
    shape, labels = (2,) * 8, tuple(range(8))
    tensor = [Axes(shape, 3, (-1,) * 8)]
    contractions = [Contract(shape, 4, 4, labels, labels, labels) for _ in range(min(copies, count))]
    terms = tuple((1, 5 + index % len(contractions)) for index in range(count))
    return circuit_with(*tensor, *contractions, Combine(shape, terms))


def chain_of_filters(count: int, rows: Matrix) -> Circuit:
    """Filters of filters: of zeros, so that no range grows."""
    shape = (len(rows),)
    return circuit_with(Constant(shape, 0), *(Filter(shape, 4 + index, rows) for index in range(count)))


def many_matrices() -> Circuit:
    """One filter of each matrix, read by many claims."""
    shape = (64,)
    filters = [Filter(shape, 4, tuple(row(range(1 + t + i, 65 + t + i)) for t in range(64))) for i in range(100)]
    lookups = tuple(Lookup(0, 5 + index, -1, -1, "filtered") for index in range(100))
    circuit = circuit_with(Constant(shape, 0), *filters)
    return replace(circuit, lookups=circuit.lookups + lookups * 60)


def many_elements() -> Circuit:
    """Nearly as many lookups as there may be: for each, a zero is hashed."""
    big = Committed((1 << 15, 1 << 14), "advice", "big", 0)
    return circuit_with(big, replace(big, name="large"), Combine(big.shape, ((1, 4),)))


def many_lookups() -> Circuit:
    circuit = powers(1)
    return replace(circuit, lookups=circuit.lookups + (Lookup(0, 3, -1, -1, "bit"),) * 60_000)


def long_axis() -> Circuit:
    shape = (1 << 22,)
    labels = (0,)
    return circuit_with(Axes(shape, 3, (-1,)), *(Contract(shape, 4 + i, 4, labels, labels, labels) for i in range(2)))


def public_tensors(shape: tuple[int, ...], claims: int) -> Circuit:
    """A large public tensor, and claims on it, each at a point of its own."""
    tensor = Public(shape, 0, 1, _bits(shape))
    labels = tuple(range(len(shape)))
    return circuit_with(
        tensor, *(Contract(shape, 4 + index, 4, labels, labels, labels) for index in range(claims)), batch=1
    )


def _bits(shape: tuple[int, ...]) -> str:
    """A one among zeros: made without the tensor."""
    count = int(np.prod(shape))
    return base64.b64encode(b"\x40" + bytes(-(-count // 8) - 1)).decode()


# Each at or near the bound on its work, or on another size.
EXHAUSTING: dict[str, Callable[[], Circuit]] = {
    "phases": lambda: powers(18_000),
    "rounds": lambda: long_phases(1_050),
    "axes": lambda: many_axes(2_000, 2_000),
    "claims": lambda: many_axes(2_000),
    "filters": lambda: chain_of_filters(5_000, ((), ((1, 1),))),
    "matrix": lambda: chain_of_filters(2, tuple(row(range(1 + t, 451 + t)) for t in range(450))),
    "matrices": many_matrices,
    "schedule": lambda: circuit_with(Rows((4096, 1024), 0), steps=4096, batch=1024),
    "elements": many_elements,
    "axis": long_axis,
    "lookups": many_lookups,
    "zeros": lambda: replace(powers(1), zeros=(3,) * 100_000),
    "tables": lambda: replace(
        powers(1), tables=(BITS, *(Table("gated", i - 65_536, 65_535 - i, 5) for i in range(63)))
    ),
    "functions": lambda: replace(
        powers(1),
        tables=(
            BITS,
            *(Table("function", 0, (1 << 14) - 1, 0, f"1/(x+{i})*exp(-x)+erf(x+{i})", 11, 8) for i in range(9, 33)),
        ),
    ),
    "public tensor": lambda: public_tensors((16, 1024, 1024), 70),
    "public matrix": lambda: public_tensors((1 << 22, 4), 1),
    "public column": lambda: public_tensors((1 << 22,), 1),
    "public ones": lambda: public_tensors((64, 64, 64, 1, 1, 1, 1, 4), 22),
    "terms": lambda: circuit_with(*(Combine((), ((1, 3),) * 40) for _ in range(15_000))),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXHAUSTING)
def test_the_verifier_ends_in_ten_seconds_and_a_gigabyte(name, run_python):
    """From bytes to the rejection of elements that mean nothing, in a process of its own."""
    result = run_python("-c", f"from tests.soundness import test_hostile_statements as t; t.exhaust({name!r})")
    assert result.returncode == 0, result.stderr
    seconds, peak, kind = result.stdout.split()
    assert kind == "ConsistencyError"
    assert float(seconds) < 10
    assert int(peak) < 10**9


def exhaust(name: str) -> None:
    """Print processor time, peak memory and the rejection of a long proof of zeros, nonces taken as good."""
    circuit = EXHAUSTING[name]()
    schedule = np.zeros((circuit.steps, circuit.batch), np.int64)
    encoded = Statement(circuit, schedule, 1, ROOTS, 18).to_bytes()
    Transcript.check_work = lambda self, label, bits, nonce: True  # type: ignore[method-assign]
    start = time.process_time()
    try:
        verify(Statement.from_bytes(encoded), Proof(bytes(1 << 25)))
    except VerificationError as error:
        print(time.process_time() - start, peak_memory(), type(error).__name__)


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


@pytest.mark.parametrize(
    ("shape", "claims"), [((16, 1024, 1024), 150), ((1 << 22, 2), 9), ((64, 64, 64, 1, 1, 1, 1, 4), 40)]
)
def test_many_claims_on_a_public_tensor_are_refused(shape, claims):
    with pytest.raises(CircuitError, match="too many to verify"):
        Plan(public_tensors(shape, claims), 1).check_work()


def test_many_rounds_are_refused():
    """Long axes of many phases: their messages take longer than all that comes of the claims."""
    with pytest.raises(CircuitError, match="too many to verify"):
        Plan(long_phases(2_000), 1).check_work()


@pytest.mark.parametrize("copies", [1, 20_000])
def test_many_contractions_of_many_axes_are_refused(copies):
    """Axes of two cost next to nothing by their lengths, and eight of them 2 ms a claim."""
    with pytest.raises(CircuitError, match="too many to verify"):
        Plan(many_axes(3_000, copies), 1).check_work()


def test_tables_are_derived_only_if_all_of_them_may_be(monkeypatch):
    """Each of 64 functions within the bound on all of them took a second before the sum was looked at."""
    derived = []
    monkeypatch.setattr("zkjax.statement.tables.rounded", lambda *of: derived.append(of))
    half = [Table("function", 0, (1 << 17) - 1, 0, f"exp(x/{number})", 17, 8) for number in range(3, 67)]
    with pytest.raises(CircuitError, match="too long to derive"):
        replace(powers(1), tables=tuple(half)).check()
    assert not derived


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
