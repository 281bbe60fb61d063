"""Trees walked through together, against the same trees one by one and the definitions."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest

from tests.compute import oracle
from zkjax.compute.backend import DEFAULT, choose
from zkjax.compute.forest import LOG_LANE, Forest, PieceForest, TreeByTree
from zkjax.compute.leaves import Column, Columns
from zkjax.fields.mersenne61 import K

REFERENCE = choose("reference")

SHAPES = {
    # Row and column bits of each class.
    "small": [(2, 2), (2, 0), (3, 1)],
    "a single leaf": [(0, 0), (2, 1)],
    "as large as a lane, and larger": [(LOG_LANE, 0), (LOG_LANE - 1, 2), (LOG_LANE, 3)],
    "in pieces": [(15, 2), (11, 0), (16, 1), (11, 1), (17, 1)],
    "sixteen lanes and one": [(3, at % 3) for at in range(17)],
}


def columns_of(seed: int, row_bits: int, column_bits: int) -> Columns:
    """Two sorts of columns, one fewer than there is room for where that leaves one."""
    generator = np.random.default_rng(seed)
    count = max((1 << column_bits) - 1, 1)
    constants = oracle.random_elements(seed, count, edges=False)
    some = []
    for at, constant in enumerate(constants):
        values, multiplicities = generator.integers(-9, 9, (2, 1 << row_bits)).astype(np.int64)
        some.append(Column(at % 2, constant, values, None, None, None if at % 2 else multiplicities))
    return Columns(tuple(some), row_bits, column_bits, K(3, seed))


def walked(forest: Forest, depths: list[int]) -> list:
    """All messages of a walk to the leaves; trees drop out where they end."""
    said: list = [forest.roots()]
    weights = dict(enumerate(oracle.random_elements(99, len(depths))))
    for number in range(max(depths)):
        present = {at: weight for at, weight in weights.items() if depths[at] > number}
        point = oracle.random_elements(number, number, edges=False)
        layer = forest.layer(number, point, K(5, number), present)
        for r in oracle.random_elements(90 + number, number, edges=False):
            said.append(layer.sums())
            layer.fold(r)
        said.append(layer.children())
    return said


@pytest.mark.parametrize("name", SHAPES)
def test_a_walk_is_that_of_each_tree(name):
    shapes = SHAPES[name]
    classes = [columns_of(seed, *shape) for seed, shape in enumerate(shapes)]
    depths = [each.depth for each in classes]
    together = PieceForest(classes)
    alone = TreeByTree([DEFAULT.tree(each) for each in classes])
    assert walked(together, depths) == walked(alone, depths)


def test_the_walk_of_the_definitions():
    classes = [columns_of(seed, *shape) for seed, shape in enumerate(SHAPES["small"])]
    depths = [each.depth for each in classes]
    assert walked(PieceForest(classes), depths) == walked(REFERENCE.forest(classes), depths)


def test_roots_are_sums_of_fractions():
    """The definition: p/q is the sum over all leaves, in Python integers."""
    classes = [columns_of(seed, 3, 1) for seed in range(3)]

    def total(columns: Columns) -> K:
        (column,) = columns.columns
        leaves = zip(column.re.tolist(), column.multiplicity.tolist(), strict=True)
        fractions = [K(column.count - m) / (column.constant - K(v)) for v, m in leaves]
        return reduce(lambda a, b: a + b, fractions)

    assert [p / q for p, q in PieceForest(classes).roots()] == [total(columns) for columns in classes]


def test_the_backend_joins_what_is_more_than_one():
    one = columns_of(1, 2, 1)
    assert isinstance(DEFAULT.forest([one]), TreeByTree)
    assert isinstance(DEFAULT.forest([one, one]), PieceForest)
