"""What a launch refuses, and that nothing falls back to the interpreter."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

from pallas_kernels import field_mul, fold, launch, logup_round, sumcheck_round


def zeros(*shape, dtype=jnp.uint64):
    return (jnp.zeros(shape, dtype),) * 2


@pytest.mark.parametrize("length", [0, 1, 2, 3, 6])
def test_a_fused_round_needs_a_power_of_two_of_at_least_four(length):
    with pytest.raises(ValueError, match="power of two of at least 4"):
        sumcheck_round.product_round(zeros(length), zeros(length), zeros(), interpret=True)


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="differ in length"):
        field_mul.extension_product(zeros(4), zeros(8), interpret=True)
    with pytest.raises(ValueError, match=r"f\.re"):
        sumcheck_round.product_round_sums((zeros(4)[0], zeros(8)[0]), zeros(4), interpret=True)


def test_equality_weights_must_fit_the_remaining_variables():
    with pytest.raises(ValueError, match="length 2, got 4"):
        logup_round.logup_round(*[zeros(8)] * 4, zeros(4), zeros(), zeros(), zeros(), interpret=True)
    with pytest.raises(ValueError, match="length 4, got 8"):
        logup_round.logup_round_sums(*[zeros(8)] * 4, zeros(8), zeros(), zeros(), interpret=True)


@pytest.mark.parametrize("block", [0, -1, 3, 16])
def test_a_block_must_divide_the_work(block):
    with pytest.raises(ValueError, match=r"power of two in \[1, 8\]"):
        fold.fold(zeros(16), zeros(), block=block, interpret=True)


def test_a_default_block_is_cut_to_the_work():
    assert launch.choose_block(None, 8) == 8
    assert launch.choose_block(None, 2**20) == launch.DEFAULT_BLOCK


@pytest.mark.parametrize("dtype", [jnp.uint32, jnp.int64, jnp.float64])
def test_planes_must_be_uint64(dtype):
    with pytest.raises(TypeError, match=r"table\.re must be uint64"):
        fold.fold(zeros(4, dtype=dtype), zeros(), interpret=True)
    with pytest.raises(TypeError, match=r"challenge\.re must be uint64"):
        fold.fold(zeros(4), zeros(dtype=dtype), interpret=True)


def test_without_x64_the_planes_are_refused():
    with jax.enable_x64(False):
        table = jnp.zeros(4, jnp.uint32), jnp.zeros(4, jnp.uint32)
        with pytest.raises(TypeError, match="enable_x64"):
            fold.fold(table, (table[0][0], table[1][0]), interpret=True)


def test_ranks_are_checked():
    with pytest.raises(ValueError, match="one axis"):
        fold.fold(zeros(2, 4), zeros(), interpret=True)
    with pytest.raises(ValueError, match="scalar"):
        fold.fold(zeros(4), zeros(1), interpret=True)


@pytest.mark.skipif(jax.default_backend() == "gpu", reason="there is a GPU to run on")
def test_a_kernel_without_a_gpu_raises():
    with pytest.raises(ValueError, match="interpret mode"):
        jax.block_until_ready(fold.fold(zeros(8), zeros()))
