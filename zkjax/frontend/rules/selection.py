"""Comparisons, masks, maxima: everything that becomes the rectifier or its gate."""

from __future__ import annotations

from fractions import Fraction
from math import inf

from zkjax.fixedpoint.nodes import Ratio, Relu
from zkjax.fixedpoint.signs import is_nonnegative, is_positive
from zkjax.frontend.rules.agreement import agreement
from zkjax.frontend.rules.indexing import compared, label_node
from zkjax.frontend.rules.rule import Rule
from zkjax.frontend.trace import Equation
from zkjax.frontend.unsupported import Refused
from zkjax.frontend.values import MASK_NOTE, MAY_BE_ZERO, Infinite, Label, Places, Real, Sign, Unsafe, Value, Values

Pattern = tuple[int, int, int]


def _stretched(values: Values, equation: Equation, inputs: list[Value]) -> list[int]:
    shape = equation.outputs[0].shape
    return [values.real(values.stretched(value, shape)) for value in inputs]


def _comparison(pattern: Pattern) -> Rule:
    """[left ? right] as a function of the sign of left - right."""

    def rule(values: Values, equation: Equation, inputs: list[Value]) -> Value:
        left, right = _stretched(values, equation, inputs)
        difference = values.graph.linear([(1, left), (-1, right)])
        known = _known_sign(values, difference, pattern)
        if known is not None:
            return Real(values.graph.uniform(equation.outputs[0].shape, known))
        number = values.graph.uniform_value(difference)
        if number is not None:
            chosen = pattern[1 + (number > 0) - (number < 0)]
            return Real(values.graph.uniform(equation.outputs[0].shape, chosen))
        return values.sign_of(difference, *pattern)

    return rule


def _known_sign(values: Values, node: int, pattern: Pattern) -> int | None:
    """The outcome of a comparison that the way in which `node` is computed decides."""
    negative, zero, positive = pattern
    nodes = values.graph.nodes
    if is_positive(nodes, node) or (zero == positive and is_nonnegative(nodes, node)):
        return positive
    opposite = values.graph.scaled(-1, node)
    if is_positive(nodes, opposite) or (zero == negative and is_nonnegative(nodes, opposite)):
        return negative
    return None


def _equality(equal: int) -> Rule:
    """[left == right] where that only asks for a sign, as the derivative of a maximum does."""

    def rule(values: Values, equation: Equation, inputs: list[Value]) -> Value:
        places = [value for value in inputs if isinstance(value, Places)]
        graph = values.graph
        if len(places) == 1:
            (label,) = (value for value in inputs if not isinstance(value, Places))
            if equation.inputs[0].dtype.kind not in "iu":
                raise Refused("a test for equality", "compare integers")
            hot = compared(values, label, places[0], equation.outputs[0].shape)
            one = graph.uniform(graph.shape(hot.node), 1)
            return hot if equal else Real(graph.linear([(1, one), (-1, hot.node)]))
        shape = equation.outputs[0].shape
        if (same := agreement(values, [values.stretched(value, shape) for value in inputs], shape)) is not None:
            return Real(same if equal else graph.linear([(1, graph.uniform(shape, 1)), (-1, same)]))
        if any(isinstance(value, Infinite) for value in inputs):  # what is computed here is a number
            return Real(graph.uniform(equation.outputs[0].shape, 1 - equal))
        left, right = _stretched(values, equation, inputs)
        difference = graph.linear([(1, left), (-1, right)])
        number = graph.uniform_value(difference)
        if number is not None:
            return Real(graph.uniform(equation.outputs[0].shape, 1 - equal if number else equal))
        terms = graph.flat_terms(difference)
        for node, factor in terms.items():
            inner = graph.nodes[node]
            if not isinstance(inner, Relu):
                continue
            rest = {other: c for other, c in terms.items() if other != node}
            if not rest:  # relu(x) == 0
                return values.sign_of(inner.node, equal, equal, 1 - equal)
            if rest == graph.flat_terms(graph.scaled(-factor, inner.node)):  # x == relu(x)
                return values.sign_of(inner.node, 1 - equal, equal, equal)
        raise Refused("a test for equality", "compare outside of the step, and pass the result in the batch")

    return rule


def _max(values: Values, equation: Equation, inputs: list[Value]) -> Value:
    finite = _beside_infinity(values, equation, inputs, -inf)
    if finite is not None:
        return finite
    left, right = _stretched(values, equation, inputs)
    graph = values.graph
    if graph.uniform_value(left) is not None:
        left, right = right, left
    rectified = graph.relu(graph.linear([(1, left), (-1, right)]))
    return Real(graph.linear([(1, right), (1, rectified)]))


def _beside_infinity(values: Values, equation: Equation, inputs: list[Value], bound: float) -> Value | None:
    """The other input, if one is an infinity that the maximum or minimum never takes."""
    for value, other in (inputs, inputs[::-1]):
        if isinstance(value, Infinite) and value.number == bound:
            return values.stretched(other, equation.outputs[0].shape)
    return None


def _min(values: Values, equation: Equation, inputs: list[Value]) -> Value:
    finite = _beside_infinity(values, equation, inputs, inf)
    if finite is not None:
        return finite
    left, right = _stretched(values, equation, inputs)
    graph = values.graph
    if graph.uniform_value(left) is not None:
        left, right = right, left
    rectified = graph.relu(graph.linear([(1, left), (-1, right)]))
    return Real(graph.linear([(1, left), (-1, rectified)]))


def _abs(values: Values, equation: Equation, inputs: list[Value]) -> Value:
    node = values.real(inputs[0])
    if is_nonnegative(values.graph.nodes, node):
        return Real(node)
    return Real(values.graph.linear([(2, values.graph.relu(node)), (-1, node)]))


def _sign(values: Values, equation: Equation, inputs: list[Value]) -> Value:
    return values.sign_of(values.real(inputs[0]), -1, 0, 1)


def _not(values: Values, equation: Equation, inputs: list[Value]) -> Value:
    if equation.outputs[0].dtype != bool:
        raise Refused("a bitwise operation on integers", "move it out of the step")
    (value,) = inputs
    if isinstance(value, Sign):
        return value.mapped(lambda v: 1 - v)
    node = values.real(value)
    one = values.graph.uniform(values.graph.shape(node), 1)
    return Real(values.graph.linear([(1, one), (-1, node)]))


def _select_n(values: Values, equation: Equation, inputs: list[Value]) -> Value:
    shape = equation.outputs[0].shape
    label = _wrapped_label(values, inputs) if equation.outputs[0].dtype.kind in "iu" else None
    if label is not None:
        return values.stretched(label, shape)
    if any(isinstance(value, Unsafe) for value in inputs):
        return _norm_clipped(values, inputs, shape)
    which, *cases = (values.stretched(value, shape) for value in inputs)
    if len(cases) != 2:
        raise Refused(f"a selection between {len(cases)} cases", "nest selections between two")
    number = values.number(which)
    if number is not None:
        return cases[int(number)]
    if isinstance(which, Sign):
        return _by_sign(values, which, cases)
    mask, (off, on) = values.real(which), map(values.real, cases)
    change = values.graph.multiplied(mask, values.graph.linear([(1, on), (-1, off)]))
    return Real(values.graph.linear([(1, off), (1, change)]))


def _norm_clipped(values: Values, inputs: list[Value], shape: tuple[int, ...]) -> Value:
    """t where |norm| < most, else most * t / norm: t times most / max(norm, most), which divides by zero nowhere."""
    which, quotient, kept = inputs
    graph = values.graph
    if not isinstance(quotient, Unsafe) or not isinstance(which, Sign):
        raise Refused("a division by a value that may be zero", MAY_BE_ZERO)
    most = graph.flat_terms(graph.linear([(1, quotient.divisor), (-1, which.node)]))
    (limit, *others) = [values.number(Real(node)) for node in most] or [None]
    below = which.negative == 1 and which.positive == 0
    same = isinstance(kept, Real) and kept.node == quotient.numerator
    if limit is None or others or not below or not same or quotient.factor != limit or limit <= 0:
        raise Refused("a selection between a value and a quotient that may be by zero", MAY_BE_ZERO)
    one = graph.uniform((), limit)
    largest = graph.linear([(1, graph.relu(which.node)), (1, one)])
    scale = values.stretched(Real(graph.add(Ratio((), one, largest))), shape)
    return Real(graph.multiplied(quotient.numerator, values.real(scale)))


def _wrapped_label(values: Values, inputs: list[Value]) -> Label | None:
    """The labels y in `y + n where y < 0, else y`, as indexing wraps them; they are checked not to be negative."""
    which, *cases = inputs
    if not isinstance(which, Sign) or not (which.negative == 1 and which.zero == which.positive == 0):
        return None
    kept, moved = cases
    if not isinstance(kept, Real) or not isinstance(moved, Real) or which.node != kept.node:
        return None
    number = values.graph.uniform_value(values.graph.linear([(1, moved.node), (-1, kept.node)]))
    return Label(label_node(values, kept)) if number is not None and number > 0 else None


def _by_sign(values: Values, which: Sign, cases: list[Value]) -> Value:
    masks = _as_sign(values, which, cases)
    if masks is not None:
        return masks
    left, right = (values.real(cases[int(v)]) for v in (which.negative, which.positive))
    if left == right:
        return Real(left)
    graph = values.graph
    if values.reporting:
        off, on = map(values.real, cases)
        chosen = graph.multiplied(values.mask(which), graph.linear([(1, on), (-1, off)]))
        return Real(graph.linear([(1, off), (1, chosen)]))
    if which.zero != which.negative:
        values.note(MASK_NOTE)
    change = [(1, graph.gated(which.node, right)), (-1, graph.gated(which.node, left))]
    return Real(graph.linear([(1, left), *change]))


def _as_sign(values: Values, which: Sign, cases: list[Value]) -> Sign | None:
    """The selection as a sign function, if every case is one of the same sign, or a number."""
    results: list[Fraction] = []
    for place, chosen in enumerate((which.negative, which.zero, which.positive)):
        case = cases[int(chosen)]
        number = values.number(case)
        if isinstance(case, Sign) and case.node == which.node:
            results.append((case.negative, case.zero, case.positive)[place])
        elif number is not None:
            results.append(number)
        else:
            return None
    return Sign(which.node, *results)


RULES: dict[str, Rule] = {
    "gt": _comparison((0, 0, 1)),
    "ge": _comparison((0, 1, 1)),
    "lt": _comparison((1, 0, 0)),
    "le": _comparison((1, 1, 0)),
    "eq": _equality(1),
    "ne": _equality(0),
    "max": _max,
    "min": _min,
    "abs": _abs,
    "sign": _sign,
    "not": _not,
    "select_n": _select_n,
}
