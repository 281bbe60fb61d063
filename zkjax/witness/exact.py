"""Exact integer tensor operations, through float64 where that is proven exact.

An operand is int64, or float64 holding integers of magnitude at most 2**53. A sum of products is
exact in float64 in any order if the sum of the products' magnitudes is at most 2**53, because
every partial sum then is an integer that float64 holds. float64 products run thirty times faster
than int64 ones on a CPU, so wider factors are split into limbs.

All operations are right modulo 2**64 whatever the bounds; the bounds decide the representation.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from zkjax.statement.circuit import Contract

Array = Any

EXACT = 1 << 53
MIN_LIMB_BITS = 6


def as_int(x: Array) -> Array:
    return x if x.dtype == np.int64 else x.astype(np.int64)


def as_float(x: Array) -> Array:
    return x if x.dtype == np.float64 else x.astype(np.float64)


def combine(terms: Sequence[tuple[int, Array]], bound: int) -> Array:
    """Sum of coefficient * array; `bound` is at least the sum of all magnitudes."""
    dtype, convert = (np.float64, as_float) if bound <= EXACT else (np.int64, as_int)
    total = None
    for coefficient, x in terms:
        term = convert(x) if coefficient == 1 else convert(x) * dtype(coefficient)
        total = term if total is None else total + term
    return total


def axes(x: Array, source: Sequence[int], shape: Sequence[int], bound: int) -> Array:
    """Sum the axes that `source` does not name, then transpose and broadcast.

    `bound` is at least the magnitude of the result and of the sums' magnitudes.
    """
    summed = tuple(axis for axis in range(x.ndim) if axis not in source)
    if summed:
        x = (x if bound <= EXACT else as_int(x)).sum(axis=summed)
    kept = [axis for axis in range(x.ndim + len(summed)) if axis not in summed]
    x = x.transpose([kept.index(axis) for axis in source if axis != -1])
    new = tuple(position for position, axis in enumerate(source) if axis == -1)
    return jnp.broadcast_to(jnp.expand_dims(x, new), tuple(shape))


def weighted(coefficients: Array, x: Array, bound: int) -> Array:
    """Sum of coefficients[s] * x[s], int64 or float64; `bound` is at least the sum of all magnitudes."""
    convert = as_float if bound <= EXACT else as_int
    factors = convert(coefficients).reshape(-1, *([1] * (x.ndim - 1)))
    return (factors * convert(x)).sum(axis=0)


def filtered(matrix: Array, x: Array, bound: int) -> Array:
    """The matrix along the leading axis, one row at a time; `bound` is as in `weighted`, for every row."""
    return lax.map(lambda row: weighted(row, x, bound), matrix)


def square_root(x: Array) -> Array:
    """floor(sqrt(x)) of int64 below 2**62; 0 where x is negative.

    The root of the nearest float64 is within one of it.
    """
    x = jnp.maximum(x, 0)
    root = jnp.floor(jnp.sqrt(x.astype(np.float64))).astype(np.int64)
    root = jnp.where(root * root > x, root - 1, root)
    return jnp.where((root + 1) * (root + 1) <= x, root + 1, root)


def contract(node: Contract, left: Array, right: Array, bounds: tuple[int, int]) -> Array:
    """The contraction of `node`, whose labels describe the operands given.

    `bounds` are the largest magnitudes of the operands. The result is float64 only if it is
    proven to fit.
    """
    labels = (node.left_labels, node.right_labels)
    factors, magnitudes = [], []
    for x, own, other, bound in zip((left, right), labels, reversed(labels), bounds, strict=True):
        alone = tuple(i for i, label in enumerate(own) if label not in other and label not in node.out_labels)
        bound = max(bound, 1) * prod(x.shape[axis] for axis in alone)
        if alone:
            x = (x if bound <= EXACT else as_int(x)).sum(axis=alone)
        factors.append((x, tuple(label for axis, label in enumerate(own) if axis not in alone)))
        magnitudes.append(bound)
    (x, left_labels), (y, right_labels) = factors
    both = [label for label in left_labels if label in right_labels]
    batch = [label for label in both if label in node.out_labels]
    inner = [label for label in both if label not in node.out_labels]
    dimensions = tuple(
        tuple(tuple(own.index(label) for label in group) for own in (left_labels, right_labels))
        for group in (inner, batch)
    )
    made = batch + [label for own in (left_labels, right_labels) for label in own if label not in both]
    terms = prod(x.shape[left_labels.index(label)] for label in inner)
    product = _exact_dot(x, y, dimensions, (magnitudes[0], magnitudes[1]), terms)
    return product.transpose([made.index(label) for label in node.out_labels])


def _exact_dot(x: Array, y: Array, dimensions: Any, bounds: tuple[int, int], terms: int) -> Array:
    """dot_general of integers: one float64 product, else by limbs of the wider factor, else int64.

    Where the proven bounds ask for limbs but the values at hand do not, one product is taken.
    """
    if prod(bounds) * terms <= EXACT:
        return _float_dot(x, y, dimensions)
    wide_left = bounds[0] > bounds[1]
    wide, narrow = (x, y) if wide_left else (y, x)
    room = EXACT // (min(bounds) * terms)
    width = room.bit_length() - 1
    if width < MIN_LIMB_BITS or max(bounds) >= 1 << 63:
        return lax.dot_general(as_int(x), as_int(y), dimensions)

    def product(limb: Array) -> Array:
        pair = (limb, narrow) if wide_left else (narrow, limb)
        return as_int(_float_dot(*pair, dimensions))

    def by_limbs(wide: Array) -> Array:
        limbs = _limbs(wide, width, max(bounds).bit_length())
        return sum(product(limb) << np.int64(width * place) for place, limb in enumerate(limbs))

    fits = jnp.max(jnp.abs(wide)) <= room
    return lax.cond(fits, product, by_limbs, wide)


def _float_dot(x: Array, y: Array, dimensions: Any) -> Array:
    return lax.dot_general(as_float(x), as_float(y), dimensions, precision=lax.Precision.HIGHEST)


def _limbs(x: Array, width: int, bits: int) -> list[Array]:
    """float64 limbs of `width` bits, lowest first; the highest is signed."""
    limbs = []
    while bits > width:
        if x.dtype == np.float64:
            high = jnp.floor(x * np.float64(0.5**width))
            limbs.append(x - high * np.float64(2.0**width))
        else:
            high = x >> np.int64(width)
            limbs.append(as_float(x & np.int64((1 << width) - 1)))
        x, bits = high, bits - width
    return [*limbs, as_float(x)]
