"""Tables against their definitions, row by row."""

from __future__ import annotations

from math import exp, floor
from unittest.mock import patch

import numpy as np
import pytest

from zkjax.statement import tables
from zkjax.statement.tables import MAX_TABLE_BITS, MAX_TABLE_WORK, Table

TABLES = [
    Table("range", 0, 0, 0),
    Table("range", 0, 255, 0),
    Table("range", -3, 2, 0),
    Table("range", -7, 0, 0),
    Table("relu", -8, 7, 5),
    Table("relu", 0, 7, 7),
    Table("relu", -100, 3, 1),
    Table("gated", -8, 7, 5),
    Table("gated", -2, 9, 5),
    Table("gated", 0, 1, 1),
    Table("relu", -(1 << 15), (1 << 15) - 1, (1 << 12) - 1),
    Table("function", -200, 0, 0, "exp(x)", 4, 8),
    Table("function", -128, 127, 0, "1/(1 + exp(-x))", 4, 10),
    Table("function", -3, 9, 0, "x*x", 0, 0),
]


def listed(table: Table) -> list[tuple[int, int, int]]:
    """The distinct rows, from the words of the definition."""
    values = range(table.lo, table.hi + 1)
    if table.kind == "range":
        return [(v, 0, 0) for v in values]
    if table.kind == "function":
        function = {"exp(x)": exp, "x*x": lambda x: x * x}.get(table.formula, lambda x: 1 / (1 + exp(-x)))
        rounded = [floor(function(v / 2**table.input_fraction) * 2**table.output_fraction + 0.5) for v in values]
        return [(v, f - rounded[-table.lo], 0) for v, f in zip(values, rounded, strict=True)]
    if table.kind == "relu":
        return [(q, int(0 < q <= table.limit), min(max(q, 0), table.limit)) for q in values]
    clipped = {q: max(-table.limit, min(q, table.limit)) for q in values}
    return [(q, gate, gate * clipped[q]) for gate in (0, 1) for q in values]


@pytest.mark.parametrize("table", TABLES, ids=Table.describe)
def test_rows(table):
    assert table.is_legal()
    rows = listed(table)
    assert len(set(rows)) == len(rows) == table.size
    assert 1 << table.bits >= table.size > 1 << table.bits >> 1
    columns = table.rows()
    assert all(column.dtype == np.int64 and column.shape == (1 << table.bits,) for column in columns)
    got = list(zip(*(column.tolist() for column in columns), strict=True))
    assert got[: len(rows)] == rows
    assert set(got[len(rows) :]) <= {rows[0]}


@pytest.mark.parametrize("table", TABLES, ids=Table.describe)
def test_the_zero_tuple_is_a_row(table):
    """The padding rule: what is looked up outside the real shape is a row."""
    assert (0, 0, 0) in listed(table)


@pytest.mark.parametrize("table", TABLES, ids=Table.describe)
def test_coordinate_ranges_are_the_extremes_of_the_rows(table):
    columns = np.array(listed(table)).T
    expected = [(int(column.min()), int(column.max())) for column in columns]
    ranges = table.coordinate_ranges()
    assert len(ranges) == table.arity
    for (low, high), (true_low, true_high) in zip(ranges, expected[: table.arity], strict=True):
        assert low <= true_low <= true_high <= high
    assert ranges[0] == expected[0]
    if table.kind == "function":
        assert list(ranges) == expected[:2]
    if table.kind == "gated" and table.limit <= -table.lo:
        assert list(ranges) == expected


@pytest.mark.parametrize("table", [table for table in TABLES if table.kind == "relu"], ids=Table.describe)
def test_the_gate_is_the_derivative_of_the_output(table):
    """One where the output moves with the pre-activation, zero where it is clipped."""
    outputs = {q: out for q, _, out in listed(table)}
    for q, gate, _ in listed(table):
        if q > table.lo:
            assert gate == outputs[q] - outputs[q - 1]


@pytest.mark.parametrize(
    "table",
    [
        Table("sqrt", 0, 3, 0),
        Table("range", 1, 3, 0),
        Table("range", -3, -1, 0),
        Table("range", 3, -3, 0),
        Table("range", 0, 3, 1),
        Table("range", 0, 1 << MAX_TABLE_BITS, 0),
        Table("range", -(1 << 40), 0, 0),
        Table("relu", -1, 3, 0),
        Table("relu", -1, 3, -1),
        Table("relu", -1, 3, 4),
        Table("relu", -1, 0, 0),
        Table("gated", -1, 3, 4),
        Table("gated", -(1 << 16), (1 << 16), 3),
        Table("function", -1, 3, 0),
        Table("function", -1, 3, 1, "x"),
        Table("function", 1, 3, 0, "x"),
        Table("function", -1, 3, 0, "1/x"),
        Table("function", -1, 3, 0, "y"),
        Table("function", -1, 3, 0, "x", -1, 0),
        Table("function", -1, 3, 0, "x", 0, 33),
        Table("function", 0, 1 << MAX_TABLE_BITS, 0, "x"),
        Table("function", -(1 << 17), (1 << 17) - 1, 0, "exp(x) + exp(x/2) + exp(x/3) + exp(x/4)", 16, 0),
        Table("range", 0, 3, 0, "x"),
        Table("range", 0, 3, 0, "", 1),
        Table("relu", -4, 3, 3, "", 0, 1),
    ],
    ids=str,
)
def test_illegal_tables(table):
    assert not table.is_legal()


def test_the_largest_tables_are_legal():
    assert Table("range", 0, (1 << MAX_TABLE_BITS) - 1, 0).is_legal()
    assert Table("relu", -(1 << 17), (1 << 17) - 1, 5).is_legal()
    assert Table("gated", -(1 << 16), (1 << 16) - 1, 5).is_legal()


def test_the_work_on_a_table_may_reach_its_limit():
    formula = "exp(x)"
    bits = next(bits for bits in range(18, 0, -1) if Table("function", 0, (1 << bits) - 1, 0, formula).is_small())
    assert Table("function", 0, (1 << bits) - 1, 0, formula).work <= MAX_TABLE_WORK
    with patch.object(tables, "MAX_TABLE_WORK", Table("function", 0, (1 << bits) - 1, 0, formula).work):
        assert Table("function", 0, (1 << bits) - 1, 0, formula).is_small()
        assert not Table("function", 0, 1 << bits, 0, formula).is_small()


def test_a_function_is_its_rows_plus_the_offset():
    table = Table("function", -8, 8, 0, "exp(x)", 2, 4)
    assert table.offset == 16
    assert table.rows()[1][16] + table.offset == round(16 * exp(2))


def test_descriptions():
    assert Table("range", 0, 7, 0).describe() == "range [0, 7]"
    described = "function [-8, 0], f - f(0) of exp(x), fraction bits 2 to 7"
    assert Table("function", -8, 0, 0, "exp(x)", 2, 7).describe() == described
    assert Table("relu", -8, 7, 5).describe() == "relu [-8, 7], output limit 5"
