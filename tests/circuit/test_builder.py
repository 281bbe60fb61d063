"""The builder: shared nodes, gadgets of exact widths, deferred tensors, and what it refuses."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.blocks import DenseShape, dense_block
from zkjax.circuit.builder import CircuitBuilder
from zkjax.circuit.recipes import Gated, Quotient, ReluGate, ReluOutput, RemainderLimb, ValueLimb
from zkjax.fields.mersenne61 import P
from zkjax.statement.circuit import (
    Axes,
    Before,
    CircuitError,
    Combine,
    Committed,
    Constant,
    Contract,
    Lookup,
    Rows,
    operands,
)
from zkjax.statement.ranges import check_ranges
from zkjax.statement.tables import Table


def started() -> tuple[CircuitBuilder, int, int]:
    """A builder with data, a state leaf of two numbers, and a quotient [2, 2]: legal when finished."""
    b = CircuitBuilder(steps=2, batch=2, rows=3)
    b.range_check(b.rows(b.committed("x", (3, 2), oracle="data")), 0, 1, "data/x")
    w = b.state_before("w", (2,), fraction_bits=0, bits=4)
    b.state_after("w", b.combine((1, w)), 0, fraction_bits=0, bits=4)
    quotient = b.rescale(b.axes(w, (-1, 0), (2, 2)), 3, "quotient")
    b.signed_range(quotient, 3, "quotient")
    return b, w, quotient


# Nodes


def test_a_started_builder_finishes():
    lowered = started()[0].finish()
    lowered.circuit.check()
    check_ranges(lowered.circuit)


def test_equal_nodes_are_shared():
    b, w, q = started()
    assert b.axes(w, (-1, 0), (2, 2)) == b.axes(w, (-1, 0), (2, 2))
    assert b.constant((2,), 5) == b.constant((2,), 5) != b.constant((2,), 6)
    assert b.contract(q, w, "ti,i->t") == b.contract(q, w, "ab,b->a")
    assert b.before(q) == b.before(q)


def test_combinations_are_flattened_and_merged():
    b, w, _ = started()
    one = b.constant((2,), 1)
    inner = b.combine((2, w), (5, one))
    assert b.nodes[b.combine((3, inner), (-4, w))] == Combine(
        (2,), tuple(sorted(((2, w), (15, one)), key=lambda t: t[1]))
    )
    assert b.combine((3, w), (-3, w)) == b.constant((2,), 0)
    assert b.combine((1, w)) == w
    assert b.combine((3, w), (-2, w)) == w


def test_an_identity_of_axes_is_no_node():
    b, _w, q = started()
    assert b.axes(q, (0, 1), (2, 2)) == q
    assert b.axes(q, (1, 0), (2, 2)) != q


def test_the_letters_of_a_contraction_become_labels():
    b, w, q = started()
    node = b.nodes[b.contract(q, b.axes(w, (-1, 0), (2, 2)), "tn,to->tno")]
    assert node == Contract((2, 2, 2), q, b.axes(w, (-1, 0), (2, 2)), (0, 1), (0, 2), (0, 1, 2))


def test_rows_have_the_shape_of_a_block_of_batches():
    b = CircuitBuilder(steps=4, batch=5, rows=7)
    node = b.rows(b.committed("x", (7, 3, 2), oracle="data"))
    assert b.nodes[node] == Rows((4, 5, 3, 2), 0)


def test_tables_and_lookups_are_shared():
    b, _, q = started()
    tables, lookups = len(b.tables), len(b.lookups)
    for _ in range(2):
        b.range_check(q, -5, 5, "again")
    assert len(b.tables) == tables + 1
    assert len(b.lookups) == lookups + 1


# Gadgets


def limbs_of(lowered, leaf_table: Table, leaf: Combine) -> list[tuple[int, int]]:
    """(weight, number of values) of the leaf itself and of its limbs, by their lookups."""
    circuit = lowered.circuit
    parts = [(1, leaf_table.size)]
    for coefficient, operand in leaf.terms:
        for lookup in circuit.lookups:
            if lookup.re == operand and "[" in lookup.name:
                parts.append((-coefficient, circuit.tables[lookup.table].size))
    return sorted(parts)


@pytest.mark.parametrize("shift", [1, 2, 15, 16, 17, 31, 32, 33, 40])
def test_the_limbs_of_a_remainder_fill_it_exactly(shift):
    """Each value of [0, 2^shift) in one way: a limb with room to spare would let the quotient move."""
    b, w, _ = started()
    b.signed_range(b.rescale(b.axes(w, (0, -1), (2, 1)), shift, "deep"), 2, "deep")
    lowered = b.finish()
    (lookup,) = (x for x in lowered.circuit.lookups if x.name == f"deep/remainder[0:{min(16, shift)}]")
    leaf = lowered.circuit.nodes[lookup.re]
    assert isinstance(leaf, Combine)
    reach = 1
    for weight, count in limbs_of(lowered, lowered.circuit.tables[lookup.table], leaf):
        assert weight == reach
        reach *= count
    assert reach == 1 << shift
    source = lowered.circuit.nodes[lookup.re].terms
    quotient = next(i for i, n in enumerate(lowered.circuit.nodes) if isinstance(n, Committed) and n.name == "deep")
    assert (-(1 << shift), quotient) in source
    constants = [
        c * lowered.circuit.nodes[i].value for c, i in source if isinstance(lowered.circuit.nodes[i], Constant)
    ]
    assert constants == [1 << (shift - 1)]


@pytest.mark.parametrize("bits", [1, 3, 15, 16, 17, 30, 32, 45])
def test_a_signed_range_admits_its_values_and_no_others(bits):
    b, _, quotient = started()
    node = b.committed("v", (2, 2), oracle="advice", recipe=Quotient(quotient, 0))
    b.signed_range(node, bits, "v")
    direct = [x for x in b.lookups if x.re == node]
    if direct:
        (lookup,) = direct
        assert b.tables[lookup.table] == Table("range", -(1 << bits), (1 << bits) - 1, 0)
        return
    (lookup,) = (x for x in b.lookups if x.name == "v/limb[0:16]")
    leaf = b.nodes[lookup.re]
    tables = {x.re: b.tables[x.table] for x in b.lookups}
    weights = sorted((-c, tables[i].size) for c, i in leaf.terms if i in tables)
    reach = b.tables[lookup.table].size
    assert b.tables[lookup.table].lo == 0
    for weight, count in weights:
        assert weight == reach
        reach *= count
    assert reach == 1 << (bits + 1)
    bias = [c * b.nodes[i].value for c, i in leaf.terms if isinstance(b.nodes[i], Constant)]
    assert bias == [1 << bits]


def test_no_other_quotient_fits():
    """All quotients and limbs of a small rescaling, tried one by one, over the integers and mod p."""
    shift = 2
    for accumulator in range(-9, 10):
        fitting = [
            q for q in range(-8, 8) if 0 <= (accumulator + (1 << (shift - 1)) - (1 << shift) * q) % P < 1 << shift
        ]
        assert fitting == [(accumulator + 2) >> 2]


def test_relu_and_its_gradient_share_the_gate():
    b, _, q = started()
    output, gate = b.relu(q, lo=-16, hi=15, limit=7, name="layer")
    result = b.gated(q, gate, lo=-16, hi=15, limit=7, name="back")
    assert Lookup(b.tables.index(Table("relu", -16, 15, 7)), q, gate, output, "layer/relu") in b.lookups
    assert Lookup(b.tables.index(Table("gated", -16, 15, 7)), q, gate, result, "back/gated") in b.lookups
    lowered = b.finish()
    kinds = {type(recipe) for recipe in lowered.recipes.values()}
    assert {ReluGate, ReluOutput, Gated, Quotient} <= kinds
    intervals = check_ranges(lowered.circuit)
    names = {n.name: i for i, n in enumerate(lowered.circuit.nodes) if isinstance(n, Committed)}
    assert intervals[names["layer/gate"]] == (0, 1)
    assert intervals[names["layer/output"]] == (0, 7)
    assert intervals[names["back/gated"]] == (-7, 7)


def test_a_state_that_is_not_rescaled_is_compared():
    b, _, _ = started()
    lowered = b.finish()
    (zero,) = lowered.circuit.zeros
    names = {(n.oracle, n.name): i for i, n in enumerate(lowered.circuit.nodes) if isinstance(n, Committed)}
    expected = sorted([(1, names["before", "w"]), (-1, names["after", "w"])], key=lambda term: term[1])
    assert sorted(lowered.circuit.nodes[zero].terms, key=lambda term: term[1]) == expected


def test_a_state_that_is_rescaled_is_rounded():
    b, w, _ = started()
    v = b.state_before("v", (2,), fraction_bits=16, bits=17)
    b.state_after("v", b.combine((1 << 12, v), (3, w)), 12, fraction_bits=16, bits=17)
    lowered = b.finish()
    check_ranges(lowered.circuit)
    names = [lookup.name for lookup in lowered.circuit.lookups]
    assert "after/v/remainder[0:12]" in names
    assert {"after/v/limb[16:18]", "after/v/limb[0:16]", "before/v/limb[0:16]"} <= set(names)
    assert len(lowered.circuit.zeros) == 1


@pytest.mark.parametrize("shape", [DenseShape(), DenseShape(widths=(3, 2), batch=1, steps=1, rows=1)], ids=str)
def test_every_committed_tensor_has_a_recipe_and_a_range(shape):
    lowered = dense_block(shape)
    circuit = lowered.circuit
    made = {*circuit.committed("advice"), *circuit.committed("after")}
    assert set(lowered.recipes) == made
    for node, recipe in lowered.recipes.items():
        assert circuit.nodes[recipe.source].shape == circuit.nodes[node].shape
        if isinstance(recipe, RemainderLimb | ValueLimb):
            assert "[" in circuit.nodes[node].name
    looked_up = {node for lookup in circuit.lookups for node in lookup.coordinates}
    assert set(lowered.lookup_values) == looked_up


# Deferred tensors


def test_a_deferred_tensor_becomes_what_it_is_bound_to():
    b, _w, q = started()
    later = b.deferred("later", (2, 2))
    shifted = b.rescale(b.combine((5, later)), 2, "from later")
    b.signed_range(shifted, 6, "from later")
    b.bind(later, b.before(q))
    circuit = b.finish().circuit
    (before,) = (i for i, node in enumerate(circuit.nodes) if isinstance(node, Before))
    assert any(isinstance(n, Combine) and (5, before) in n.terms for n in circuit.nodes)


def test_nodes_are_sorted_however_they_were_made():
    b, w, _q = started()
    later = b.deferred("later", (2, 2))
    chain = later
    for place in range(5):
        chain = b.axes(b.combine((place + 2, chain)), (1, 0), (2, 2))
    b.signed_range(b.rescale(chain, 4, "chain"), 12, "chain")
    b.bind(later, b.axes(w, (0, -1), (2, 2)))
    circuit = b.finish().circuit
    for index, node in enumerate(circuit.nodes):
        assert all(operand < index for operand in operands(node))


def test_a_deferred_tensor_may_be_bound_to_another():
    b, w, _ = started()
    first, second = b.deferred("first", (2, 2)), b.deferred("second", (2, 2))
    b.signed_range(b.rescale(first, 1, "r"), 4, "r")
    b.bind(first, second)
    b.bind(second, b.axes(w, (0, -1), (2, 2)))
    assert any(isinstance(n, Axes) and n.source == (0, -1) for n in b.finish().circuit.nodes)


def test_what_a_deferred_tensor_refuses():
    b, w, q = started()
    later = b.deferred("later", (2, 2))
    with pytest.raises(ValueError, match="bound to a node of shape"):
        b.bind(later, w)
    b.signed_range(b.rescale(later, 1, "r"), 4, "r")
    with pytest.raises(ValueError, match="never bound"):
        b.finish()
    b.bind(later, b.axes(b.combine((1, later), (1, q)), (1, 0), (2, 2)))
    with pytest.raises(ValueError, match="depends on itself"):
        b.finish()


def test_rounding_ends_a_dependence():
    """The weights depend on gradients that depend on the weights: the quotient between them is committed."""
    b, w, _q = started()
    weights = b.deferred("weights", (2, 2))
    gradient = b.rescale(b.combine((3, weights)), 2, "gradient")
    b.signed_range(gradient, 8, "gradient")
    b.bind(weights, b.combine((1, b.axes(w, (-1, 0), (2, 2))), (-1, b.before(gradient))))
    lowered = b.finish()
    check_ranges(lowered.circuit)
    assert any(isinstance(n, Before) for n in lowered.circuit.nodes)


def test_nodes_that_nothing_needs_are_left_out():
    b, _w, _ = started()
    before = b.finish().circuit.nodes
    b.axes(b.constant((2,), 77), (-1, 0), (9, 2))
    assert b.finish().circuit.nodes == before


def test_finishing_twice_gives_one_circuit():
    b, _, _ = started()
    assert b.finish().circuit.digest() == b.finish().circuit.digest()


@pytest.mark.parametrize("order", list(itertools.permutations(range(3)))[1:])
def test_recipes_follow_their_nodes(order):
    b, w, q = started()
    sources = [b.axes(w, (-1, 0), (2, 2)), b.axes(w, (0, -1), (2, 2)), b.combine((3, q))]
    for place in order:
        b.signed_range(b.rescale(sources[place], place + 1, f"r{place}"), 6, f"r{place}")
    lowered = b.finish()
    for node, recipe in lowered.recipes.items():
        name = lowered.circuit.nodes[node].name
        if name.startswith("r") and len(name) == 2:
            assert recipe.shift == int(name[1]) + 1
            assert lowered.circuit.nodes[recipe.source].shape == (2, 2)


# Refusals


def test_an_illegal_circuit_is_refused_when_finished():
    b, w, _ = started()
    b.committed("w", (2, 2), oracle="after", recipe=Quotient(w, 0))
    with pytest.raises(CircuitError):
        b.finish()
    b, w, _ = started()
    b.range_check(w, 1, 5, "without zero")
    with pytest.raises(CircuitError, match="illegal table"):
        b.finish()


def test_numpy_integers_do_not_enter_a_circuit():
    """They would encode differently, or not at all."""
    b, w, _ = started()
    b.zeros.append(b.combine((np.int64(3), w)))
    with pytest.raises(CircuitError, match="of another type"):
        b.finish()
