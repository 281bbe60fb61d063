"""Every public function of the JAX fields maps over a batch as a loop would."""

import jax
import numpy as np
import pytest

from tests.fields.test_jit import BASE, EXT
from zkjax.fields import arrays, extension, ntt
from zkjax.fields.vectors import Ext

BATCH = 3


def assert_maps(function, operands):
    mapped = jax.vmap(function)(*operands)
    for index in range(BATCH):
        single = function(*(jax.tree.map(lambda x, i=index: x[i], operand) for operand in operands))
        for x, y in zip(jax.tree.leaves(mapped), jax.tree.leaves(single), strict=True):
            assert np.array_equal(x[index], y)


@pytest.mark.parametrize("name", BASE)
def test_base(draw, name):
    assert_maps(jax.jit(getattr(arrays, name)), [draw.base(BATCH, 9) for _ in range(BASE[name])])


@pytest.mark.parametrize("name", EXT)
def test_extension(draw, name):
    assert_maps(jax.jit(getattr(extension, name)), [draw.ext(BATCH, 9) for _ in range(EXT[name])])


def test_sums_over_several_blocks(draw):
    n = 2 * arrays.BLOCK + 3
    assert_maps(jax.jit(extension.inner), [draw.ext(BATCH, n), draw.ext(BATCH, n)])


def test_multilinear_evaluation(draw):
    operands = [draw.ext(BATCH, 9000), draw.ext(BATCH, 14)]
    assert_maps(jax.jit(extension.evaluate_multilinear), operands)


def test_a_shared_challenge(draw):
    low, high, r = draw.ext(BATCH, 4), draw.ext(BATCH, 4), draw.ext(1)[0]
    r = Ext(*(np.asarray(x) for x in r))
    mapped = jax.vmap(extension.fold, in_axes=(0, 0, None))(low, high, r)
    assert mapped.to_list() == extension.fold(low, high, r).to_list()


def test_transform(draw):
    assert_maps(jax.jit(lambda x: ntt.transform(x, 4)), [draw.ext(BATCH, 10, 2)])
