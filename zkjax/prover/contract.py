"""Partial contractions of tensors with axis vectors: what the prover needs for a sumcheck table.

`Contractor.contract(node, vectors)` sums a node against a vector on some axes and keeps the others.
Committed tensors are read; virtual ones are never formed: the contraction is pushed through their
rule, so that the weights of a step cost one pass over activations and gradients, not over weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from zkjax.fields import arrays, extension
from zkjax.fields.mersenne61 import K, to_field
from zkjax.fields.vectors import Ext
from zkjax.prover.limbs import sum_over_axis
from zkjax.statement.circuit import Axes, Circuit, Combine, Constant, Contract, Filter, Positions, Public, Rows
from zkjax.statement.filters import Rows as Matrix
from zkjax.statement.filters import spans, transposed

Vectors = Sequence[Ext | None]


class Contractor:
    """Contractions over one witness. `values` maps nodes to integer arrays of their shape, of any type but
    uint64.

    Call under a scoped x64 mode. Results are JAX arrays over K with the kept axes in order.
    """

    def __init__(self, circuit: Circuit, values: Mapping[int, np.ndarray], schedule: np.ndarray):
        self.circuit, self.values, self.schedule = circuit, values, schedule
        self._memo: dict[tuple, tuple[tuple, Ext]] = {}

    def contract(self, node: int, vectors: Vectors) -> Ext:
        """Sum over the axes with a vector; axes with None are kept."""
        key = (node, *(None if vector is None else id(vector) for vector in vectors))
        if key not in self._memo:
            self._memo[key] = (tuple(vectors), self._contract(node, vectors))
        return self._memo[key][1]

    def _contract(self, index: int, vectors: Vectors) -> Ext:
        if index in self.values:
            return _contract_integers(self.values[index], vectors)
        node = self.circuit.nodes[index]
        match node:
            case Constant(shape=shape, value=value):
                return self._constant(shape, value, vectors)
            case Positions(shape=shape, axis=axis):
                return self._positions(shape, axis, vectors)
            case Public():
                return _contract_integers(node.values, vectors)
            case Combine(terms=terms):
                parts = [_scaled(self.contract(operand, vectors), factor) for factor, operand in terms]
                total = parts[0]
                for part in parts[1:]:
                    total = _add(total, part)
                return total
            case Axes():
                return self._axes(node, vectors)
            case Rows(node=operand):
                rows = self.contract(operand, [None, *vectors[2:]])
                taken = Ext(*(jnp.take(plane, self.schedule, axis=0) for plane in rows))
                return _contract_field(taken, [*vectors[:2], *([None] * (taken.ndim - 2))])
            case Filter(node=operand, rows=rows):
                kept = self.contract(operand, [None, *vectors[1:]])
                if vectors[0] is None:
                    return _filtered(rows, kept)
                weights = transposed(rows, self.circuit.nodes[operand].shape[0], vectors[0])
                return _contract_field(kept, [weights, *([None] * (kept.ndim - 1))])
            case Contract():
                return self._bilinear(node, vectors)
            case _:
                raise KeyError(f"no value for committed node {index}")

    def _constant(self, shape: tuple[int, ...], value: int, vectors: Vectors) -> Ext:
        factor = K(value)
        for vector in vectors:
            if vector is not None:
                factor = factor * extension.total(_device(vector)).item()
        kept = tuple(size for size, vector in zip(shape, vectors, strict=True) if vector is None)
        return Ext(jnp.full(kept, factor.re, jnp.uint64), jnp.full(kept, factor.im, jnp.uint64))

    def _positions(self, shape: tuple[int, ...], axis: int, vectors: Vectors) -> Ext:
        own = [1] * len(shape)
        own[axis] = shape[axis]
        places = np.broadcast_to(np.arange(shape[axis]).reshape(own), shape)
        return _contract_integers(places, vectors)

    def _axes(self, node: Axes, vectors: Vectors) -> Ext:
        shape = self.circuit.nodes[node.node].shape
        inner: list[Ext | None] = []
        for axis, size in enumerate(shape):
            inner.append(vectors[node.source.index(axis)] if axis in node.source else _ones(size))
        result = self.contract(node.node, inner)
        kept_inputs = [axis for axis, vector in enumerate(inner) if vector is None]
        factor = K.ONE
        order: list[tuple[int, int]] = []
        new_axes: list[int] = []
        for position, (axis, vector) in enumerate(zip(node.source, vectors, strict=True)):
            if axis == -1 and vector is not None:
                factor = factor * extension.total(_device(vector)).item()
            elif axis == -1:
                new_axes.append(len(order))
                order.append((-1, node.shape[position]))
            elif vector is None:
                order.append((kept_inputs.index(axis), node.shape[position]))
        planes = []
        for plane in result:
            plane = jnp.transpose(plane, [axis for axis, _ in order if axis >= 0])
            plane = jnp.expand_dims(plane, tuple(new_axes))
            planes.append(jnp.broadcast_to(plane, tuple(size for _, size in order)))
        result = Ext(*planes)
        return result if factor == K.ONE else _times(result, extension.asarray(factor))

    def _bilinear(self, node: Contract, vectors: Vectors) -> Ext:
        given = dict(zip(node.out_labels, vectors, strict=True))
        shared = set(node.left_labels) & set(node.right_labels)
        sizes = dict(zip(node.left_labels, self.circuit.nodes[node.left].shape, strict=True))
        sizes |= dict(zip(node.right_labels, self.circuit.nodes[node.right].shape, strict=True))

        def own(labels: tuple[int, ...]) -> list[Ext | None]:
            return [None if x in shared else given[x] if x in given else _ones(sizes[x]) for x in labels]

        left_vectors, right_vectors = own(node.left_labels), own(node.right_labels)
        left = self._operand(node.left, left_vectors)
        right = self._operand(node.right, right_vectors)
        left_kept = tuple(x for x, v in zip(node.left_labels, left_vectors, strict=True) if v is None)
        right_kept = tuple(x for x, v in zip(node.right_labels, right_vectors, strict=True) if v is None)
        for label in shared:
            vector = given.get(label)
            if vector is not None:
                left = _weighted(left if isinstance(left, Ext) else _lifted(left), left_kept.index(label), vector)
        out = tuple(x for x in node.out_labels if given[x] is None)
        return _einsum(left, right, left_kept, right_kept, out)

    def _operand(self, node: int, vectors: Vectors) -> Ext | np.ndarray:
        """`contract`, or the integers themselves where nothing is summed: over K they take up to 16 times as much."""
        values = self.values.get(node)
        return self.contract(node, vectors) if values is None or any(v is not None for v in vectors) else values


def _ones(size: int) -> Ext:
    return Ext(np.ones(size, np.uint64), np.zeros(size, np.uint64))


def _device(vector: Ext) -> Ext:
    return Ext(jnp.asarray(vector.re), jnp.asarray(vector.im))


def _contract_integers(values: np.ndarray, vectors: Vectors) -> Ext:
    given = {axis: vector for axis, vector in enumerate(vectors) if vector is not None}
    if not given:
        return _lifted(values)
    # The longest axis leaves least for the field's own arithmetic.
    first = max(given, key=lambda axis: values.shape[axis])
    result = sum_over_axis(values, first, given[first])
    if result is None:
        result = _contract_base_axis(values, _device(given[first]), first)
    return _contract_field(result, [v for axis, v in enumerate(vectors) if axis != first])


def _contract_field(result: Ext, vectors: Vectors) -> Ext:
    for axis, vector in reversed(list(enumerate(vectors))):
        if vector is not None:
            result = _contract_axis(result, _device(vector), axis)
    return result


@jax.jit
def _lifted(values: jax.Array) -> Ext:
    return extension.from_base(arrays.from_signed(values.astype(jnp.int64)))


@partial(jax.jit, static_argnums=2)
def _contract_base_axis(values: jax.Array, weights: Ext, axis: int) -> Ext:
    rest = values.shape[:axis] + values.shape[axis + 1 :]

    def body(j: jax.Array, total: Ext) -> Ext:
        row = arrays.from_signed(lax.dynamic_index_in_dim(values, j, axis, keepdims=False).astype(jnp.int64))
        return Ext(*(arrays.mul_add(row, w[j], t) for w, t in zip(weights, total, strict=True)))

    return lax.fori_loop(0, values.shape[axis], body, extension.zeros(rest))


@partial(jax.jit, static_argnums=2)
def _contract_axis(values: Ext, weights: Ext, axis: int) -> Ext:
    shape = values.re.shape
    rest = shape[:axis] + shape[axis + 1 :]

    def body(j: jax.Array, total: Ext) -> Ext:
        row = Ext(*(lax.dynamic_index_in_dim(plane, j, axis, keepdims=False) for plane in values))
        weight = Ext(*(jnp.broadcast_to(w[j], rest) for w in weights))
        return extension.mul_add(row, weight, total)

    return lax.fori_loop(0, shape[axis], body, extension.zeros(rest))


def _scaled(values: Ext, factor: int) -> Ext:
    return values if factor == 1 else _times_base(values, jnp.asarray(np.uint64(to_field(factor))))


@jax.jit
def _times_base(values: Ext, factor: jax.Array) -> Ext:
    return extension.mul_base(values, factor)


@jax.jit
def _times(values: Ext, factor: Ext) -> Ext:
    return extension.mul(values, factor)


@jax.jit
def _add(a: Ext, b: Ext) -> Ext:
    return extension.add(a, b)


def _filtered(rows: Matrix, values: Ext) -> Ext:
    """The matrix along the first axis, by the sums that its runs are differences of."""
    runs = max(1, *map(len, rows))
    starts, stops = np.zeros((2, runs, len(rows)), np.int32)
    coefficients = np.zeros((runs, len(rows)), np.uint64)
    place: dict[int, int] = {}
    for row, start, stop, coefficient in spans(rows):
        run = place[row] = place.get(row, -1) + 1
        starts[run, row], stops[run, row], coefficients[run, row] = start, stop, to_field(coefficient)
    return _run_sums(values, starts, stops, coefficients)


@jax.jit
def _run_sums(values: Ext, starts: jax.Array, stops: jax.Array, coefficients: jax.Array) -> Ext:
    """out[t] = sum over runs of coefficient * (sum of values[s] over start <= s < stop)."""

    def step(total: Ext, row: Ext) -> tuple[Ext, Ext]:
        return extension.add(total, row), total

    rest = values.re.shape[1:]
    last, sums = lax.scan(step, extension.zeros(rest), values)
    sums = Ext(*(jnp.concatenate([a, b[None]]) for a, b in zip(sums, last, strict=True)))

    def body(run: jax.Array, total: Ext) -> Ext:
        span = extension.sub(*(Ext(*(plane[ends[run]] for plane in sums)) for ends in (stops, starts)))
        factors = coefficients[run].reshape(-1, *([1] * len(rest)))
        return extension.add(total, extension.mul_base(span, jnp.broadcast_to(factors, span.re.shape)))

    return lax.fori_loop(0, starts.shape[0], body, extension.zeros((starts.shape[1], *rest)))


@partial(jax.jit, static_argnums=1)
def _weighted_on(values: Ext, axis: int, vector: Ext) -> Ext:
    shape = [1] * values.re.ndim
    shape[axis] = -1
    return extension.mul(values, Ext(vector.re.reshape(shape), vector.im.reshape(shape)))


def _weighted(values: Ext, axis: int, vector: Ext) -> Ext:
    return _weighted_on(values, axis, _device(vector))


@partial(jax.jit, static_argnums=(2, 3, 4))
def _einsum(
    left: Ext | jax.Array,
    right: Ext | jax.Array,
    left_labels: tuple[int, ...],
    right_labels: tuple[int, ...],
    out_labels: tuple[int, ...],
) -> Ext:
    """Einsum over K of two small tables, or of integers; summed labels occur in both or have been contracted."""
    sizes = dict(zip(left_labels, left.shape, strict=True)) | dict(zip(right_labels, right.shape, strict=True))
    summed = tuple(x for x in left_labels if x not in out_labels)
    count = int(np.prod([sizes[x] for x in summed], dtype=np.int64))

    def at(values: Ext | jax.Array, labels: tuple[int, ...], index: jax.Array) -> Ext:
        """The part at one value of all summed labels, to be broadcast; read in place, a table is not transposed."""
        starts = dict(zip(summed, jnp.unravel_index(index, [sizes[x] for x in summed]), strict=True))
        kept = [x for x in labels if x not in summed]
        order = [kept.index(x) for x in out_labels if x in kept]
        shape = [sizes[x] if x in labels else 1 for x in out_labels]

        def part(plane: jax.Array) -> jax.Array:
            own = [1 if x in summed else sizes[x] for x in labels]
            some = lax.dynamic_slice(plane, [starts.get(x, 0) for x in labels], own)
            return jnp.transpose(some.reshape([sizes[x] for x in kept]), order).reshape(shape)

        if isinstance(values, Ext):
            return Ext(*map(part, values))
        return extension.from_base(arrays.from_signed(part(values).astype(jnp.int64)))

    def body(index: jax.Array, total: Ext) -> Ext:
        return extension.mul_add(at(left, left_labels, index), at(right, right_labels, index), total)

    return lax.fori_loop(0, count, body, extension.zeros(tuple(sizes[x] for x in out_labels)))
