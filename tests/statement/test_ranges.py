"""Ranges derived from the circuit: right against enumeration, refused at the bound, never circular."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace

import numpy as np
import pytest

from tests.blocks import DenseShape, dense_block
from tests.statement.circuits import AFTER, DATA, QUOTIENT, REMAINDER, ROWS, STATE, appended, small, with_lookup
from tests.statement.evaluate import evaluate
from tests.statement.random_circuits import random_circuit, random_schedule, random_values
from zkjax.fields.mersenne61 import P
from zkjax.statement.circuit import (
    Axes,
    Circuit,
    Combine,
    Committed,
    Constant,
    Contract,
    Filter,
    Lookup,
    Output,
    Positions,
    Public,
    Rows,
)
from zkjax.statement.filters import earlier, matrix
from zkjax.statement.ranges import UNBOUNDED, RangeError, check_published, check_ranges
from zkjax.statement.tables import Table

BIT, BYTE, WORD, SIGNED = (
    Table("range", 0, 1, 0),
    Table("range", 0, 255, 0),
    Table("range", 0, 65535, 0),
    Table("range", -8, 7, 0),
)
TABLES = (BIT, BYTE, WORD, SIGNED)


def circuit(*nodes, lookups=(), zeros=(), steps=2, tables=TABLES) -> Circuit:
    """Data [3, 2], state, and one advice tensor [2], then `nodes` from index 4 on; (table, node) lookups."""
    first = (
        Committed((3, 2), "data", "x", 0),
        Committed((2,), "before", "w", 0),
        Committed((2,), "after", "w", 0),
        Committed((2,), "advice", "a", 0),
    )
    always = ((SIGNED, 1), (SIGNED, 2))
    named = tuple(
        Lookup(tables.index(table), node, -1, -1, f"lookup {place}")
        for place, (table, node) in enumerate((*always, *lookups))
    )
    result = Circuit(steps, 2, 3, first + nodes, tables, named, tuple(zeros), ())
    result.check()
    return result


# Enumeration


@pytest.mark.parametrize("seed", range(40))
def test_no_value_leaves_its_interval(seed):
    """Random circuits, with committed values at random and at the ends of their ranges."""
    c = random_circuit(seed)
    c.check()
    intervals = check_ranges(c)
    low, high = np.array([i[0] for i in intervals], object), np.array([i[1] for i in intervals], object)
    for sample in range(6):
        bounds = [(-3, 3), (-3, -3), (3, 3)][sample] if sample < 3 else (-3, 3)
        values = random_values(c, sample, *bounds)
        if sample > 3:
            values = {index: 3 * np.sign(value) for index, value in values.items()}
        for index, value in enumerate(evaluate(c, values, random_schedule(c, sample))):
            assert low[index] <= value.min(initial=0), (index, c.nodes[index])
            assert value.max(initial=0) <= high[index], (index, c.nodes[index])


@pytest.mark.parametrize("seed", range(12))
def test_the_true_extremes_lie_within_the_interval(seed):
    """Circuits of so few committed integers that all their values can be tried."""
    c = random_circuit(seed, nodes=8, sizes=2, bound=1, advice=1)
    places = [(i, at) for i in c.committed() for at in np.ndindex(c.nodes[i].shape)][:7]
    schedule = random_schedule(c, seed)
    intervals = check_ranges(c)
    lowest, highest = [0] * len(c.nodes), [0] * len(c.nodes)
    for choice in itertools.product((-1, 0, 1), repeat=len(places)):
        values = random_values(c, seed, -1, 1)
        for (index, at), integer in zip(places, choice, strict=True):
            values[index][at] = integer
        for index, value in enumerate(evaluate(c, values, schedule)):
            lowest[index] = min(lowest[index], int(value.min(initial=0)))
            highest[index] = max(highest[index], int(value.max(initial=0)))
    for interval, low, high in zip(intervals, lowest, highest, strict=True):
        assert interval[0] <= low <= high <= interval[1]


def test_the_interval_of_each_rule():
    c = circuit(
        Rows((2, 2, 2), 0),
        Combine((2,), ((3, 1), (-2, 3))),
        Constant((2,), -9),
        Axes((3,), 1, (-1,)),
        Axes((2, 2), 4, (2, 0)),
        Filter((2, 2), 8, earlier(2)),
        Contract((2, 2), 4, 1, (0, 1, 2), (2,), (0, 1)),
        Contract((), 1, 3, (0,), (1,), ()),
        lookups=((BYTE, 4), (BYTE, 3)),
    )
    intervals = check_ranges(c)
    assert intervals[0] == UNBOUNDED
    assert intervals[1:4] == [(-8, 7), (-8, 7), (0, 255)]
    assert intervals[4] == (0, 255)
    assert intervals[5] == (-24 - 510, 21)
    assert intervals[6] == (-9, 0)
    assert intervals[7] == (-16, 14)
    assert intervals[8] == (0, 510)
    assert intervals[9] == (0, 510)
    assert intervals[10] == (-8 * 255 * 2, 7 * 255 * 2)
    assert intervals[11] == (-8 * 255 * 4, 7 * 255 * 4)


def test_places_end_one_before_the_length():
    c = circuit(Positions((3, 5), 1), Positions((3, 5), 0), Positions((1,), 0), lookups=((BIT, 3),))
    assert check_ranges(c)[-3:] == [(0, 4), (0, 2), (0, 0)]


def test_public_entries_are_bounded_by_their_bits():
    """And by zero, which slots outside of the real shape hold; a zero node of one is refused by its value alone."""
    bits, signed = Public.of(np.array([0, 1, 1])), Public.of(np.array([[-9, 5]]))
    c = circuit(bits, signed, Public.of(np.array([40, 43])), Public.of(np.array([-7, -5])), lookups=((BIT, 3),))
    assert check_ranges(c)[-4:] == [(0, 1), (-9, 6), (0, 43), (-7, 0)]


def test_a_filter_pulls_apart_positive_and_negative_coefficients():
    rows = matrix([[2, -3, 0], [0, 0, 0], [0, 5, 5]])
    nodes = Committed((3, 2), "advice", "b", 0), Filter((3, 2), 4, rows)
    c = circuit(*nodes, lookups=((SIGNED, 3), (SIGNED, 4)), steps=3)
    low, high = check_ranges(c)[4]
    assert low < 0 < high
    assert check_ranges(c)[5] == (min(2 * low - 3 * high, 10 * low), max(2 * high - 3 * low, 10 * high))


def test_before_sums_one_step_less_than_there_are():
    c = circuit(Constant((5, 2), 3), Filter((5, 2), 4, earlier(5)), lookups=((BYTE, 3),), steps=5)
    assert check_ranges(c)[5] == (0, 12)
    c = circuit(Constant((1, 2), 3), Filter((1, 2), 4, earlier(1)), lookups=((BYTE, 3),), steps=1)
    assert check_ranges(c)[5] == (0, 0)


def test_two_lookups_of_one_tensor_meet():
    for tables in itertools.permutations((SIGNED, BYTE)):
        c = circuit(lookups=tuple((table, 3) for table in tables))
        assert check_ranges(c)[3] == (0, 7)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (Table("relu", -100, 50, 40), ((-100, 50), (0, 1), (0, 40))),
        (Table("gated", -100, 50, 40), ((-100, 50), (0, 1), (-40, 40))),
        (Table("gated", -30, 50, 40), ((-30, 50), (0, 1), (-30, 40))),
    ],
)
def test_a_tuple_bounds_each_of_its_tensors(table, expected):
    c = circuit(*(Committed((2,), "advice", name, 0) for name in "bc"), tables=(*TABLES, table))
    c = replace(c, lookups=(*c.lookups, Lookup(4, 3, 4, 5, "tuple")))
    assert tuple(check_ranges(c)[3:6]) == expected


# Limbs


def test_a_limb_leaf_bounds_its_tensor():
    """a + 2^16 = leaf + 2^16 limb, with a leaf of 16 bits and a limb of one."""
    c = circuit(
        Committed((2,), "advice", "limb", 0),
        Constant((2,), 1 << 16),
        Combine((2,), ((1, 3), (1, 5), (-(1 << 16), 4))),
        lookups=((BIT, 4), (WORD, 6)),
    )
    low, high = check_ranges(c)[3]
    true = [leaf - (1 << 16) + (1 << 16) * limb for leaf in (0, 65535) for limb in (0, 1)]
    assert low == min(true)
    assert max(true) <= high == max(true) + (1 << 16)  # slots outside carry no constant


@pytest.mark.parametrize("table", [BIT, BYTE, SIGNED], ids=str)
@pytest.mark.parametrize("constant", [-3, 0, 5])
@pytest.mark.parametrize("limbs", [(2,), (-2, 5), (16, 1)])
def test_a_limb_leafs_range_against_enumeration(table, constant, limbs):
    nodes = [Committed((2,), "advice", f"limb {i}", 0) for i in range(len(limbs))]
    leaf = ((1, 3), *((-weight, 4 + i) for i, weight in enumerate(limbs)), (1, 4 + len(limbs)))
    c = circuit(
        *nodes,
        Constant((2,), constant),
        Combine((2,), leaf),
        lookups=(*((SIGNED, 4 + i) for i in range(len(limbs))), (table, 5 + len(limbs))),
    )
    low, high = check_ranges(c)[3]
    values = [
        v - constant + sum(w * x for w, x in zip(limbs, choice, strict=True))
        for v in (table.lo, table.hi)
        for choice in itertools.product((-8, 7), repeat=len(limbs))
    ]
    assert low <= min(0, min(values))
    assert max(0, max(values)) <= high
    assert high - low <= max(values) - min(values) + abs(constant)


@pytest.mark.parametrize(("constant", "expected"), [(-300, (0, 557)), (300, (-300, 257))])
def test_a_derived_interval_contains_zero(constant, expected):
    """Slots outside the tensor are zero, and an interval without it could come back from far away."""
    c = circuit(
        Committed((2,), "advice", "limb", 0),
        Constant((2,), constant),
        Combine((2,), ((1, 3), (1, 5), (-2, 4))),
        lookups=((BIT, 4), (BYTE, 6)),
    )
    assert check_ranges(c)[3] == expected


def limb_leaf(terms, lookups=(), nodes=()):
    """The advice tensor is bounded by nothing but a leaf with these terms."""
    return circuit(
        Committed((2,), "advice", "limb", 0),
        Committed((2,), "advice", "other", 0),
        *nodes,
        Combine((2,), terms),
        lookups=(*lookups, (WORD, 6 + len(nodes))),
    )


@pytest.mark.parametrize(
    ("terms", "lookups", "nodes"),
    [
        (((1, 3), (-2, 4)), ((BIT, 5),), ()),
        (((1, 3), (1, 3)), ((BIT, 4), (BIT, 5)), ()),
        (((2, 3),), ((BIT, 4), (BIT, 5)), ()),
        (((-1, 3), (2, 4)), ((BIT, 4), (BIT, 5)), ()),
        (((1, 3), (1, 6)), ((BIT, 4), (BIT, 5)), (Combine((2,), ((1, 4), (1, 5))),)),
    ],
    ids=["unranged limb", "twice", "multiple", "negative", "virtual limb"],
)
def test_a_leaf_that_bounds_nothing_is_refused(terms, lookups, nodes):
    with pytest.raises(RangeError, match="no lookup bounds the committed tensor"):
        check_ranges(limb_leaf(terms, lookups, nodes))


def test_two_leaves_do_not_bound_each_other():
    """a - b and b - a in range leaves both free."""
    c = circuit(
        Committed((2,), "advice", "b", 0),
        Combine((2,), ((1, 3), (-1, 4))),
        Combine((2,), ((1, 4), (-1, 3))),
        lookups=((BYTE, 5), (BYTE, 6)),
    )
    with pytest.raises(RangeError, match="no lookup bounds the committed tensor"):
        check_ranges(c)


def test_a_derived_range_bounds_no_further_leaf():
    """Facts have two ranks: a limb must be looked up itself."""
    c = circuit(
        Committed((2,), "advice", "b", 0),
        Committed((2,), "advice", "c", 0),
        Combine((2,), ((1, 3), (-256, 5))),
        Combine((2,), ((1, 4), (-256, 3))),
        lookups=((BYTE, 5), (BYTE, 6), (BYTE, 7)),
    )
    with pytest.raises(RangeError, match="'b'"):
        check_ranges(c)


@pytest.mark.parametrize("index", [0, 1, 3, 4])
def test_a_tensor_without_lookup_is_refused(index):
    c = small()
    with pytest.raises(RangeError):
        check_ranges(replace(c, lookups=c.lookups[:index] + c.lookups[index + 1 :]))


# The bound


def leaf_at(spread_above: int, spread_below: int, table: Table) -> Circuit:
    """A looked-up constant combination with an interval [-spread_below, spread_above]."""
    nodes, terms = [], []
    for spread in (spread_above, -spread_below):
        high, low = divmod(abs(spread), 1 << 40)
        sign = 1 if spread >= 0 else -1
        for value, factor in ((high, 1 << 40), (low, 1)):
            nodes.append(Constant((2,), sign * value))
            terms.append((factor, 3 + len(nodes)))
    return circuit(*nodes, Combine((2,), tuple(terms)), lookups=((BIT, 3), (table, 8)))


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_wrapping_is_refused_just_at_the_bound(table):
    """[l, u] against [a, b] is safe iff u - a < p and b - l < p."""
    above, below = P - 1 + table.lo, P - 1 - table.hi
    assert check_ranges(leaf_at(above, 0, table))[8] == (0, above)
    assert check_ranges(leaf_at(0, below, table))[8] == (-below, 0)
    check_ranges(leaf_at(above, below, table))
    for case in ((above + 1, 0), (0, below + 1)):
        with pytest.raises(RangeError, match="may wrap around"):
            check_ranges(leaf_at(*case, table))


def test_a_zero_node_may_not_wrap():
    for size, legal in ((P - 1, True), (P, False)):
        c = leaf_at(size, 0, WORD)
        c = replace(c, lookups=c.lookups[:3], zeros=(8,))
        if legal:
            check_ranges(c)
        else:
            with pytest.raises(RangeError, match="zero node 8 may wrap around"):
                check_ranges(c)


def test_an_output_may_not_wrap():
    for size, legal in ((P - 1, True), (P, False)):
        c = leaf_at(size, 0, WORD)
        c = replace(c, lookups=c.lookups[:3], outputs=(Output("o", 8, 0),))
        if legal:
            check_ranges(c)
        else:
            with pytest.raises(RangeError, match="output 'o' may wrap around"):
                check_ranges(c)


@pytest.mark.parametrize(("values", "legal"), [([-3, 5], True), ([0, 0], True), ([-4, 0], False), ([0, 6], False)])
def test_a_published_number_lies_in_the_interval_of_its_node(values, legal):
    c = replace(leaf_at(1, 0, WORD), outputs=(Output("first", 0, 0), Output("o", 1, 0)))
    intervals = [(0, 0), (-3, 5)]
    published = (np.zeros(2, np.int64), np.array(values))
    if legal:
        check_published(c, published, intervals)
        return
    with pytest.raises(RangeError, match="output 'o' holds a number that it cannot have") as caught:
        check_published(c, published, intervals)
    assert (caught.value.expected, caught.value.got) == ("-3..5", min(values) if min(values) < -3 else max(values))


def test_every_coordinate_of_a_tuple_is_bounded():
    table = Table("relu", -8, 7, 5)
    for place in range(3):
        c = circuit(Constant((2,), 1 << 40), Combine((2,), ((1 << 40, 4),)), tables=(*TABLES, table))
        named = [3, 3, 3]
        named[place] = 5
        c = replace(c, lookups=(*c.lookups, Lookup(0, 3, -1, -1, "a"), Lookup(4, *named, "tuple")))
        c.check()
        with pytest.raises(RangeError, match="lookup 'tuple' may wrap"):
            check_ranges(c)


def test_the_quotient_of_a_rescaling_cannot_move_by_the_field():
    """2^s (q + 1) + |acc| + 2^(s-1) >= p: another quotient could fit the same remainder mod p."""

    def block(shift):
        return circuit(
            Combine((2,), ((1, 1), (-(1 << shift), 3))),
            lookups=((WORD, 3), (WORD, 4)),
        )

    check_ranges(block(45))
    with pytest.raises(RangeError, match="may wrap"):
        check_ranges(block(46))


# Data


def test_unscheduled_rows_are_not_bounded():
    c = small()
    assert check_ranges(c)[DATA] == UNBOUNDED
    assert check_ranges(c)[ROWS] == (-128, 127)


@pytest.mark.parametrize(
    "node",
    [Axes((2,), DATA, (1,)), Combine((3, 2), ((2, DATA),)), Contract((2,), DATA, STATE, (0, 1), (1,), (1,))],
    ids=["sum", "multiple", "product"],
)
def test_data_may_be_read_through_ranged_rows_only(node):
    c = small()
    c = appended(c, node, lookups=(Lookup(1, len(c.nodes), -1, -1, "read"),))
    c.check()
    with pytest.raises(RangeError, match="lookup 'read' may wrap"):
        check_ranges(c)
    whole = replace(c, lookups=(*c.lookups, Lookup(1, DATA, -1, -1, "all rows")))
    check_ranges(whole)


def test_rows_without_a_lookup_of_their_own_are_not_bounded():
    """Another selection of the same rows has its lookup; this one has none."""
    c = small()
    c = appended(
        c,
        Rows((2, 2, 2), DATA),
        Combine((2, 2, 2), ((1, 13),)),
        lookups=(Lookup(1, 14, -1, -1, "read"),),
    )
    with pytest.raises(RangeError, match="lookup 'read' may wrap"):
        check_ranges(c)


def test_data_bounded_by_limbs_are_the_same_integers_in_their_rows():
    """Bounded as a whole to [0, p - 1] and by rows to [-8, 7], the data would be two integers."""
    bits = [Committed((3, 2), "advice", f"limb {i}", 0) for i in range(4)]
    weights = [1 << 15, 1 << 30, 1 << 45, 1 << 60]
    tables = (*TABLES, Table("range", 0, (1 << 15) - 1, 0))
    limbs = [4] * 3 + [0]

    def block(shift):
        c = circuit(
            *bits,
            Combine((3, 2), ((1, 0), *((-weight, 4 + i) for i, weight in enumerate(weights[:3])), (-shift, 7))),
            Rows((2, 2, 2), 0),
            lookups=((BIT, 3),),
            tables=tables,
        )
        own = tuple(Lookup(table, 4 + i, -1, -1, f"limb {i}") for i, table in enumerate(limbs))
        return replace(c, lookups=(*c.lookups, *own, Lookup(4, 8, -1, -1, "leaf"), Lookup(3, 9, -1, -1, "rows")))

    intervals = check_ranges(block(1 << 50))
    assert intervals[9] == intervals[0] == (0, (1 << 60) + (1 << 50) - 1)
    with pytest.raises(RangeError, match="'rows' may wrap"):
        check_ranges(block((1 << 60) - 1))


# Totality


@pytest.mark.parametrize("make", ["square", "scale", "sum"])
def test_ends_are_bounded_however_deep_the_circuit(make):
    """Interval ends double in length with each square: unbounded, they would fill the memory."""
    nodes, c = [], small()
    for index in range(len(c.nodes), len(c.nodes) + 3000):
        read = index - 1 if nodes else STATE
        match make:
            case "square":
                nodes.append(Contract((2,), read, read, (0,), (0,), (0,)))
            case "scale":
                nodes.append(Combine((2,), ((-((1 << 60) - 1), read),)))
            case "sum":
                nodes.append(Combine((2,), ((1, read), (1, read))))
    c = appended(c, *nodes)
    start = time.process_time()
    intervals = check_ranges(c)
    assert time.process_time() - start < 10
    assert all(UNBOUNDED[0] <= low <= 0 <= high <= UNBOUNDED[1] for low, high in intervals)
    looked_up = replace(c, lookups=(*c.lookups, Lookup(0, len(c.nodes) - 1, -1, -1, "deep")))
    with pytest.raises(RangeError, match="may wrap"):
        check_ranges(looked_up)


def test_an_unbounded_value_never_comes_back():
    """Sums, differences and products of clamped intervals stay out of every table's reach."""
    c = small()
    base = len(c.nodes)
    c = appended(
        c,
        Rows((2, 2, 2), DATA),
        Combine((2, 2, 2), ((1, base), (-1, base))),
        Contract((2, 2, 2), base, base + 1, (0, 1, 2), (0, 1, 2), (0, 1, 2)),
        Combine((2, 2, 2), ((-1, base + 2), (1, ROWS))),
        Filter((2, 2, 2), base + 3, earlier(2)),
        Axes((2,), base + 4, (0,)),
    )
    for node in range(base + 1, len(c.nodes)):
        with pytest.raises(RangeError, match="may wrap"):
            check_ranges(replace(c, lookups=(*c.lookups, Lookup(0, node, -1, -1, "read"))))


@pytest.mark.parametrize(
    "shape",
    [DenseShape(), DenseShape(widths=(64, 128, 128, 10), batch=64, steps=16, rows=1797)],
    ids=str,
)
def test_dense_blocks_have_proven_ranges(shape):
    c = dense_block(shape).circuit
    intervals = check_ranges(c)
    for index in c.committed():
        assert intervals[index] == UNBOUNDED or max(map(abs, intervals[index])) < 1 << 20
    removed = replace(c, lookups=c.lookups[:-1])
    with pytest.raises(RangeError):
        check_ranges(removed)


def test_the_lookup_of_another_tensor_does_not_help():
    with pytest.raises(RangeError, match="no lookup bounds the committed tensor 'w'"):
        check_ranges(with_lookup(small(), 4, re=STATE))
    assert check_ranges(small())[AFTER] == (-128, 127)
    assert check_ranges(small())[QUOTIENT] == (-512, 511)
    assert check_ranges(small())[REMAINDER][1] < P
