"""Elementwise arithmetic: sums, differences, products, small powers, division by constants."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from zkjax.fixedpoint.nodes import Root
from zkjax.fixedpoint.signs import is_offset, is_positive
from zkjax.frontend.rules.rule import Rule
from zkjax.frontend.trace import Equation
from zkjax.frontend.unsupported import Refused
from zkjax.frontend.values import MAY_BE_ZERO, Public, Real, Sign, Unsafe, Value, Values

MAX_POWER = 8
POWERS = (
    f"use whole exponents from 0 to {MAX_POWER}; a softmax inside of the network, as attention has it, is not supported"
    " yet, only one in front of the loss"
)


def _on_signs(
    values: Values, function: Callable[[Fraction, Fraction], Fraction], left: Value, right: Value
) -> Sign | None:
    """The result as a sign function, if both are functions of one sign or numbers."""
    nodes = {value.node for value in (left, right) if isinstance(value, Sign)}
    if len(nodes) != 1:
        return None
    node = nodes.pop()
    columns = []
    for value in (left, right):
        number = values.number(value)
        if isinstance(value, Sign):
            columns.append((value.negative, value.zero, value.positive))
        elif number is not None:
            columns.append((number,) * 3)
        else:
            return None
    return Sign(node, *(function(a, b) for a, b in zip(*columns, strict=True)))


def _stretched(values: Values, equation: Equation, inputs: list[Value]) -> list[Value]:
    return [values.stretched(value, equation.outputs[0].shape) for value in inputs]


def _sum(function: Callable[[Fraction, Fraction], Fraction], sign: int) -> Rule:
    def rule(values: Values, equation: Equation, inputs: list[Value]) -> Value:
        left, right = _stretched(values, equation, inputs)
        masks = _on_signs(values, function, left, right)
        if masks is not None:
            return masks
        return Real(values.graph.linear([(1, values.real(left)), (sign, values.real(right))]))

    return rule


def _mul(values: Values, equation: Equation, inputs: list[Value]) -> Value:
    for value, other in (inputs, inputs[::-1]):
        number = values.number(other)
        if isinstance(value, Unsafe) and number is not None and value.shape == equation.outputs[0].shape:
            return replace(value, factor=value.factor * number)
    left, right = _stretched(values, equation, inputs)
    masks = _on_signs(values, operator.mul, left, right)
    if masks is not None:
        return masks
    if isinstance(right, Sign):
        left, right = right, left
    if isinstance(left, Sign):
        return Real(values.selected_product(left, values.real(right)))
    return Real(values.graph.multiplied(values.real(left), values.real(right)))


def _div(values: Values, equation: Equation, inputs: list[Value]) -> Value:
    if equation.outputs[0].dtype.kind in "iu":
        raise Refused("an integer division", "divide floating-point numbers")
    if isinstance(inputs[1], Public):
        inputs = [inputs[0], Real(values.public(inputs[1], inverse=True))]
        return _mul(values, equation, inputs)
    if isinstance(inputs[1], Real) and _may_be_zero(values, inputs[1].node):
        return Unsafe(equation.outputs[0].shape, values.real(inputs[0]), inputs[1].node, Fraction(1))
    left, right = _stretched(values, equation, inputs)
    number = values.number(right)
    if number == 0:
        raise Refused("a division by the constant zero", "remove it")
    if isinstance(right, Sign) and 0 not in (right.negative, right.zero, right.positive):
        masks = _on_signs(values, operator.truediv, left, right)
        if masks is not None:
            return masks
    if number is None:
        return Real(values.graph.multiplied(values.real(left), _reciprocal(values, right)))
    if isinstance(left, Sign):
        return left.mapped(lambda v: v / number)
    return Real(values.graph.scaled(1 / number, values.real(left)))


def _may_be_zero(values: Values, node: int) -> bool:
    """Whether `node` is a norm: the root of one number, without a constant that keeps it from zero."""
    nodes = values.graph.nodes
    norm = isinstance(nodes[node], Root) and not nodes[node].shape
    return norm and not is_positive(nodes, node) and not is_offset(nodes, node)


def _reciprocal(values: Values, value: Value) -> int:
    node = values.real(value)
    if values.graph.is_data(node):
        raise Refused("a division by data", "divide before the data enter the step")
    if not is_positive(values.graph.nodes, node) and not is_offset(values.graph.nodes, node):
        raise Refused("a division by a value that may be zero", MAY_BE_ZERO)
    return values.graph.reciprocal(node)


def _neg(values: Values, equation: Equation, inputs: list[Value]) -> Value:
    (value,) = inputs
    if isinstance(value, Sign):
        return value.mapped(operator.neg)
    return Real(values.graph.scaled(-1, values.real(value)))


def _power(values: Values, value: Value, exponent: Fraction) -> Value:
    if exponent.denominator != 1 or not 0 <= exponent <= MAX_POWER:
        raise Refused(f"a power with exponent {exponent}", POWERS)
    count = int(exponent)
    if isinstance(value, Sign):
        return value.mapped(lambda v: v**count)
    base = values.real(value)
    result = values.graph.uniform(values.graph.shape(base), 1)
    for _ in range(count):
        result = values.graph.multiplied(result, base)
    return Real(result)


def _integer_pow(values: Values, equation: Equation, inputs: list[Value]) -> Value:
    return _power(values, inputs[0], Fraction(equation.params["y"]))


def _pow(values: Values, equation: Equation, inputs: list[Value]) -> Value:
    base, exponent = _stretched(values, equation, inputs)
    number = values.number(exponent)
    if number is None:
        raise Refused("a power with an exponent that is not constant", "use a constant exponent")
    return _power(values, base, number)


def _square(values: Values, equation: Equation, inputs: list[Value]) -> Value:
    return _power(values, inputs[0], Fraction(2))


RULES: dict[str, Rule] = {
    "add": _sum(operator.add, 1),
    "add_any": _sum(operator.add, 1),
    "sub": _sum(operator.sub, -1),
    "mul": _mul,
    "div": _div,
    "neg": _neg,
    "integer_pow": _integer_pow,
    "pow": _pow,
    "square": _square,
}
