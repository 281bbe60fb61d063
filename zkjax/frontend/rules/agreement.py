"""Predictions and labels: the place of a largest entry, and whether two choices are the same."""

from __future__ import annotations

from collections.abc import Sequence

from zkjax.frontend.rules.indexing import label_node
from zkjax.frontend.rules.rule import Rule
from zkjax.frontend.trace import Equation
from zkjax.frontend.unsupported import Refused
from zkjax.frontend.values import Chosen, Real, Sign, Value, Values


def _argmax(values: Values, equation: Equation, inputs: list[Value]) -> Value:
    """The first of the largest entries, as JAX takes it."""
    node, graph = values.real(inputs[0]), values.graph
    if graph.is_data(node) and not values.reporting:
        raise Refused("the operation 'argmax' of the data", "compute it before the data enter the step")
    (axis,) = equation.params["axes"]
    rank = len(graph.shape(node))
    order = [*(a for a in range(rank) if a != axis), axis]
    return Chosen(graph.first(graph.axes(node, order, [graph.shape(node)[a] for a in order])))


def agreement(values: Values, inputs: Sequence[Value], shape: tuple[int, ...]) -> int | None:
    """[left == right], if both are choices among the same classes, or both yes or no; of labels that is proved."""
    graph = values.graph
    chosen = [value for value in inputs if isinstance(value, Chosen)]
    if chosen:
        left = chosen[0].node
        (other,) = (value for value in inputs if value is not chosen[0])
        if isinstance(other, Chosen):
            right = other.node
        else:
            right = graph.one_hot(label_node(values, other), graph.shape(left)[-1])
        if graph.shape(left) != graph.shape(right) or graph.shape(left)[:-1] != shape:
            raise Refused("a comparison of indices of other shapes", "compare one prediction with one label a row")
        axes = tuple(range(len(shape) + 1))
        return graph.product(left, right, (axes, axes, axes[:-1]))
    if not values.reporting or not any(isinstance(value, Sign) for value in inputs):
        return None
    a, b = (_yes_or_no(values, value) for value in inputs)
    if a is None or b is None:
        return None
    one = graph.uniform(shape, 1)
    return graph.linear([(1, one), (-1, a), (-1, b), (2, graph.multiplied(a, b))])


def _yes_or_no(values: Values, value: Value) -> int | None:
    """The node of what is 0 or 1 everywhere: a comparison, or labels."""
    if isinstance(value, Sign):
        return values.mask(value) if {value.negative, value.zero, value.positive} <= {0, 1} else None
    return values.graph.bit(label_node(values, value)) if isinstance(value, Real) else None


RULES: dict[str, Rule] = {"argmax": _argmax}
