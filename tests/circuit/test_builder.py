"""The builder: gadgets, sharing, deferred tensors."""

from __future__ import annotations

import pytest

from zkjax.circuit.builder import CircuitBuilder, limb_widths
from zkjax.circuit.recipes import Quotient, RemainderLimb
from zkjax.statement.circuit import Axes, CircuitError, Combine, Committed, Constant
from zkjax.statement.ranges import check_ranges


@pytest.fixture
def b():
    return CircuitBuilder(steps=3, batch=2, rows=5)


@pytest.fixture
def x(b):
    leaf = b.rows(b.committed("x", (5, 4), oracle="data"))
    b.range_check(leaf, 0, 15, "data/x")
    return leaf


def with_state(b, x):
    """A state leaf that moves by the sum of x."""
    change = b.axes(x, (0, 2), (3, 4))
    before = b.state_before("w", (4,), fraction_bits=16, bits=17)
    b.state_after("w", b.combine((1, before), (1, b.axes(change, (1,), (4,)))), 0, fraction_bits=16, bits=18)
    return b.finish()


def test_combinations_are_flat_merged_and_shared(b, x):
    double = b.combine((2, x))
    assert b.nodes[b.combine((1, double), (3, x))] == Combine((3, 2, 4), ((5, x),))
    assert b.combine((1, double), (-2, x)) == b.constant((3, 2, 4), 0)
    assert b.combine((1, x)) == x
    assert b.combine((2, x)) == double


def test_axes_that_change_nothing_are_no_node(b, x):
    assert b.axes(x, (0, 1, 2), (3, 2, 4)) == x
    assert b.nodes[b.axes(x, (0, 2), (3, 4))] == Axes((3, 4), x, (0, 2))


@pytest.mark.parametrize("shift", [1, 15, 16, 17, 31, 32, 33, 40])
def test_remainders_have_limbs_of_exactly_their_width(b, x, shift):
    quotient = b.rescale(b.combine((1 << 40, x)), shift, "q")
    b.range_check(quotient, -(1 << 15), (1 << 15) - 1, "q/range")
    lowered = with_state(b, x)
    circuit = lowered.circuit
    widths = {
        lookup.name: circuit.tables[lookup.table].hi.bit_length()
        for lookup in circuit.lookups
        if "remainder" in lookup.name
    }
    assert sum(widths.values()) == shift
    assert len(widths) == -(-shift // 16)
    committed = [node.name for node in circuit.nodes if isinstance(node, Committed) and "remainder" in node.name]
    assert len(committed) == len(widths) - 1, "the lowest limb is virtual"
    assert all(isinstance(recipe, Quotient | RemainderLimb) or "q" not in str(recipe) for recipe in lowered.recipes)
    check_ranges(circuit)


@pytest.mark.parametrize(
    ("bits", "entries", "widths"),
    [
        (18, 1 << 20, [18]),
        (18, 1 << 17, [16, 2]),
        (17, 1 << 17, [17]),
        (32, 1 << 20, [16, 16]),
        (33, 1 << 20, [17, 16]),
        (36, 1 << 18, [18, 18]),
        (37, 1 << 20, [16, 16, 5]),
        (16, 4, [16]),
        (5, 1 << 20, [5]),
    ],
)
def test_limbs_are_wide_where_that_saves_one(bits, entries, widths):
    assert limb_widths(bits, entries) == widths


def test_large_tensors_take_wide_tables(b, x):
    before = b.state_before("w", (1 << 9, 1 << 9), fraction_bits=16, bits=17)
    b.state_after("w", b.combine((1 << 33, before)), 33, fraction_bits=16, bits=17)
    circuit = b.finish().circuit
    committed = [node.name for node in circuit.nodes if isinstance(node, Committed)]
    assert sorted(committed) == ["after/w/remainder[17:33]", "w", "w", "x"]
    assert sorted(table.bits for table in circuit.tables) == [4, 16, 17, 18]
    check_ranges(circuit)


def test_deferred_tensors_may_depend_on_what_comes_later(b, x):
    state = b.deferred("w", (3, 4))
    change = b.axes(x, (0, 2), (3, 4))
    b.bind(state, b.before(change))
    b.zeros.append(b.combine((1, state), (-1, b.before(change))))
    lowered = with_state(b, x)
    circuit = lowered.circuit
    assert [circuit.nodes[node] for node in circuit.zeros] == [Constant((3, 4), 0), circuit.nodes[circuit.zeros[1]]]


def test_deferred_tensors_that_nothing_reads_disappear(b, x):
    b.bind(b.deferred("idle", (3, 4)), b.axes(b.constant((4,), 7), (-1, 0), (3, 4)))
    circuit = with_state(b, x).circuit
    assert not any(isinstance(node, Constant) and node.value == 7 for node in circuit.nodes)


def test_deferred_tensors_must_be_bound_once_and_in_shape(b, x):
    state = b.deferred("w", (3, 4))
    with pytest.raises(ValueError, match="bound to a node of shape"):
        b.bind(state, x)
    b.zeros.append(state)
    with pytest.raises(ValueError, match="never bound"):
        with_state(b, x)


def test_circles_are_found(b, x):
    state = b.deferred("w", (3, 2, 4))
    node = b.combine((1, state), (1, x))
    b.bind(state, node)
    b.zeros.append(node)
    with pytest.raises(ValueError, match="depends on itself"):
        with_state(b, x)


def test_what_is_illegal_does_not_finish(b, x):
    b.committed("x", (5, 3), oracle="data")
    with pytest.raises(CircuitError, match="share a name"):
        with_state(b, x)


def test_wide_ranges_are_checked_by_limbs(b, x):
    before = b.state_before("w", (4,), fraction_bits=16, bits=40)
    b.state_after("w", before, 0, fraction_bits=16, bits=40)
    circuit = b.finish().circuit
    intervals = check_ranges(circuit)
    bounds = [intervals[node] for node in circuit.committed("before")]
    assert all(low >= -(1 << 40) and high < 1 << 48 for low, high in bounds)
