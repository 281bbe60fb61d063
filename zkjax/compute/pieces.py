"""Sumchecks over tables in pieces: the drivers of the programs in `blocked`.

A table of 2^n entries is a list of pieces, or the start of a single one. Pairs of pieces are
independent programs, which JAX runs side by side on the cores of a CPU; nothing is read back before
all programs of a round have been started.

None stands for a piece that holds only padding: fractions 0/1 in a tree (`piece_trees`), zeros in a
product. It costs neither memory nor time, and two of them make another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import jax
import numpy as np

from zkjax.compute import blocked
from zkjax.compute.blocked import PIECE
from zkjax.compute.cores import on_all_cores
from zkjax.compute.leaves import constant_planes
from zkjax.compute.pieced import Pieced, joined, pieced
from zkjax.fields.mersenne61 import K
from zkjax.fields.vectors import Ext, scalar

Array = jax.Array
Tables = tuple[Ext, Ext] | None
Sums = TypeVar("Sums")


class Spares:
    """Pieces to write to, the one that was read last first: it may still be in a cache.

    Fresh memory costs a page fault for every 512 entries, more than the arithmetic. A piece is given back once the
    programs that read it have been started: JAX orders the writing after them. Threads may take and give at the
    same time.
    """

    def __init__(self) -> None:
        self._free: list[Ext] = []
        self.stay = False

    def take(self, tables: int) -> tuple[Ext, ...]:
        """As many pieces; what they hold is arbitrary."""
        return tuple(self._one() for _ in range(tables))

    def _one(self) -> Ext:
        try:
            return self._free.pop()
        except IndexError:
            return blocked.fresh_piece()

    def give(self, tables: Iterable[Ext]) -> None:
        """Tables that nothing reads any more; those that others hold as well are left alone."""
        self._free += [table for table in tables if table.size == PIECE and not is_shared(table)]

    @contextmanager
    def of_one_proof(self) -> Iterator[None]:
        """Drop all pieces afterwards, unless they are to `stay` for the next proof of the process."""
        try:
            yield
        finally:
            if not self.stay:
                self._free.clear()


# For all sumchecks of a process: nodes of a tree become tables of its layers, and those what the opening writes to.
SPARES = Spares()


def is_shared(table: Ext) -> bool:
    """Whether others hold the table as well: the caller, or all leaves with equal numerators."""
    zeros, ones = constant_planes(PIECE)
    return any(plane is zeros or plane is ones or not isinstance(plane, jax.Array) for plane in table)


def _zeros() -> Ext:
    """A piece of zeros, shared."""
    zeros, _ = constant_planes(PIECE)
    return Ext(zeros, zeros)


def read_sums(part: Array) -> tuple[K, K]:
    a, b, c, d = np.asarray(part).tolist()
    return K(a, b), K(c, d)


def pairs_of(pieces: list) -> list[tuple]:
    half = len(pieces) // 2
    return list(zip(pieces[:half], pieces[half:], strict=True))


class PieceProduct:
    """The rounds of one product sumcheck: `sums`, then `fold`, for every variable; then `values`.

    The tables are read in place and must stay as they are until the second `sums`.
    """

    _tables: list[Tables]
    _parts: list[Array | None]

    def __init__(self, f: Ext | Pieced, g: Ext | Pieced, lanes: int = 1):
        f, g = pieced(f), pieced(g)
        self._size, self._lanes = f.size, lanes
        self._tables = [
            None if a is None and b is None else (a or _zeros(), b or _zeros())
            for a, b in zip(f.pieces, g.pieces, strict=True)
        ]
        self._evaluate()

    def _evaluate(self) -> None:
        """Start the sums of the first round."""
        if self._size == self._lanes:
            return
        if len(self._tables) > 1:
            self._parts = on_all_cores(lambda pair: _started(*pair), pairs_of(self._tables))
        else:
            tables, half = self._tables[0] or _nothing(), np.int64(self._size // 2)
            self._parts = [blocked.product_sums(tables, tables, half, half)]

    def sums(self) -> tuple[K, K]:
        """The round polynomial at zero and its coefficient of X^2."""
        parts = [read_sums(part) for part in self._parts if part is not None]
        return sum((part[0] for part in parts), K.ZERO), sum((part[1] for part in parts), K.ZERO)

    def fold(self, r: K) -> None:
        """Set the variable to the challenge."""
        self._size //= 2
        if self._size >= PIECE:
            self._tables, self._parts = fold_pairs(self._tables, lambda low, high: _folded(low, high, r), _started)
            if len(self._tables) == 1:
                self._evaluate()
            return
        (tables,) = self._tables
        folded, sums = blocked.product_round(tables or _nothing(), SPARES.take(2), np.int64(self._size), scalar(r))
        SPARES.give(tables or ())
        self._tables, self._parts = [folded], [sums]

    def tables(self) -> tuple[Ext, Ext]:
        """f and g at the challenges, after the last round: NumPy arrays, one entry per lane. To be asked for once."""
        last, self._tables = self._tables, []
        f, g = zip(*(tables or _nothing() for tables in last), strict=True)
        result = joined(f, self._lanes), joined(g, self._lanes)
        for tables in last:
            SPARES.give(tables or ())
        return result

    def values(self) -> tuple[list[K], list[K]]:
        """The same as elements."""
        f, g = self.tables()
        return f.to_list(), g.to_list()


def _nothing() -> tuple[Ext, Ext]:
    return _zeros(), _zeros()


def _started(low: Tables, high: Tables) -> Array | None:
    """Start the sums over a pair of whole pieces."""
    if low is high is None:
        return None
    return blocked.product_sums(low or _nothing(), high or _nothing(), np.int64(0), np.int64(PIECE))


def _folded(low: Tables, high: Tables, r: K) -> Tables:
    return None if low is high is None else folded_tables(low or _nothing(), high or _nothing(), r)


def folded_tables(low: Any, high: Any, r: K) -> Any:
    """low + r (high - low) of tuples of pieces; both are given up."""
    folded = blocked.folded(low, high, scalar(r), SPARES.take(len(low)))
    SPARES.give((*low, *high))
    return folded


def fold_pairs(
    old: list[Any], fold: Callable[[Any, Any], Any], start: Callable[[Any, Any], Sums]
) -> tuple[list[Any], list[Sums]]:
    """Fold piece x with piece x + half, and start the sums over pairs of results while those are in the cache.

    `old` is given up piece by piece. Without a pair of results, no sums are started.
    """
    half = len(old) // 2
    quarter = half // 2
    new: list[Any] = [None] * half

    def one(at: int) -> None:
        low, high = old[at], old[half + at]
        old[at] = old[half + at] = None
        new[at] = fold(low, high)

    def two(at: int) -> Sums:
        one(at)
        one(at + quarter)
        return start(new[at], new[at + quarter])

    if quarter:
        return new, on_all_cores(two, range(quarter))
    one(0)
    return new, []
