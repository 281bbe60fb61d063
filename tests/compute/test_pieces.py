"""Tables of several pieces, some of them padding, against the definitions on whole tables."""

from __future__ import annotations

import numpy as np

from tests.compute import oracle
from zkjax.compute.backend import DEFAULT, choose
from zkjax.compute.blocked import LOG_PIECE, PIECE
from zkjax.compute.leaves import Column, Columns
from zkjax.compute.pieced import Pieced
from zkjax.fields.mersenne61 import K, P
from zkjax.fields.vectors import Ext

REFERENCE = choose("reference")


def random_table(seed: int) -> Ext:
    return Ext(*np.random.default_rng(seed).integers(0, P, (2, PIECE), dtype=np.uint64))


def test_a_tree_with_padding():
    """Five columns of eight, so that pairs of pieces are padded on no side, on one, and on both."""
    generator = np.random.default_rng(1)
    constants = oracle.random_elements(2, 5)
    columns = Columns(
        tuple(
            Column(int(number < 4), constant, generator.integers(-9, 9, PIECE).astype(kind))
            for number, (constant, kind) in enumerate(zip(constants, ("i1", "i2", "i4", "i8", "i2"), strict=True))
        ),
        LOG_PIECE,
        3,
        K(3, 4),
    )
    trees = [backend.tree(columns) for backend in (DEFAULT, REFERENCE)]
    assert trees[0].root() == trees[1].root()
    number = columns.depth - 1
    layers = [tree.layer(number, oracle.random_elements(number, number), K(5, 6)) for tree in trees]
    for r in oracle.random_elements(7, 4):
        assert layers[0].sums() == layers[1].sums()
        for layer in layers:
            layer.fold(r)


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
