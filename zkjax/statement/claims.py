"""Claims on tensors, and the public half of their way back to committed tensors.

A claim on node Y is `<w, Y> = v`: `w` a public tensor product of one vector per axis, `v` hidden.
Only the sum of all claims under way matters: `ClaimSet` holds, per node, the weighted terms, and one
`balance`, with

    sum over nodes and terms of coefficient * <vectors, node>  =  balance.

Linear nodes are rewritten without interaction, as a VJP rule rewrites a cotangent. A contraction
becomes an `Instance` of a product sumcheck over the axes that both its factors have. Prover and
verifier run this module alike: it reads the circuit and challenges, never a value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod

import numpy as np

from zkjax.fields.mersenne61 import K
from zkjax.fields.vectors import (
    Ext,
    add,
    equality_weights,
    ext_mul,
    ext_sum,
    mul,
    outer,
    reduce,
)
from zkjax.statement.circuit import (
    Axes,
    Circuit,
    Combine,
    Committed,
    Constant,
    Contract,
    Filter,
    Positions,
    Public,
    Rows,
)
from zkjax.statement.filters import Rows as Matrix
from zkjax.statement.filters import transposed
from zkjax.statement.layout import axis_bits, tensor_bits
from zkjax.statement.public import inner
from zkjax.transcript.hidden import Hidden

Vectors = tuple[Ext, ...]


@dataclass(frozen=True)
class Term:
    """coefficient * <vectors[0] x vectors[1] x ..., node>; vector j has the length of axis j."""

    coefficient: K
    vectors: Vectors


@dataclass
class ClaimSet:
    """All claims under way for one circuit and one schedule (int array [steps, batch])."""

    circuit: Circuit
    schedule: np.ndarray
    terms: dict[int, list[Term]] = field(default_factory=dict)
    balance: Hidden = field(default_factory=lambda: Hidden.known(0))
    _ones: dict[int, Ext] = field(default_factory=dict)
    _memo: dict[tuple, tuple[tuple, Ext]] = field(default_factory=dict)
    _linear: dict[int, list[int]] | None = None

    def add(self, node: int, coefficient: K, vectors: Vectors) -> None:
        self.terms.setdefault(node, []).append(Term(coefficient, vectors))

    def rewrite_linear(self, levels: Sequence[int], level: int) -> None:
        """Push the terms of all linear virtual nodes of `level` back to what they read.

        `levels` is the same list in all calls.
        """
        if self._linear is None:
            self._linear = {}
            for index in reversed(range(len(self.circuit.nodes))):
                if not isinstance(self.circuit.nodes[index], Committed | Contract):
                    self._linear.setdefault(levels[index], []).append(index)
        for index in self._linear.get(level, ()):
            for term in self.terms.pop(index, []):
                self._rewrite(self.circuit.nodes[index], term)

    def _rewrite(self, node: object, term: Term) -> None:
        coefficient, vectors = term.coefficient, term.vectors
        match node:
            case Constant(value=value):
                total = prod((self._sum(vector) for vector in vectors), start=coefficient * value)
                self.balance = self.balance - total
            case Positions(axis=axis):
                sums = [self._sum(vector) for vector in vectors]
                sums[axis] = self._once(_first_moment, vectors[axis]).item()
                self.balance = self.balance - prod(sums, start=coefficient)
            case Public(low=low):
                self.balance = self.balance - coefficient * inner(node.above, low, vectors)
            case Combine(terms=parts):
                for factor, operand in parts:
                    self.add(operand, coefficient * factor, vectors)
            case Axes(node=operand, source=source):
                for axis, vector in zip(source, vectors, strict=True):
                    if axis == -1:
                        coefficient = coefficient * self._sum(vector)
                shape = self.circuit.nodes[operand].shape
                back = tuple(
                    vectors[source.index(axis)] if axis in source else self.ones(size)
                    for axis, size in enumerate(shape)
                )
                self.add(operand, coefficient, back)
            case Rows(node=operand):
                rows = self._once(self._row_weights, vectors[0], vectors[1])
                self.add(operand, coefficient, (rows, *vectors[2:]))
            case Filter(node=operand, rows=rows):
                columns = self.circuit.nodes[operand].shape[0]
                self.add(operand, coefficient, (self._filtered(rows, columns, vectors[0]), *vectors[1:]))

    def _once(self, function: Callable[..., Ext], *vectors: Ext) -> Ext:
        """`function(*vectors)`, one object for the same vectors, so that later steps share work."""
        key = (function.__name__, *(id(vector) for vector in vectors))
        if key not in self._memo:
            self._memo[key] = (vectors, function(*vectors))
        return self._memo[key][1]

    def _filtered(self, rows: Matrix, columns: int, vector: Ext) -> Ext:
        key = ("filter", rows, columns, id(vector))
        if key not in self._memo:
            self._memo[key] = ((vector,), transposed(rows, columns, vector))
        return self._memo[key][1]

    def _sum(self, vector: Ext) -> K:
        return self._once(_total, vector).item()

    def ones(self, size: int) -> Ext:
        """The all-one vector of a summed axis."""
        if size not in self._ones:
            self._ones[size] = Ext(np.ones(size, np.uint64), np.zeros(size, np.uint64))
        return self._ones[size]

    def _row_weights(self, steps: Ext, batch: Ext) -> Ext:
        """Weight of each data row: the sum of the weights of the places that the schedule gives it."""
        weights = outer(steps, batch)
        order, rows, starts = self._sorted_schedule
        planes = [_segment_sums(plane.reshape(-1)[order], starts) for plane in weights]
        result = Ext(np.zeros(self.circuit.rows, np.uint64), np.zeros(self.circuit.rows, np.uint64))
        for plane, sums in zip(result, planes, strict=True):
            plane[rows[starts]] = sums
        return result

    @cached_property
    def _sorted_schedule(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The places of the schedule by row, the rows in that order, and where each row's places begin."""
        order = np.argsort(self.schedule, axis=None, kind="stable")
        rows = self.schedule.reshape(-1)[order]
        return order, rows, np.flatnonzero(np.diff(rows, prepend=-1))

    def instances(self, nodes: Sequence[int]) -> list[Instance]:
        """Remove the terms of these contractions and return them as sumcheck instances."""
        return [Instance.of(self.circuit, index, term, self) for index in nodes for term in self.terms.pop(index, [])]

    def merge_committed(self) -> dict[int, list[Term]]:
        """The terms, all on committed nodes by now, with equal vectors merged."""
        merged: dict[int, list[Term]] = {}
        for index, terms in self.terms.items():
            by_vectors: dict[tuple[int, ...], Term] = {}
            for term in terms:
                key = tuple(id(vector) for vector in term.vectors)
                known = by_vectors.get(key)
                total = term.coefficient + known.coefficient if known else term.coefficient
                by_vectors[key] = Term(total, term.vectors)
            merged[index] = list(by_vectors.values())
        return merged


@dataclass(frozen=True)
class Instance:
    """weight * sum over x of f(x) g(x): a claim on a contraction, as a product sumcheck.

    f is the left factor contracted with `left` on the axes that only it has (None marks a shared
    axis) and multiplied by `shared` on shared axes that the output keeps; g is the right factor
    contracted with `right`. The variables are the shared axes in the order of the left factor.
    """

    weight: K
    node: int
    left_node: int
    right_node: int
    left: tuple[Ext | None, ...]
    right: tuple[Ext | None, ...]
    shared_labels: tuple[int, ...]
    shared_sizes: tuple[int, ...]
    shared: tuple[Ext | None, ...]
    left_labels: tuple[int, ...]
    right_labels: tuple[int, ...]

    @property
    def variables(self) -> int:
        return sum(axis_bits(size) for size in self.shared_sizes)

    @classmethod
    def of(cls, circuit: Circuit, index: int, term: Term, claims: ClaimSet) -> Instance:
        node = circuit.nodes[index]
        assert isinstance(node, Contract)
        sizes = dict(zip(node.left_labels, circuit.nodes[node.left].shape, strict=True))
        sizes |= dict(zip(node.right_labels, circuit.nodes[node.right].shape, strict=True))
        weights = dict(zip(node.out_labels, term.vectors, strict=True))
        shared = tuple(label for label in node.left_labels if label in node.right_labels)

        def own(labels: tuple[int, ...]) -> tuple[Ext | None, ...]:
            return tuple(
                None if label in shared else weights.get(label) or claims.ones(sizes[label]) for label in labels
            )

        return cls(
            weight=term.coefficient,
            node=index,
            left_node=node.left,
            right_node=node.right,
            left=own(node.left_labels),
            right=own(node.right_labels),
            shared_labels=shared,
            shared_sizes=tuple(sizes[label] for label in shared),
            shared=tuple(weights.get(label) for label in shared),
            left_labels=node.left_labels,
            right_labels=node.right_labels,
        )

    def extension(self, point: Sequence[K]) -> K:
        """Product of (1 - r) over the leading variables that this instance lacks."""
        return prod((1 - r for r in point[: len(point) - self.variables]), start=K.ONE)

    def reduced(
        self, point: Sequence[K], shared_equality: Callable[[Sequence[K], int], Ext]
    ) -> tuple[Vectors, Vectors]:
        """Axis vectors of the claims `f(point)` on the left and `g(point)` on the right node."""
        rest = list(point[len(point) - self.variables :])
        left_of, right_of = {}, {}
        for label, size, kept in zip(self.shared_labels, self.shared_sizes, self.shared, strict=True):
            bits = axis_bits(size)
            equality = shared_equality(rest[:bits], size)
            rest = rest[bits:]
            right_of[label] = equality
            left_of[label] = equality if kept is None else ext_mul(equality, kept)
        left = tuple(v if v is not None else left_of[x] for x, v in zip(self.left_labels, self.left, strict=True))
        right = tuple(v if v is not None else right_of[x] for x, v in zip(self.right_labels, self.right, strict=True))
        return left, right


class EqualityCache:
    """Truncated equality weights of a point, one object per (point, size)."""

    def __init__(self) -> None:
        self._known: dict[tuple, Ext] = {}

    def __call__(self, point: Sequence[K], size: int) -> Ext:
        key = (tuple(point), size)
        if key not in self._known:
            self._known[key] = equality_weights(point)[:size]
        return self._known[key]

    def tensor(self, point: Sequence[K], shape: tuple[int, ...]) -> tuple[K, Vectors]:
        """(factor, vectors) of eq(point, .) on a tensor that occupies the first slots of 2**len(point).

        The factor is the weight of zero in the leading variables that the tensor lacks.
        """
        extra = len(point) - tensor_bits(shape)
        factor = prod((1 - r for r in point[:extra]), start=K.ONE)
        rest, vectors = list(point[extra:]), []
        for size in shape:
            bits = axis_bits(size)
            vectors.append(self(rest[:bits], size))
            rest = rest[bits:]
        return factor, tuple(vectors)


def _total(vector: Ext) -> Ext:
    total = ext_sum(vector)
    return Ext(np.asarray(total.re).reshape(1), np.asarray(total.im).reshape(1))


def _first_moment(vector: Ext) -> Ext:
    """Sum of i times entry i."""
    places = np.arange(vector.re.size, dtype=np.uint64)
    return _total(Ext(*(mul(plane, places) for plane in vector)))


def _segment_sums(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Sums mod p of the segments that begin at `starts`; fewer than 2**31 terms each."""
    low = np.add.reduceat(values & np.uint64((1 << 31) - 1), starts)
    high = np.add.reduceat(values >> np.uint64(31), starts)
    shift = np.full_like(low, 1 << 31)
    return add(reduce(low), mul(reduce(high), shift))
