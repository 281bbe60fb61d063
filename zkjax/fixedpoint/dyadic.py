"""Exact numbers by short integers and powers of two."""

from __future__ import annotations

from fractions import Fraction
from math import frexp

from zkjax.fixedpoint.step import odd_part

MULTIPLIER_BITS = 12
CONSTANT_FRACTION = 20


def exponent(magnitude: float) -> int:
    """The least e with |magnitude| <= 2**e; 0 has none."""
    if not magnitude > 0:
        raise ValueError("zero has no exponent")
    mantissa, power = frexp(magnitude)
    return power - 1 if mantissa == 0.5 else power


def short(value: Fraction, bits: int = MULTIPLIER_BITS) -> tuple[int, int]:
    """(m, k) with value close to m / 2**k, m odd of at most `bits` bits; k may be negative.

    The shortest m within a relative error of 2**-bits.
    """
    sign = -1 if value < 0 else 1
    odd = odd_part(value)
    shift = exponent_of_ratio(abs(value) / odd)
    for width in range(1, bits + 1):
        multiplier = round(odd * (1 << (width - 1)))
        error = abs(Fraction(multiplier, 1 << (width - 1)) / odd - 1)
        if error <= Fraction(1, 1 << bits):
            break
    power = width - 1 - shift
    while multiplier % 2 == 0:
        multiplier //= 2
        power -= 1
    return sign * multiplier, power


def exponent_of_ratio(power_of_two: Fraction) -> int:
    """log2 of a power of two."""
    return power_of_two.numerator.bit_length() - power_of_two.denominator.bit_length()


def is_short(value: Fraction, bits: int) -> bool:
    """Whether value is exactly m / 2**k with m of at most `bits` bits."""
    odd = odd_part(value)
    denominator = odd.denominator
    return denominator & (denominator - 1) == 0 and odd.numerator.bit_length() <= bits


def ratio(multiplier: int, power: int) -> Fraction:
    """multiplier / 2**power."""
    return Fraction(multiplier) * Fraction(2) ** -power


def written(value: Fraction) -> str:
    """An exact number for people: 3/8, 3277/2^15, -0.125."""
    numerator, denominator = value.numerator, value.denominator
    if denominator & (denominator - 1) == 0 and denominator > 1 << 10:
        return f"{numerator}/2^{denominator.bit_length() - 1}"
    return str(value)


def constant_fraction(number: Fraction) -> int:
    """Fraction bits that hold the number exactly, if few do; else enough of them."""
    denominator = number.denominator
    if denominator & (denominator - 1) == 0 and denominator.bit_length() <= CONSTANT_FRACTION:
        return denominator.bit_length() - 1
    return CONSTANT_FRACTION - exponent(abs(float(number)))
