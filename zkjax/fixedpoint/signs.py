"""What is known of the sign of a value from how it is computed."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from zkjax.fixedpoint.nodes import (
    Axes,
    Bit,
    First,
    Function,
    Linear,
    Maximum,
    OneHot,
    Positive,
    Product,
    RealNode,
    Reciprocal,
    Relu,
    Root,
    Uniform,
)
from zkjax.statement.formulas import Formula, parse


def is_nonnegative(nodes: Sequence[RealNode], node: int) -> bool:
    match nodes[node]:
        case Relu() | OneHot() | First() | Positive() | Bit() | Root():
            return True
        case Uniform(value=value):
            return value >= 0
        case Axes(node=inner):
            return is_nonnegative(nodes, inner)
        case Linear(terms=terms):
            return all(c > 0 and is_nonnegative(nodes, inner) for c, inner in terms)
        case Product(left=left, right=right) as product:
            square = left == right and product.left_labels == product.right_labels
            return square or (is_nonnegative(nodes, left) and is_nonnegative(nodes, right))
    return is_positive(nodes, node)


def is_positive(nodes: Sequence[RealNode], node: int) -> bool:
    match nodes[node]:
        case Uniform(value=value):
            return value > 0
        case Reciprocal():
            return True
        case Function(formula=formula):
            return formula == "exp(x)"
        case Axes(node=inner):
            return is_positive(nodes, inner)
        case Linear(terms=terms):
            signs = [(c > 0 and is_nonnegative(nodes, inner), is_positive(nodes, inner)) for c, inner in terms]
            return all(nonnegative for nonnegative, _ in signs) and any(positive for _, positive in signs)
        case Product(left=left, right=right):
            return is_positive(nodes, left) and is_positive(nodes, right)
    return False


def is_offset(nodes: Sequence[RealNode], node: int) -> bool:
    """Whether a positive constant keeps `node` from zero: a root and a constant, or the root of a sum with one.

    Not known to be positive, then; but where it is not, no root or no quotient satisfies its relations.
    """
    match nodes[node]:
        case Axes(node=inner):
            return is_offset(nodes, inner)
        case Root(node=inner):
            return _has_positive_constant(nodes, inner)
        case Linear(terms=terms):
            return all(c > 0 for c, _ in terms) and any(is_offset(nodes, inner) for _, inner in terms)
    return False


def _has_positive_constant(nodes: Sequence[RealNode], node: int) -> bool:
    match nodes[node]:
        case Uniform(value=value):
            return value > 0
        case Linear(terms=terms):
            return any(c > 0 and _has_positive_constant(nodes, inner) for c, inner in terms)
    return False


def is_spread(nodes: Sequence[RealNode], node: int) -> bool:
    """Whether `node` is what entries are above the largest of them along the last axis: none is positive."""
    found = nodes[node]
    if not isinstance(found, Linear) or len(found.terms) != 2:
        return False
    for (a, entries), (b, broadcast) in (found.terms, found.terms[::-1]):
        largest = nodes[broadcast]
        if not (a == 1 and b == -1) or not isinstance(largest, Axes):
            continue
        shape = nodes[entries].shape
        rest = tuple(range(len(shape) - 1))
        if largest.source == (*rest, -1) and nodes[largest.node] == Maximum(shape[:-1], entries):
            return True
    return False


def is_exponential_sum(nodes: Sequence[RealNode], node: int) -> bool:
    """Whether `node` adds up exp(c (x - max x)), c > 0, along the last axis: one entry is 1, and none is negative.

    The factor is what stands before the logits: 1 / keep of a dropout, a temperature.
    """
    found = nodes[node]
    if not isinstance(found, Axes):
        return False
    inner = nodes[found.node]
    if not isinstance(inner, Function) or not _is_growth(inner.formula) or not is_spread(nodes, inner.node):
        return False
    rest = tuple(range(len(inner.shape) - 1))
    return tuple(axis for axis in found.source if axis != -1) == rest


def _is_growth(formula: str) -> bool:
    """Whether a formula is exp(x), or exp(c * x) with a constant c > 0."""
    found = parse(formula)
    if found.name != "exp":
        return False
    (argument,) = found.parts
    if argument.name == "*":
        factor, argument = argument.parts
        value = _constant(factor)
        return value is not None and value > 0 and argument.name == "x"
    return argument.name == "x"


def _constant(formula: Formula) -> Fraction | None:
    """The value of a whole number or a quotient of two, as `fuse.literal` spells numbers."""
    if formula.name == "number":
        return Fraction(formula.value)
    if formula.name == "/" and all(part.name == "number" for part in formula.parts):
        over, under = (part.value for part in formula.parts)
        return Fraction(over, under) if under else None
    return None
