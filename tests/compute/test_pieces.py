"""Tables of several pieces, some of them padding, against the definitions on whole tables."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from tests.compute import oracle
from zkjax.compute.backend import DEFAULT, choose
from zkjax.compute.blocked import LOG_PIECE, PIECE
from zkjax.compute.leaves import Column, Columns, denominators
from zkjax.compute.pieced import Pieced
from zkjax.fields.mersenne61 import K, P
from zkjax.fields.vectors import Ext, scalar

REFERENCE = choose("reference")


def random_table(seed: int) -> Ext:
    return Ext(*np.random.default_rng(seed).integers(0, P, (2, PIECE), dtype=np.uint64))


def column(seed: int, count: int, kinds: str, constant: K, rows: int = PIECE) -> Column:
    """Integers of these types for re, im, second and multiplicity; - for none."""
    generator = np.random.default_rng(seed)
    arrays = [None if kind == "-" else generator.integers(-9, 9, rows).astype(kind) for kind in kinds.split()]
    return Column(count, constant, *arrays)


SORTS = ["i1 - - -", "i2 u1 i4 -", "i4 - - -", "i8 u1 - -", "i4 - i2 -"]
TREES = {
    # Of eight columns; pairs of pieces are padded on no side, on one, and on both.
    "ones and zeros": ([1, 1, 1, 1, 0], SORTS),
    "both numerators change": ([1, 0, 0, 1, 1, 1, 0], [SORTS[at % 5] for at in range(7)]),
    "ones alone": ([1] * 8, [SORTS[at % 5] for at in range(8)]),
    "a table among lookups": ([1, 1, 0, 1, 1], [*SORTS[:2], "i4 i1 i2 i4", *SORTS[3:]]),
    "a table beside padding": ([1, 0], ["i4 - - -", "i4 i1 i2 i4"]),
    "mostly padding": ([1], SORTS[1:2]),
    "tables alone": ([0, 0], ["i4 - - i4", "i4 i1 i2 i4"]),
}


@pytest.mark.parametrize("name", TREES)
def test_a_tree_in_pieces(name):
    """Layers of more than a piece, round by round: pieces of constant numerators, of others, of padding."""
    counts, sorts = TREES[name]
    constants = oracle.random_elements(2, len(counts))
    some = tuple(column(at, *each) for at, each in enumerate(zip(counts, sorts, constants, strict=True)))
    columns = Columns(some, LOG_PIECE, 3, K(3, 4))
    trees = [backend.tree(columns) for backend in (DEFAULT, REFERENCE)]
    assert trees[0].root() == trees[1].root()
    for number in range(LOG_PIECE, columns.depth):
        layers = [tree.layer(number, oracle.random_elements(number, number), K(5, 6)) for tree in trees]
        # Two rounds after the last pair of pieces; smaller tables are the backends' battery's.
        for r in oracle.random_elements(7 + number, number - LOG_PIECE + 2):
            assert layers[0].sums() == layers[1].sums()
            for layer in layers:
                layer.fold(r)


def test_leaves_are_the_same_in_any_type():
    """Columns read in place, and columns that are joined first."""
    some = tuple(column(at, 1, sort, K(at, 7), rows=PIECE) for at, sort in enumerate(SORTS))
    columns = Columns(some, LOG_PIECE, 3, K(3, 4))
    with jax.enable_x64(True):
        joined = columns.denominators(0, 8 * PIECE, K(1, 2))
        for at in range(5):
            apart = columns.denominators(at, PIECE, K(1, 2))
            for ours, theirs in zip(apart, joined, strict=True):
                assert np.array_equal(ours, theirs[at * PIECE : (at + 1) * PIECE])


def test_a_product_with_gaps():
    f = Pieced(4 * PIECE, [random_table(0), None, None, random_table(1)])
    g = Pieced(4 * PIECE, [random_table(2), None, random_table(3), None])
    lanes = 1 << 14
    sumchecks = [backend.product(f, g, lanes) for backend in (DEFAULT, REFERENCE)]
    for r in oracle.random_elements(7, LOG_PIECE + 2 - 14):
        assert sumchecks[0].sums() == sumchecks[1].sums()
        for sumcheck in sumchecks:
            sumcheck.fold(r)
    for ours, theirs in zip(sumchecks[0].tables(), sumchecks[1].tables(), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "u2", "i4", "u4", "i8"])
def test_leaves_at_the_ends_of_their_types(kind):
    """Every coordinate at the ends of its type, against Python integers."""
    ends = np.iinfo(kind)
    reach = 1 << 40  # of int64, what a table may name at all
    values = np.array([max(ends.min, -reach), -1 if ends.min else 1, 0, 1, min(ends.max, reach)], kind)
    beta_squared = K(P - 1, P - 2)
    with jax.enable_x64(True):
        for constant in (K(0, 0), K(P - 1, P - 1), K(1, 2)):
            found = denominators(values, values, values, Ext.from_list([constant]), scalar(beta_squared))
            expected = [constant - K(v, v) - beta_squared * v for v in values.tolist()]
            assert Ext(*map(np.asarray, found)).to_list() == expected
