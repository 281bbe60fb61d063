"""Public integer matrices along an axis of steps, row by row in runs of equal coefficients.

A row is a tuple of runs (count, coefficient) from the first column on; the columns that it does not
reach have coefficient zero. Canonical: counts are positive, neighbouring runs differ, the last one
is not zero. The sum over earlier steps thereby takes one run a row, a filter of T steps at most T.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, pairwise

import numpy as np

from zkjax.fields.mersenne61 import P
from zkjax.fields.vectors import Base, Ext, add, mul, reduce, sub

Row = tuple[tuple[int, int], ...]
Rows = tuple[Row, ...]


def row(coefficients: Iterable[int]) -> Row:
    """The runs of a row given in full."""
    runs = [(len(list(group)), value) for value, group in groupby(coefficients)]
    return tuple(runs[:-1] if runs and runs[-1][1] == 0 else runs)


def matrix(rows: Iterable[Iterable[int]]) -> Rows:
    """The runs of a matrix given in full."""
    return tuple(row(entries) for entries in rows)


def earlier(steps: int) -> Rows:
    """The sum over earlier steps: row t has ones in columns s < t."""
    return tuple(((t, 1),) if t else () for t in range(steps))


def width(runs: Row) -> int:
    """Number of columns that a row reaches."""
    return sum(count for count, _ in runs)


def is_canonical(runs: Row) -> bool:
    """Whether `row` could have made these runs."""
    positive = all(count > 0 for count, _ in runs)
    differ = all(a[1] != b[1] for a, b in pairwise(runs))
    return positive and differ and not (runs and runs[-1][1] == 0)


def spans(rows: Rows) -> Iterator[tuple[int, int, int, int]]:
    """(row, first column, column after the last, coefficient) of every run that is not zero."""
    for index, runs in enumerate(rows):
        start = 0
        for count, coefficient in runs:
            if coefficient:
                yield index, start, start + count, coefficient
            start += count


def run_count(rows: Rows) -> int:
    return sum(map(len, rows))


def dense(rows: Rows, columns: int) -> list[list[int]]:
    """The matrix in full, as Python integers."""
    full = [[0] * columns for _ in rows]
    for index, start, stop, coefficient in spans(rows):
        full[index][start:stop] = [coefficient] * (stop - start)
    return full


@dataclass(frozen=True)
class _Spans:
    """The spans of a matrix by first and by last column, coefficients in the field."""

    rows: np.ndarray
    starts: np.ndarray
    stops: np.ndarray
    coefficients: Base


@lru_cache(maxsize=64)
def _spans(rows: Rows) -> _Spans:
    found = list(spans(rows))
    index, starts, stops = (np.array([span[place] for span in found], np.int64) for place in range(3))
    return _Spans(index, starts, stops, np.array([span[3] % P for span in found], np.uint64))


def transposed(rows: Rows, columns: int, vector: Ext) -> Ext:
    """out[s] = sum over t of matrix[t, s] * vector[t]: what a claim's weights on the rows are on the columns."""
    found = _spans(rows)
    planes = []
    for plane in vector:
        weighted = mul(found.coefficients, np.asarray(plane)[found.rows])
        steps = sub(_summed_at(found.starts, weighted, columns + 1), _summed_at(found.stops, weighted, columns + 1))
        planes.append(_running(steps)[:columns])
    return Ext(*planes)


def _summed_at(places: np.ndarray, values: Base, size: int) -> Base:
    """out[i] = sum mod p of the values whose place is i; fewer than 2**31 of them."""
    low, high = np.zeros(size, np.uint64), np.zeros(size, np.uint64)
    np.add.at(low, places, values & np.uint64((1 << 31) - 1))
    np.add.at(high, places, values >> np.uint64(31))
    return _joined(low, high)


def _running(values: Base) -> Base:
    """Sums mod p of all values up to each place; fewer than 2**31 of them."""
    return _joined(np.cumsum(values & np.uint64((1 << 31) - 1)), np.cumsum(values >> np.uint64(31)))


def _joined(low: np.ndarray, high: np.ndarray) -> Base:
    return add(reduce(low), mul(reduce(high), np.full_like(low, 1 << 31)))
