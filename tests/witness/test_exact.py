"""Contractions, sums and combinations against Python integers, at the edges of what float64 holds."""

from __future__ import annotations

from math import isqrt

import jax
import numpy as np
import pytest

from tests.witness.naive import _spread, integers
from zkjax.statement.circuit import Contract
from zkjax.witness import exact


@pytest.fixture(autouse=True)
def x64():
    with jax.enable_x64(True):
        yield


def contracted(spec: str, left: np.ndarray, right: np.ndarray, bounds: tuple[int, int]):
    inputs, out = spec.split("->")
    first, second = inputs.split(",")
    letters = sorted(set(first + second))
    labels = [tuple(letters.index(letter) for letter in group) for group in (first, second, out)]
    node = Contract((), 0, 1, *labels)
    expected = integers(_spread(integers(left), labels[0], range(len(letters)))) * _spread(
        integers(right), labels[1], range(len(letters))
    )
    summed = tuple(i for i, letter in enumerate(letters) if letter not in out)
    expected = np.asarray(expected.sum(axis=summed), dtype=object)
    kept = [letter for letter in letters if letter in out]
    expected = expected.transpose([kept.index(letter) for letter in out])
    return exact.contract(node, jax.numpy.asarray(left), jax.numpy.asarray(right), bounds), expected


SPECS = [
    "ni,io->no",
    "ni,no->io",
    "no,io->ni",
    "tni,tio->tno",
    "ab,ba->",
    "a,b->ba",
    "abc,cd->da",
    "abc,b->ca",
    "ab,ac->abc",
    "a,a->a",
]


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("bits", [(12, 12), (12, 45), (45, 12), (29, 29), (26, 27), (0, 50), (52, 3)])
def test_contractions_are_exact(spec, bits):
    sizes = dict(zip("abcdtnio", (2, 3, 4, 5, 2, 3, 4, 5), strict=True))
    random = np.random.default_rng(0)
    inputs = spec.split("->")[0].split(",")
    for scale in (1.0, 2.0**-10):
        arrays, bounds = [], []
        for letters, magnitude in zip(inputs, bits, strict=True):
            bound = (1 << magnitude) - (magnitude > 0)
            array = random.integers(-bound, bound, [sizes[letter] for letter in letters], endpoint=True)
            if scale == 1.0:
                array = np.where(random.integers(0, 2, array.shape), np.sign(array) * bound, array)
            arrays.append((array * scale).astype(np.int64))
            bounds.append(bound)
        found, expected = contracted(spec, *arrays, tuple(bounds))
        assert found.dtype in (np.int64, np.float64)
        if found.dtype == np.float64:
            assert max(map(abs, integers(expected).reshape(-1))) <= exact.EXACT
        assert np.array_equal(np.asarray(exact.as_int(found)).astype(object), expected)


def test_an_axis_of_one_factor_alone_widens_its_bound():
    left, right = np.full((1, 3, 1), (1 << 26) - 1), np.full((1, 1), (1 << 26) + 1)
    found, expected = contracted("abc,cd->da", left, right, ((1 << 26) - 1, (1 << 26) + 1))
    assert int(expected[0, 0]) > exact.EXACT
    assert int(found[0, 0]) == int(expected[0, 0]) == 3 * ((1 << 52) - 1)


@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_one_product_is_taken_up_to_its_limit_and_not_beyond(size):
    bound = exact.EXACT // (size * 4096)
    for extra in (0, 1):
        left = np.full((1, size), 4096)
        right = np.full((size, 1), bound + extra)
        right[0] -= 1
        found, expected = contracted("ni,io->no", left, right, (4096, bound + extra))
        assert (found.dtype == np.float64) == (extra == 0)
        assert int(found[0, 0]) == int(expected[0, 0])


def test_limbs_of_float64_factors():
    random = np.random.default_rng(1)
    bound = (1 << 50) - 1
    right = random.integers(-bound, bound, (6, 5))
    left = random.integers(-127, 128, (4, 6))
    node = Contract((), 0, 1, (0, 1), (1, 2), (0, 2))
    found = exact.contract(node, jax.numpy.asarray(left), jax.numpy.asarray(right, float), (127, bound))
    assert np.array_equal(np.asarray(found).astype(object), integers(left) @ integers(right))


def test_wide_by_wide_products_wrap_as_integers_do():
    left, right = np.array([[(1 << 61) + 3, 5]]), np.array([[(1 << 60) + 7], [11]])
    found, expected = contracted("ni,io->no", left, right, (1 << 62, 1 << 61))
    assert (int(found[0, 0]) - int(expected[0, 0])) % 2**64 == 0


def test_combinations_choose_their_type():
    x = jax.numpy.asarray(np.array([1 << 40, -(1 << 40)]))
    small = exact.combine([(3, x), (-1, x.astype(float))], 1 << 42)
    assert small.dtype == np.float64
    large = exact.combine([((1 << 19) + 1, x), (1, x.astype(float))], 1 << 60)
    assert large.dtype == np.int64
    assert [int(v) for v in large] == [((1 << 19) + 2) << 40, -(((1 << 19) + 2) << 40)]


def test_square_roots_up_to_2_to_the_62():
    random = np.random.default_rng(0)
    roots = random.integers(1, 1 << 31, 1000)
    for offset in (-1, 0, 1):
        x = np.append(roots * roots + offset, [0, 1, 2, (1 << 62) - 1])
        expected = [isqrt(value) for value in x.tolist()]
        np.testing.assert_array_equal(exact.square_root(jax.numpy.asarray(x)), expected)
    assert int(exact.square_root(jax.numpy.asarray(-5))) == 0
