"""A training step as a program over real tensors: what the frontend reads and the compiler rounds.

Its nodes are those of `nodes`. Formats, rounding and the axis of steps do not exist yet.

The builder keeps a normal form in which scalar factors stand outside of everything that commutes
with them, so that a learning rate or the 1/N of a mean arrives at the update as one number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from math import prod, sqrt

from zkjax.fixedpoint.nodes import (
    Axes,
    Bit,
    DataLeaf,
    First,
    Function,
    Gated,
    Linear,
    Maximum,
    OneHot,
    Paced,
    Positive,
    Product,
    Public,
    PublicArray,
    Ratio,
    RealNode,
    Reciprocal,
    Relu,
    Root,
    Shape,
    Uniform,
    operands,
)
from zkjax.fixedpoint.numbers import ONE, Number

Terms = Iterable[tuple[Fraction | int, int]]


def odd_part(value: Fraction) -> Fraction:
    """|value| divided by the power of two that brings it into [1, 2); 1 for powers of two."""
    value = abs(value)
    shift = value.numerator.bit_length() - value.denominator.bit_length()
    scaled = value / Fraction(2) ** shift
    return scaled if scaled >= 1 else 2 * scaled


@dataclass
class StepGraph:
    """Builds the nodes of a step; equal nodes are shared.

    `lines` says for each node which source line of the user's program made it first.
    `current_line` is set by whoever translates the equations.
    """

    nodes: list[RealNode] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    current_line: str = ""
    _known: dict[RealNode, int] = field(default_factory=dict)
    _of_data: set[int] = field(default_factory=set)
    _of_public: set[int] = field(default_factory=set)

    def add(self, node: RealNode) -> int:
        if node not in self._known:
            self._known[node] = len(self.nodes)
            known = [other for other in operands(node) if self.uniform_value(other) is None]
            if isinstance(node, DataLeaf) or (known and self._of_data.issuperset(known)):
                self._of_data.add(self._known[node])
            if isinstance(node, DataLeaf | PublicArray) or (known and self._of_public.issuperset(known)):
                self._of_public.add(self._known[node])
            self.nodes.append(node)
            self.lines.append(self.current_line)
        return self._known[node]

    def shape(self, node: int) -> Shape:
        return self.nodes[node].shape

    def uniform(self, shape: Sequence[int], value: Fraction | int) -> int:
        return self.add(Uniform(tuple(shape), Fraction(value)))

    def uniform_value(self, node: int) -> Fraction | None:
        """The value of a uniform node, or None."""
        found = self.nodes[node]
        return found.value if isinstance(found, Uniform) else None

    def factored(self, node: int) -> tuple[Fraction, int]:
        """(c, inner) with node = c * inner, by the normal form."""
        found = self.nodes[node]
        if isinstance(found, Linear) and len(found.terms) == 1 and not self._is_prepared(node):
            return found.terms[0]
        return Fraction(1), node

    def _is_prepared(self, node: int) -> bool:
        """Whether `node` is data times a factor that is no power of two.

        Such a factor (1/255 of pixels) stays with the data, where a short multiplier renders it;
        outside it would reach every layer.
        """
        found = self.nodes[node]
        return (
            isinstance(found, Linear)
            and len(found.terms) == 1
            and odd_part(found.terms[0][0]) != 1
            and found.terms[0][1] in self._of_data
        )

    def scaled(self, factor: Fraction | int, node: int) -> int:
        return self.linear([(factor, node)])

    def linear(self, terms: Terms) -> int:
        """Sum of coefficient * node; scalar factors merge, sums inside sums stay shared nodes."""
        terms = list(terms)
        shape = self.shape(terms[0][1])
        merged: dict[int, Fraction] = {}
        offset = Fraction(0)
        if all(node in self._of_data or self.uniform_value(node) is not None for _, node in terms):
            terms = [(c * factor, leaf) for c, node in terms for leaf, factor in self.flat_terms(node).items()]
        for coefficient, node in terms:
            if self.shape(node) != shape:
                raise ValueError(f"linear mixes shapes {shape} and {self.shape(node)}")
            coefficient = Fraction(coefficient)
            while isinstance(found := self.nodes[node], Linear) and len(found.terms) == 1:
                coefficient, node = coefficient * found.terms[0][0], found.terms[0][1]
            value = self.uniform_value(node)
            if value is not None:
                offset += coefficient * value
            else:
                merged[node] = merged.get(node, Fraction(0)) + coefficient
        left = [(coefficient, node) for node, coefficient in sorted(merged.items()) if coefficient]
        if not left:
            return self.uniform(shape, offset)
        if all(node in self._of_data for _, node in left):
            outer = abs(left[0][0]) / odd_part(left[0][0])
        else:
            outer = left[0][0]
        if len(left) == 1 and not offset:
            if left[0][0] != outer:
                left = [(Fraction(1), self.add(Linear(shape, ((left[0][0] / outer, left[0][1]),))))]
            return left[0][1] if outer == 1 else self.add(Linear(shape, ((outer, left[0][1]),)))
        inner = [(coefficient / outer, node) for coefficient, node in left]
        if offset:
            inner.append((Fraction(1), self.uniform(shape, offset / outer)))
        node = self.add(Linear(shape, tuple(inner)))
        return node if outer == 1 else self.add(Linear(shape, ((outer, node),)))

    def paced(self, node: int, number: int) -> int:
        """`node` times the public number of place `number`."""
        factor, inner = self.factored(node)
        value = self.uniform_value(inner)
        if value is not None:
            return self.scaled(factor * value, self.add(Public(self.shape(inner), number)))
        return self.scaled(factor, self.add(Paced(self.shape(inner), inner, number)))

    def axes(self, node: int, source: Sequence[int], shape: Sequence[int]) -> int:
        """Output axis j is input axis source[j], or new where -1; other input axes are summed."""
        source, shape = tuple(source), tuple(shape)
        factor, node = self.factored(node)
        inner = self.nodes[node]
        summed = [axis for axis in range(len(inner.shape)) if axis not in source]
        if isinstance(inner, Uniform):
            count = prod(inner.shape[axis] for axis in summed)
            return self.uniform(shape, factor * count * inner.value)
        if summed and isinstance(inner, Linear) and all(self._counts(term) for _, term in inner.terms):
            return self.scaled(factor, self.linear([(c, self.axes(term, source, shape)) for c, term in inner.terms]))
        if isinstance(inner, OneHot) and summed == [len(inner.shape) - 1]:
            return self.uniform(shape, factor)
        if isinstance(inner, Public):
            count = prod(inner.shape[axis] for axis in summed)
            return self.scaled(factor * count, self.add(Public(shape, inner.number)))
        if isinstance(inner, Axes):
            factor *= prod(inner.shape[axis] for axis in summed if inner.source[axis] == -1)
            source = tuple(inner.source[axis] if axis != -1 else -1 for axis in source)
            return self.scaled(factor, self._axes(inner.node, source, shape))
        return self.scaled(factor, self._axes(node, source, shape))

    def _counts(self, node: int) -> bool:
        """Whether sums of `node` over its last axis are known."""
        return isinstance(self.nodes[node], OneHot | Uniform)

    def _axes(self, node: int, source: tuple[int, ...], shape: Shape) -> int:
        inner = self.nodes[node]
        if source == tuple(range(len(inner.shape))):
            return node
        if isinstance(inner, Product):
            kept = [axis for axis in source if axis != -1]
            labels = tuple(inner.out_labels[axis] for axis in kept)
            sizes = tuple(inner.shape[axis] for axis in kept)
            node = self.add(Product(sizes, inner.left, inner.right, inner.left_labels, inner.right_labels, labels))
            position = iter(range(len(kept)))
            source = tuple(-1 if axis == -1 else next(position) for axis in source)
            if source == tuple(range(len(kept))):
                return node
        return self.add(Axes(shape, node, source))

    def broadcast(self, node: int, shape: Sequence[int]) -> int:
        """`node` with axes of size one stretched to `shape` (of the same rank)."""
        own, shape = self.shape(node), tuple(shape)
        if own == shape:
            return node
        source = tuple(axis if have == want else -1 for axis, (have, want) in enumerate(zip(own, shape, strict=True)))
        return self.axes(node, source, shape)

    def product(self, left: int, right: int, labels: tuple[Sequence[int], Sequence[int], Sequence[int]]) -> int:
        """Contraction of two nodes; `labels` are those of left, right and output."""
        (a, left), (b, right) = self.factored(left), self.factored(right)
        left_labels, right_labels, out = (tuple(part) for part in labels)
        sizes = dict(zip(left_labels, self.shape(left), strict=True))
        sizes |= dict(zip(right_labels, self.shape(right), strict=True))
        for factor, uniform, other, own in (
            (a * b, left, right, right_labels),
            (a * b, right, left, left_labels),
        ):
            found, value = self.nodes[uniform], self.uniform_value(uniform)
            if value is not None or isinstance(found, Public):
                count = prod(sizes[x] for x in sizes if x not in own and x not in out)
                source = tuple(own.index(label) if label in own else -1 for label in out)
                shape = tuple(sizes[label] for label in out)
                moved = self.axes(other, source, shape)
                moved = self.paced(moved, found.number) if isinstance(found, Public) else moved
                return self.scaled(factor * count * (1 if value is None else value), moved)
        left, left_labels = self._unwrapped(left, left_labels, right_labels)
        right, right_labels = self._unwrapped(right, right_labels, left_labels)
        number = {label: i for i, label in enumerate(dict.fromkeys(left_labels + right_labels))}
        renamed = (tuple(number[x] for x in part) for part in (left_labels, right_labels, out))
        node = Product(tuple(sizes[label] for label in out), left, right, *renamed)
        return self.scaled(a * b, self.add(node))

    def _unwrapped(self, node: int, labels: tuple[int, ...], others: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
        """The operand of a product without a transpose or broadcast that labels can express."""
        inner = self.nodes[node]
        if not isinstance(inner, Axes):
            return node, labels
        sums = len(set(inner.source) - {-1}) < len(self.shape(inner.node))
        lost = [label for label, axis in zip(labels, inner.source, strict=True) if axis == -1]
        if sums or not set(lost) <= set(others):
            return node, labels
        by_axis = {axis: label for label, axis in zip(labels, inner.source, strict=True)}
        return inner.node, tuple(by_axis[axis] for axis in range(len(self.shape(inner.node))))

    def multiplied(self, left: int, right: int) -> int:
        """Elementwise product; times the reciprocal of a root it is a ratio."""
        for other, inverse in ((left, right), (right, left)):
            factor, inner = self.factored(inverse)
            found = self.nodes[inner]
            if isinstance(found, Reciprocal) and self._is_wide(found.node) and self.uniform_value(other) is None:
                return self.scaled(factor, self.ratio(other, found.node))
        labels = tuple(range(len(self.shape(left))))
        return self.product(left, right, (labels, labels, labels))

    def relu(self, node: int) -> int:
        factor, inner = self.factored(node)
        value = self.uniform_value(inner)
        if value is not None:
            return self.uniform(self.shape(node), max(factor * value, Fraction(0)))
        if factor > 0 and isinstance(self.nodes[inner], Relu):
            return node
        inner = inner if factor > 0 else self.scaled(-1, inner)
        return self.scaled(abs(factor), self.add(Relu(self.shape(node), inner)))

    def gated(self, gate: int, node: int) -> int:
        """node where gate > 0, else 0."""
        sign, gate = self.factored(gate)
        gate = gate if sign > 0 else self.scaled(-1, gate)
        factor, inner = self.factored(node)
        value = self.uniform_value(inner)
        if value is not None:
            factor, inner = factor * value, self.uniform(self.shape(node), 1)
        if inner == gate:
            return self.scaled(factor, self.relu(gate))
        found = self.nodes[inner]
        if not factor:
            return self.uniform(self.shape(node), 0)
        if (isinstance(found, Gated) and found.gate == gate) or (isinstance(found, Relu) and found.node == gate):
            return self.scaled(factor, inner)
        return self.scaled(factor, self.add(Gated(self.shape(node), gate, inner)))

    def function(self, formula: str, node: int) -> int:
        """The function of one variable, entry by entry; broadcasts go outside: equal entries are looked up once."""
        found = self.nodes[node]
        if isinstance(found, Axes) and all(
            axis in found.source or size == 1 for axis, size in enumerate(self.shape(found.node))
        ):
            return self.axes(self.function(formula, found.node), found.source, found.shape)
        return self.add(Function(self.shape(node), node, formula))

    def reciprocal(self, node: int) -> int:
        """1 / node; transposes, broadcasts and scalar factors go outside."""
        factor, inner = self.factored(node)
        found = self.nodes[inner]
        value = self.uniform_value(inner)
        if value is not None:
            return self.uniform(self.shape(node), 1 / (factor * value))
        if isinstance(found, Reciprocal):
            return self.scaled(1 / factor, found.node)
        if isinstance(found, Axes) and set(range(len(self.shape(found.node)))) <= set(found.source):
            return self.scaled(1 / factor, self.axes(self.reciprocal(found.node), found.source, found.shape))
        return self.scaled(1 / factor, self.add(Reciprocal(self.shape(inner), inner)))

    def root(self, node: int) -> int:
        """The square root; broadcasts go outside."""
        found = self.nodes[node]
        value = self.uniform_value(node)
        if value is not None and value >= 0:
            return self.uniform(self.shape(node), Fraction(sqrt(value)))
        if isinstance(found, Axes) and set(range(len(self.shape(found.node)))) <= set(found.source):
            return self.axes(self.root(found.node), found.source, found.shape)
        return self.add(Root(self.shape(node), node))

    def ratio(self, numerator: int, divisor: int) -> int:
        """numerator / divisor, entry by entry; scalar factors go outside, but stay with a numerator that is a sum."""
        (a, inner), (b, divisor) = self.factored(numerator), self.factored(divisor)
        if isinstance(self.nodes[inner], Linear | Paced):
            a, inner = Fraction(1), numerator
        return self.scaled(a / b, self.add(Ratio(self.shape(inner), inner, divisor)))

    def _is_wide(self, node: int) -> bool:
        """Whether `node` is a root, constants apart, and so has many bits."""
        found = self.nodes[node]
        if isinstance(found, Linear):
            return any(self._is_wide(term) for _, term in found.terms)
        return isinstance(found, Root)

    def maximum(self, node: int) -> int:
        """The largest entries along the last axis; positive factors go outside."""
        factor, inner = self.factored(node)
        if factor < 0:
            factor, inner = Fraction(1), node
        return self.scaled(factor, self.add(Maximum(self.shape(inner)[:-1], inner)))

    def first(self, node: int) -> int:
        """One-hot form of the first largest entry along the last axis, which no positive factor moves."""
        factor, inner = self.factored(node)
        return self.add(First(self.shape(node), inner if factor > 0 else node))

    def positive(self, node: int) -> int:
        """[node > 0]; positive factors do not count."""
        factor, inner = self.factored(node)
        return self.add(Positive(self.shape(node), inner if factor > 0 else self.scaled(-1, inner)))

    def bit(self, node: int) -> int:
        return self.add(Bit(self.shape(node), node))

    def one_hot(self, node: int, classes: int) -> int:
        return self.add(OneHot((*self.shape(node), classes), node))

    def is_data(self, node: int) -> bool:
        """Whether `node` is computed from the batch, and public arrays, alone."""
        return node in self._of_data or node in self._of_public

    def flat_terms(self, node: int) -> dict[int, Fraction]:
        """`node` as a combination of nodes that are not sums: {node: coefficient}."""
        inner = self.nodes[node]
        if not isinstance(inner, Linear):
            return {node: Fraction(1)}
        total: dict[int, Fraction] = {}
        offset = Fraction(0)
        for coefficient, term in inner.terms:
            for leaf, factor in self.flat_terms(term).items():
                value = self.uniform_value(leaf)
                if value is None:
                    total[leaf] = total.get(leaf, Fraction(0)) + coefficient * factor
                else:
                    offset += coefficient * factor * value
        if offset:
            total[self.uniform(inner.shape, offset)] = Fraction(1)
        return {leaf: factor for leaf, factor in total.items() if factor}


@dataclass(frozen=True)
class Change:
    """A state leaf takes up factor * pace * node in one step; `rate` is the user's learning rate.

    `pace` is one, or a public number that varies with the step. `rate` is the constant by which the
    program multiplies the leaf's gradient last, or None.
    """

    factor: Fraction
    node: int
    rate: Fraction | None
    pace: Number = ONE


@dataclass(frozen=True)
class Report:
    """An output of a step that is published: factor * node."""

    factor: Fraction
    node: int


@dataclass(frozen=True)
class Step:
    """The nodes of a step, operands first, and what it does to every float leaf of the state.

    `lines[i]` names the source line that made node i. `state` and `data` map names to leaves. After
    the step a leaf is the sum of kept[leaf][other] * other over the leaves before it, plus its change;
    `changes` has no entry for a leaf that takes up none. `batch` is the number of rows of a batch,
    `notes` are remarks for people, `reports` the outputs that are published.
    """

    nodes: tuple[RealNode, ...]
    lines: tuple[str, ...]
    state: dict[str, int]
    data: dict[str, int]
    changes: dict[str, Change]
    batch: int
    kept: Mapping[str, Mapping[str, Number]]
    notes: tuple[str, ...] = ()
    reports: Mapping[str, Report] = field(default_factory=dict)

    @cached_property
    def reporting(self) -> frozenset[int]:
        """Nodes that only outputs need: the training is compiled as if they were not there."""
        trained = reached(self.nodes, [*self.state.values(), *(change.node for change in self.changes.values())])
        return frozenset(range(len(self.nodes))) - trained

    @property
    def labels(self) -> dict[str, int]:
        """Data leaves whose one-hot form is used, or that are bits, and the least number of classes."""
        found: dict[str, int] = {}
        for node in self.nodes:
            if isinstance(node, OneHot | Bit):
                inner = self.nodes[node.node]
                while isinstance(inner, Axes):
                    inner = self.nodes[inner.node]
                if isinstance(inner, DataLeaf):
                    classes = node.shape[-1] if isinstance(node, OneHot) else 2
                    found[inner.name] = min(classes, found.get(inner.name, classes))
        return found

    @property
    def moving(self) -> frozenset[str]:
        """The state leaves that the step changes."""
        return frozenset(name for name in self.state if name in self.changes or self.kept[name] != {name: ONE})


def pruned(graph: StepGraph, roots: Iterable[int]) -> tuple[list[int], dict[int, int]]:
    """(the nodes that `roots` reach, in order; their new numbers)."""
    order = sorted(reached(graph.nodes, roots))
    return order, {old: new for new, old in enumerate(order)}


def reached(nodes: Sequence[RealNode], roots: Iterable[int]) -> set[int]:
    """`roots` and all that they read."""
    seen: set[int] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack += operands(nodes[node])
    return seen
