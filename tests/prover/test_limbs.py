"""Sums over an axis by limbs, against Python integers."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest

from tests.compute.oracle import random_elements
from zkjax.fields.mersenne61 import K
from zkjax.fields.vectors import Ext
from zkjax.prover import limbs
from zkjax.prover.limbs import sum_over_axis

SHAPES = [(7,), (5, 6), (3, 4, 5), (1, 9, 1)]


def extremes(shape: tuple[int, ...], low: int, high: int, kind: str, seed: int) -> np.ndarray:
    """Integers in [low, high], half of them at the ends."""
    generator = np.random.default_rng(seed)
    values = generator.integers(low, high, shape, endpoint=True)
    ends = np.where(generator.random(shape) < 0.5, low, high)
    return np.where(generator.random(shape) < 0.5, ends, values).astype(kind)


def expected(values: np.ndarray, axis: int, weights: list[K]) -> list[K]:
    rows = np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1).tolist()
    columns = zip(*rows, strict=True)
    return [sum((w * v for w, v in zip(weights, column, strict=True)), K.ZERO) for column in columns]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("low", "high", "kind"),
    [
        (-128, 127, "i1"),
        (0, 255, "u1"),
        (-(1 << 15), (1 << 15) - 1, "i2"),
        (-(1 << 31), (1 << 31) - 1, "i4"),
        (0, (1 << 32) - 1, "u4"),
        (-(1 << 44), 1 << 44, "i8"),
        (0, 0, "i8"),
    ],
)
@pytest.mark.parametrize("chunk", [1 << 22, 8])
def test_every_axis(shape, low, high, kind, chunk):
    values = extremes(shape, low, high, kind, seed=len(shape))
    for axis, size in enumerate(shape):
        weights = random_elements(axis, size)
        with patch.object(limbs, "CHUNK", chunk):
            found = sum_over_axis(values, axis, Ext.from_list(weights))
        assert found is not None
        assert found.shape == shape[:axis] + shape[axis + 1 :]
        assert found.reshape(-1).to_list() == expected(values, axis, weights)


def test_the_largest_sum_that_is_exact():
    """All integers and all limbs as large as they can be."""
    values = np.full((2, 1 << 10), (1 << 20) - 1, np.int32)
    weights = [K((1 << 61) - 2, (1 << 61) - 2)] * (1 << 10)
    found = sum_over_axis(values, 1, Ext.from_list(weights))
    assert found is not None
    assert found.to_list() == expected(values, 1, weights)


def test_what_cannot_be_exact_is_left_to_the_field():
    assert sum_over_axis(np.full((4, 4), 1 << 48), 1, Ext.from_list([K.ONE] * 4)) is None
