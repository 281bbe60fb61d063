"""JAX arrays over F: what the law battery does not reach."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zkjax.fields import arrays, vectors
from zkjax.fields.mersenne61 import P, to_field, to_signed

EDGES = [0, 1, (1 << 31) - 1, 1 << 31, ((1 << 30) - 1) << 31, 1 << 60, P - 1, P]


def test_signed_edges():
    edges = [0, -1, 1, P, -P, P - 1, 1 - P, P + 1, 2**63 - 1, -(2**63), -(2**61), 2**61, 2**62]
    residues = arrays.from_signed(np.array(edges))
    assert residues.tolist() == [to_field(x) for x in edges]
    assert arrays.to_signed(residues).tolist() == [to_signed(x) for x in edges]


def test_reduce_takes_any_word():
    words = np.array([0, P - 1, P, P + 1, 2 * P, 2**63, 2**64 - 1, 7 * P, 8 * P], dtype=np.uint64)
    assert arrays.reduce(words).tolist() == [int(x) % P for x in words]
    partial = arrays.partial_reduce(jnp.asarray(words)).tolist()
    assert all(x < 2**61 + 7 and x % P == int(w) % P for x, w in zip(partial, words, strict=True))


def test_lazy_products_stay_in_their_bounds_up_to_p_itself():
    a, b = (jnp.array(x, jnp.uint64) for x in zip(*itertools.product(EDGES, repeat=2), strict=True))
    products = arrays.lazy_mul(a, b).tolist()
    for x, y, z in zip(a.tolist(), b.tolist(), products, strict=True):
        assert z < 2**63 and (z - x * y) % P == 0
    a, b, c, d = (jnp.array(x, jnp.uint64) for x in zip(*itertools.product(EDGES, repeat=4), strict=True))
    products = arrays.lazy_dot(a, b, c, d).tolist()
    for w, x, y, z, got in zip(*(v.tolist() for v in (a, b, c, d)), products, strict=True):
        assert got + 2**61 + 2**32 <= 2**64 and (got - w * x - y * z) % P == 0


def test_fused_forms(draw):
    a, b, c, d = (draw.base(50) for _ in range(4))
    integers = [[int(x) for x in v] for v in (a, b, c, d)]
    assert arrays.mul_add(a, b, c).tolist() == [(x * y + z) % P for x, y, z, _ in zip(*integers, strict=True)]
    assert arrays.dot(a, b, c, d).tolist() == [(w * x + y * z) % P for w, x, y, z in zip(*integers, strict=True)]
    assert arrays.fold(a, b, c).tolist() == [(x + z * (y - x)) % P for x, y, z, _ in zip(*integers, strict=True)]


@pytest.mark.parametrize("n", [0, 1, 64, 65, 200])
def test_block_sums(draw, n):
    a, b = draw.base(n), draw.base(n)
    expected = sum(int(x) * int(y) for x, y in zip(a, b, strict=True)) % P

    def step(sums, blocks):
        return (arrays.partial_reduce(sums[0] + arrays.lazy_mul(*blocks)),)

    assert arrays.accumulate(step, (a, b), planes=1, block=64)[0] == expected
    assert arrays.inner(a, b) == expected
    assert arrays.total(a) == sum(map(int, a)) % P


def test_block_sums_of_the_largest_values():
    a = np.full(3 * arrays.BLOCK + 5, P - 1, dtype=np.uint64)
    assert jax.jit(arrays.inner)(a, a) == a.size
    assert arrays.total(a) == to_field(-a.size)
    assert arrays.total(a.reshape(-1, 1), axis=1).tolist() == a.tolist()
    with pytest.raises(ValueError, match="equal shapes"):
        arrays.inner(a, a[1:])


@pytest.mark.parametrize("shape", [(0,), (1,), (3, 100)])
def test_batch_inverse_with_zeros_among_the_entries(draw, shape):
    a = draw.base(*shape)
    a.flat[::5] = 0
    got = jax.jit(arrays.batch_inverse)(a)
    assert got.shape == shape
    assert got.ravel().tolist() == [pow(int(x), P - 2, P) for x in a.ravel()]
    assert jax.jit(arrays.inverse)(a).tolist() == got.tolist()


def test_numpy_and_jax_agree(draw):
    a, b = draw.base(1000), draw.base(1000)
    assert np.array_equal(arrays.mul(a, b), vectors.mul(a, b))


@pytest.mark.parametrize("dtype", [np.int64, np.uint32, np.float64])
def test_other_dtypes_are_refused(draw, dtype):
    good, bad = draw.base(4), np.zeros(4, dtype=dtype)
    for function in (arrays.add, arrays.sub, arrays.mul, arrays.inner):
        with pytest.raises(TypeError, match="uint64"):
            function(good, bad)
    for function in (arrays.neg, arrays.square, arrays.reduce, arrays.total, arrays.inverse):
        with pytest.raises(TypeError, match="uint64"):
            function(bad)
    with pytest.raises(TypeError, match="uint64"):
        arrays.mul(good, 3)
    with pytest.raises(TypeError, match="int64"):
        arrays.from_signed(good)


def test_without_x64_mode_the_call_is_refused(draw):
    a = draw.base(4)
    with jax.enable_x64(False):
        for call in (lambda: arrays.mul(a, a), lambda: arrays.inner(a, a)):
            with pytest.raises(TypeError, match="x64"):
                call()
