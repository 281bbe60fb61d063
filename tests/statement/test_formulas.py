"""Formulas against decimal arithmetic of sixty digits, and what is no formula."""

from __future__ import annotations

from decimal import Decimal, getcontext

import numpy as np
import pytest

from tests.statement.decimals import erf, nearest
from zkjax.statement import formulas
from zkjax.statement.formulas import MAX_DEPTH, FormulaError, parse, rounded

CASES = [
    ("x", -300, 300, 4, 2),
    ("-x*x - 3*x/4 + 1/3", -300, 300, 6, 9),
    ("exp(x)", -65535, 0, 9, 16),
    ("exp(x)", -2000, 2000, 8, 12),
    ("exp(x)", -65535, 0, 6, 16),
    ("1/(1 + exp(-x))", -32768, 32767, 11, 14),
    ("1 - 2/(exp(2*x) + 1)", -32768, 32767, 10, 15),
    ("tanh(x)", -32768, 32767, 10, 15),
    ("x*(1 + tanh(4*x*(x*x + 1)/5))/2", -32768, 32767, 10, 9),
    ("log(1 + exp(x))", -32768, 32767, 10, 12),
    ("log(x + 3)", -700, 65000, 8, 20),
    ("sqrt(x)", 0, 65535, 8, 12),
    ("erf(x)", -1500, 1500, 8, 16),
    ("erf(x)", -1500, 1500, 9, 32),
    ("x*(1 + erf(x*11863283/16777216))/2", -1500, 1500, 8, 12),
    ("positive(x)*x - positive(-x)*(1 - exp(x))", -3000, 3000, 8, 12),
    ("exp(-x*x)/(1 + exp(-x))", -1500, 1500, 8, 12),
]


@pytest.mark.parametrize("case", CASES, ids=[f"{text} {lo}" for text, lo, *_ in CASES])
def test_values_are_the_nearest_integers(case):
    text, lo, hi, input_fraction, output_fraction = case
    values = rounded(*case)
    assert values.dtype == np.int64 and values.shape == (hi - lo + 1,)
    random = np.random.default_rng(0)
    chosen = {lo, hi, 0, max(lo, -1), min(hi, 1), *random.integers(lo, hi + 1, 60).tolist()}
    for q in chosen:
        assert values[q - lo] == nearest(text, q, input_fraction, output_fraction), q


def test_halves_go_up():
    assert rounded("x", -5, 5, 1, 0).tolist() == [-2, -2, -1, -1, 0, 0, 1, 1, 2, 2, 3]
    assert rounded("x/2", -3, 3, 0, 0).tolist() == [-1, -1, 0, 0, 1, 1, 2]


def test_what_nobody_can_tell_from_a_half_goes_up():
    """Below a half by 2^-64 at most, which for large x no precision could tell."""
    assert rounded("x*(1 + tanh(1000*x))/2", 0, 6, 1, 0).tolist() == [0, 1, 1, 2, 2, 3, 3]
    assert rounded("x - 1/18446744073709551616", 1, 1, 1, 0).tolist() == [1]
    assert rounded("x - 1/18446744073709551615", 1, 1, 1, 0).tolist() == [0]


def test_more_precision_is_taken_where_a_rounding_asks_for_it(monkeypatch):
    """Below the point where rounding changes by less than the first precision can tell."""
    text = "x - 1/18446744073709551616 - exp(-100 - x*x)"
    assert rounded(text, -1, 1, 1, 0).tolist() == [-1, 0, 0]
    monkeypatch.setattr(formulas, "PRECISIONS", (128,))
    formulas.rounded.cache_clear()
    with pytest.raises(FormulaError, match="do not decide"):
        rounded(text, -1, 1, 1, 0)
    formulas.rounded.cache_clear()


def test_the_error_bound_is_a_bound():
    """Values of a low precision, against those of a high one."""
    integers = np.arange(-2000, 2001).astype(object)
    for text in (
        "exp(x)",
        "1/(1 + exp(-x))",
        "log(1 + exp(x))",
        "erf(x)",
        "tanh(x*x*x)",
        "x*erf(x/3)",
        "sqrt(1 + x*x)",
        "exp(x*x/9)",
    ):
        low, error = formulas._Evaluation(integers << (96 - 8), 96).value(parse(text))
        high, _ = formulas._Evaluation(integers << (384 - 8), 384).value(parse(text))
        difference = abs((low << (384 - 96)) - high)
        assert max(difference) <= (error + 1) << (384 - 96), text


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "y", "x x", "x +", "(x", "x)", "exp", "exp x", "exp()", "exp(x", "x**2", "1e3", "1.5", "x,x"),
        *("sin(x)", "__import__('os')", "ä", "-" * 100 + "x", "(" * 100 + "x" + ")" * 100, "+".join(["x"] * 100)),
        "x" * 5000,
    ],
)
def test_what_is_no_formula(text):
    with pytest.raises(FormulaError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "lo", "hi"),
    [
        ("1/x", -1, 1),
        ("log(x)", 0, 3),
        ("log(x)", -3, 3),
        ("sqrt(x)", -1, 1),
        ("exp(x*x*x)", -3000, 3000),
        ("exp(300 + x)", 0, 1),
        ("9" * 4000, 0, 1),
        ("x*" * 60 + "x", (1 << 17) - 3, 1 << 17),
        ("1/(exp(x) - exp(x))", 0, 1),
    ],
)
def test_what_has_no_value_or_too_large_a_one(text, lo, hi):
    with pytest.raises(FormulaError):
        rounded(text, lo, hi, 4, 4)


@pytest.mark.parametrize("fractions", [(-1, 4), (4, -1), (33, 4), (4, 33)])
def test_fractions_out_of_range(fractions):
    with pytest.raises(FormulaError, match="fraction bits"):
        rounded("x", 0, 1, *fractions)


def test_precedence_and_depth():
    assert rounded("1 - 2 - 3*4/2", 0, 0, 0, 0).tolist() == [-7]
    assert rounded("-x*-2", 3, 3, 0, 0).tolist() == [6]
    assert parse("x" + "+1" * (MAX_DEPTH - 1)).depth == MAX_DEPTH - 1


def test_decimals_of_the_reference():
    assert getcontext().prec < 60  # set where it is needed, nowhere else
    assert abs(erf(Decimal(1)) - Decimal("0.84270079294971486934122063508260925929606699796630")) < Decimal(10) ** -48


@pytest.mark.parametrize("text", ["", "x+" * 2048 + "x", "x" + " " * 4096, "x + \u0663", "\u00d7"])
def test_a_formula_is_short_and_in_ascii(text):
    with pytest.raises(FormulaError, match="must have 1 to 4096 ASCII characters"):
        parse(text)
    assert parse("x" + " " * 4095).name == "x"


@pytest.mark.parametrize(
    "text", ["-" * MAX_DEPTH + "x", "(" * MAX_DEPTH + "x" + ")" * MAX_DEPTH, "x" + "+1" * MAX_DEPTH]
)
def test_the_greatest_depth_is_a_formula(text):
    assert parse(text).name in ("x", "-", "+")
    deeper = {"-": "-" + text, "(": f"({text})", "x": text + "+1"}[text[0]]
    with pytest.raises(FormulaError, match="nested deeper than 64"):
        parse(deeper)
