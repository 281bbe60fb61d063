"""The nodes of a training step: tensors of exact real values, before formats, rounding and the axis of steps.

In topological order: leaves of the state and of the batch, uniform constants, linear combinations with exact
rational coefficients, axis maps, products, and the functions that take a table or an argument of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from zkjax.fixedpoint.numbers import Number

Shape = tuple[int, ...]


@dataclass(frozen=True)
class StateLeaf:
    """A float leaf of the user's state, before the step."""

    shape: Shape
    name: str


@dataclass(frozen=True)
class DataLeaf:
    """A leaf of the batch; `shape` may merge trailing axes of the user's array."""

    shape: Shape
    name: str


@dataclass(frozen=True)
class Uniform:
    """The tensor that is `value` everywhere."""

    shape: Shape
    value: Fraction


@dataclass(frozen=True)
class Public:
    """The tensor that is the step's public number of place `number` everywhere."""

    shape: Shape
    number: int


@dataclass(frozen=True)
class PublicArray:
    """The step's public array of place `number`; `binary` if its entries are known to be 0 or 1."""

    shape: Shape
    number: int
    binary: bool


@dataclass(frozen=True)
class Paced:
    """`node` times the step's public number of place `number`."""

    shape: Shape
    node: int
    number: int


@dataclass(frozen=True)
class Linear:
    """Sum of `coefficient * node` over `terms`, elementwise; at most one term is Uniform."""

    shape: Shape
    terms: tuple[tuple[Fraction, int], ...]


@dataclass(frozen=True)
class Axes:
    """Transpose, sum and broadcast, as in `statement.circuit.Axes`."""

    shape: Shape
    node: int
    source: tuple[int, ...]


@dataclass(frozen=True)
class Product:
    """Bilinear contraction with axis labels, as in `statement.circuit.Contract`."""

    shape: Shape
    left: int
    right: int
    left_labels: tuple[int, ...]
    right_labels: tuple[int, ...]
    out_labels: tuple[int, ...]


@dataclass(frozen=True)
class Relu:
    """max(node, 0)."""

    shape: Shape
    node: int


@dataclass(frozen=True)
class Gated:
    """node where gate > 0, else 0."""

    shape: Shape
    gate: int
    node: int


@dataclass(frozen=True)
class Function:
    """A function of one variable, entry by entry; `formula` as in `statement.formulas`."""

    shape: Shape
    node: int
    formula: str


@dataclass(frozen=True)
class Reciprocal:
    """1 / node, of a node that is positive everywhere."""

    shape: Shape
    node: int


@dataclass(frozen=True)
class Root:
    """The square root of a node that is negative nowhere; an integer of many bits, whatever the size of the node."""

    shape: Shape
    node: int


@dataclass(frozen=True)
class Ratio:
    """numerator / divisor, entry by entry, of a divisor that is positive everywhere and may have many bits."""

    shape: Shape
    numerator: int
    divisor: int


@dataclass(frozen=True)
class Moment:
    """Sum of number * leaf over `kept`, the memories of an optimiser, plus factor * pace * node.

    So a step reads what its optimiser will remember: a mean of gradients or of their squares, with this step's among
    them. Over a block it is a public filter of the memories before and of the steps' `node`.
    """

    shape: Shape
    kept: tuple[tuple[str, Number], ...]
    node: int
    factor: Fraction
    pace: Number


@dataclass(frozen=True)
class Maximum:
    """The largest entry along the last axis, which disappears."""

    shape: Shape
    node: int


@dataclass(frozen=True)
class First:
    """One-hot form, along the last axis, of the place of the first of the largest entries."""

    shape: Shape
    node: int


@dataclass(frozen=True)
class Positive:
    """1 where node > 0, else 0."""

    shape: Shape
    node: int


@dataclass(frozen=True)
class Bit:
    """Data that are 0 or 1."""

    shape: Shape
    node: int


@dataclass(frozen=True)
class OneHot:
    """[node == c] along a new last axis, for integers of the data in [0, classes)."""

    shape: Shape
    node: int


Leaf = StateLeaf | DataLeaf | Uniform | Public | PublicArray
RealNode = (
    Leaf
    | Paced
    | Linear
    | Axes
    | Product
    | Relu
    | Gated
    | Function
    | Reciprocal
    | Root
    | Ratio
    | Moment
    | Maximum
    | First
    | Positive
    | Bit
    | OneHot
)


def operands(node: RealNode) -> tuple[int, ...]:
    """Indices of the nodes that `node` reads."""
    match node:
        case Linear(terms=terms):
            return tuple(index for _, index in terms)
        case Axes(node=index) | Relu(node=index) | Paced(node=index) | Function(node=index) | Reciprocal(node=index):
            return (index,)
        case Maximum(node=index) | First(node=index) | Positive(node=index) | Bit(node=index) | OneHot(node=index):
            return (index,)
        case Root(node=index) | Moment(node=index):
            return (index,)
        case Ratio(numerator=numerator, divisor=divisor):
            return (numerator, divisor)
        case Product(left=left, right=right):
            return (left, right)
        case Gated(gate=gate, node=index):
            return (gate, index)
        case _:
            return ()


def renumbered(node: RealNode, number: dict[int, int]) -> RealNode:
    """`node` with its operands renamed."""
    match node:
        case Linear(terms=terms):
            return replace(node, terms=tuple((c, number[index]) for c, index in terms))
        case Axes() | Relu() | Paced() | Function() | Reciprocal() | Root() | Moment():
            return replace(node, node=number[node.node])
        case Maximum() | First() | Positive() | Bit() | OneHot():
            return replace(node, node=number[node.node])
        case Ratio():
            return replace(node, numerator=number[node.numerator], divisor=number[node.divisor])
        case Product():
            return replace(node, left=number[node.left], right=number[node.right])
        case Gated():
            return replace(node, gate=number[node.gate], node=number[node.node])
        case _:
            return node
