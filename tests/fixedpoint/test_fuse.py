"""Fusion keeps the meaning of a step: random expressions, before and after, in floating point."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from zkjax.fixedpoint.evaluate import evaluate
from zkjax.fixedpoint.fuse import composed, fused
from zkjax.fixedpoint.nodes import DataLeaf, Function, StateLeaf, renumbered
from zkjax.fixedpoint.numbers import ONE
from zkjax.fixedpoint.step import Change, Step, StepGraph, pruned

ROWS, INPUTS, UNITS = 4, 3, 5


def step_of(expression) -> Step:
    """A step that moves w by x^T expression(z, g), z and g two products of data and weights."""
    graph = StepGraph()
    x = graph.add(DataLeaf((ROWS, INPUTS), "x"))
    w, v = (graph.add(StateLeaf((INPUTS, UNITS), name)) for name in "wv")
    z, g = (graph.product(x, leaf, ((0, 1), (1, 2), (0, 2))) for leaf in (w, v))
    made = expression(graph, z, g)
    change = graph.product(x, made, ((0, 1), (0, 2), (1, 2)))
    factor, node = graph.factored(change)
    order, number = pruned(graph, [w, v, node])
    return Step(
        tuple(renumbered(graph.nodes[i], number) for i in order),
        tuple(f"line {i}" for i in order),
        {"w": number[w], "v": number[v]},
        {"x": number[x]},
        {"w": Change(factor, number[node], None)},
        ROWS,
        {name: {name: ONE} for name in "wv"},
    )


def times(graph, *nodes):
    result = nodes[0]
    for node in nodes[1:]:
        result = graph.multiplied(result, node)
    return result


def silu_gradient(graph, z, g):
    """g s + (g z) s (1 - s), in the order in which JAX multiplies."""
    s = graph.function("1/(1 + exp(-x))", z)
    one = graph.uniform(graph.shape(z), 1)
    rest = times(graph, s, graph.linear([(1, one), (-1, s)]))
    half = Fraction(1, 2)
    return graph.linear([(half, times(graph, g, s)), (half, times(graph, times(graph, g, z), rest))])


def gated(graph, z, g):
    """As elu's derivative: g where z > 0, else three times g exp(z)."""
    exponential = graph.function("exp(x)", graph.linear([(1, z), (-1, graph.relu(z))]))
    bent = times(graph, g, exponential)
    return graph.linear([(1, graph.gated(z, g)), (3, bent), (-3, graph.gated(z, bent))])


def nested(graph, z, g):
    inner = graph.linear([(2, graph.function("exp(x)", graph.scaled(Fraction(-1, 4), times(graph, z, z)))), (1, z)])
    return times(graph, g, graph.function("tanh(x)", inner))


def two_bases(graph, z, g):
    return times(graph, graph.function("tanh(x)", z), graph.function("tanh(x)", g))


def alone(graph, z, g):
    return graph.linear([(5, graph.function("tanh(x)", graph.scaled(-2, z))), (1, graph.uniform(graph.shape(z), 7))])


def reciprocal(graph, z, g):
    one = graph.uniform(graph.shape(z), 1)
    return times(graph, g, graph.reciprocal(graph.linear([(1, one), (1, graph.function("exp(x)", z))])))


def sum_of_several(graph, z, g):
    """f(z) + f(g): two tables, no fusion across."""
    return graph.linear([(1, graph.function("tanh(x)", z)), (2, graph.function("tanh(x)", g)), (3, z)])


def over_a_sum(graph, z, g):
    """Summed and repeated as often as there were entries: no rearrangement."""
    total = graph.axes(graph.function("exp(x)", z), (0,), (ROWS,))
    return times(graph, graph.reciprocal(graph.axes(total, (0, -1), (ROWS, UNITS))), g)


def by_a_root(graph, z, g):
    """As a normalisation has it: one number a row, through an axis of one entry; the root, and its cube."""
    squares = graph.axes(graph.product(z, z, ((0, 1), (0, 1), (0,))), (0, -1), (ROWS, 1))
    radicand = graph.linear([(1, squares), (1, graph.uniform((ROWS, 1), 1))])
    root = graph.function("1/sqrt(x)", radicand)
    cube = graph.multiplied(root, graph.reciprocal(radicand))
    row = graph.axes(cube, (0,), (ROWS,))
    return times(graph, g, graph.broadcast(root, (ROWS, UNITS)), graph.axes(row, (0, -1), (ROWS, UNITS)))


EXPRESSIONS = {
    silu_gradient: 1,
    gated: 1,
    nested: 1,
    two_bases: 2,
    alone: 1,
    reciprocal: 1,
    sum_of_several: 2,
    over_a_sum: 1,
    by_a_root: 2,
}


def moved(step: Step, seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    state = {name: random.normal(size=(INPUTS, UNITS)).astype(np.float32) for name in "wv"}
    _, after = evaluate(step, state, {"x": random.normal(size=(ROWS, INPUTS))})
    return {name: after[name] - state[name] for name in after}


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=lambda expression: expression.__name__)
def test_the_meaning_stays(expression):
    before = step_of(expression)
    after = fused(before)
    assert sum(isinstance(node, Function) for node in after.nodes) == EXPRESSIONS[expression]
    assert len(after.lines) == len(after.nodes)
    for seed in range(3):
        ours, theirs = moved(after, seed), moved(before, seed)
        for name in theirs:
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-4, atol=1e-5)


def test_scalar_factors_stay_outside():
    """A mean over the batch must not make the entries of a table small."""
    step = fused(step_of(silu_gradient))
    (function,) = (node for node in step.nodes if isinstance(node, Function))
    assert step.changes["w"].factor == Fraction(1, 2)
    assert "1/2" not in function.formula


def test_without_functions_nothing_changes():
    step = step_of(lambda graph, z, g: graph.gated(z, g))
    assert fused(step) is step


def test_composition_leaves_names_alone():
    assert composed("exp(x) + x", "2*x") == "exp((2*x)) + (2*x)"
