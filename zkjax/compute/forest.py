"""Trees of fractions that are walked through layer by layer together, under the same challenges.

A layer of a given number is of one size in all trees, and so is each of its rounds. Once tables have become
small, those of all trees make one: entry x of tree t at `lanes x + t`. A round of it is a round of one longer
table, by the same program, with a weight for each lane; tree by tree, most of the time would go into calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np

from zkjax.compute import blocked, host
from zkjax.compute.blocked import LOG_PIECE, PIECE, WIDE
from zkjax.compute.cores import on_all_cores, threads
from zkjax.compute.fractions import Children, Fractions
from zkjax.compute.leaves import Columns
from zkjax.compute.piece_trees import PieceLayer, PieceTree, pyramid
from zkjax.compute.pieces import SPARES, read_sums
from zkjax.compute.whole import WholeLayer, WholeTree
from zkjax.fields import extension
from zkjax.fields.mersenne61 import K
from zkjax.fields.vectors import Ext, scalar

# Largest table of a tree that is copied into a common one: copying costs the more, the larger it is.
LOG_LANE = 10

Array = jax.Array
Fraction = tuple[K, K]
FourValues = tuple[K, K, K, K]


class Layer(Protocol):
    """The rounds of a layer of some trees: `sums`, then `fold`, for every variable; then `children`."""

    def sums(self) -> Fraction:
        """The weighted sum of round polynomials, equality factor left out, at zero and its coefficient of X^2."""

    def fold(self, r: K) -> None:
        """Set the variable to the challenge."""

    def children(self) -> dict[int, FourValues]:
        """For each tree p0, p1, q0, q1 at the challenges, after the last round."""


class Forest(Protocol):
    """The trees over the leaves of several classes."""

    def roots(self) -> list[Fraction]:
        """Numerator and denominator of the root of each tree."""

    def layer(self, number: int, point: Sequence[K], ratio: K, weights: Mapping[int, K]) -> Layer:
        """The sumcheck of a layer of the trees that have weights; each layer once, from the root on."""


class TreeByTree:
    """A forest of trees that share nothing."""

    def __init__(self, trees: Sequence[PieceTree | WholeTree]):
        self._trees = trees

    def roots(self) -> list[Fraction]:
        return [tree.root() for tree in self._trees]

    def layer(self, number: int, point: Sequence[K], ratio: K, weights: Mapping[int, K]) -> Layer:
        return LayerByLayer({at: self._trees[at].layer(number, point, ratio) for at in weights}, weights)


class LayerByLayer:
    """The same layer of several trees, one after the other."""

    def __init__(self, layers: Mapping[int, PieceLayer | WholeLayer], weights: Mapping[int, K]):
        self._layers, self._weights = layers, weights

    def sums(self) -> Fraction:
        constant, square = K.ZERO, K.ZERO
        for at, layer in self._layers.items():
            at_zero, leading = layer.sums()
            constant += self._weights[at] * at_zero
            square += self._weights[at] * leading
        return constant, square

    def fold(self, r: K) -> None:
        for layer in self._layers.values():
            layer.fold(r)

    def children(self) -> dict[int, FourValues]:
        return {at: layer.children() for at, layer in self._layers.items()}


class PieceForest:
    """Two trees or more over tables in pieces; the layers next to the roots are tables for all trees."""

    def __init__(self, columns: Sequence[Columns]):
        self._lanes = 1 << (len(columns) - 1).bit_length()
        self._log_lane = min(LOG_LANE, LOG_PIECE - (self._lanes.bit_length() - 1))
        self._top = min(self._log_lane, *(each.depth for each in columns))
        self._trees = [PieceTree(each, self._top) for each in columns]
        nodes = Fractions(*_interleaved([tree.give_up_top() for tree in self._trees], 1 << self._top, self._lanes))
        self._nodes = [nodes]
        for number in reversed(range(self._top)):
            nodes = blocked.join_within(nodes, np.int64(self._lanes << number), Fractions(*SPARES.take(2)))
            self._nodes.append(nodes)
        self._nodes.reverse()

    def roots(self) -> list[Fraction]:
        p, q = (_first(table, len(self._trees)) for table in self._nodes[0])
        return list(zip(p, q, strict=True))

    def layer(self, number: int, point: Sequence[K], ratio: K, weights: Mapping[int, K]) -> Layer:
        lanes = [weights.get(at, K.ZERO) for at in range(self._lanes)]
        if number < self._top:
            nodes, spare = self._nodes[number + 1], Children(*SPARES.take(4))
            tables = blocked.start_within(nodes, spare, np.int64(self._lanes << number), scalar(ratio))
            SPARES.give(nodes)
            return LaneLayer(tables, point, ratio, lanes, list(weights))
        layers = {at: self._trees[at].layer(number, point, ratio) for at in weights}
        return _LayersInPieces(layers, point, ratio, lanes, self._log_lane)


class LaneLayer:
    """The rounds of a table for all trees, at the start of one piece."""

    def __init__(
        self,
        tables: Children,
        left: Sequence[K],
        ratio: K,
        weights: Sequence[K],
        trees: Sequence[int],
    ):
        self._tables, self._left, self._ratio, self._trees = tables, len(left), ratio, trees
        self._lanes = len(weights)
        self._pyramid = _lane_pyramid(pyramid(tuple(left[1:])), Ext.from_list(weights))
        half = np.int64(self._lanes << self._left >> 1)
        self._sums = blocked.layer_sums(tables, tables, half, half, self._pyramid)

    def sums(self) -> Fraction:
        return read_sums(self._sums)

    def fold(self, r: K) -> None:
        self._left -= 1
        old, spare = self._tables, Children(*SPARES.take(4))
        half = np.int64(self._lanes << self._left)
        self._tables, self._sums = blocked.layer_round(old, spare, half, scalar(r), self._pyramid)
        SPARES.give(old)

    def children(self) -> dict[int, FourValues]:
        columns = [_first(table, self._lanes) for table in self._tables]
        SPARES.give(self._tables)
        every = list(zip(*columns, strict=True))
        return {at: (every[at][0] - self._ratio * every[at][2], *every[at][1:]) for at in self._trees}


class _LayersInPieces(LayerByLayer):
    """The same layer of several trees, each in pieces, until what is left is small enough for one table."""

    _layers: Mapping[int, PieceLayer]

    def __init__(
        self,
        layers: Mapping[int, PieceLayer],
        point: Sequence[K],
        ratio: K,
        weights: Sequence[K],
        log_lane: int,
    ):
        super().__init__(layers, dict(enumerate(weights)))
        self._left, self._ratio, self._log_lane = list(point), ratio, log_lane
        self._common: LaneLayer | None = None
        self._gather()

    def _gather(self) -> None:
        if len(self._left) > self._log_lane:
            return
        weights = list(self._weights.values())
        given = [self._layers[at].give_up() if at in self._layers else None for at in range(len(weights))]
        tables = Children(*_interleaved(given, 1 << len(self._left), len(weights)))
        self._common = LaneLayer(tables, self._left, self._ratio, weights, list(self._layers))

    def sums(self) -> Fraction:
        return self._common.sums() if self._common else super().sums()

    def fold(self, r: K) -> None:
        if self._common:
            self._common.fold(r)
            return
        self._left.pop(0)
        if len(self._left) > LOG_PIECE + 1:  # pieces of one tree are for all cores
            super().fold(r)
        else:
            layers = list(self._layers.values())
            on_all_cores(partial(_fold_each, r), [layers[start :: threads()] for start in range(threads())])
        self._gather()

    def children(self) -> dict[int, FourValues]:
        assert self._common
        return self._common.children()


def _fold_each(r: K, layers: Iterable[PieceLayer]) -> None:
    for layer in layers:
        layer.fold(r)


def _interleaved(trees: Sequence[Sequence[Ext] | None], size: int, lanes: int) -> list[Ext]:
    """The first `size` entries of each table of all trees, entry x of tree t at `lanes x + t` of a piece.

    The tables that are read are given back.
    """
    tables = [host.zeros(PIECE) for _ in next(tree for tree in trees if tree is not None)]
    for lane, tree in enumerate(trees):
        for table, part in zip(tables, tree or (), strict=tree is not None):
            for plane, entries in zip(table, part, strict=True):
                plane[lane : size * lanes : lanes] = np.asarray(entries)[:size]
    for tree in trees:
        SPARES.give(tree or ())
    return tables


def _first(table: Ext, count: int) -> list[K]:
    return Ext(*(np.asarray(plane)[:count] for plane in table)).to_list()


@partial(jax.jit, compiler_options=WIDE)
def _lane_pyramid(weights: Ext, lanes: Ext) -> Ext:
    """Equality weights K[2 PIECE] as in `blocked.equality_pyramid`, each times the weight of every lane."""
    count = lanes.shape[0]
    product = extension.mul(weights[: PIECE // count, None], lanes[None, :])
    return Ext(*(jnp.concatenate([plane.reshape(-1), jnp.zeros(PIECE, jnp.uint64)]) for plane in product))
