"""What a traced value can be while the rules run: a real tensor, or a function of a sign."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite

import numpy as np

from zkjax.fixedpoint import nodes
from zkjax.fixedpoint.step import StepGraph
from zkjax.frontend.trace import Atom, Constant, Variable, is_key
from zkjax.frontend.unsupported import Refused

TIE_NOTE = "a derivative at exactly zero counts as the one to the left of zero (JAX may take another value there)"
MASK_NOTE = "at exactly zero a mask counts as it does to the left of zero"


MAY_BE_ZERO = (
    "divide by constants, by sums of exponentials, or by a root with a positive constant beside or under it; to clip "
    "by a norm, select as optax.clip_by_global_norm does"
)


@dataclass(frozen=True)
class Real:
    """A node of the step."""

    node: int


@dataclass(frozen=True)
class Sign:
    """Elementwise `negative`, `zero` or `positive`, by the sign of a node; booleans are 0 and 1.

    Every comparison with zero, every mask made of it and every arithmetic of such masks is one.
    """

    node: int
    negative: Fraction
    zero: Fraction
    positive: Fraction

    def mapped(self, function: Callable[[Fraction], Fraction]) -> Sign:
        return Sign(self.node, *(function(v) for v in (self.negative, self.zero, self.positive)))


@dataclass(frozen=True)
class Public:
    """What is computed from constants and from counters and keys of the state alone, so that it is public.

    `scalar` is the variable of the one number that it is everywhere, None for other arrays; `entries` is what the
    program has for it. `binary` says that all entries are 0 or 1, `closed_over` that an array of the user's
    closure shows in them.
    """

    shape: tuple[int, ...]
    scalar: Variable | None
    entries: Atom
    binary: bool = False
    closed_over: bool = False


@dataclass(frozen=True)
class Infinite:
    """A constant that is infinite or not a number, everywhere the same."""

    shape: tuple[int, ...]
    number: float


@dataclass(frozen=True)
class Places:
    """The constant tensor of the places along one axis: 0, 1, 2, ..."""

    shape: tuple[int, ...]
    axis: int


@dataclass(frozen=True)
class Label:
    """Integers of the data that were made non-negative by adding the number of classes: they are that already."""

    node: int


@dataclass(frozen=True)
class Chosen:
    """The place of the first largest entry along a last axis; `node` is its one-hot form."""

    node: int


@dataclass(frozen=True)
class Indices:
    """Columns of integers joined along a last axis: each entry names a place by one number per axis."""

    columns: tuple[Real | Label | Places, ...]


@dataclass(frozen=True)
class Stack:
    """Values of one shape along a leading axis, such as the layers of stacked parameters."""

    parts: tuple[Value, ...]


@dataclass(frozen=True)
class Unsafe:
    """factor * numerator / divisor, of a scalar that may be zero: to be selected where it is not, and nothing else."""

    shape: tuple[int, ...]
    numerator: int
    divisor: int
    factor: Fraction


Value = Unsafe | Real | Sign | Public | Infinite | Places | Label | Chosen | Indices | Stack


class Values:
    """Operations on values that the rules share; `graph` receives the nodes.

    While `reporting`, only what outputs need is translated: masks are signs, proved on the whole range, where the
    training takes the gates of its rectifiers.
    """

    def __init__(self, graph: StepGraph, public_constants: bool = False):
        self.graph, self.public_constants = graph, public_constants
        self.notes: list[str] = []
        self.numbers: dict[tuple[Atom, bool], str] = {}
        self._places: dict[Places, Constant] = {}
        self.reporting = False

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def constant(self, constant: Constant) -> Real | Infinite | Places | Public:
        """A constant of the program: one number, the places along an axis, or a public array."""
        value = constant.uniform()
        if value is None and (places := _places(constant.value)) is not None:
            return places
        if value is None:
            return Public(constant.shape, None, constant, constant.dtype == bool, constant.closed_over)
        if not isfinite(value):
            return Infinite(constant.shape, float(value))
        return Real(self.graph.uniform(constant.shape, _exact(value)))

    def shape(self, value: Value) -> tuple[int, ...]:
        if isinstance(value, Infinite | Places | Public | Unsafe):
            return value.shape
        if isinstance(value, Stack):
            return (len(value.parts), *self.shape(value.parts[0]))
        shape = self.graph.shape(value.node)  # type: ignore[union-attr]
        return shape[:-1] if isinstance(value, Chosen) else shape

    def number(self, value: Value) -> Fraction | None:
        """The number that a uniform value is everywhere, or None."""
        return self.graph.uniform_value(value.node) if isinstance(value, Real) else None

    def real(self, value: Value) -> int:
        """The node of a value; a sign function becomes a constant plus a multiple of a gate."""
        match value:
            case Real(node=node):
                return node
            case Sign():
                return self.selected_product(value, self.graph.uniform(self.shape(value), 1))
            case Public():
                return self.public(value)
            case Unsafe():
                raise Refused("a division by a value that may be zero", MAY_BE_ZERO)
            case Infinite(number=number):
                raise Refused(f"the constant {number}", "remove infinities and NaN from the step")
            case Stack():
                raise Refused(
                    "an operation across stacked layers",
                    "use stacked parameters one layer at a time (by lax.scan or an index), or entry by entry",
                )
            case Places(shape=shape, axis=axis):
                places = np.arange(shape[axis]).reshape([-1 if own == axis else 1 for own in range(len(shape))])
                constant = self._places.setdefault(value, Constant(np.broadcast_to(places, shape)))
                return self.public(Public(shape, None, constant))
            case _:
                raise Refused("a computation with indices", "compute with them outside of the step")

    def public(self, value: Public, *, inverse: bool = False) -> int:
        """The node of a public number or array, or of its reciprocal."""
        if is_key(value.entries.dtype):
            raise Refused("a computation with a random key", "draw random numbers from it by jax.random")
        if value.scalar is None and value.closed_over and not self.public_constants:
            raise Refused(
                f"an array of shape {value.shape} closed over by the step, which would become public",
                "compile with public_constants=True (zkjax prove --public-constants) if everybody may see it; else "
                "pass it in the batch or the state",
            )
        key = (value.entries if value.scalar is None else value.scalar, inverse)
        self.numbers.setdefault(key, self.graph.current_line)
        place = list(self.numbers).index(key)
        if value.scalar is None:
            return self.graph.add(nodes.PublicArray(value.shape, place, value.binary and not inverse))
        return self.graph.add(nodes.Public(value.shape, place))

    def selected_product(self, sign: Sign, node: int) -> int:
        """sign * node, as negative * node + (positive - negative) * gated(node)."""
        if self.reporting:
            return self.graph.multiplied(self.mask(sign), node)
        if sign.zero != sign.negative:
            self.note(TIE_NOTE)
        gated = self.graph.gated(sign.node, node)
        return self.graph.linear([(sign.negative, node), (sign.positive - sign.negative, gated)])

    def mask(self, sign: Sign) -> int:
        """The sign function, exact at zero as well."""
        shape, graph = self.graph.shape(sign.node), self.graph
        terms = [(sign.zero, graph.uniform(shape, 1))]
        if sign.positive != sign.zero:
            terms.append((sign.positive - sign.zero, graph.positive(sign.node)))
        if sign.negative != sign.zero:
            terms.append((sign.negative - sign.zero, graph.positive(graph.scaled(-1, sign.node))))
        return graph.linear(terms)

    def stretched(self, value: Value, shape: Sequence[int]) -> Value:
        """A scalar, or a tensor with axes of size one, broadcast to `shape`."""
        if isinstance(value, Indices | Stack):
            self.real(value)
        if isinstance(value, Infinite):
            return Infinite(tuple(shape), value.number)
        if self.shape(value) == tuple(shape):
            return value
        return self.moved(value, lambda node: self._broadcast(node, tuple(shape)))

    def _broadcast(self, node: int, shape: tuple[int, ...]) -> int:
        if not self.graph.shape(node):
            return self.graph.axes(node, (-1,) * len(shape), shape)
        return self.graph.broadcast(node, shape)

    def moved(self, value: Value, move: Callable[[int], int]) -> Value:
        """`value` after a transpose or broadcast given as a function on nodes."""
        if isinstance(value, Sign):
            factor, node = self.graph.factored(move(value.node))
            return _signed(factor, node, value)
        if isinstance(value, Label):
            return Label(move(value.node))
        return Real(move(self.real(value)))

    def sign_of(self, node: int, negative: int, zero: int, positive: int) -> Sign:
        """The function of the sign of `node`, with positive factors dropped."""
        factor, inner = self.graph.factored(node)
        return _signed(factor, inner, Sign(inner, Fraction(negative), Fraction(zero), Fraction(positive)))


def _signed(factor: Fraction, node: int, value: Sign) -> Sign:
    """`value` as a function of the sign of `node`, where it was one of factor * node."""
    if factor > 0:
        return Sign(node, value.negative, value.zero, value.positive)
    return Sign(node, value.positive, value.zero, value.negative)


def _places(array: np.ndarray) -> Places | None:
    """Which axis an integer array counts along, if it does."""
    if array.dtype.kind not in "iu":
        return None
    for axis, size in enumerate(array.shape):
        own = [1] * array.ndim
        own[axis] = size
        if size > 1 and bool((array == np.arange(size).reshape(own)).all()):
            return Places(array.shape, axis)
    return None


def _exact(value: np.generic) -> Fraction:
    if isinstance(value, np.bool_ | np.integer):
        return Fraction(int(value))
    return Fraction(float(value))
