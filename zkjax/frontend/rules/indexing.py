"""Integer labels: all that is done with them is a contraction with their one-hot form."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from zkjax.fixedpoint.nodes import Axes, DataLeaf
from zkjax.frontend.rules.rule import Rule
from zkjax.frontend.rules.structural import reshaped
from zkjax.frontend.trace import Equation
from zkjax.frontend.unsupported import Refused
from zkjax.frontend.values import Indices, Label, Places, Real, Value, Values

BY_ROWS = "index by integer labels of the batch, one entry along the last axis for each row"


def label_node(values: Values, value: Value) -> int:
    """The node of integer labels, axes apart a leaf of the batch; refused otherwise."""
    if isinstance(value, Real | Label):
        inner = values.graph.nodes[value.node]
        while isinstance(inner, Axes):
            inner = values.graph.nodes[inner.node]
        if isinstance(inner, DataLeaf):
            return value.node
    raise Refused("an index that is computed", BY_ROWS)


def compared(values: Values, value: Value, places: Places, shape: Sequence[int]) -> Real:
    """[value == place] along the axis that `places` counts along, in `shape`."""
    node, axis, graph = label_node(values, value), places.axis, values.graph
    own, inner = graph.shape(node), graph.nodes[node]
    others = [a for a in range(len(shape)) if a != axis]
    if own[axis] == 1 or (isinstance(inner, Axes) and inner.source[axis] == -1):
        node = graph.axes(node, others, [own[a] for a in others])
        if own[axis] != 1:  # summed over an axis along which it was repeated
            node = graph.scaled(graph.factored(node)[0] ** -1, node)
    else:
        raise Refused("a test for equality", "compare outside of the step, and pass the result in the batch")
    node = graph.broadcast(node, [shape[a] for a in others])
    hot = graph.one_hot(node, shape[axis])
    return Real(graph.axes(hot, [others.index(a) if a != axis else len(others) for a in range(len(shape))], shape))


def _concatenate(values: Values, equation: Equation, inputs: list[Value]) -> Value:
    shape = equation.outputs[0].shape
    columns = [value for value in inputs if isinstance(value, Real | Label | Places)]
    single = all(atom.shape[-1:] == (1,) for atom in equation.inputs)
    integers = equation.outputs[0].dtype.kind in "iu"
    if integers and single and equation.params["dimension"] == len(shape) - 1 and len(columns) == len(inputs):
        return Indices(tuple(columns))
    raise Refused("the operation 'concatenate'", "keep the parts of a tensor as leaves of their own")


def _hot(values: Values, indices: Value, dimensions: Any, shape: tuple[int, ...]) -> int:
    """One-hot form, in `shape`, of the indices of a gather or scatter of one entry along the last axis."""
    last = len(shape) - 1
    lead = tuple(range(last))
    named, batching = dimensions
    label: Value = indices
    if isinstance(indices, Indices):
        *others, label = indices.columns
        whole = named == (*lead, last) and batching == ()
        in_order = all(isinstance(p, Places) and p.axis == a for a, p in zip(lead, others, strict=True))
        rows = len(lead) == 1 and in_order and values.shape(label) == (shape[0], 1)
        if not (whole and rows):
            raise Refused("indices along several axes", BY_ROWS)
    else:
        if not (named == (last,) and batching == lead):
            raise Refused("indices along other axes", BY_ROWS)
    node = label_node(values, label)
    if prod(values.graph.shape(node)) != prod(shape[:-1]):
        raise Refused("several indices for each row", BY_ROWS)
    return values.graph.one_hot(reshaped(values.graph, node, shape[:-1]), shape[-1])


def _gather(values: Values, equation: Equation, inputs: list[Value]) -> Value:
    """<one-hot, operand> along the last axis."""
    dimensions = equation.params["dimension_numbers"]
    shape = equation.inputs[0].shape
    last = len(shape) - 1
    if equation.params["slice_sizes"] == shape and values.number(inputs[1]) == 0:  # all there is, from the start
        return Real(reshaped(values.graph, values.real(inputs[0]), equation.outputs[0].shape))
    if equation.params["slice_sizes"] != (1,) * len(shape):
        raise Refused("the operation 'gather' of slices", BY_ROWS)
    hot = _hot(values, inputs[1], (dimensions.start_index_map, dimensions.operand_batching_dims), shape)
    axes = tuple(range(last + 1))
    taken = values.graph.product(hot, values.real(inputs[0]), (axes, axes, axes[:-1]))
    return Real(reshaped(values.graph, taken, equation.outputs[0].shape))


def _scatter_add(values: Values, equation: Equation, inputs: list[Value]) -> Value:
    """operand + one-hot * updates."""
    dimensions = equation.params["dimension_numbers"]
    shape = equation.outputs[0].shape
    graph = values.graph
    if any(equation.inputs[2].shape[axis] != 1 for axis in dimensions.update_window_dims):
        raise Refused("the operation 'scatter-add' of slices", BY_ROWS)
    named = (dimensions.scatter_dims_to_operand_dims, dimensions.operand_batching_dims)
    hot = _hot(values, inputs[1], named, shape)
    updates = reshaped(graph, values.real(inputs[2]), shape[:-1])
    axes = tuple(range(len(shape)))
    added = graph.product(hot, updates, (axes, axes[:-1], axes))
    return Real(graph.linear([(1, values.real(inputs[0])), (1, added)]))


RULES: dict[str, Rule] = {"concatenate": _concatenate, "gather": _gather, "scatter-add": _scatter_add}
