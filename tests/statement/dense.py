"""Linear algebra over K the slow way: pairs of arrays of Python integers."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from zkjax.fields.mersenne61 import K, P
from zkjax.fields.vectors import Ext

Pair = tuple[np.ndarray, np.ndarray]


def random_element(rng: random.Random) -> K:
    return K(rng.randrange(P), rng.randrange(P))


def random_elements(rng: random.Random, count: int) -> list[K]:
    return [random_element(rng) for _ in range(count)]


def random_vectors(rng: random.Random, shape: Sequence[int]) -> tuple[Ext, ...]:
    """One random vector over K per axis."""
    return tuple(Ext.from_list(random_elements(rng, size)) for size in shape)


def pair_of(values: np.ndarray | Ext) -> Pair:
    """Integers, or an array over K, as real and imaginary parts."""
    if isinstance(values, Ext):
        return tuple(np.asarray(plane).astype(object) for plane in values)
    return np.asarray(values, object) % P, np.zeros(np.shape(values), object)


def contract(values: np.ndarray | Ext, vectors: Sequence[Ext | None]) -> Pair:
    """Sum over every axis that has a vector."""
    re, im = pair_of(values)
    for axis in reversed(range(len(vectors))):
        if vectors[axis] is not None:
            a, b = pair_of(vectors[axis])
            dot = lambda x, y, axis=axis: np.tensordot(x, y, axes=(axis, 0))  # noqa: E731
            re, im = (dot(re, a) - dot(im, b)) % P, (dot(re, b) + dot(im, a)) % P
    return np.asarray(re, object), np.asarray(im, object)


def value(values: np.ndarray | Ext, vectors: Sequence[Ext]) -> K:
    """<vectors[0] x vectors[1] x ..., values>."""
    re, im = contract(values, vectors)
    return K(int(re), int(im))


def equality(point: Sequence[K], index: int) -> K:
    """eq(point, index), most significant bit first."""
    result = K.ONE
    for place, r in enumerate(point):
        result = result * (r if index >> (len(point) - 1 - place) & 1 else 1 - r)
    return result


def extension(table: Sequence[K], point: Sequence[K]) -> K:
    """Multilinear extension of a table of at most 2**len(point) elements, zero beyond."""
    return sum((equality(point, index) * element for index, element in enumerate(table)), K.ZERO)


def padded(values: np.ndarray) -> list:
    """Every axis padded by zeros to a power of two, row major."""
    result = np.full([1 << (size - 1).bit_length() for size in values.shape], 0, object)
    result[(..., *(slice(size) for size in values.shape))] = values
    return result.reshape(-1).tolist()
