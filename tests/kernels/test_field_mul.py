"""The field inside a kernel: every pair of edge values, random values, bounds of the lazy forms."""

from __future__ import annotations

import itertools
import random

import jax.numpy as jnp
import numpy as np
import pytest

from pallas_kernels import field_mul, reference
from tests.kernels import integers
from tests.kernels.compilation import compiled
from tests.kernels.integers import EDGES, P


@pytest.fixture(scope="module")
def all_edges():
    """Two K tables that together hold every combination of four edge values."""
    combinations = list(itertools.product(EDGES, repeat=4))
    return [(a, b) for a, b, _, _ in combinations], [(c, d) for _, _, c, d in combinations]


@pytest.mark.parametrize("block", [None, 1024])
def test_extension_product_on_every_edge(all_edges, interpret, block):
    x, y = all_edges
    got = compiled(field_mul.extension_product)(
        integers.to_planes(x), integers.to_planes(y), block=block, interpret=interpret
    )
    assert integers.from_planes(got) == [integers.multiply(a, b) for a, b in zip(x, y, strict=True)]


@pytest.mark.parametrize(("size", "block"), [(1, None), (2, 1), (64, 4), (512, None)])
def test_extension_product_random(interpret, size, block):
    rng = random.Random(size)
    x, y = (integers.random_table(rng, size) for _ in range(2))
    planes = integers.to_planes(x), integers.to_planes(y)
    got = compiled(field_mul.extension_product)(*planes, block=block, interpret=interpret)
    assert integers.from_planes(got) == [integers.multiply(a, b) for a, b in zip(x, y, strict=True)]
    assert integers.from_planes(compiled(reference.extension_multiply)(*planes)) == integers.from_planes(got)


@pytest.mark.parametrize(
    ("function", "meaning"),
    [
        (field_mul.add, lambda a, b: a + b),
        (field_mul.subtract, lambda a, b: a - b),
        (field_mul.multiply, lambda a, b: a * b),
        (reference.add, lambda a, b: a + b),
        (reference.subtract, lambda a, b: a - b),
        (reference.multiply, lambda a, b: a * b),
    ],
)
def test_base_operations(function, meaning):
    rng = random.Random(0)
    values = [*EDGES, *(rng.randrange(P) for _ in range(24))]
    pairs = list(itertools.product(values, repeat=2))
    left, right = (jnp.array(column, dtype=jnp.uint64) for column in zip(*pairs, strict=True))
    assert compiled(function)(left, right).tolist() == [meaning(a, b) % P for a, b in pairs]


def test_multiply_accepts_the_modulus_itself():
    """The negated zero of a K product is p, whose limbs must still fit."""
    p = jnp.uint64(P)
    assert int(field_mul.multiply(p, p)) == 0
    assert int(field_mul.multiply(p, jnp.uint64(P - 1))) == 0


def test_multiply_add_never_overflows(all_edges):
    x, y = all_edges
    for z in itertools.product((0, P - 1), repeat=2):
        addend = integers.to_planes([z] * len(x))
        got = compiled(field_mul.extension_multiply_add)(integers.to_planes(x), integers.to_planes(y), addend)
        expected = [integers.add(integers.multiply(a, b), z) for a, b in zip(x, y, strict=True)]
        assert integers.from_planes(got) == expected


def test_unreduced_product_leaves_room_for_an_element(all_edges):
    x, y = all_edges
    planes = compiled(field_mul.extension_multiply_unreduced)(integers.to_planes(x), integers.to_planes(y))
    for k, plane in enumerate(planes):
        values = np.asarray(plane).tolist()
        assert max(values) + P < 2**64
        assert [v % P for v in values] == [integers.multiply(a, b)[k] for a, b in zip(x, y, strict=True)]


def test_reduce_takes_any_word():
    values = [0, 1, P - 1, P, P + 1, 2 * P, 2**61, 2**62 - 1, 2**63, 7 * P, 8 * P, 2**64 - 1]
    assert field_mul.reduce(jnp.array(values, dtype=jnp.uint64)).tolist() == [v % P for v in values]
