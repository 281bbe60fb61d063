"""One battery for every backend: whole sumchecks, round by round, against Python integers."""

from __future__ import annotations

import numpy as np
import pytest

from tests.compute import oracle
from zkjax.compute.backend import choose
from zkjax.compute.leaves import Column, Columns
from zkjax.compute.product import interleaved
from zkjax.errors import UserError
from zkjax.fields.mersenne61 import K
from zkjax.fields.vectors import Ext


@pytest.mark.parametrize("bits", [1, 2, 5])
def test_product_sumcheck(backend, bits):
    f, g = oracle.random_elements(1, 1 << bits), oracle.random_elements(2, 1 << bits)
    sumcheck = backend.product(Ext.from_list(f), Ext.from_list(g))
    for r in oracle.random_elements(3, bits):
        assert sumcheck.sums() == oracle.product_sums(f, g)
        sumcheck.fold(r)
        f, g = oracle.fold(f, r), oracle.fold(g, r)
    assert sumcheck.values() == (f, g)


def test_product_sumcheck_over_a_batch(backend):
    """Three instances with weights, side by side in one table."""
    weights = oracle.random_elements(9, 3)
    fs, gs = ([oracle.random_elements(10 * s + j, 8) for s in range(3)] for j in range(2))
    weighted = [[w * x for x in f] for w, f in zip(weights, fs, strict=True)]
    f, lanes = interleaved([Ext.from_list(x) for x in weighted])
    g, _ = interleaved([Ext.from_list(x) for x in gs])
    sumcheck = backend.product(f, g, lanes)
    for r in oracle.random_elements(3, 3):
        parts = [oracle.product_sums(f, g) for f, g in zip(fs, gs, strict=True)]
        expected = [sum((w * part[j] for w, part in zip(weights, parts, strict=True)), K.ZERO) for j in (0, 1)]
        assert list(sumcheck.sums()) == expected
        sumcheck.fold(r)
        fs, gs = ([oracle.fold(x, r) for x in tables] for tables in (fs, gs))
    f, g = sumcheck.values()
    assert f[:3] == [w * x[0] for w, x in zip(weights, fs, strict=True)]
    assert g == [*(x[0] for x in gs), K.ZERO]


def leaves(row_bits: int, column_bits: int) -> tuple[Columns, list[K], list[K]]:
    """Columns of every sort, and their fractions."""
    generator = np.random.default_rng(row_bits)
    rows = 1 << row_bits
    constants = oracle.random_elements(4, 1 << column_bits)
    beta_squared = oracle.random_elements(5, 1, edges=False)[0]

    def integers() -> np.ndarray:
        return generator.integers(-(1 << 20), 1 << 20, rows)

    columns = [
        Column(1, constants[0], integers()),
        Column(1, constants[1], integers(), integers(), integers()),
        Column(0, constants[2], integers(), integers(), integers(), integers() ** 2),
    ]
    p, q = [], []
    for column in columns:
        re, im, second, multiplicity = (x if x is not None else np.zeros(rows, np.int64) for x in column.integers)
        p += [K(column.count - m) for m in multiplicity.tolist()]
        parts = zip(re.tolist(), im.tolist(), second.tolist(), strict=True)
        q += [column.constant - K(a, b) - beta_squared * c for a, b, c in parts]
    p += [K.ZERO] * ((rows << column_bits) - len(p))
    q += [K.ONE] * ((rows << column_bits) - len(q))
    return Columns(tuple(columns), row_bits, column_bits, beta_squared), p, q


def check_tree(backend, columns: Columns, p: list[K], q: list[K]) -> None:
    layers = [(p, q)]
    while len(layers[-1][0]) > 1:
        layers.append(oracle.join(*layers[-1]))
    layers.reverse()
    tree = backend.tree(columns)
    assert tree.root() == (layers[0][0][0], layers[0][1][0])
    for number, (p, q) in enumerate(layers[1:]):
        half = len(p) // 2
        tables = [p[:half], p[half:], q[:half], q[half:]]
        point, challenges = oracle.random_elements(number, number), oracle.random_elements(90 + number, number)
        ratio = oracle.random_elements(50 + number, 1)[0]
        layer = tree.layer(number, point, ratio)
        for at, r in enumerate(challenges):
            assert layer.sums() == oracle.layer_sums(tables, point[at + 1 :], ratio), (number, at)
            layer.fold(r)
            tables = [oracle.fold(table, r) for table in tables]
        assert layer.children() == tuple(table[0] for table in tables)


def test_layers_of_a_tree(backend):
    check_tree(backend, *leaves(2, 2))


def test_wide_column(backend):
    """One column, fewer leaves than a unit."""
    columns, p, q = leaves(2, 2)
    check_tree(backend, Columns(columns.columns[:1], 2, 0, columns.beta_squared), p[:4], q[:4])


def test_a_backend_that_cannot_run_is_refused():
    with pytest.raises(UserError, match="GPU"):
        choose("pallas")
    with pytest.raises(UserError, match="no backend"):
        choose("fast")
