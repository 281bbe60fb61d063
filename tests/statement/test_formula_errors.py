"""Every operation of a formula keeps its promise: the true value is as near as the error bound says.

Operands are given with errors of their own. The true values are those at both ends of what each operand
may be, in fractions and in decimal numbers of many digits.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from tests.statement.decimals import erf
from zkjax.statement.formulas import TIE_BITS, FormulaError, _Evaluation, _rounded, _Undecided, parse, rounded, weight

TEXTS = {"+": "exp(x) + log(x)", "-": "exp(x) - log(x)", "*": "exp(x)*log(x)", "/": "exp(x)/log(x)"}
EXACT = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
}
DECIMAL = {"exp": Decimal.exp, "log": Decimal.ln, "sqrt": Decimal.sqrt, "tanh": lambda u: 1 - 2 / ((2 * u).exp() + 1)}


def evaluated(text: str, operands: list[tuple[int, int]], precision: int) -> tuple[int, int]:
    """The value and its error bound; each part of the formula is given, as an integer and its error."""
    evaluation = _Evaluation(np.array([0], object), precision)
    formula = parse(text)
    for part, (value, error) in zip(formula.parts, operands, strict=True):
        evaluation.known[part] = np.array([value], object), error
    values, error = evaluation.value(formula)
    return int(values[0]), error


@pytest.mark.parametrize("operator", EXACT)
def test_arithmetic_of_operands_with_errors(operator):
    random = np.random.default_rng(1)
    one = 1 << 8
    tried = 0
    for bits in random.integers(1, 15, (3000, 4)).tolist():
        a, b = (int(random.integers(-(1 << k), 1 << k)) for k in bits[:2])
        errors = [int(random.integers(0, 1 << k)) if k > 4 else 0 for k in bits[2:]]
        try:
            value, error = evaluated(TEXTS[operator], [(a, errors[0]), (b, errors[1])], 8)
        except (_Undecided, FormulaError):
            assert operator == "/" and abs(b) <= errors[1]
            continue
        tried += 1
        for left, right in product((a - errors[0], a + errors[0]), (b - errors[1], b + errors[1])):
            true = EXACT[operator](Fraction(left, one), Fraction(right, one))
            assert abs(true * one - value) <= error, (a, b, errors)
    assert tried > 1000


def test_exact_operands_with_an_exact_result_leave_no_error():
    assert evaluated(TEXTS["*"], [(3 << 7, 0), (5 << 8, 0)], 8) == (15 << 7, 0)
    assert evaluated(TEXTS["/"], [(15 << 7, 0), (3 << 8, 0)], 8) == (5 << 7, 0)


def test_roots_of_what_has_an_error():
    random = np.random.default_rng(2)
    for bits, part in zip(random.integers(1, 40, 2000).tolist(), random.random(2000).tolist(), strict=True):
        u = int(random.integers(1, 1 << bits)) + 1
        given = int(part**4 * u)
        try:
            value, error = evaluated("sqrt(exp(x))", [(u, given)], 8)
        except _Undecided:
            assert u == given
            continue
        for true in (u - given, u + given):
            assert max(0, value - error) ** 2 <= true << 8 <= (value + error) ** 2, (u, given)


def functions_near(name: str, arguments: list[tuple[int, int]], precision: int) -> None:
    with localcontext() as context:
        context.prec = 300
        scale = Decimal(2) ** precision
        for u, given in arguments:
            value, error = evaluated(f"{name}(sqrt(x))", [(u, given)], precision)
            for end in (u - given, u + given):
                true = (erf if name == "erf" else DECIMAL[name])(Decimal(end) / scale) * scale
                # The reference of erf is right to eighty digits.
                assert abs(true - value) <= error + Decimal(10) ** -30, (u, given)
            assert given or error <= max(abs(value) >> (precision + 16), 8)


@pytest.mark.parametrize("precision", [128, 256])
def test_logarithms(precision):
    random = np.random.default_rng(3)
    near = [(int(u), 0) for u in random.integers(1, 1 << 62, 60)]
    wide = [((1 << precision) + (int(u) << (precision - 40)), 0) for u in random.integers(-(1 << 39), 1 << 50, 60)]
    functions_near("log", near + wide, precision)
    functions_near("log", [(u, u >> k) for (u, _), k in zip(wide, [*range(1, 31)] * 2, strict=True)], precision)
    functions_near("log", [(n + 3, int(random.integers(1, 3))) for n in range(200)], precision)


@pytest.mark.parametrize("precision", [128, 256])
def test_exponentials(precision):
    random = np.random.default_rng(4)
    places = [Fraction(int(n), 1 << 30) for n in random.integers(-(300 << 30), 500 << 30, 60)]
    exact = [(int(place * (1 << precision)), 0) for place in [*places, *map(Fraction, range(-3, 512, 37))]]
    functions_near("exp", exact, precision)
    functions_near("exp", [(u, (1 << precision) - 1 >> k % 40) for k, (u, _) in enumerate(exact)], precision)
    # Just less than one unit of the last place, which the error makes almost e of them.
    with localcontext() as context:
        context.prec = 300
        least = int(-precision * Decimal(2).ln() * 2**precision) - 1000
    functions_near("exp", [(least, (1 << precision) - 1)], precision)


@pytest.mark.parametrize(("precision", "span"), [(128, 12), (256, 9)])
def test_error_functions(precision, span):
    """As far out as the digits of the reference last, then where nothing is left to one."""
    random = np.random.default_rng(5)
    exact = [(int(n) << (precision - 30), 0) for n in random.integers(-(span << 30), span << 30, 60)]
    functions_near("erf", exact, precision)
    functions_near("erf", [(u, 1 << (precision // 2 + k)) for k, (u, _) in enumerate(exact)], precision)
    functions_near("erf", [(n << (precision - 12), 9) for n in range(-3, 4)], precision)
    for far in (20, 1 << 17):
        for sign in (-1, 1):
            value, error = evaluated("erf(sqrt(x))", [(sign * far << precision, 0)], precision)
            assert abs(value - (sign << precision)) <= error


def test_what_an_error_leaves_open_is_undecided_and_what_is_illegal_is_an_error():
    for text, edge in (("log(exp(x))", 5), ("positive(exp(x))", 5), ("sqrt(exp(x))", 4)):
        with pytest.raises(_Undecided):
            evaluated(text, [(edge, 5)], 128)
        evaluated(text, [(6, 5)], 128)
    for divisor in (-5, 5):
        with pytest.raises(_Undecided):
            evaluated(TEXTS["/"], [(1, 0), (divisor, 5)], 128)
        with pytest.raises(_Undecided):
            evaluated(TEXTS["/"], [(1, 0), (divisor // 5, 5)], 128)
        evaluated(TEXTS["/"], [(1, 0), (2 * divisor, 5)], 128)
    with pytest.raises(_Undecided):  # a root of nothing has no bound
        evaluated("sqrt(exp(x))", [(5, 5)], 128)
    for text, value in (("log(exp(x))", 0), ("sqrt(exp(x))", -1)):
        with pytest.raises(FormulaError):
            evaluated(text, [(value, 0)], 128)
    with pytest.raises(FormulaError):
        evaluated(TEXTS["/"], [(1, 0), (0, 0)], 128)
    one = 1 << 128
    with pytest.raises(_Undecided):
        evaluated("exp(sqrt(x))", [(0, one)], 128)
    evaluated("exp(sqrt(x))", [(0, one - 1)], 128)


@pytest.mark.parametrize("shift", [TIE_BITS + 1, TIE_BITS + 3])
def test_a_rounding_is_decided_where_both_ends_are_rounded_alike(shift):
    """Half a unit and 2^-64 of it are added, then the rest is cut off."""
    added = (1 << (shift - 1)) + (1 << (shift - TIE_BITS))
    for edge in (-1, 0, 7):
        for error in (0, 1, 2, 5):
            for offset in range(-8, 9):
                value = (edge << shift) - added + offset
                low, high = (value + added + end >> shift for end in (-error, error))
                values = np.array([value], object)
                if low == high:
                    assert _rounded(values, error, shift).tolist() == [(value + added) >> shift]
                else:
                    with pytest.raises(_Undecided):
                        _rounded(values, error, shift)


# Limits


def test_the_greatest_values_and_fractions():
    largest = (1 << 40) - 1
    for sign in (1, -1):
        text = f"{'-' if sign < 0 else ''}{largest}"
        assert rounded(text, 0, 0, 0, 0).tolist() == [sign * largest]
        with pytest.raises(FormulaError, match="more than 40 bits"):
            rounded(f"{text} + {text}", 0, 0, 0, 0)
    assert rounded("x", 0, 1, 32, 32).tolist() == [0, 1]


def test_the_greatest_exponent():
    assert rounded("exp(x)/exp(x - 1)", 512, 512, 0, 4).tolist() == [43]  # 16 e = 43.49
    with pytest.raises(FormulaError, match="an exponent beyond 512"):
        rounded("exp(x)/exp(x - 1)", 513, 513, 0, 4)


@pytest.mark.parametrize(("factors", "legal"), [(53, True), (60, True), (61, False)])
def test_intermediate_values_have_at_most_1024_bits_before_the_point(factors, legal):
    """The powers of 2^17 have 17 bits for each factor, and one."""
    power = "*".join(["x"] * factors)
    text = f"({power})/({power})"
    if legal:
        assert rounded(text, 1 << 17, 1 << 17, 0, 0).tolist() == [1]
    else:
        with pytest.raises(FormulaError, match="intermediate value is too large"):
            rounded(text, 1 << 17, 1 << 17, 0, 0)


def test_signs_are_not_nested_beyond_what_the_interpreter_holds():
    with pytest.raises(FormulaError, match="nested deeper than 64"):
        parse("-" * 4000 + "x")


def test_the_work_for_a_value():
    """One for an operation and sixteen for a function, once for equal parts."""
    assert weight("x") == 1
    assert weight("x + 1") == 3
    assert weight("exp(x)") == 17
    assert weight("exp(x)*exp(x) + x") == 19
