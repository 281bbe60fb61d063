"""jit and vmap leave the meaning alone."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from pallas_kernels import fold, logup_round, reference, sumcheck_round
from pallas_kernels.partials import combine_partials
from tests.kernels.compilation import compiled, quick_jit


def pair(rng, shape):
    return tuple(jnp.asarray(rng.integers(0, 2**61 - 1, shape, dtype=np.uint64)) for _ in range(2))


def assert_same(got, expected):
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(a, b)


def round_and_sums(f, g, challenge, interpret):
    f, g, partials = sumcheck_round.product_round(f, g, challenge, block=4, interpret=interpret)
    return f, g, combine_partials(partials)


def test_jit(interpret):
    rng = np.random.default_rng(0)
    operands = pair(rng, (32,)), pair(rng, (32,)), pair(rng, ())
    got = quick_jit(partial(round_and_sums, interpret=interpret))(*operands)
    assert_same(got, compiled(reference.product_round)(*operands))


def test_vmap_over_instances(interpret):
    rng = np.random.default_rng(1)
    operands = pair(rng, (3, 32)), pair(rng, (3, 32)), pair(rng, (3,))
    got = quick_jit(jax.vmap(partial(round_and_sums, interpret=interpret)))(*operands)
    assert_same(got, quick_jit(jax.vmap(reference.product_round))(*operands))


def test_vmap_without_jit_and_with_a_shared_challenge(interpret):
    rng = np.random.default_rng(2)
    tables, challenge = pair(rng, (4, 16)), pair(rng, ())
    got = jax.vmap(partial(fold.fold, block=2, interpret=interpret), in_axes=(0, None))(tables, challenge)
    assert_same(got, quick_jit(jax.vmap(reference.fold, in_axes=(0, None)))(tables, challenge))


def test_vmap_of_a_fractional_round(interpret):
    rng = np.random.default_rng(3)
    tables = [pair(rng, (2, 16)) for _ in range(4)]
    shared = pair(rng, (8,)), pair(rng, ()), pair(rng, ())
    axes = (0, 0, 0, 0, None, None, None)
    mapped = jax.vmap(partial(logup_round.logup_round_sums, block=2, interpret=interpret), in_axes=axes)
    got = quick_jit(jax.vmap(combine_partials))(quick_jit(mapped)(*tables, *shared))
    assert_same(got, quick_jit(jax.vmap(reference.logup_round_sums, in_axes=axes))(*tables, *shared))
