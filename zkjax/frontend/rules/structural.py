"""Primitives that move entries without computing, and those that do nothing to a real number."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp

from zkjax.fixedpoint.nodes import DataLeaf, Linear, Uniform
from zkjax.fixedpoint.step import StepGraph
from zkjax.frontend.rules.rule import Rule
from zkjax.frontend.trace import Equation
from zkjax.frontend.unsupported import Refused
from zkjax.frontend.values import Value, Values


def _transpose(values: Values, equation: Equation, inputs: list[Value]) -> Value:
    source, shape = equation.params["permutation"], equation.outputs[0].shape
    return values.moved(inputs[0], lambda node: values.graph.axes(node, source, shape))


def _broadcast_in_dim(values: Values, equation: Equation, inputs: list[Value]) -> Value:
    shape = equation.outputs[0].shape
    places = [int(axis) for axis in equation.params["broadcast_dimensions"]]

    def move(node: int) -> int:
        own = values.graph.shape(node)
        source = [-1] * len(shape)
        for axis, place in enumerate(places):
            if own[axis] == shape[place]:
                source[place] = axis
        return values.graph.axes(node, source, shape)

    return values.moved(inputs[0], move)


def _reshape(values: Values, equation: Equation, inputs: list[Value]) -> Value:
    shape = equation.outputs[0].shape
    return values.moved(inputs[0], lambda node: reshaped(values.graph, node, shape))


def reshaped(graph: StepGraph, node: int, shape: Sequence[int]) -> int:
    """`node` in another shape: axes of size one come and go; data leaves merge trailing axes."""
    own, shape = graph.shape(node), tuple(shape)
    if [size for size in own if size != 1] == [size for size in shape if size != 1]:
        wide = [axis for axis, size in enumerate(own) if size != 1]
        places = iter(wide)
        return graph.axes(node, [next(places) if size != 1 else -1 for size in shape], shape)
    factor, inner = graph.factored(node)
    match graph.nodes[inner]:
        case Uniform(value=value):
            return graph.uniform(shape, factor * value)
        case DataLeaf(name=name) if own[:1] == shape[:1] and len(shape) < len(own):
            return graph.scaled(factor, graph.add(DataLeaf(shape, name)))
        case Linear(terms=terms):
            parts = [(factor * coefficient, reshaped(graph, term, shape)) for coefficient, term in terms]
            return graph.linear(parts)
    raise Refused(
        f"a reshape of a computed value from {own} to {shape}",
        "reshape arrays before they enter the step; inside it only inputs may be flattened",
    )


def _unchanged(values: Values, equation: Equation, inputs: list[Value]) -> Value:
    return inputs[0]


def _convert_element_type(values: Values, equation: Equation, inputs: list[Value]) -> Value:
    old, new = equation.inputs[0].dtype, equation.outputs[0].dtype
    exact = jnp.issubdtype(new, jnp.floating) or not jnp.issubdtype(old, jnp.floating)
    if not exact or (new.kind == "b" and old.kind != "b"):
        raise Refused(f"a conversion from {old} to {new}", "convert inputs before they enter the step")
    return inputs[0]


RULES: dict[str, Rule] = {
    "transpose": _transpose,
    "broadcast_in_dim": _broadcast_in_dim,
    "reshape": _reshape,
    "squeeze": _reshape,
    "copy": _unchanged,
    "stop_gradient": _unchanged,
    "reduce_precision": _unchanged,
    "convert_element_type": _convert_element_type,
}
