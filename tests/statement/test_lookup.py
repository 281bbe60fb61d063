"""The public mathematics of the lookup argument."""

from __future__ import annotations

import numpy as np
import pytest

from zkjax.fields.mersenne61 import K, P
from zkjax.fields.vectors import equality_weights
from zkjax.statement.lookup import fingerprint_extension, halves_joined, layer_weights
from zkjax.statement.tables import Table
from zkjax.transcript.hidden import Hidden


def random_elements(seed: int, count: int) -> list[K]:
    parts = np.random.default_rng(seed).integers(0, P, (count, 2)).tolist()
    return [K(re, im) for re, im in parts]


@pytest.mark.parametrize(
    "table",
    [
        Table("range", 0, 7, 0),
        Table("range", -8, 7, 0),
        Table("range", 0, 9, 0),
        Table("range", 0, 0, 0),
        Table("relu", -8, 7, 3),
        Table("gated", -8, 7, 3),
        Table("gated", -5, 4, 4),
    ],
    ids=lambda table: table.describe(),
)
def test_extension_of_a_table(table):
    """Against the fingerprint of every row, and (0, 0) behind the table."""
    beta, *row = random_elements(1, 1 + table.bits + 2)
    expected = K.ZERO
    rows = list(zip(*(column.tolist() for column in table.rows()), strict=True))
    rows += [(0, 0, 0)] * ((1 << len(row)) - len(rows))
    for weight, (re, im, second) in zip(equality_weights(row).to_list(), rows, strict=True):
        expected += weight * (K(re, im) + beta * 5 + beta * beta * second)
    assert fingerprint_extension(table, 5, beta, row) == expected


def test_weights_of_a_layer_are_distinct_powers():
    (batching,) = random_elements(2, 1)
    weights = layer_weights(batching, [3, 7])
    assert weights == {3: (K.ONE, batching), 7: (batching**2, batching**3)}


def test_halves_join_to_the_point():
    values, half = random_elements(3, 4), random_elements(4, 1)[0]
    p, q = halves_joined([Hidden.known(value) for value in values], half)
    p0, p1, q0, q1 = values
    assert p.linear_form() == ((1 - half) * p0 + half * p1, {})
    assert q.linear_form() == ((1 - half) * q0 + half * q1, {})
