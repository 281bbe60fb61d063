"""jit and vmap leave the meaning alone."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pallas_kernels import fold, logup_round, reference, sumcheck_round
from pallas_kernels.partials import combine_partials


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
    got = jax.jit(partial(round_and_sums, interpret=interpret))(*operands)
    assert_same(got, reference.product_round(*operands))


@pytest.mark.parametrize("jit", [False, True])
def test_vmap_over_instances(interpret, jit):
    rng = np.random.default_rng(1)
    operands = pair(rng, (3, 32)), pair(rng, (3, 32)), pair(rng, (3,))
    mapped = jax.vmap(partial(round_and_sums, interpret=interpret))
    got = (jax.jit(mapped) if jit else mapped)(*operands)
    assert_same(got, jax.vmap(reference.product_round)(*operands))


def test_vmap_with_a_shared_challenge(interpret):
    rng = np.random.default_rng(2)
    tables, challenge = pair(rng, (4, 16)), pair(rng, ())
    got = jax.vmap(partial(fold.fold, block=2, interpret=interpret), in_axes=(0, None))(tables, challenge)
    assert_same(got, jax.vmap(reference.fold, in_axes=(0, None))(tables, challenge))


def test_vmap_of_a_fractional_round(interpret):
    rng = np.random.default_rng(3)
    tables = [pair(rng, (2, 16)) for _ in range(4)]
    shared = pair(rng, (4,)), pair(rng, ()), pair(rng, ()), pair(rng, ())
    axes = (0, 0, 0, 0, None, None, None, None)
    *folded, partials = jax.vmap(partial(logup_round.logup_round, block=2, interpret=interpret), in_axes=axes)(
        *tables, *shared
    )
    got = (*folded, jax.vmap(combine_partials)(partials))
    assert_same(got, jax.vmap(reference.logup_round, in_axes=axes)(*tables, *shared))
