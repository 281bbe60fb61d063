"""Programs are independent: any order, alone, on uninitialised outputs, gives the same arrays."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import pallas as pl

from pallas_kernels import field_mul, fold, logup_round, partials, sumcheck_round
from tests.kernels.compilation import compiled
from tests.kernels.isolation import SharedBlockError, isolated_pallas_call

N = 64
KERNELS = {
    "extension_product": (field_mul.extension_product, [(N,), (N,)]),
    "fold": (fold.fold, [(N,), ()]),
    "product_round_sums": (sumcheck_round.product_round_sums, [(N,), (N,)]),
    "product_round": (sumcheck_round.product_round, [(N,), (N,), ()]),
    "logup_round_sums": (logup_round.logup_round_sums, [(N,)] * 4 + [(N // 2,), (), ()]),
    "logup_round": (logup_round.logup_round, [(N,)] * 4 + [(N // 4,), (), (), ()]),
}


def operands(shapes):
    rng = np.random.default_rng(0)
    return [
        tuple(jnp.asarray(rng.integers(0, 2**61 - 1, shape, dtype=np.uint64)) for _ in range(2)) for shape in shapes
    ]


@pytest.mark.parametrize("name", KERNELS)
def test_any_order_gives_the_same(name, interpret, monkeypatch):
    function, shapes = KERNELS[name]
    arguments = operands(shapes)
    expected = jax.tree.leaves(compiled(function)(*arguments, block=4, interpret=interpret))
    monkeypatch.setattr(pl, "pallas_call", isolated_pallas_call(seed=7))
    got = jax.tree.leaves(function(*arguments, block=4, interpret=True))
    for a, b in zip(expected, got, strict=True):
        np.testing.assert_array_equal(a, b)


def accumulate_across_the_grid(values, block):
    """The mistake: every program adds its sum into the one output entry."""

    def kernel(values_ref, out_ref):
        @pl.when(pl.program_id(0) == 0)
        def _():
            out_ref[...] = jnp.zeros((1,), jnp.uint64)

        out_ref[...] += partials.modular_sum(values_ref[...])[None]

    return pl.pallas_call(
        kernel,
        grid=(values.size // block,),
        in_specs=[pl.BlockSpec((block,), lambda i: (i,))],
        out_specs=[pl.BlockSpec((1,), lambda i: (0,))],
        out_shape=[jax.ShapeDtypeStruct((1,), jnp.uint64)],
        interpret=True,
    )(values)


def test_the_harness_catches_accumulation_across_the_grid(monkeypatch):
    values = jnp.arange(16, dtype=jnp.uint64)
    (accepted,) = accumulate_across_the_grid(values, 4)
    assert int(accepted[0]) == 120  # the interpreter runs it in order and sees nothing wrong
    monkeypatch.setattr(pl, "pallas_call", isolated_pallas_call(seed=7))
    with pytest.raises(SharedBlockError):
        accumulate_across_the_grid(values, 4)


def test_the_harness_catches_reading_an_uninitialised_output(monkeypatch):
    def call():
        def kernel(values_ref, out_ref):
            out_ref[...] += values_ref[...]

        return pl.pallas_call(
            kernel,
            grid=(2,),
            in_specs=[pl.BlockSpec((2,), lambda i: (i,))],
            out_specs=[pl.BlockSpec((2,), lambda i: (i,))],
            out_shape=[jax.ShapeDtypeStruct((4,), jnp.uint64)],
            interpret=True,
        )(jnp.arange(4, dtype=jnp.uint64))

    monkeypatch.setattr(pl, "pallas_call", isolated_pallas_call(seed=7))
    (got,) = call()
    assert got.tolist() != [0, 1, 2, 3]
