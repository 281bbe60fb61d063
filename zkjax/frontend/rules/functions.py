"""Functions by tables, the largest entry, and tests that are always true."""

from __future__ import annotations

from zkjax.fixedpoint.nodes import Axes, Linear, Paced, StateLeaf
from zkjax.fixedpoint.signs import is_offset, is_positive
from zkjax.frontend.rules.rule import Rule
from zkjax.frontend.trace import Equation
from zkjax.frontend.unsupported import Refused
from zkjax.frontend.values import Real, Value, Values


def of_the_model(values: Values, node: int, what: str) -> int:
    """`node`, refused if it comes from the data alone: then its rows are prepared, or mixed with others."""
    if values.graph.is_data(node):
        raise Refused(f"{what} of the data", "compute it before the data enter the step")
    return node


def _function(formula: str) -> Rule:
    def rule(values: Values, equation: Equation, inputs: list[Value]) -> Value:
        node = of_the_model(values, values.real(inputs[0]), f"the operation {equation.name!r}")
        return Real(values.graph.function(formula, node))

    return rule


def _sqrt(values: Values, equation: Equation, inputs: list[Value]) -> Value:
    return Real(values.graph.root(of_the_model(values, values.real(inputs[0]), "a square root")))


def _rsqrt(values: Values, equation: Equation, inputs: list[Value]) -> Value:
    """Of variances by a table, since calibration shows their size; of a memory of the state by a wide root."""
    graph, node = values.graph, of_the_model(values, values.real(inputs[0]), "a square root")
    if not _takes_up_state(values, node):
        return Real(graph.function("1/sqrt(x)", node))
    root = graph.root(node)
    if not is_positive(graph.nodes, root) and not is_offset(graph.nodes, root):
        raise Refused("a division by a root that may be zero", "add a positive constant under the root")
    return Real(graph.reciprocal(root))


def _takes_up_state(values: Values, node: int) -> bool:
    """Whether a leaf of the state is a term of the sum that `node` is."""
    match values.graph.nodes[node]:
        case StateLeaf():
            return True
        case Linear(terms=terms):
            return any(_takes_up_state(values, term) for _, term in terms)
        case Axes(node=inner) | Paced(node=inner):
            return _takes_up_state(values, inner)
    return False


def _reduce_max(values: Values, equation: Equation, inputs: list[Value]) -> Value:
    node = of_the_model(values, values.real(inputs[0]), "the operation 'reduce_max'")
    graph = values.graph
    rank = len(graph.shape(node))
    (axis, *others) = (int(axis) for axis in equation.params["axes"])
    if others:
        raise Refused("a maximum over several axes", "take the maximum over one axis")
    if axis != rank - 1:
        order = [*(a for a in range(rank) if a != axis), axis]
        node = graph.axes(node, order, [graph.shape(node)[a] for a in order])
    return Real(graph.maximum(node))


def _is_finite(values: Values, equation: Equation, inputs: list[Value]) -> Value:
    """True: what is computed here is a number."""
    values.real(inputs[0])
    return Real(values.graph.uniform(equation.outputs[0].shape, 1))


RULES: dict[str, Rule] = {
    "exp": _function("exp(x)"),
    "exp2": _function("exp(x*log(2))"),
    "expm1": _function("exp(x) - 1"),
    "log": _function("log(x)"),
    "log1p": _function("log(1 + x)"),
    "logistic": _function("1/(1 + exp(-x))"),
    "tanh": _function("tanh(x)"),
    "erf": _function("erf(x)"),
    "erfc": _function("1 - erf(x)"),
    "sqrt": _sqrt,
    "rsqrt": _rsqrt,
    "reduce_max": _reduce_max,
    "is_finite": _is_finite,
}
