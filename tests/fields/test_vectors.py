"""NumPy arrays over F and K against Python integers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from zkjax.fields import vectors
from zkjax.fields.mersenne61 import K, P, evaluation_point, to_field, to_signed
from zkjax.fields.vectors import Ext


def total(elements):
    return sum(elements, K.ZERO)


def weight(point, index):
    """eq(point, index) by its definition."""
    product = K.ONE
    for position, r in enumerate(point):
        bit = index >> (len(point) - 1 - position) & 1
        product *= r if bit else 1 - r
    return product


@given(hnp.arrays(np.int64, st.integers(0, 20)))
def test_signed_values(values):
    assert vectors.from_signed(values).tolist() == [to_field(x) for x in values.tolist()]


def test_signed_edges():
    edges = [0, -1, 1, P, -P, P - 1, 1 - P, P + 1, 2**63 - 1, -(2**63), -(2**61), 2**61, 2**62]
    residues = vectors.from_signed(np.array(edges))
    assert residues.tolist() == [to_field(x) for x in edges]
    assert vectors.to_signed(residues).tolist() == [to_signed(x) for x in edges]


def test_reduce_takes_any_word():
    words = [0, P - 1, P, P + 1, 2 * P, 2**62, 2**63, 2**64 - 1, 7 * P, 8 * P]
    assert vectors.reduce(np.array(words, dtype=np.uint64)).tolist() == [x % P for x in words]


def test_sums_do_not_overflow(draw):
    a = np.full((3, 1000), P - 1, dtype=np.uint64)
    assert vectors.base_sum(a) == to_field(-3000)
    assert vectors.base_sum(a, axis=1).tolist() == [to_field(-1000)] * 3
    e = draw.ext(4, 5)
    assert vectors.ext_sum(e).item() == total(e.to_list())
    assert vectors.ext_sum(e, axis=0).to_list() == [total(e[:, j].to_list()) for j in range(5)]
    assert vectors.base_sum(np.zeros(0, dtype=np.uint64)) == 0


@pytest.mark.parametrize("n", [0, 1, 5, vectors._BLOCK - 1, vectors._BLOCK + 1])
def test_inner_products(draw, n):
    a, b = draw.ext(n), draw.ext(n)
    pairs = list(zip(a.to_list(), b.to_list(), strict=True))
    assert vectors.inner(a, b) == total(x * y for x, y in pairs)
    assert vectors.inner_base(a, b.re) == total(x * y.re for x, y in pairs)


def test_inner_products_refuse_unequal_shapes(draw):
    with pytest.raises(ValueError, match="equal shapes"):
        vectors.inner(draw.ext(4), draw.ext(1))
    with pytest.raises(ValueError, match="equal shapes"):
        vectors.inner_base(draw.ext(4), draw.base(5))


@pytest.mark.parametrize(("n", "k"), [(0, 3), (1, 1), (3, 0), (5, 7), (3000, 5), (2, 8192 + 7), (1, 2 * 8192)])
def test_products_of_a_matrix_and_a_vector(draw, n, k):
    matrix, vector = draw.ext(n * k).reshape(n, k), draw.ext(k)
    entries, weights = matrix.to_list(), vector.to_list()
    expected = [total(x * y for x, y in zip(entries[k * i : k * i + k], weights, strict=True)) for i in range(n)]
    assert vectors.matrix_vector(matrix, vector).to_list() == expected


def test_products_of_a_matrix_and_a_vector_refuse_other_shapes(draw):
    for matrix in (draw.ext(6).reshape(2, 3), draw.ext(2), draw.ext(4).reshape(1, 2, 2)):
        with pytest.raises(ValueError, match="takes a vector"):
            vectors.matrix_vector(matrix, draw.ext(2))


def test_products_of_vectors_and_scalars(draw):
    a, b, c = draw.ext(3), draw.ext(4), K(5, 6)
    expected = [x * y for x in a.to_list() for y in b.to_list()]
    assert vectors.outer(a, b).to_list() == expected
    assert vectors.outer(a, b).shape == (3, 4)
    assert vectors.outer_base(a.re, b.re).ravel().tolist() == [int(x) * int(y) % P for x in a.re for y in b.re]
    assert vectors.ext_scale(a, c).to_list() == [x * c for x in a.to_list()]
    assert vectors.ext_mul_base(a, a.im).to_list() == [x * x.im for x in a.to_list()]


@pytest.mark.parametrize("n", range(6))
def test_equality_weights_put_the_most_significant_variable_first(draw, n):
    point = draw.ext(n).to_list()
    weights = vectors.equality_weights(point).to_list()
    assert weights == [weight(point, index) for index in range(1 << n)]
    assert total(weights) == 1


def test_equality_weights_at_a_corner_pick_one_index():
    corner = [K(1), K(0), K(1), K(1)]
    assert vectors.equality_weights(corner).to_list() == [K(int(i == 0b1011)) for i in range(16)]


@pytest.mark.parametrize(("d", "n"), [(0, 3), (1, 0), (1, 5), (5, 3), (8, 3), (3, 14), (20000, 15)])
def test_multilinear_evaluation_extends_by_zero(draw, d, n):
    table, point = draw.ext(d), draw.ext(n).to_list()
    if n < 14:
        expected = total(x * weight(point, i) for i, x in enumerate(table.to_list()))
        base = total(x.re * weight(point, i) for i, x in enumerate(table.to_list()))
    else:
        weights = vectors.equality_weights(point)[:d]
        expected, base = vectors.inner(table, weights), vectors.inner_base(weights, table.re)
    assert vectors.evaluate_multilinear(table, point) == expected
    assert vectors.evaluate_multilinear(table.re, point) == base


def test_multilinear_evaluation_refuses_what_does_not_fit(draw):
    point = draw.ext(3).to_list()
    with pytest.raises(ValueError, match="no extension"):
        vectors.evaluate_multilinear(draw.ext(9), point)
    with pytest.raises(ValueError, match="no extension"):
        vectors.evaluate_multilinear(draw.ext(2, 2), point)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 17])
def test_powers(count):
    x = K(3, P - 5)
    assert vectors.powers(x, count).to_list() == [x**e for e in range(count)]


@pytest.mark.parametrize(("k", "log_n"), [(0, 2), (1, 0), (1, 3), (5, 3), (8, 3), (11, 5)])
def test_transform_evaluates_the_polynomial(draw, k, log_n):
    coefficients = draw.ext(k)
    points = [evaluation_point(j, log_n) for j in range(1 << log_n)]
    expected = [total(c * x**e for e, c in enumerate(coefficients.to_list())) for x in points]
    assert vectors.transform(coefficients, log_n).to_list() == expected
    rows = vectors.transform(Ext(*(np.stack([x, x], axis=1) for x in coefficients)), log_n)
    assert rows.shape == (1 << log_n, 2) and rows[:, 1].to_list() == expected


def test_transform_refuses_too_many_coefficients(draw):
    with pytest.raises(ValueError, match="exceed"):
        vectors.transform(draw.ext(9), 3)


def test_encodings_agree_with_elements(draw):
    e = draw.ext(5)
    encoded = e.to_bytes()
    assert encoded == b"".join(x.to_bytes() for x in e.to_list())
    assert Ext.from_bytes(encoded).to_list() == e.to_list() == Ext.from_list(e.to_list()).to_list()
    with pytest.raises(ValueError, match="index 1"):
        Ext.from_bytes(bytes(16) + P.to_bytes(8, "little") + bytes(8))
    with pytest.raises(ValueError, match="bytes each"):
        Ext.from_bytes(bytes(17))


def test_ext_is_an_array_and_no_tuple(draw):
    e = draw.ext(2, 3)
    assert (e.shape, e.ndim, e.size) == ((2, 3), 2, 6)
    assert e[1].shape == (3,) and e.reshape(3, 2).shape == e.reshape((3, 2)).shape == (3, 2)
    assert e[1, 2].item() == e.to_list()[5]
    for nonsense in (lambda: e + e, lambda: e * 2, lambda: 2 * e, lambda: e < e):
        with pytest.raises(TypeError, match="no operators"):
            nonsense()


@pytest.mark.parametrize("dtype", [np.int64, np.uint32, np.float64, object])
def test_other_dtypes_are_refused(draw, dtype):
    good, bad = draw.base(4), np.zeros(4, dtype=dtype)
    for call in (
        lambda: vectors.add(good, bad),
        lambda: vectors.sub(bad, good),
        lambda: vectors.neg(bad),
        lambda: vectors.mul(good, bad),
        lambda: vectors.reduce(bad),
        lambda: vectors.base_sum(bad),
        lambda: vectors.to_signed(bad),
        lambda: vectors.ext_mul(Ext(good, good), Ext(good, bad)),
        lambda: vectors.transform(Ext(good, bad), 2),
    ):
        with pytest.raises(TypeError, match="uint64"):
            call()
    with pytest.raises(TypeError, match="int64"):
        vectors.from_signed(good)
