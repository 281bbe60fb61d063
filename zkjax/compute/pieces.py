"""Sumchecks over tables in pieces: the drivers of the programs in `blocked`.

A table of 2^n entries is a list of pieces, or the start of a single one. Pairs of pieces are
independent programs, which JAX runs side by side on the cores of a CPU; nothing is read back before
all programs of a round have been started.

None stands for a piece that holds only padding: fractions 0/1 in a tree, zeros in a product. It
costs neither memory nor time, and two of them make another one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from typing import Any

import jax
import numpy as np

from zkjax.compute import blocked
from zkjax.compute.blocked import LOG_PIECE, PIECE
from zkjax.compute.fractions import Children, Fractions
from zkjax.compute.leaves import Columns, constant_planes
from zkjax.compute.pieced import Pieced, joined, pieced
from zkjax.fields.mersenne61 import K
from zkjax.fields.vectors import Ext, equality_weights, scalar

Array = jax.Array


@lru_cache(maxsize=4)
def pyramid(point: tuple[K, ...]) -> Ext:
    """`blocked.equality_pyramid` of a point of at most LOG_PIECE coordinates."""
    return blocked.equality_pyramid(Ext.from_list([K.ZERO] * (LOG_PIECE - len(point)) + list(point)))


class Spares:
    """Pieces to write to, in sets of tables; those that were read longest ago come first.

    Fresh memory costs a page fault for every 512 entries, more than the arithmetic. A piece is given
    back once the programs that read it have been started: JAX orders the writing after them. Not
    more than `most` are kept: those of a large table would hold memory until the end.
    """

    def __init__(self, tables: int, least: int = 4, most: int = 32):
        self._tables, self._least, self._most = tables, least * tables, most * tables
        self._free: deque[Ext] = deque()

    def take(self) -> tuple[Ext, ...]:
        if len(self._free) < self._least:
            return blocked.fresh_pieces(self._tables)
        return tuple(self._free.popleft() for _ in range(self._tables))

    def give(self, tables: Iterable[Ext]) -> None:
        if len(self._free) < self._most:
            self._free.extend(table for table in tables if not _is_shared(table))


def _is_shared(table: Ext) -> bool:
    """Whether others hold the table as well: the caller, or all leaves with equal numerators."""
    zeros, ones = constant_planes(PIECE)
    return any(plane is zeros or plane is ones or not isinstance(plane, jax.Array) for plane in table)


def _zeros() -> Ext:
    """A piece of zeros, shared."""
    zeros, _ = constant_planes(PIECE)
    return Ext(zeros, zeros)


def _padding() -> Fractions:
    """A piece of fractions 0/1, shared."""
    zeros, ones = constant_planes(PIECE)
    return Fractions(Ext(zeros, zeros), Ext(ones, zeros))


def _mixed(nodes: Fractions, ratio: K) -> Ext:
    program = blocked.mixed if _is_shared(nodes.p) else blocked.mixed_in_place
    return program(*nodes, scalar(ratio))


def _read(part: Array) -> tuple[K, K]:
    a, b, c, d = np.asarray(part).tolist()
    return K(a, b), K(c, d)


def _pairs(pieces: list) -> list[tuple]:
    half = len(pieces) // 2
    return list(zip(pieces[:half], pieces[half:], strict=True))


def _first(table: Ext) -> K:
    return K(int(np.asarray(table.re)[0]), int(np.asarray(table.im)[0]))


class PieceTree:
    """A tree of fractions; `layer(k, ...)` starts the sumcheck of layer k, from the root on.

    The leaves, a third of the tree, are made twice: from the columns to the first layer above them,
    and again when their own layer is reached, all others being given up by then.
    """

    def __init__(self, columns: Columns):
        self._columns = columns
        depth = columns.depth
        self._layers: list[list[Fractions | None]] = [[]] * (depth + 1)
        for number in reversed(range(depth)):
            self._layers[number] = [self._parents(pair, 1 << number) for pair in self._pairs_of(number + 1)]
        self._spares = Spares(tables=4)

    def _pairs_of(self, number: int) -> Iterator[tuple[Fractions | None, Fractions | None]]:
        """Pairs of pieces of a layer; a layer of one piece pairs with itself. The leaves are made on the way."""
        half = max((1 << number) // PIECE // 2, 1)
        both = half if 1 << number > PIECE else 0
        for at in range(half):
            if number == self._columns.depth:
                low = self._columns.piece(at, PIECE)
                yield low, self._columns.piece(at + both, PIECE) if both else low
            else:
                yield self._layers[number][at], self._layers[number][at + both]

    def _parents(self, pair: tuple[Fractions | None, Fractions | None], half: int) -> Fractions | None:
        low, high = pair
        if low is None and high is None:
            return None
        if half < PIECE:
            return blocked.join_within(low, np.int64(half))
        # Adding 0/1 changes nothing. Leaves are not kept, so that nobody else holds the piece.
        if high is None and 2 * half == 1 << self._columns.depth:
            return low
        return blocked.join_pieces(low or _padding(), high or _padding())

    def root(self) -> tuple[K, K]:
        (root,) = self._layers[0]
        assert root is not None
        return _first(root.p), _first(root.q)

    def layer(self, number: int, point: Sequence[K], ratio: K) -> PieceLayer:
        """The sumcheck of a layer, each once and in order: its tables are given up."""
        nodes, self._layers[number + 1] = self._layers[number + 1], []
        if number + 1 == self._columns.depth:
            nodes = list(self._columns.pieces(PIECE))
        return PieceLayer(nodes, point, ratio, self._spares)


class PieceLayer:
    """The rounds of one layer of one tree: `sums`, then `fold`, for every variable; then `children`.

    `nodes` are the children, 2^(len(point) + 1) fractions, and are given up.
    """

    _tables: list[Children | None]
    _parts: list[Array | None]

    def __init__(self, nodes: list[Fractions | None], point: Sequence[K], ratio: K, spares: Spares):
        self._left, self._ratio, self._spares = list(point), ratio, spares
        self._pyramid = pyramid(tuple(point[1:][-LOG_PIECE:]))
        if len(nodes) == 1:
            half = np.int64(1 << len(point))
            self._tables = [blocked.start_within(nodes[0], Children(*spares.take()), half, scalar(ratio))]
        else:
            self._tables = [self._children(*pair) for pair in _pairs(nodes)]
        nodes.clear()
        self._evaluate()

    def _children(self, a: Fractions | None, b: Fractions | None) -> Children | None:
        if a is None and b is None:
            return None
        a, b = a or _padding(), b or _padding()
        return Children(_mixed(a, self._ratio), b.p, a.q, b.q)

    @cached_property
    def _padded(self) -> Children:
        """The tables of a piece of padding: u0 is 0 + ratio."""
        padding = _padding()
        return Children(blocked.mixed(*padding, scalar(self._ratio)), padding.p, padding.q, padding.q)

    def _evaluate(self) -> None:
        """Start the sums of the coming round."""
        self._weights = [K.ONE]
        if len(self._tables) > 1:
            self._weights = equality_weights(self._left[1 : len(self._left) - LOG_PIECE]).to_list()
            offset, half, pairs = 0, PIECE, _pairs(self._tables)
        else:
            offset = half = 1 << len(self._left) >> 1
            pairs = [(self._tables[0], self._tables[0])]
        at, size = np.int64(offset), np.int64(half)
        self._parts = [
            None
            if low is None and high is None
            else blocked.layer_sums(low or self._padded, high or self._padded, at, size, self._pyramid)
            for low, high in pairs
        ]

    def sums(self) -> tuple[K, K]:
        """The round polynomial, equality factor left out, at zero and its coefficient of X^2."""
        at_zero, leading = K.ZERO, K.ZERO
        for part, weight in zip(self._parts, self._weights, strict=True):
            # On padding u0 q1 + p1 q0 is the ratio, whatever X, and a piece's equality weights add up to one.
            first, second = (self._ratio, K.ZERO) if part is None else _read(part)
            at_zero, leading = at_zero + weight * first, leading + weight * second
        return at_zero, leading

    def fold(self, r: K) -> None:
        """Set the variable to the challenge."""
        half = 1 << (len(self._left) - 1)
        self._left.pop(0)
        if half >= PIECE:
            self._tables = _folded(self._tables, self._spares, r, lambda: self._padded)
            self._evaluate()
            return
        (tables,) = self._tables
        assert tables is not None
        spare = Children(*self._spares.take())
        folded, sums = blocked.layer_round(tables, spare, np.int64(half), scalar(r), self._pyramid)
        self._spares.give(tables)
        self._tables, self._parts, self._weights = [folded], [sums], [K.ONE]

    def children(self) -> tuple[K, K, K, K]:
        """p0, p1, q0, q1 at the challenges, after the last round."""
        tables = self._tables.pop()
        assert tables is not None
        mixed, p1, q0, q1 = (_first(table) for table in tables)
        self._spares.give(tables)
        return mixed - self._ratio * q0, p1, q0, q1


class PieceProduct:
    """The rounds of one product sumcheck: `sums`, then `fold`, for every variable; then `values`.

    The tables are read in place and must stay as they are until the second `sums`.
    """

    _tables: list[tuple[Ext, Ext] | None]

    def __init__(self, f: Ext | Pieced, g: Ext | Pieced, lanes: int = 1):
        f, g = pieced(f), pieced(g)
        self._size, self._lanes = f.size, lanes
        self._tables = [
            None if a is None and b is None else (a or _zeros(), b or _zeros())
            for a, b in zip(f.pieces, g.pieces, strict=True)
        ]
        self._spares = Spares(tables=2)
        self._evaluate()

    def _evaluate(self) -> None:
        """Start the sums of the coming round."""
        if self._size == self._lanes:
            return
        if len(self._tables) > 1:
            offset, half = np.int64(0), np.int64(PIECE)
            pairs = _pairs(self._tables)
        else:
            offset = half = np.int64(self._size // 2)
            pairs = [(self._tables[0], self._tables[0])]
        nothing = (_zeros(), _zeros())
        self._parts = [
            blocked.product_sums(low or nothing, high or nothing, offset, half)
            for low, high in pairs
            if low is not None or high is not None
        ]

    def sums(self) -> tuple[K, K]:
        """The round polynomial at zero and its coefficient of X^2."""
        parts = [_read(part) for part in self._parts]
        return sum((part[0] for part in parts), K.ZERO), sum((part[1] for part in parts), K.ZERO)

    def fold(self, r: K) -> None:
        """Set the variable to the challenge."""
        self._size //= 2
        if self._size >= PIECE:
            self._tables = _folded(self._tables, self._spares, r, lambda: (_zeros(), _zeros()))
            self._evaluate()
            return
        (tables,) = self._tables
        tables = tables or (_zeros(), _zeros())
        folded, sums = blocked.product_round(tables, self._spares.take(), np.int64(self._size), scalar(r))
        self._spares.give(tables)
        self._tables, self._parts = [folded], [sums]

    def tables(self) -> tuple[Ext, Ext]:
        """f and g at the challenges, after the last round: NumPy arrays, one entry per lane."""
        f, g = zip(*(tables or (_zeros(), _zeros()) for tables in self._tables), strict=True)
        return joined(f, self._lanes), joined(g, self._lanes)

    def values(self) -> tuple[list[K], list[K]]:
        """The same as elements."""
        f, g = self.tables()
        return f.to_list(), g.to_list()


def _folded(tables: list, spares: Spares, r: K, padding: Callable[[], Any]) -> list:
    """Pairs of pieces folded; the old ones are taken from the list one after the other and become spares."""
    filler: Any = padding() if any(table is None for table in tables) else None
    folded: list = []
    half = len(tables) // 2
    for at in range(half):
        low, high = tables[at], tables[half + at]
        tables[at] = tables[half + at] = None
        if low is None and high is None:
            folded.append(None)
            continue
        low, high = low or filler, high or filler
        spare = jax.tree.unflatten(jax.tree.structure(low), jax.tree.leaves(spares.take()))
        folded.append(blocked.fold_pieces(low, high, spare, scalar(r)))
        for old in (low, high):
            if old is not filler:
                spares.give(old)
    return folded
