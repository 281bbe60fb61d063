"""Public arrays in integers: closed-over constants, and what a step computes from counters and keys.

The arrays of all steps of a block are one tensor of the circuit, written once along every axis along which it does not
change. Entries are exact where EXACT_BITS bits hold them; else they are rounded, once, to ROUNDED_BITS bits of the
largest. A common factor of all entries stays outside, so that a mask times a number is a mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np

from zkjax.fixedpoint.dyadic import exponent

EXACT_BITS = 16
ROUNDED_BITS = 13
# Of the text of all public tensors of a circuit: the rest of the encoding needs room as well.
MAX_TEXT = 3 << 20


@dataclass(frozen=True)
class IntegerArray:
    """value = factor * entries * 2**-fraction, broadcast along the axes where `entries` has length one.

    `error` is the largest distance from the array that was given.
    """

    entries: np.ndarray
    factor: int
    fraction: int
    error: float


def in_integers(arrays: Sequence[np.ndarray]) -> IntegerArray:
    """The arrays of all steps, along a new leading axis."""
    values = np.stack(arrays)
    for axis in range(values.ndim):
        first = values.take([0], axis)
        if (values == first).all():
            values = first
    largest = float(np.abs(values).max())
    fraction = next((f for f in range(EXACT_BITS) if _holds(values, f, largest)), None)
    if fraction is None:
        fraction = ROUNDED_BITS - exponent(largest)
    integers = np.rint(values * 2.0**fraction)
    error = float(np.abs(values - integers * 2.0**-fraction).max())
    entries = integers.astype(np.int64)
    factor = gcd(*entries.reshape(-1).tolist()) or 1
    return IntegerArray(entries // factor, factor, fraction, error)


def _holds(values: np.ndarray, fraction: int, largest: float) -> bool:
    scaled = values * 2.0**fraction
    return largest * 2.0**fraction < 1 << EXACT_BITS and bool((scaled == np.rint(scaled)).all())
