"""Sums of a block and of the partials."""

from __future__ import annotations

import random

import jax.numpy as jnp
import numpy as np
import pytest

from pallas_kernels import partials, reference
from tests.kernels.integers import P


@pytest.mark.parametrize("value", [0, 1, P - 1, P, 2**32 - 1, 2**64 - 1])
def test_sum_of_equal_words(value):
    length = 2**16
    got = partials.modular_sum(jnp.full((length,), value, jnp.uint64))
    assert int(got) == value * length % P


def test_sum_of_random_words_by_row():
    words = np.random.default_rng(0).integers(0, 2**64, (3, 1000), dtype=np.uint64)
    expected = [sum(row) % P for row in words.tolist()]
    assert partials.modular_sum(jnp.asarray(words)).tolist() == expected
    assert reference.sum_planes(jnp.asarray(words)).tolist() == expected


def test_combine_partials_pairs_the_rows():
    rng = random.Random(1)
    rows = [[rng.randrange(P) for _ in range(5)] for _ in range(6)]
    sums = partials.combine_partials(jnp.array(rows, dtype=jnp.uint64))
    assert [int(plane) for pair in sums for plane in pair] == [sum(row) % P for row in rows]
