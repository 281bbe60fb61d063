"""The normal form of a step: scalar factors stand outside, equal nodes are shared."""

from __future__ import annotations

from fractions import Fraction

import pytest

from zkjax.fixedpoint.nodes import Axes, DataLeaf, Gated, Linear, Product, Relu, StateLeaf
from zkjax.fixedpoint.step import StepGraph


@pytest.fixture
def graph():
    return StepGraph()


@pytest.fixture
def weights(graph):
    return graph.add(StateLeaf((3, 2), "w"))


@pytest.fixture
def data(graph):
    return graph.add(DataLeaf((4, 3), "x"))


@pytest.fixture
def product(graph, data, weights):
    return graph.product(data, weights, ((0, 1), (1, 2), (0, 2)))


def test_factors_move_out_of_everything_linear(graph, weights, data):
    scaled = graph.scaled(Fraction(1, 3), weights)
    product = graph.product(graph.scaled(4, data), scaled, ((0, 1), (1, 2), (0, 2)))
    moved = graph.axes(graph.relu(product), (1,), (2,))
    factor, inner = graph.factored(moved)
    assert factor == Fraction(4, 3)
    assert isinstance(graph.nodes[inner], Axes)


def test_sums_are_shared_up_to_a_factor(graph, product):
    other = graph.relu(product)
    one = graph.linear([(Fraction(1, 2), product), (Fraction(1, 4), other)])
    two = graph.linear([(6, product), (3, other)])
    assert graph.factored(one)[1] == graph.factored(two)[1]
    assert graph.linear([(12, one), (-1, two)]) == graph.uniform((4, 2), 0)


def test_factors_of_data_that_are_no_powers_of_two_stay_with_the_data(graph, data, weights):
    pixels = graph.scaled(Fraction(1, 255), data)
    product = graph.product(pixels, weights, ((0, 1), (1, 2), (0, 2)))
    factor, inner = graph.factored(product)
    assert factor == Fraction(1, 256) or factor == Fraction(1, 128)
    left = graph.nodes[graph.nodes[inner].left]
    assert isinstance(left, Linear)
    assert left.terms[0][0] * factor == Fraction(1, 255)


def test_a_scaled_and_shifted_input_is_one_sum(graph, data):
    shifted = graph.linear([(1, data), (1, graph.uniform((4, 3), Fraction(-1, 3)))])
    node = graph.nodes[graph.factored(graph.scaled(Fraction(3, 2), shifted))[1]]
    assert isinstance(node, Linear)
    assert {index for _, index in node.terms if isinstance(graph.nodes[index], DataLeaf)} == {data}


def test_transposes_and_sums_become_labels_of_products(graph, product, weights, data):
    turned = graph.axes(product, (1, 0), (2, 4))
    assert graph.nodes[turned].out_labels == tuple(reversed(graph.nodes[product].out_labels))
    summed = graph.axes(product, (1,), (2,))
    assert isinstance(graph.nodes[summed], Product)
    again = graph.product(graph.axes(weights, (1, 0), (2, 3)), data, ((2, 1), (0, 1), (0, 2)))
    assert graph.nodes[again].left == weights


def test_sums_of_broadcasts_are_factors(graph, weights):
    wide = graph.axes(weights, (0, -1, 1), (3, 7, 2))
    assert graph.axes(wide, (0, 2), (3, 2)) == graph.scaled(7, weights)


def test_a_product_with_a_uniform_tensor_is_no_product(graph, weights):
    ones = graph.uniform((4, 3), Fraction(1, 2))
    node = graph.product(ones, weights, ((0, 1), (1, 2), (0, 2)))
    factor, inner = graph.factored(node)
    assert factor == Fraction(1, 2)
    assert isinstance(graph.nodes[inner], Axes)
    assert graph.shape(inner) == (4, 2)


def test_rectifiers_and_gates_meet(graph, product):
    gated = graph.gated(product, product)
    assert isinstance(graph.nodes[gated], Relu)
    assert graph.gated(graph.scaled(3, product), gated) == gated
    assert graph.relu(gated) == gated
    once = graph.gated(product, graph.uniform((4, 2), 5))
    factor, inner = graph.factored(once)
    assert factor == 5
    assert isinstance(graph.nodes[inner], Gated)
    assert graph.relu(graph.scaled(-2, product)) == graph.scaled(2, graph.relu(graph.scaled(-1, product)))


def test_flat_terms_sum_constants(graph, product):
    inner = graph.linear([(1, product), (1, graph.uniform((4, 2), 3))])
    outer = graph.linear([(1, graph.relu(product)), (2, inner), (1, graph.uniform((4, 2), -6))])
    terms = graph.flat_terms(outer)
    assert terms == {graph.relu(product): 1, product: 2}


def test_mixed_shapes_are_a_mistake_of_the_caller(graph, product, data):
    with pytest.raises(ValueError, match="mixes shapes"):
        graph.linear([(1, product), (1, data)])
