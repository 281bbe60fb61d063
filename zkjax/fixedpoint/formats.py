"""The formats of a program: how many fraction bits, and in which range.

Activations and gradients carry `bits` magnitude bits at their calibrated size plus headroom; the
tables that check them reach `ROOM_BITS` further, so that a value may grow beyond calibration
before the run stops. Data keep their native bits where they have few.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from zkjax.errors import UserError
from zkjax.fixedpoint.dyadic import exponent

DEFAULT_BITS = 12
LEAST_BITS = 10
MOST_BITS = 13
LEAST_EFFECTIVE_BITS = 8
MAX_SHIFT = 32
MOST_HEADROOM = 8
ROOM_BITS = 3
NATIVE_FRACTION = 12
NATIVE_BITS = 16
STATE_FRACTION = 16
# Logits of a softmax have this many magnitude bits before the point at least, whatever calibration saw: clipping
# them would destroy training. Beyond that, LOGIT_ROOM bits more than calibrated.
LEAST_LOGIT_BITS = 6
LOGIT_ROOM = 3
EXPONENTIAL_FRACTION = 16
RECIPROCAL_BITS = 20
RECIPROCAL_ROOM = 4
DIVISOR_BITS = 32
# Published outputs are multiples of 2**-REPORT_FRACTION.
REPORT_FRACTION = 16
# Functions with a root: bits of their values at the calibrated size beyond `bits`, and how much larger they may become.
ROOT_EXTRA = 2
ROOT_ROOM = 4
LEAST_STATE_BITS = 1
MEMORY_HEADROOM = 6
# Ranges of memories come in steps of so many bits, so that few tables serve all.
MEMORY_STEP = 4
# float32, in which the user's state holds them, is exact to this many bits.
MEMORY_BITS = 24


# What an optimiser remembers of: magnitude bits at the calibrated size, and room above it before the run stops.
MOVING_BITS = 14
MOVING_ROOM = 3
# A root has ROOT_BITS at most, so that its square fits the field; a leaf committed by its root has ROOTED_BITS.
ROOT_BITS = 29
ROOTED_BITS = 22
MOMENT_TAP_BITS = 12


@dataclass(frozen=True)
class Precision:
    """Magnitude bits of activations and gradients, and bits of headroom above calibration.

    `gradient_cut` bits are left out of the gradients, where full ones would drop more than two
    limbs of remainder.
    """

    bits: int
    forward_headroom: int
    gradient_headroom: int
    gradient_cut: int = 0

    @classmethod
    def chosen(cls, bits: int, batches: int, steps: int) -> Precision:
        """One bit of headroom if calibration covered the block's steps, else the measured growth."""
        covered = batches >= steps
        return cls(bits, 1, 1) if covered else cls(bits, 3, 2)

    @property
    def most_cut(self) -> int:
        """The largest `gradient_cut` that leaves LEAST_EFFECTIVE_BITS to gradients."""
        return max(0, self.bits - self.gradient_headroom - LEAST_EFFECTIVE_BITS)

    @property
    def limit(self) -> int:
        return (1 << self.bits) - 1

    @property
    def wide(self) -> int:
        """Committed quotients lie in [-wide, wide - 1]."""
        return 1 << (self.bits + ROOM_BITS)


@dataclass(frozen=True)
class DataFormat:
    """A data leaf: value = integer * 2**-fraction_bits, lo <= integer <= hi.

    `exact` if every calibrated value is such an integer without rounding. `shape` is that of one
    row as committed.
    """

    fraction_bits: int
    lo: int
    hi: int
    exact: bool
    shape: tuple[int, ...]


@dataclass(frozen=True)
class WeightFormat:
    """A state leaf: committed at `state_fraction` fraction bits with |integer| <= 2**bits.

    Inside the block it is exact at `fraction_bits`: at the times t = 0 to T the sum of
    initial[other][t] * the leaf `other` before the block, and of `step` * taps[t][s] * the integer
    change of step s over s < t; `taps` is None where every earlier change counts once. `factor` is
    the user's constant between change and move, of the loss and the optimiser together, `applied`
    the dyadic one that the integers apply (a tap of 2**tap_bits counts once); `rate` is the user's
    learning rate, if known. A `rooted` leaf is committed by its square root: what the sums above have of the leaf
    itself is the square of the committed integer.
    """

    fraction_bits: int
    bits: int
    step: int
    initial: Mapping[str, tuple[int, ...]]
    state_fraction: int = STATE_FRACTION
    taps: tuple[tuple[int, ...], ...] | None = None
    tap_bits: int = 0
    factor: Fraction = Fraction(0)
    applied: Fraction = Fraction(0)
    rate: Fraction | None = None
    rooted: bool = False
    before_bits: int = 0

    @property
    def bits_before(self) -> int:
        """Range bits of the leaf before the block: fewer than after it, where a bias correction is far from one."""
        return self.before_bits or self.bits

    @property
    def effective_rate(self) -> Fraction | None:
        """The learning rate that the integers apply."""
        return None if self.rate is None else abs(self.rate * self.applied / self.factor)


@dataclass(frozen=True)
class TensorFormat:
    """A rescaled tensor: its node of the step, name, source line, fraction bits, range and the bits it drops."""

    node: int
    name: str
    line: str
    shape: tuple[int, ...]
    fraction_bits: int
    lo: int
    hi: int
    shift: int


def data_format(name: str, shape: tuple[int, ...], arrays: Iterable[np.ndarray]) -> DataFormat:
    """Format of a data leaf that occurs in calibration as `arrays`."""
    values = np.concatenate([np.asarray(array, np.float64).ravel() for array in arrays])
    check_finite(f"batch leaf {name!r}", values)
    largest = float(np.abs(values).max())
    signed = bool((values < 0).any())
    if largest == 0:
        return DataFormat(0, 0, 1, True, shape)
    for fraction in range(NATIVE_FRACTION + 1):
        scaled = values * 2.0**fraction
        if bool((scaled == np.rint(scaled)).all()) and largest * 2.0**fraction <= 1 << NATIVE_BITS:
            hi = 1 << exponent(largest * 2.0**fraction)
            return DataFormat(fraction, -hi if signed else 0, hi, True, shape)
    fraction = NATIVE_FRACTION - exponent(largest)
    hi = 1 << (NATIVE_FRACTION + 1)
    return DataFormat(fraction, -hi if signed else 0, hi, False, shape)


def label_format(classes: int, shape: tuple[int, ...]) -> DataFormat:
    """Format of integer labels whose one-hot form is proved."""
    return DataFormat(0, 0, classes - 1, True, shape)


def state_bits(name: str, largest: float, fraction: int | None = None, headroom: int = 0) -> int:
    """Range bits of a state leaf: one more than calibrated, and room for |w| < 2, of `headroom` bits more, at least.

    With a `fraction` of its own it is a leaf of the optimiser, such as a momentum, which grows with the
    steps: MEMORY_HEADROOM bits more than calibrated, as far as MEMORY_BITS reach.
    """
    if not np.isfinite(largest):
        raise UserError(f"state leaf {name!r} became NaN or infinite on the calibration batches")
    if fraction is not None:
        bits = fraction + (exponent(largest) if largest > 0 else 0) + MEMORY_HEADROOM
        return min(MEMORY_BITS, max(1, -(-bits // MEMORY_STEP)) * MEMORY_STEP)
    least = LEAST_STATE_BITS + headroom
    bits = exponent(largest) + 1 if largest > 0 else least
    return STATE_FRACTION + max(bits, least)


def restored_state(form: WeightFormat, integers: Any) -> np.ndarray:
    """The values of a state leaf that is committed as `integers`."""
    values = np.asarray(integers, np.float64) * 2.0**-form.state_fraction
    return np.square(values) if form.rooted else values


def check_finite(what: str, values: np.ndarray) -> None:
    """Raise UserError naming the first entry that is NaN or infinite."""
    bad = ~np.isfinite(values)
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        raise UserError(f"{what} holds {values[index]} at index {list(index)}, expected finite numbers")


def quantized_data(name: str, form: DataFormat, values: Any) -> np.ndarray:
    """Rows of a data leaf as integers [rows, *form.shape]; UserError where they do not fit."""
    values = np.asarray(values, np.float64)
    what = f"data leaf {name!r}"
    check_finite(what, values)
    scaled = values * 2.0**form.fraction_bits
    rounded = np.rint(scaled)
    if form.exact and (bad := rounded != scaled).any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        raise UserError(
            f"{what} holds {values[index]} at index {list(index)}, which is no multiple of "
            f"2^-{form.fraction_bits} as all values of the calibration batch were: compile with "
            "calibration= batches that hold such values"
        )
    remedy = "compile with dataset= or calibration= that reach as far"
    if form.exact and not form.fraction_bits:
        remedy = f"if it is a label, the network has no such class: correct it; else {remedy}"
    check_range(what, values, rounded, form.lo, form.hi, form.fraction_bits, remedy)
    return rounded.astype(np.int64).reshape(len(values), *form.shape)


def quantized_state(name: str, form: WeightFormat, values: Any) -> np.ndarray:
    """A state leaf as integers at its fraction bits; UserError where it does not fit."""
    values = np.asarray(values, np.float64)
    what = f"state leaf {name!r}"
    check_finite(what, values)
    if form.rooted:
        negative = values < 0
        if negative.any():
            index = tuple(int(i) for i in np.argwhere(negative)[0])
            raise UserError(f"{what} holds {values[index]} at index {list(index)}: a mean of squares is not negative")
        values, what = np.sqrt(values), f"the square root of {what}"
    rounded = np.rint(values * 2.0**form.state_fraction)
    remedy = "compile from this state, with the batches of the block as calibration=, or with more headroom="
    limit = 1 << form.bits_before
    check_range(what, values, rounded, -limit, limit - 1, form.state_fraction, remedy)
    return rounded.astype(np.int64)


def check_range(
    what: str, values: np.ndarray, rounded: np.ndarray, lo: int, hi: int, fraction: int, remedy: str
) -> None:
    """Raise UserError naming the first entry outside of [lo, hi]."""
    bad = (rounded < lo) | (rounded > hi)
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        unit = 2.0**-fraction
        shown = int(values[index]) if not fraction and values[index].is_integer() else values[index]
        raise UserError(
            f"{what} holds {shown} at index {list(index)}, outside of its range "
            f"[{lo * unit:g}, {hi * unit:g}]: {remedy}"
        )
