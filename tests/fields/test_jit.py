"""Every public function of the JAX fields gives under `jit` what it gives without."""

import jax
import numpy as np
import pytest

from zkjax.fields import arrays, extension, ntt

BASE = {
    "reduce": 1,
    "add": 2,
    "sub": 2,
    "neg": 1,
    "mul": 2,
    "square": 1,
    "mul_add": 3,
    "dot": 4,
    "fold": 3,
    "inverse": 1,
    "batch_inverse": 1,
    "total": 1,
    "inner": 2,
    "to_signed": 1,
}
EXT = {
    "add": 2,
    "sub": 2,
    "neg": 1,
    "conjugate": 1,
    "mul": 2,
    "mul_add": 3,
    "mul_i": 1,
    "square": 1,
    "scale": 2,
    "norm": 1,
    "inverse": 1,
    "batch_inverse": 1,
    "fold": 3,
    "total": 1,
    "inner": 2,
    "equality_weights": 1,
}


def assert_same(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype and np.array_equal(x, y)


@pytest.mark.parametrize("name", BASE)
def test_base(draw, name):
    function, operands = getattr(arrays, name), [draw.base(9) for _ in range(BASE[name])]
    assert_same(jax.jit(function)(*operands), function(*operands))


@pytest.mark.parametrize("name", EXT)
def test_extension(draw, name):
    function, operands = getattr(extension, name), [draw.ext(9) for _ in range(EXT[name])]
    assert_same(jax.jit(function)(*operands), function(*operands))


def test_transform(draw):
    coefficients = draw.ext(3, 2)
    jitted = jax.jit(ntt.transform, static_argnums=1)
    assert_same(jitted(coefficients, 2), ntt.transform(coefficients, 2))
