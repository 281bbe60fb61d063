"""Functions of one real variable as public formulas, and their values in exactly rounded integers.

A formula is text: sums, differences, products, quotients, whole numbers, the variable `x`, and

    exp(u)   log(u)   tanh(u)   erf(u)   sqrt(u)   positive(u), which is 1 where u > 0, else 0.

`rounded` gives floor(2**output * F(q * 2**-input) + 1/2 + 2**-64) for every integer q of an interval: the nearest
integer, where halves, and what no one can tell from a half, go upwards. It is a property of the formula alone,
whatever computes it. No floating point is involved: values are Python integers, F times 2**precision, with a bound
on the error that grows from operation to operation. Where the error bound does not decide a rounding or a sign, all
is computed again with more precision.

Source of the reductions: Muller, Elementary Functions, 3rd edition, chapters 4 and 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import isqrt

import numpy as np

MAX_LENGTH = 4096
MAX_DEPTH = 64
MAX_VALUE_BITS = 40
MAX_EXPONENT = 1 << 9
MAX_FRACTION = 32
PRECISIONS = (128, 256)
TIE_BITS = 64
CHUNK = 1 << 13
FUNCTIONS = ("exp", "log", "tanh", "erf", "sqrt", "positive")

_bit_length = np.frompyfunc(int.bit_length, 1, 1)
_isqrt = np.frompyfunc(isqrt, 1, 1)


class FormulaError(ValueError):
    """The text is no formula, or has no value somewhere, or one that is too large."""


class _Undecided(Exception):
    """The precision does not decide a sign or a rounding."""


@dataclass(frozen=True, eq=False)
class Formula:
    """`name` is an operator, a function, 'x', or 'number' with its `value`; equal parts are one object."""

    name: str
    parts: tuple[Formula, ...] = ()
    value: int = 0
    depth: int = 0


def weight(text: str) -> int:
    """The work for one value, in products of long integers."""
    found: set[Formula] = set()
    stack = [parse(text)]
    while stack:
        formula = stack.pop()
        if formula not in found:
            found.add(formula)
            stack += formula.parts
    return sum(16 if formula.name in FUNCTIONS else 1 for formula in found)


@lru_cache(maxsize=64)
def parse(text: str) -> Formula:
    """The formula that `text` spells; FormulaError otherwise."""
    if not (0 < len(text) <= MAX_LENGTH and text.isascii()):
        raise FormulaError("a formula must have 1 to 4096 ASCII characters")
    parser = _Parser(text)
    found = parser.sum(0)
    if parser.rest:
        raise FormulaError(f"unexpected {parser.rest[:10]!r}")
    return found


class _Parser:
    def __init__(self, text: str):
        self.rest = text
        self.known: dict[tuple[str, tuple[Formula, ...], int], Formula] = {}

    def made(self, name: str, *parts: Formula, value: int = 0) -> Formula:
        """One object for equal formulas."""
        depth = 1 + max((part.depth for part in parts), default=-1)
        if depth > MAX_DEPTH:
            raise FormulaError(f"nested deeper than {MAX_DEPTH}")
        return self.known.setdefault((name, parts, value), Formula(name, parts, value, depth))

    def take(self, symbols: str) -> str:
        """The next symbol, if it is one of `symbols`, else nothing."""
        self.rest = self.rest.lstrip(" ")
        found = self.rest[:1]
        if not found or found not in symbols:
            return ""
        self.rest = self.rest[1:]
        return found

    def sum(self, depth: int) -> Formula:
        found = self.product(depth)
        while operator := self.take("+-"):
            found = self.made(operator, found, self.product(depth))
        return found

    def product(self, depth: int) -> Formula:
        found = self.signed(depth)
        while operator := self.take("*/"):
            found = self.made(operator, found, self.signed(depth))
        return found

    def signed(self, depth: int) -> Formula:
        if depth > MAX_DEPTH:
            raise FormulaError(f"nested deeper than {MAX_DEPTH}")
        if self.take("-"):
            return self.made("-", self.made("number"), self.signed(depth + 1))
        if self.take("("):
            return self.closed(depth)
        digits = len(self.rest) - len(self.rest.lstrip("0123456789"))
        if digits:
            number, self.rest = self.rest[:digits], self.rest[digits:]
            return self.made("number", value=int(number))
        for name in FUNCTIONS:
            if self.rest.startswith(f"{name}("):
                self.rest = self.rest[len(name) + 1 :]
                return self.made(name, self.closed(depth))
        if self.take("x"):
            return self.made("x")
        raise FormulaError(f"unexpected {self.rest[:10]!r}")

    def closed(self, depth: int) -> Formula:
        found = self.sum(depth + 1)
        if not self.take(")"):
            raise FormulaError("a parenthesis is not closed")
        return found


@lru_cache(maxsize=64)
def rounded(text: str, lo: int, hi: int, input_fraction: int, output_fraction: int) -> np.ndarray:
    """int64 [hi - lo + 1], read-only: 2**output_fraction * F(q * 2**-input_fraction), rounded, for lo <= q <= hi.

    Raises FormulaError where F has no value, or one of more than MAX_VALUE_BITS bits.
    """
    formula = parse(text)
    if not (0 <= input_fraction <= MAX_FRACTION and 0 <= output_fraction <= MAX_FRACTION):
        raise FormulaError(f"fraction bits must lie between 0 and {MAX_FRACTION}")
    parts = []
    for start in range(lo, hi + 1, CHUNK):
        integers = np.arange(start, min(start + CHUNK, hi + 1)).astype(object)
        parts.append(_chunk(formula, integers, input_fraction, output_fraction))
    result = np.concatenate(parts)
    if _largest(result).bit_length() > MAX_VALUE_BITS:
        raise FormulaError(f"the values of {text!r} have more than {MAX_VALUE_BITS} bits")
    table = result.astype(np.int64)
    table.flags.writeable = False
    return table


def _chunk(formula: Formula, integers: np.ndarray, input_fraction: int, output_fraction: int) -> np.ndarray:
    """Rounded values of some arguments, with as little precision as decides them."""
    for precision in PRECISIONS:
        try:
            values, error = _Evaluation(integers << (precision - input_fraction), precision).value(formula)
            return _rounded(values, error, precision - output_fraction)
        except _Undecided:
            continue
    raise FormulaError(f"{PRECISIONS[-1]} bits do not decide a value")


def _rounded(values: np.ndarray, error: int, shift: int) -> np.ndarray:
    lifted = values + (1 << (shift - 1)) + (1 << (shift - TIE_BITS))
    result = lifted >> shift
    if error:
        rest = lifted - (result << shift)
        if int(rest.min()) < error or int(rest.max()) >= (1 << shift) - error:
            raise _Undecided
    return result


Value = tuple[np.ndarray, int]


class _Evaluation:
    """Values of a formula, times 2**precision, as arrays of Python integers, each with a bound on its error."""

    def __init__(self, x: np.ndarray, precision: int):
        self.x, self.precision, self.one = x, precision, 1 << precision
        self.known: dict[Formula, Value] = {}

    def value(self, formula: Formula) -> Value:
        if formula not in self.known:
            values, error = self._value(formula)
            if _largest(values).bit_length() > self.precision + 2 * MAX_EXPONENT:
                raise FormulaError("an intermediate value is too large")
            self.known[formula] = values, error
        return self.known[formula]

    def _value(self, formula: Formula) -> Value:
        if formula.name == "x":
            return self.x, 0
        if formula.name == "number":
            return self._full(formula.value * self.one), 0
        (a, error), *others = map(self.value, formula.parts)
        match formula.name:
            case "+":
                return a + others[0][0], error + others[0][1]
            case "-":
                return a - others[0][0], error + others[0][1]
            case "*":
                return self._product((a, error), others[0])
            case "/":
                return self._quotient((a, error), others[0])
            case "positive":
                if error and bool((abs(a) <= error).any()):
                    raise _Undecided
                return (a > 0).astype(np.int64).astype(object) * self.one, 0
            case "exp":
                return self._exp(a, error)
            case "log":
                return self._log(a, error)
            case "tanh":
                e, error = self._exp(-2 * abs(a), 2 * error)
                signed = np.where(a < 0, e - self.one, self.one - e)
                return self._quotient((signed, error), (self.one + e, error))
            case "sqrt":
                return self._sqrt(a, error)
            case "erf":
                return self._erf(a, error)
        raise FormulaError(f"no function {formula.name!r}")

    def _full(self, number: int) -> np.ndarray:
        return np.full(self.x.shape, number, object)

    def _product(self, left: Value, right: Value) -> Value:
        (a, error_a), (b, error_b) = left, right
        error = (_largest(a) * error_b + _largest(b) * error_a + error_a * error_b) >> self.precision
        product = a * b
        exact = not (error_a or error_b) and not bool((product & (self.one - 1)).any())
        return product >> self.precision, 0 if exact else error + 2

    def _quotient(self, left: Value, right: Value) -> Value:
        (a, error_a), (b, error_b) = left, right
        least = int(abs(b).min()) - error_b
        if least <= 0:
            if error_b:
                raise _Undecided
            raise FormulaError("a division by zero")
        numerator = a << self.precision
        quotient = numerator // b
        exact = not (error_a or error_b) and not bool((quotient * b - numerator).any())
        error = ((error_a << self.precision) + (_largest(quotient) + 1) * error_b) // least
        return quotient, 0 if exact else error + 2

    def _exp(self, u: np.ndarray, error: int) -> Value:
        """2**k exp(h1 + h2 + r): k log 2 taken off, then 8 bits and 8 bits by tables, the rest by its series."""
        if error >= self.one:
            raise _Undecided
        if int(u.max()) > MAX_EXPONENT * self.one:
            raise FormulaError(f"an exponent beyond {MAX_EXPONENT}")
        u = np.maximum(u, -MAX_EXPONENT * self.one)  # below it, all is less than the last place
        guard = 32
        bits = self.precision + guard
        log_two = _log_two(bits + 16)
        k = ((u << (16 + guard)) + (log_two >> 1)) // log_two
        r = ((u << (16 + guard)) - k * log_two) >> 16
        result = self._full(1 << bits)
        for level in (8, 16):
            step = bits - level
            index = (r + (1 << (step - 1))) >> step
            r = r - (index << step)
            low, high = int(index.min()), int(index.max())
            powers = np.array([_exp_series(n << step, bits) for n in range(low, high + 1)], object)
            result = (result * powers[(index - low).astype(np.int64)]) >> bits
        total, term, n = self._full(1 << bits), self._full(1 << bits), 1
        while bool(term.any()) and n < 64:
            term = (term * r) // (n << bits)
            total = total + term
            n += 1
            if _largest(term) <= 1:
                break
        result = (result * total) >> bits
        # Relative error of the result: about n + 8 units of 2**-bits, and that of u.
        shift = guard - k
        values = np.where(shift >= 0, result >> np.maximum(shift, 0), result << np.maximum(-shift, 0))
        largest = _largest(values) + 1
        return values, ((2 * error * largest) >> self.precision) + (largest >> (bits - 8)) + 2

    def _log(self, u: np.ndarray, error: int) -> Value:
        """k log 2 + log h1 + log h2 + log(1 + r): scaled into [1, 2), divided by its leading bits twice."""
        least = int(u.min()) - error
        if least <= 0:
            if error:
                raise _Undecided
            raise FormulaError("a logarithm of a number that is not positive")
        bits = self.precision + 32
        k = _bit_length(u) - 1
        up = bits - k
        m = np.where(up >= 0, u << np.maximum(up, 0), u >> np.maximum(-up, 0))
        total = (k - self.precision) * _log_two(bits)
        for level in (8, 16):
            step = bits - level
            index = m >> step
            low, high = int(index.min()), int(index.max())
            logs = np.array([_log_series(n, level, bits) for n in range(low, high + 1)], object)
            total = total + logs[(index - low).astype(np.int64)]
            m = (m << level) // index
        r = m - (1 << bits)
        term, n = r, 1
        while bool(term.any()) and n < 64:
            total = total + (term if n % 2 else -term) // n
            term = (term * r) >> bits
            n += 1
        return total >> 32, ((error << self.precision) // least) + 4

    def _sqrt(self, u: np.ndarray, error: int) -> Value:
        if int(u.min()) - error < 0:
            if error:
                raise _Undecided
            raise FormulaError("a square root of a negative number")
        root = _isqrt(u << self.precision)
        if not error:
            return root, 1
        least = isqrt((int(u.min()) - error) << self.precision)
        if not least:
            raise _Undecided
        return root, ((error << self.precision) // least) + 2

    def _erf(self, u: np.ndarray, error: int) -> Value:
        """Taylor's series about the nearest sixteenth: derivatives of exp(-t**2) by their recurrence."""
        bits, limit = self.precision + 32, _erf_limit(self.precision)
        inner = np.clip(u, -limit * self.one, limit * self.one)
        step = self.precision - 4
        index = (inner + (1 << (step - 1))) >> step
        h = (inner - (index << step)) << 32
        low, high = int(index.min()), int(index.max())
        rows = [_erf_series(n, bits) for n in range(low, high + 1)]
        place = (index - low).astype(np.int64)
        total = self._full(0)
        for column in reversed(range(max(map(len, rows)))):
            coefficients = np.array([row[column] if column < len(row) else 0 for row in rows], object)
            total = ((total * h) >> bits) + coefficients[place]
        return total >> 32, 2 * error + 4


def _largest(values: np.ndarray) -> int:
    return max(int(values.max()), -int(values.min()))


@lru_cache(maxsize=8)
def _log_two(bits: int) -> int:
    """log(2) * 2**bits, within 1: 2 atanh(1/3)."""
    return _twice_atanh(1, 3, bits)


def _twice_atanh(numerator: int, denominator: int, bits: int) -> int:
    """2 atanh(numerator / denominator) * 2**bits, within 1, for a ratio of at most a third."""
    scale = bits + 16
    term = (2 * numerator << scale) // denominator
    total, n = 0, 1
    while term:
        total += term // n
        term = term * numerator * numerator // (denominator * denominator)
        n += 2
    return total >> 16


@lru_cache(maxsize=8192)
def _log_series(index: int, level: int, bits: int) -> int:
    """log(index / 2**level) * 2**bits, within 1, for a number in [1, 2)."""
    return _twice_atanh(index - (1 << level), index + (1 << level), bits)


@lru_cache(maxsize=8192)
def _exp_series(u: int, bits: int) -> int:
    """exp(u * 2**-bits) * 2**bits, within 1, for |u| below 2**bits."""
    scale = bits + 16
    total, term, n = 0, 1 << scale, 1
    while term and n < 4096:
        total += term
        term = (term * u) // (n << bits)
        if term == -1:
            break
        n += 1
    return total >> 16


def _erf_limit(precision: int) -> int:
    """Where 1 - erf is below 2**-precision: erfc(t) < exp(-t**2), and log 2 < 1."""
    return isqrt(precision) + 1


@lru_cache(maxsize=8192)
def _erf_series(index: int, bits: int) -> tuple[int, ...]:
    """Coefficients of Taylor's series of erf about c = index / 16, for |h| <= 1/32, times 2**bits."""
    scale = bits + 64
    value = _erf_at(index, scale)
    # 2 / sqrt(pi) exp(-c^2): exp by squaring, as c^2 is up to a few hundred.
    slope = (_two_over_root_pi(scale) * _exp_of_square(index, scale)) >> scale
    coefficients, derivatives, n = [value >> 64], [slope, -(2 * index * slope) // 16], 0
    # f' = -2 t f: the derivatives of f satisfy f[n+2] = -2 c f[n+1] - 2 (n+1) f[n]; here each is divided by n!.
    while n < 200:
        coefficients.append((derivatives[n] // (n + 1)) >> 64)
        step = -(2 * index * derivatives[n + 1]) // 16 - 2 * derivatives[n]
        derivatives.append(step // (n + 2))
        n += 1
        if abs(derivatives[n]) >> (64 + 5 * n) == 0 and abs(derivatives[n - 1]) >> (59 + 5 * n) == 0:
            break
    return tuple(coefficients)


def _erf_at(index: int, scale: int) -> int:
    """erf(index / 16) * 2**scale: the alternating series, with room for its cancellation."""
    room = 2 * (index * index // 256) + 64
    bits = scale + room
    term = (index << bits) // 16
    total, n = 0, 0
    while term not in (0, -1):
        total += term // (2 * n + 1)
        n += 1
        term = -(term * index * index) // (256 * n)
    return (total * _two_over_root_pi(bits)) >> (bits + room)


@lru_cache(maxsize=1024)
def _exp_of_square(index: int, scale: int) -> int:
    """exp(-(index / 16)**2) * 2**scale."""
    square = index * index
    whole, part = divmod(square, 256)
    bits = scale + 64
    result = _exp_series(-(part << bits) // 256, bits)
    inverse = _exp_series(-(1 << bits), bits)
    for _ in range(whole):
        result = (result * inverse) >> bits
    return result >> 64


@lru_cache(maxsize=64)
def _two_over_root_pi(bits: int) -> int:
    """2 / sqrt(pi) * 2**bits, by Machin's pi."""
    scale = bits + 32
    pi = 4 * (4 * _arctan_inverse(5, scale) - _arctan_inverse(239, scale))
    root = isqrt(pi << scale)
    return (2 << (2 * scale)) // root >> 32


def _arctan_inverse(n: int, bits: int) -> int:
    term = (1 << bits) // n
    total, k = 0, 1
    while term:
        total += term // k if k % 4 == 1 else -(term // k)
        term //= n * n
        k += 2
    return total
