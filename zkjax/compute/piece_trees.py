"""Trees of fractions over tables in pieces, and the sumchecks of their layers.

Leaves have numerators that hardly vary, so that their layer, half of all work, is walked through with two
tables in place of four (`Factors`), made from the columns when they are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Any, NamedTuple

import jax
import numpy as np

from zkjax.compute import blocked, host
from zkjax.compute.blocked import LOG_PIECE, PIECE
from zkjax.compute.cores import on_all_cores
from zkjax.compute.fractions import Children, Fractions
from zkjax.compute.leaves import Columns, constant_planes
from zkjax.compute.pieces import SPARES, fold_pairs, folded_tables, pairs_of, read_sums
from zkjax.fields.mersenne61 import K
from zkjax.fields.vectors import Ext, equality_weights, scalar

Array = jax.Array


@lru_cache(maxsize=4)
def pyramid(point: tuple[K, ...]) -> Ext:
    """`blocked.equality_pyramid` of a point of at most LOG_PIECE coordinates."""
    return blocked.equality_pyramid(Ext.from_list([K.ZERO] * (LOG_PIECE - len(point)) + list(point)))


@lru_cache(maxsize=4)
def _piece_weights(point: tuple[K, ...]) -> list[K]:
    return equality_weights(point).to_list()


def _padding() -> Fractions:
    """A piece of fractions 0/1, shared."""
    zeros, ones = constant_planes(PIECE)
    return Fractions(Ext(zeros, zeros), Ext(ones, zeros))


def _mixed(nodes: Fractions, ratio: K) -> Ext:
    """u0 = p0 + ratio q0; the numerators are given up."""
    (spare,) = SPARES.take(1)
    result = blocked.mixed(*nodes, scalar(ratio), spare)
    SPARES.give([nodes.p])
    return result


def _blank_nodes() -> Fractions:
    return Fractions(*SPARES.take(2))


def _first(table: Ext) -> K:
    return K(int(np.asarray(table.re)[0]), int(np.asarray(table.im)[0]))


class PieceTree:
    """A tree of fractions; `layer(k, ...)` starts the sumcheck of layer k, from the root on.

    The leaves, a third of the tree, are not kept: they are made from the columns for the first layer above
    them, and again for the first sums and the first fold of their own layer.

    Layers below number `top` are left to the caller.
    """

    def __init__(self, columns: Columns, top: int = 0):
        self._columns, self._top = columns, top
        depth = columns.depth
        self._layers: list[list[Fractions | None]] = [[]] * (depth + 1)
        for number in reversed(range(top, depth)):
            half = max((1 << (number + 1)) // PIECE // 2, 1)
            self._layers[number] = on_all_cores(partial(self._parents, number), range(half))

    def _parents(self, number: int, at: int) -> Fractions | None:
        """Piece `at` of a layer, from the next one; leaves are made on the way."""
        size = 1 << (number + 1)
        if size <= PIECE:
            only = self._piece(number + 1, 0)
            return None if only is None else blocked.join_within(only, np.int64(size // 2), _blank_nodes())
        places = at, at + size // PIECE // 2
        is_leaf = number + 1 == self._columns.depth
        if is_leaf and self._columns.is_padding(places[1], PIECE):
            # Adding 0/1 changes nothing. Leaves are not kept, so that nobody else holds the piece.
            return self._piece(number + 1, places[0])
        if is_leaf:
            c0, c1 = (self._columns.numerator(place, PIECE) for place in places)
            if c0 is not None and c1 is not None:
                leaves = [_denominators(self._columns, place, K.ZERO) for place in places]
                parents = blocked.join_constant(*leaves, np.uint64(c0), np.uint64(c1), _blank_nodes())
                SPARES.give(leaves)
                return parents
        low, high = (self._piece(number + 1, place) for place in places)
        if low is high is None:
            return None
        parents = blocked.join_pieces(low or _padding(), high or _padding(), _blank_nodes())
        if is_leaf:
            SPARES.give((*(low or ()), *(high or ())))
        return parents

    def _piece(self, number: int, at: int) -> Fractions | None:
        is_leaf = number == self._columns.depth
        return _leaves(self._columns, at) if is_leaf else self._layers[number][at]

    def top(self) -> Fractions:
        """The nodes of layer `top`, at the start of a piece each."""
        return self._piece(self._top, 0) or _padding()

    def give_up_top(self) -> Fractions:
        """The same; the caller gives the pieces back."""
        nodes, self._layers[self._top] = self.top(), []
        return nodes

    def root(self) -> tuple[K, K]:
        root = self.top()
        return _first(root.p), _first(root.q)

    def layer(self, number: int, point: Sequence[K], ratio: K) -> PieceLayer:
        """The sumcheck of a layer, each once and in order: its tables are given up."""
        nodes, self._layers[number + 1] = self._layers[number + 1], []
        is_leaf = number + 1 == self._columns.depth
        if 1 << (number + 1) <= PIECE:
            only = _leaves(self._columns, 0) if is_leaf else nodes[0]
            assert only is not None
            return PieceLayer(only, point, ratio)
        pairs: list[_Pair] = [_NodePair(low, high, ratio) for low, high in pairs_of(nodes)]
        if is_leaf:
            pairs = _leaf_pairs(self._columns, ratio)
        return PieceLayer(pairs, point, ratio)


@dataclass(frozen=True)
class Factors:
    """A piece of a layer whose numerators are the constants c0 and c1.

    With a = q0 + c0/ratio and b = q1 + c1/ratio, p0 q1 + p1 q0 + ratio q0 q1 is ratio a b - c0 c1/ratio: two
    tables in place of four.
    """

    tables: tuple[Ext, Ext]
    c0: K
    c1: K


Piece = Children | Factors | None


@dataclass
class _NodePair:
    """Both children of a piece of nodes, given up as they are taken."""

    low: Fractions | None
    high: Fractions | None
    ratio: K
    _made: Piece = None

    def peek(self) -> Piece:
        """The tables of the piece; p0 becomes u0 = p0 + ratio q0."""
        if self._made is None and not self.low is self.high is None:
            low, high = self.low or _padding(), self.high or _padding()
            self._made = Children(_mixed(low, self.ratio), high.p, low.q, high.q)
            self.low = self.high = None
        return self._made

    def take(self) -> Piece:
        made, self._made = self.peek(), None
        return made

    def put_back(self, piece: Piece) -> None:
        """What `peek` gave has been read; it is kept."""


@dataclass(frozen=True)
class _LeafPair:
    """Two pieces of leaves, made whenever they are read: that costs less than to keep them."""

    columns: Columns
    at: tuple[int, int]
    ratio: K

    def peek(self) -> Piece:
        columns, inverse = self.columns, self.ratio.inverse()
        c0, c1 = (columns.numerator(at, PIECE) for at in self.at)
        if c0 is not None and c1 is not None:
            if columns.is_padding(self.at[0], PIECE) and columns.is_padding(self.at[1], PIECE):
                return None
            a, b = (_denominators(columns, at, inverse * c) for at, c in zip(self.at, (c0, c1), strict=True))
            return Factors((a, b), K(c0), K(c1))
        low, high = (_leaves(columns, at) or _padding() for at in self.at)
        return Children(_mixed(low, self.ratio), high.p, low.q, high.q)

    take = peek

    def put_back(self, piece: Piece) -> None:
        """What `peek` gave has been read."""
        _give_up(piece, None)


_Pair = _NodePair | _LeafPair


def _leaf_pairs(columns: Columns, ratio: K) -> list[_Pair]:
    half = (1 << columns.depth) // PIECE // 2
    return [_LeafPair(columns, (at, at + half), ratio) for at in range(half)]


def _leaves(columns: Columns, at: int) -> Fractions | None:
    """A piece of leaves; None for padding alone."""
    return None if columns.is_padding(at, PIECE) else columns.piece(at, PIECE, *SPARES.take(1))


def _denominators(columns: Columns, at: int, shift: K) -> Ext:
    """The denominators of a piece of leaves plus `shift`."""
    return columns.denominators(at, PIECE, shift, *SPARES.take(1))


class _Sum(NamedTuple):
    """A piece's share of a round: `scale` times the sums that a program gives, plus constants."""

    started: Array | None
    scale: K
    at_zero: K
    leading: K


class PieceLayer:
    """The rounds of one layer of one tree: `sums`, then `fold`, for every variable; then `children`.

    `source` holds pairs of pieces of the next layer's nodes, or those nodes at the start of one piece.
    """

    _tables: list[Any]
    _sums: list[_Sum]

    def __init__(self, source: list[_Pair] | Fractions, point: Sequence[K], ratio: K):
        self._left, self._ratio = list(point), ratio
        self._pyramid = pyramid(tuple(point[1:][-LOG_PIECE:]))
        if isinstance(source, list):
            self._tables = source
            if len(source) == 1:
                self._tables = [self._replaced(source[0].take())]
                self._evaluate_within()
            else:
                self._sums = on_all_cores(lambda pair: self._peeked(*pair), pairs_of(source))
        else:
            half = 1 << len(point)
            children = Children(*SPARES.take(4))
            self._tables = [blocked.start_within(source, children, np.int64(half), scalar(ratio))]
            SPARES.give(source)
            self._evaluate_within()
        self._weigh()

    def _weigh(self) -> None:
        """Equality weights of the pieces in the coming round."""
        self._weights = [K.ONE]
        if len(self._tables) > 1:
            self._weights = _piece_weights(tuple(self._left[1 : len(self._left) - LOG_PIECE]))

    @cached_property
    def _padded(self) -> Children:
        """The tables of a piece of padding, shared: u0 is 0 + ratio."""
        padding, u0 = _padding(), host.zeros(PIECE)
        u0.re[:], u0.im[:] = self._ratio.re, self._ratio.im
        return Children(u0, padding.p, padding.q, padding.q)

    def _general(self, piece: Piece) -> Children:
        """A piece as four tables, new ones for two."""
        if piece is None:
            return self._padded
        if isinstance(piece, Children):
            return piece
        spare = Children(*SPARES.take(4))
        return blocked.expanded(*piece.tables, scalar(self._ratio), scalar(piece.c0), scalar(piece.c1), spare)

    def _replaced(self, piece: Piece) -> Children:
        """A piece as four tables; it is given up."""
        general = self._general(piece)
        _give_up(piece, general)
        return general

    def _alike(self, low: Piece, high: Piece) -> tuple[Piece, Piece]:
        """Both pieces as two tables, or as four."""
        if low is high is None:
            return None, None
        if isinstance(low, Children) or isinstance(high, Children):
            return self._general(low), self._general(high)
        ones = Factors((_padding().q, _padding().q), K.ZERO, K.ZERO)
        return low or ones, high or ones

    def _peeked(self, low: _Pair, high: _Pair) -> _Sum:
        """Start the sums over a pair of pieces that will be read again."""
        pieces = low.peek(), high.peek()
        sums = self._started(*pieces)
        for pair, piece in zip((low, high), pieces, strict=True):
            pair.put_back(piece)
        return sums

    def _started(self, low: Piece, high: Piece) -> _Sum:
        """Start the sums over a pair of whole pieces."""
        pieces = low, high
        low, high = self._alike(low, high)
        if isinstance(low, Factors):
            assert isinstance(high, Factors)
            inverse = self._ratio.inverse()
            started = blocked.factor_sums(low.tables, high.tables, self._pyramid)
            # A piece's equality weights add up to one.
            leading = (high.c0 - low.c0) * (high.c1 - low.c1)
            return _Sum(started, self._ratio, -low.c0 * low.c1 * inverse, -leading * inverse)
        if low is None:
            # On padding u0 q1 + p1 q0 is the ratio, whatever X.
            return _Sum(None, K.ONE, self._ratio, K.ZERO)
        started = blocked.layer_sums(low, high, np.int64(0), np.int64(PIECE), self._pyramid)
        for made, piece in zip((low, high), pieces, strict=True):
            _give_up(made, piece)
        return _Sum(started, K.ONE, K.ZERO, K.ZERO)

    def _evaluate_within(self) -> None:
        """Start the sums over the only piece."""
        (tables,) = self._tables
        half = np.int64(1 << len(self._left) >> 1)
        started = blocked.layer_sums(tables, tables, half, half, self._pyramid)
        self._sums = [_Sum(started, K.ONE, K.ZERO, K.ZERO)]

    def sums(self) -> tuple[K, K]:
        """The round polynomial, equality factor left out, at zero and its coefficient of X^2."""
        at_zero, leading = K.ZERO, K.ZERO
        for part, weight in zip(self._sums, self._weights, strict=True):
            first, second = (K.ZERO, K.ZERO) if part.started is None else read_sums(part.started)
            at_zero += weight * (part.scale * first + part.at_zero)
            leading += weight * (part.scale * second + part.leading)
        return at_zero, leading

    def fold(self, r: K) -> None:
        """Set the variable to the challenge."""
        half = 1 << (len(self._left) - 1)
        self._left.pop(0)
        if half >= PIECE:
            self._fold_pieces(r)
        else:
            (tables,) = self._tables
            spare = Children(*SPARES.take(4))
            folded, sums = blocked.layer_round(tables, spare, np.int64(half), scalar(r), self._pyramid)
            SPARES.give(tables)
            self._tables, self._sums = [folded], [_Sum(sums, K.ONE, K.ZERO, K.ZERO)]
        self._weigh()

    def _fold_pieces(self, r: K) -> None:
        """Fold pairs of pieces; the sums over two results are started while they are in the cache."""
        self._tables, self._sums = fold_pairs(
            self._tables, lambda low, high: self._folded(_taken(low), _taken(high), r), self._started
        )
        if len(self._tables) == 1:
            self._tables = [self._replaced(self._tables[0])]
            self._evaluate_within()

    def _folded(self, low: Piece, high: Piece, r: K) -> Piece:
        pieces = low, high
        low, high = self._alike(low, high)
        for piece, made in zip(pieces, (low, high), strict=True):
            _give_up(piece, made)
        if isinstance(low, Factors):
            assert isinstance(high, Factors)
            c0, c1 = low.c0 + r * (high.c0 - low.c0), low.c1 + r * (high.c1 - low.c1)
            return Factors(folded_tables(low.tables, high.tables, r), c0, c1)
        return None if low is None else folded_tables(low, high, r)

    def give_up(self) -> Children:
        """What is left of all tables, at the start of a piece each; p0 holds u0 = p0 + ratio q0.

        The caller gives the pieces back once it has read them.
        """
        return self._tables.pop()

    def children(self) -> tuple[K, K, K, K]:
        """p0, p1, q0, q1 at the challenges, after the last round."""
        tables = self.give_up()
        mixed, p1, q0, q1 = (_first(table) for table in tables)
        SPARES.give(tables)
        return mixed - self._ratio * q0, p1, q0, q1


def _give_up(piece: Piece, kept: Piece) -> None:
    """Give the tables of a piece back, unless it is the one that is kept."""
    if piece is not None and piece is not kept:
        SPARES.give(piece.tables if isinstance(piece, Factors) else piece)


def _taken(piece: Any) -> Piece:
    return piece.take() if isinstance(piece, _NodePair | _LeafPair) else piece
