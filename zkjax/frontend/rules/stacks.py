"""Stacked parameters: a leaf of the state with a leading axis over layers is as many leaves as layers.

A slice of the leading axis takes parts out of a stack, a concatenation or padding along it makes one, and what
works entry by entry works on each part. No value is computed for any of this: the parts are tensors of their own,
each with its own range and commitment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from zkjax.fixedpoint.nodes import Axes, Linear, Paced, StateLeaf, Uniform
from zkjax.frontend.rules.rule import Rule
from zkjax.frontend.rules.structural import reshaped
from zkjax.frontend.trace import ELEMENTWISE, Atom, Equation, Variable
from zkjax.frontend.unsupported import COLUMNS, Refused
from zkjax.frontend.values import Infinite, Public, Real, Sign, Stack, Value, Values

ENTRYWISE = ELEMENTWISE | {"logistic", "tanh", "log1p", "expm1", "erf", "reduce_precision"}
OVER_TIME = (
    "loops run over stacked parameters: recurrent layers over time (RNN, LSTM, GRU) are not supported yet; of data, "
    "keep the parts as leaves of their own"
)
OVER_LAYERS = "a slice, or a turn of a loop, along an axis of a value that is no stack of parameters"


class Stacked(Exception):
    """The state leaf `name` is used by layers: it has to be read as a stack. Internal."""

    def __init__(self, name: str):
        super().__init__(name)
        self.name = name


def applies(equation: Equation, inputs: Sequence[Value | None]) -> bool:
    """Whether the equation makes or reads a stack."""
    if any(isinstance(value, Stack) for value in inputs) or equation.name in ("slice", "pad", "stack"):
        return True
    integers = equation.name == "concatenate" and equation.outputs[0].dtype.kind in "iu"
    return equation.name == "concatenate" and equation.params["dimension"] == 0 and not integers


def apply(values: Values, equation: Equation, inputs: list[Value], rule: Rule | None) -> Value:
    """The result on stacks; `rule` is that of the primitive, for each part."""
    match equation.name:
        case "slice":
            return _slice(values, equation, inputs[0])
        case "squeeze" if tuple(equation.params["dimensions"]) == (0,) and len(_of(inputs[0])) == 1:
            return _of(inputs[0])[0]
        case "pad":
            return _pad(values, equation, inputs)
        case "stack" if equation.params["axis"] == 0:
            return Stack(tuple(inputs))
        case "concatenate" if equation.params["dimension"] == 0:
            sizes = [atom.shape[0] for atom in equation.inputs]
            pairs = zip(inputs, sizes, strict=True)
            return Stack(tuple(part(values, value, i) for value, size in pairs for i in range(size)))
        case "reduce_sum" if rule is not None:
            return _reduce_sum(values, equation, inputs[0], rule)
        case name if name in ENTRYWISE and rule is not None:
            return _entrywise(values, equation, inputs, rule)
    values.real(next((value for value in inputs if isinstance(value, Stack)), inputs[0]))
    raise Refused(f"the operation {equation.name!r}", COLUMNS)


def part(values: Values, value: Value, place: int) -> Value:
    """Entry `place` along the leading axis.

    Raises Stacked for a leaf of the state that is read as a whole, Refused for what has no parts.
    """
    if isinstance(value, Stack):
        return value.parts[place]
    if isinstance(value, Infinite):
        return Infinite(value.shape[1:], value.number)
    if isinstance(value, Sign):
        return replace(value, node=_part(values, value.node, place))
    if isinstance(value, Public) and value.scalar is not None:
        return replace(value, shape=value.shape[1:])
    return Real(_part(values, values.real(value), place))


def _part(values: Values, node: int, place: int) -> int:
    graph = values.graph
    found = graph.nodes[node]
    shape = found.shape[1:]
    match found:
        case StateLeaf(name=name):
            raise Stacked(name)
        case Uniform(value=number):
            return graph.uniform(shape, number)
        case Linear(terms=terms):
            return graph.linear([(factor, _part(values, term, place)) for factor, term in terms])
        case Paced(node=inner, number=pace):
            return graph.paced(_part(values, inner, place), pace)
        case Axes(node=inner, source=source) if source[0] == -1:
            return graph.axes(inner, source[1:], shape)
    if found.shape[0] == 1:
        return reshaped(graph, node, shape)
    raise Refused(OVER_LAYERS, OVER_TIME)


def _of(value: Value) -> tuple[Value, ...]:
    return value.parts if isinstance(value, Stack) else ()


def _slice(values: Values, equation: Equation, value: Value) -> Value:
    start, limit = equation.params["start_indices"], equation.params["limit_indices"]
    step = equation.params["strides"] or [1] * len(start)
    own = equation.inputs[0].shape
    if any((a, b, c) != (0, size, 1) for a, b, c, size in zip(start[1:], limit[1:], step[1:], own[1:], strict=True)):
        raise Refused("the operation 'slice'", COLUMNS)
    return Stack(tuple(part(values, value, place) for place in range(start[0], limit[0], step[0])))


def _pad(values: Values, equation: Equation, inputs: list[Value]) -> Value:
    """Layers that are `value` between layers that are zero, as the derivative of an index has it."""
    value, filling = inputs
    (low, high, within), *others = equation.params["padding_config"]
    if any(any(amounts) for amounts in others) or within or min(low, high) < 0:
        raise Refused("the operation 'pad'", COLUMNS)
    shape = equation.outputs[0].shape[1:]
    filled = values.stretched(filling, shape)
    own = [part(values, value, place) for place in range(equation.inputs[0].shape[0])]
    return Stack((*[filled] * int(low), *own, *[filled] * int(high)))


def _reduce_sum(values: Values, equation: Equation, value: Value, rule: Rule) -> Value:
    axes = [int(axis) for axis in equation.params["axes"]]
    params = {**equation.params, "axes": tuple(axis - 1 for axis in axes if axis)}
    shape = equation.outputs[0].shape[0 if 0 in axes else 1 :]
    made = Variable(shape, equation.outputs[0].dtype)
    smaller = replace(equation, params=params, inputs=tuple(map(_smaller, equation.inputs)), outputs=(made,))
    summed = [rule(values, smaller, [found]) for found in _of(value)]
    if 0 not in axes:
        return Stack(tuple(summed))
    return Real(values.graph.linear([(1, values.real(found)) for found in summed]))


def _entrywise(values: Values, equation: Equation, inputs: list[Value], rule: Rule) -> Value:
    smaller = replace(
        equation,
        inputs=tuple(map(_smaller, equation.inputs)),
        outputs=tuple(_smaller(var) for var in equation.outputs),  # type: ignore[misc]
    )

    def of(value: Value, atom: Atom, place: int) -> Value:
        return part(values, value, place) if atom.shape else value

    count = equation.outputs[0].shape[0]
    pairs = list(zip(inputs, equation.inputs, strict=True))
    return Stack(tuple(rule(values, smaller, [of(*pair, place) for pair in pairs]) for place in range(count)))


def _smaller(atom: Atom) -> Atom:
    """A stand-in for one part of `atom`: rules read shapes and types of it."""
    return Variable(atom.shape[1:], atom.dtype) if atom.shape else atom
