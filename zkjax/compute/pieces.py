"""Sumchecks over tables in pieces: the drivers of the programs in `blocked`.

A table of 2^n entries is a list of pieces, or the start of a single one. Pairs of pieces are
independent programs, which JAX runs side by side on the cores of a CPU; nothing is read back before
all programs of a round have been started.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np

from zkjax.compute import blocked
from zkjax.compute.blocked import LOG_LOW, LOG_PIECE, PIECE
from zkjax.compute.fractions import Children, Fractions
from zkjax.compute.leaves import Columns
from zkjax.fields import extension
from zkjax.fields.mersenne61 import K
from zkjax.fields.vectors import Ext, equality_weights, ext_mul, ext_sub

Array = jax.Array


@lru_cache(maxsize=64)
def _element(value: K) -> Ext:
    """A challenge on the device; conversions cost as much as a small round."""
    return extension.asarray(value)


@lru_cache(maxsize=64)
def _integer(value: int) -> Array:
    return jnp.asarray(np.int64(value))


@lru_cache(maxsize=4)
def pyramid(point: tuple[K, ...]) -> Ext:
    """`blocked.equality_pyramid` of a point of at most 14 coordinates."""
    coordinates = Ext.from_list([K.ZERO] * (LOG_PIECE - len(point)) + list(point)).reshape(2, LOG_LOW)
    layers = [Ext(np.zeros((2, 1), np.uint64), np.zeros((2, 1), np.uint64))]
    weights = Ext(np.ones((2, 1), np.uint64), np.zeros((2, 1), np.uint64))
    layers.append(weights)
    for at in reversed(range(LOG_LOW)):
        upper = ext_mul(weights, coordinates[:, at : at + 1])
        lower = ext_sub(weights, upper)
        weights = Ext(*(np.concatenate(planes, axis=1) for planes in zip(lower, upper, strict=True)))
        layers.append(weights)
    both = Ext(*(np.concatenate(planes, axis=1) for planes in zip(*layers, strict=True)))
    return blocked.equality_pyramid(both[1], both[0])


def _empty(tables: int) -> list[Ext]:
    planes = [jnp.asarray(np.zeros(PIECE, np.uint64)) for _ in range(2 * tables)]
    return [Ext(*planes[at : at + 2]) for at in range(0, 2 * tables, 2)]


def _read(part: Array) -> tuple[K, K]:
    a, b, c, d = np.asarray(part).tolist()
    return K(a, b), K(c, d)


def _pairs(pieces: list) -> list[tuple]:
    half = len(pieces) // 2
    return list(zip(pieces[:half], pieces[half:], strict=True))


def _first(table: Ext) -> K:
    return K(int(np.asarray(table.re)[0]), int(np.asarray(table.im)[0]))


class PieceTree:
    """A tree of fractions; `layer(k, ...)` starts the sumcheck of layer k, from the root on."""

    def __init__(self, columns: Columns):
        depth = columns.depth
        self._layers: list[list[Fractions]] = [[]] * depth + [list(columns.pieces(PIECE))]
        for number in reversed(range(depth)):
            pieces = self._layers[number + 1]
            self._layers[number] = (
                [blocked.join_pieces(low, high) for low, high in _pairs(pieces)]
                if len(pieces) > 1
                else [blocked.join_within(pieces[0], _integer(1 << number))]
            )
        self._spares: list[Children] = []

    def root(self) -> tuple[K, K]:
        p, q = self._layers[0][0]
        return _first(p), _first(q)

    def layer(self, number: int, point: Sequence[K], ratio: K) -> PieceLayer:
        """The sumcheck of a layer, each once and in order: its tables are given up."""
        nodes, self._layers[number + 1] = self._layers[number + 1], []
        return PieceLayer(nodes, point, ratio, self._spares)


class PieceLayer:
    """The rounds of one layer of one tree: `sums`, then `fold`, for every variable; then `children`.

    `nodes` are the children, 2^(len(point) + 1) fractions. `spares` are pieces to write to, taken from
    this list and put back.
    """

    def __init__(self, nodes: list[Fractions], point: Sequence[K], ratio: K, spares: list[Children]):
        self._left, self._ratio, self._spares = list(point), ratio, spares
        self._pyramid = pyramid(tuple(point[1:][-LOG_PIECE:]))
        if len(nodes) == 1:
            half = _integer(1 << len(point))
            self._tables = [blocked.start_within(nodes[0], self._spare(), half, _element(ratio))]
        else:
            self._tables = [Children(blocked.mixed(a.p, a.q, _element(ratio)), b.p, a.q, b.q) for a, b in _pairs(nodes)]
        self._evaluate()

    def _spare(self) -> Children:
        return self._spares.pop() if self._spares else Children(*_empty(4))

    def _evaluate(self) -> None:
        """Start the sums of the coming round."""
        self._weights = [K.ONE]
        if len(self._tables) > 1:
            self._weights = equality_weights(self._left[1 : len(self._left) - LOG_PIECE]).to_list()
            offset, half, pairs = 0, PIECE, _pairs(self._tables)
        else:
            offset = half = 1 << len(self._left) >> 1
            pairs = [(self._tables[0], self._tables[0])]
        self._parts = [
            blocked.layer_sums(low, high, _integer(offset), _integer(half), self._pyramid) for low, high in pairs
        ]

    def sums(self) -> tuple[K, K]:
        """The round polynomial, equality factor left out, at zero and its coefficient of X^2."""
        at_zero, leading = K.ZERO, K.ZERO
        for part, weight in zip(self._parts, self._weights, strict=True):
            first, second = _read(part)
            at_zero, leading = at_zero + weight * first, leading + weight * second
        return at_zero, leading

    def fold(self, r: K) -> None:
        """Set the variable to the challenge."""
        half = 1 << (len(self._left) - 1)
        self._left.pop(0)
        if half >= PIECE:
            self._tables = [blocked.fold_pieces(low, high, _element(r)) for low, high in _pairs(self._tables)]
            self._evaluate()
            return
        (tables,) = self._tables
        folded, sums = blocked.layer_round(tables, self._spare(), _integer(half), _element(r), self._pyramid)
        self._spares.append(tables)
        self._tables, self._parts, self._weights = [folded], [sums], [K.ONE]

    def children(self) -> tuple[K, K, K, K]:
        """p0, p1, q0, q1 at the challenges, after the last round."""
        mixed, p1, q0, q1 = (_first(table) for table in self._tables[0])
        self._spares.append(self._tables.pop())
        del self._spares[2:]
        return mixed - self._ratio * q0, p1, q0, q1


class PieceProduct:
    """The rounds of one product sumcheck: `sums`, then `fold`, for every variable; then `values`."""

    def __init__(self, f: Ext, g: Ext, lanes: int = 1):
        self._size, self._lanes = f.shape[0], lanes
        cut = [_cut(table) for table in (f, g)]
        self._tables = list(zip(*cut, strict=True))
        self._spare: tuple[Ext, Ext] | None = None
        self._evaluate()

    def _evaluate(self) -> None:
        """Start the sums of the coming round on whole pieces, or of the first round."""
        if len(self._tables) > 1:
            offset, half = _integer(0), _integer(PIECE)
            pairs = _pairs(self._tables)
        else:
            offset = half = _integer(self._size // 2)
            pairs = [(self._tables[0], self._tables[0])]
        self._parts = [blocked.product_sums(low, high, offset, half) for low, high in pairs]

    def sums(self) -> tuple[K, K]:
        """The round polynomial at zero and its coefficient of X^2."""
        parts = [_read(part) for part in self._parts]
        return sum((part[0] for part in parts), K.ZERO), sum((part[1] for part in parts), K.ZERO)

    def fold(self, r: K) -> None:
        """Set the variable to the challenge."""
        self._size //= 2
        if self._size >= PIECE:
            self._tables = [blocked.fold_pieces(low, high, _element(r)) for low, high in _pairs(self._tables)]
            self._evaluate()
            return
        (tables,) = self._tables
        spare = self._spare or tuple(_empty(2))
        folded, sums = blocked.product_round(tables, spare, _integer(self._size), _element(r))
        self._tables, self._spare, self._parts = [folded], tables, [sums]

    def values(self) -> tuple[list[K], list[K]]:
        """f and g at the challenges, after the last round, one entry per lane."""
        f, g = zip(*self._tables, strict=True)
        return _joined(f, self._lanes), _joined(g, self._lanes)


def _cut(table: Ext) -> list[Ext]:
    """A table in pieces, the only one padded by zeros."""
    planes = [np.asarray(plane) for plane in table]
    size = planes[0].size
    if size < PIECE:
        planes, size = [np.pad(plane, (0, PIECE - size)) for plane in planes], PIECE
    return [Ext(*(jnp.asarray(plane[start : start + PIECE]) for plane in planes)) for start in range(0, size, PIECE)]


def _joined(pieces: Sequence[Ext], lanes: int) -> list[K]:
    planes = [np.concatenate([np.asarray(tuple(piece)[plane]) for piece in pieces])[:lanes] for plane in (0, 1)]
    return Ext(*planes).to_list()
