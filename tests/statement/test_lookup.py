"""The public mathematics of the lookup argument."""

from __future__ import annotations

import numpy as np
import pytest

from zkjax.fields.mersenne61 import K, P
from zkjax.fields.vectors import equality_weights
from zkjax.statement.circuit import Circuit, Committed, Lookup
from zkjax.statement.claims import ClaimSet
from zkjax.statement.lookup import claim_leaves, fingerprint_extension, halves_joined, layer_weights
from zkjax.statement.plan import Plan
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


def test_every_node_that_is_looked_up_gets_a_claim_the_first_one_too():
    nodes = tuple(Committed((2,), oracle, "x", 0) for oracle in ("data", "before", "after"))
    tables = (Table("range", -8, 7, 0), Table("relu", -8, 7, 3))
    lookups = (Lookup(0, 0, -1, -1, "first"), Lookup(1, 1, 2, 0, "tuple"))
    circuit = Circuit(1, 2, 2, nodes, tables, lookups, (), ())
    plan = Plan(circuit, 1)
    (cls,) = plan.classes
    point = random_elements(5, cls.depth)
    claims = ClaimSet(circuit, np.zeros((1, 2), int))
    values = Hidden.known(0), Hidden.known(0)
    alpha, beta, scale, other = random_elements(6, 4)
    claim_leaves(plan, cls, point, values, (alpha, beta), (scale, other), claims)
    columns = equality_weights(point[: cls.column_bits]).to_list()
    merged = claims.merge_committed()
    assert merged.keys() == {0, 1, 2, -1, -2}
    coefficients = {node: [term.coefficient for term in terms] for node, terms in merged.items()}
    row = point[cls.column_bits :]
    factor = K.ONE
    for coordinate in row[:-1]:
        factor = factor * (1 - coordinate)

    def of(column: int, unit: K) -> K:
        return other * columns[column] * factor * unit

    assert sum(coefficients[0], K.ZERO) == of(0, K.ONE) + of(1, beta * beta)
    assert (coefficients[1], coefficients[2]) == ([of(1, K.ONE)], [of(1, K.I)])
