"""Formats of data and state, and what happens to values that do not fit."""

from __future__ import annotations

import numpy as np
import pytest

from zkjax.errors import UserError
from zkjax.fixedpoint.formats import (
    DataFormat,
    Precision,
    WeightFormat,
    data_format,
    quantized_data,
    quantized_state,
    state_bits,
)


def formatted(values, rows=1):
    values = np.asarray(values, np.float32)
    form = data_format("x", values.shape[1:], [values])
    return form.fraction_bits, form.lo, form.hi, form.exact


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.arange(17) / 16, (4, 0, 16, True)),
        (np.arange(256), (0, 0, 256, True)),
        ([0, 1], (0, 0, 1, True)),
        ([0, 0], (0, 0, 1, True)),
        ([-1, 1], (0, -1, 1, True)),
        ([-0.75, 0.25], (2, -4, 4, True)),
        ([2.0**-12, 1], (12, 0, 4096, True)),
    ],
)
def test_few_bits_are_kept_as_they_are(values, expected):
    assert formatted(values) == expected


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
def test_other_data_get_twelve_bits_and_room_for_as_much_again(scale):
    values = np.random.default_rng(0).normal(size=(50, 3)) * scale
    fraction, lo, hi, exact = formatted(values)
    assert not exact
    assert -lo == hi == 1 << 13
    largest = np.abs(np.rint(values * 2.0**fraction)).max()
    assert 1 << 11 <= largest <= 1 << 12


def test_whole_numbers_of_many_bits_are_rounded():
    fraction, _, hi, exact = formatted([0, 1 << 20, 12345])
    assert not exact
    assert fraction < 0
    assert hi == 1 << 13


def test_nan_is_named():
    with pytest.raises(UserError, match=r"batch leaf 'x' holds nan at index \[1\]"):
        formatted([0.0, np.nan])


PIXELS = DataFormat(4, 0, 16, True, (6,))
READINGS = DataFormat(9, -8192, 8192, False, (2, 3))


def test_quantized_rows_are_integers_in_the_committed_shape():
    values = np.arange(12).reshape(2, 2, 3) / 16
    np.testing.assert_array_equal(quantized_data("x", PIXELS, values), np.arange(12).reshape(2, 6))
    rounded = quantized_data("x", READINGS, np.full((2, 2, 3), 0.3))
    assert rounded.dtype == np.int64
    assert (rounded == round(0.3 * 512)).all()


@pytest.mark.parametrize(
    ("value", "saying"),
    [
        (np.inf, r"holds inf at index \[1, 0, 2\]"),
        (-0.5, r"holds -0.5 at index \[1, 0, 2\], outside of its range \[0, 1\]"),
        (1.0625, r"outside of its range \[0, 1\]"),
        (0.03, r"no multiple of 2\^-4"),
    ],
)
def test_data_that_do_not_fit_are_named(value, saying):
    values = np.zeros((3, 2, 3))
    values[1, 0, 2] = value
    with pytest.raises(UserError, match=saying):
        quantized_data("x", PIXELS, values)


def test_state_has_sixteen_fraction_bits_and_room_for_two():
    assert state_bits("w", 0.0) == 17
    assert state_bits("w", 0.9) == 17
    assert state_bits("w", 1.5) == 18
    assert state_bits("w", 4.1) == 20
    form = WeightFormat(28, 17, 1, {})
    np.testing.assert_array_equal(quantized_state("w", form, [1.5, -2.0]), [3 << 15, -(2 << 16)])
    with pytest.raises(
        UserError, match=r"state leaf 'w' holds 2.0 at index \[0\], outside of its range \[-2, 1.99998\]"
    ):
        quantized_state("w", form, [2.0])
    with pytest.raises(UserError, match="became NaN or infinite"):
        state_bits("w", float("inf"))


def test_headroom_follows_how_much_was_calibrated():
    assert Precision.chosen(12, 1, 16) == Precision(12, 3, 2)
    assert Precision.chosen(12, 16, 16) == Precision(12, 1, 1)
    assert Precision(12, 3, 2).limit == 4095
    assert Precision(12, 3, 2).wide == 1 << 15
    assert Precision(12, 3, 2).most_cut == 2
    assert Precision(10, 3, 2).most_cut == 0
