"""JAX arrays over K: what the law battery does not reach."""

import jax
import numpy as np
import pytest

from zkjax.fields import extension, vectors
from zkjax.fields.mersenne61 import K
from zkjax.fields.vectors import Ext


def test_fused_forms(draw):
    a, b, c = draw.ext(50), draw.ext(50), draw.ext(50)
    triples = list(zip(a.to_list(), b.to_list(), c.to_list(), strict=True))
    assert extension.mul_add(a, b, c).to_list() == [x * y + z for x, y, z in triples]
    r = K(12, 34)
    expected = [x + r * (y - x) for x, y, _ in triples]
    assert extension.fold(a, b, extension.asarray(r)).to_list() == expected
    base = [x.re + r * (y.re - x.re) for x, y, _ in triples]
    assert extension.fold_base(a.re, b.re, extension.asarray(r)).to_list() == base
    assert extension.scale(a, r).to_list() == [r * x for x, _, _ in triples]
    assert extension.scale(a, 5).to_list() == [5 * x for x, _, _ in triples]
    assert extension.mul_base(a, b.re).to_list() == [x * y.re for x, y, _ in triples]
    assert extension.from_base(a.re).to_list() == [K(x.re) for x, _, _ in triples]


@pytest.mark.parametrize("n", [0, 1, 9, 4097])
def test_block_sums(draw, n):
    a, b = draw.ext(n), draw.ext(n)
    assert extension.inner(a, b).item() == vectors.inner(a, b)
    assert extension.inner_base(a, b.re).item() == vectors.inner_base(a, b.re)
    assert extension.total(a).item() == vectors.ext_sum(a).item()


def test_sums_refuse_unequal_shapes(draw):
    with pytest.raises(ValueError, match="equal shapes"):
        extension.inner(draw.ext(4), draw.ext(5))
    with pytest.raises(ValueError, match="equal shapes"):
        extension.inner_base(draw.ext(4), draw.base(5))


@pytest.mark.parametrize("n", [0, 1, 5, 13])
def test_equality_weights(draw, n):
    point = draw.ext(n)
    weights = jax.jit(extension.equality_weights)(point)
    assert weights.to_list() == vectors.equality_weights(point.to_list()).to_list()


@pytest.mark.parametrize("count", [0, 1, 5, 64])
def test_powers(count):
    x = K(3, -5)
    got = jax.jit(extension.powers, static_argnums=1)(extension.asarray(x), count)
    assert got.to_list() == vectors.powers(x, count).to_list()


@pytest.mark.parametrize(("d", "n"), [(0, 3), (1, 0), (5, 3), (9000, 14)])
def test_multilinear_evaluation_extends_by_zero(draw, d, n):
    table, point = draw.ext(d), draw.ext(n)
    elements = point.to_list()
    evaluate = jax.jit(extension.evaluate_multilinear)
    assert evaluate(table, point).item() == vectors.evaluate_multilinear(table, elements)
    assert evaluate(table.re, point).item() == vectors.evaluate_multilinear(table.re, elements)


def test_multilinear_evaluation_refuses_what_does_not_fit(draw):
    for table in (draw.ext(9), draw.ext(2, 2), draw.base(9)):
        with pytest.raises(ValueError, match="no extension"):
            extension.evaluate_multilinear(table, draw.ext(3))


def test_batch_inverse_with_zeros_among_the_entries(draw):
    a = draw.ext(3, 100)
    for plane in a:
        plane.flat[::7] = 0
    expected = [x.inverse() if x else x for x in a.to_list()]
    assert jax.jit(extension.batch_inverse)(a).to_list() == expected
    assert jax.jit(extension.inverse)(a).to_list() == expected


def test_construction(draw):
    a, b = draw.ext(3), draw.ext(3)
    assert extension.asarray(a.to_list()).to_list() == a.to_list()
    assert extension.asarray(K(1, 2)).shape == ()
    assert extension.concatenate([a, b]).to_list() == a.to_list() + b.to_list()
    assert extension.stack([a, b]).shape == (2, 3)
    assert extension.ones(2).to_list() == [K.ONE] * 2
    assert extension.zeros((1, 2)).to_list() == [K.ZERO] * 2
    mixed = extension.where(np.array([True, False, True]), a, b)
    assert extension.equal(mixed, a).tolist() == [True, False, True]


def test_other_dtypes_are_refused(draw):
    good = draw.ext(4)
    bad = Ext(good.re, good.im.astype(np.int64))
    for function in (extension.add, extension.sub, extension.mul, extension.inner):
        with pytest.raises(TypeError, match="uint64"):
            function(good, bad)
    for function in (extension.neg, extension.conjugate, extension.inverse, extension.asarray):
        with pytest.raises(TypeError, match="uint64"):
            function(bad)
