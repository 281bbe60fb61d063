"""Contractions and sums over axes."""

from __future__ import annotations

from zkjax.frontend.rules.rule import Rule
from zkjax.frontend.trace import Equation
from zkjax.frontend.values import Real, Value, Values


def _dot_general(values: Values, equation: Equation, inputs: list[Value]) -> Value:
    left, right = (values.real(value) for value in inputs)
    (left_summed, right_summed), (left_batch, right_batch) = equation.params["dimension_numbers"]
    rank = len(values.graph.shape(left))
    left_labels = list(range(rank))
    right_labels = list(range(rank, rank + len(values.graph.shape(right))))
    for own, other in zip((*left_summed, *left_batch), (*right_summed, *right_batch), strict=True):
        right_labels[other] = left_labels[own]
    gone = {left_labels[axis] for axis in (*left_summed, *left_batch)}
    out = [left_labels[axis] for axis in left_batch]
    out += [label for label in left_labels if label not in gone]
    out += [label for label in right_labels if label not in gone]
    return Real(values.graph.product(left, right, (left_labels, right_labels, out)))


def _reduce_sum(values: Values, equation: Equation, inputs: list[Value]) -> Value:
    node = values.real(inputs[0])
    gone = {int(axis) for axis in equation.params["axes"]}
    kept = [axis for axis in range(len(values.graph.shape(node))) if axis not in gone]
    return Real(values.graph.axes(node, kept, equation.outputs[0].shape))


RULES: dict[str, Rule] = {"dot_general": _dot_general, "reduce_sum": _reduce_sum}
