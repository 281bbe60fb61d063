"""The leaves of a lookup tree: fractions made of columns of small signed integers.

A column is 2^row_bits fractions numerator/denominator with

    numerator = count - multiplicity,    denominator = constant - (re + i im) - beta^2 second,

`count` and `constant` the same for the whole column. Columns follow each other; what is missing to a
power of two is padding, 0/1. The integers are secrets: they are arguments of jitted programs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np

from zkjax.compute.fractions import Fractions
from zkjax.fields import arrays, extension
from zkjax.fields.mersenne61 import K
from zkjax.fields.vectors import Ext

UNIT = 1 << 11

Integers = np.ndarray | None


@dataclass(frozen=True)
class Column:
    """One column; int64 arrays [2^row_bits], None where all are zero."""

    count: int
    constant: K
    re: Integers = None
    im: Integers = None
    second: Integers = None
    multiplicity: Integers = None

    @property
    def integers(self) -> tuple[Integers, ...]:
        return self.re, self.im, self.second, self.multiplicity


PADDING = Column(0, K.ONE)


@dataclass(frozen=True)
class Columns:
    """The leaves of one class: at most 2^column_bits columns, each of 2^row_bits rows."""

    columns: tuple[Column, ...]
    row_bits: int
    column_bits: int
    beta_squared: K

    @property
    def depth(self) -> int:
        return self.row_bits + self.column_bits

    def pieces(self, size: int) -> Iterator[Fractions]:
        """The leaves in order, `size` (a power of two) at a time, padded by 0/1 if there are fewer."""
        rows = 1 << self.row_bits
        unit = min(rows, UNIT, size)
        beta_squared = extension.asarray(self.beta_squared)
        columns = [*self.columns] + [PADDING] * ((1 << self.column_bits) - len(self.columns))
        columns += [PADDING] * (size // rows - len(columns))
        counts = np.array([column.count for column in columns], np.int64)
        constants = Ext.from_list([column.constant for column in columns])
        repeat = min(size, rows) // unit
        for start in range(0, len(columns) * rows, size):
            covered = slice(start // rows, -(-(start + size) // rows))
            within = slice(start % rows, start % rows + min(size, rows))
            integers = [
                _joined([None if array is None else array[within] for array in coordinate], size)
                for coordinate in zip(*(column.integers for column in columns[covered]), strict=True)
            ]
            count, re, im = (np.repeat(plane[covered], repeat) for plane in (counts, *constants))
            yield leaf_fractions(*integers, count, Ext(re, im), beta_squared)


def _joined(parts: Sequence[Integers], size: int) -> np.ndarray | jax.Array:
    if all(part is None for part in parts):
        return _zeros(size)
    length = size // len(parts)
    return np.concatenate([np.zeros(length, np.int64) if part is None else part for part in parts])


@lru_cache(maxsize=4)
def _zeros(size: int) -> jax.Array:
    return jnp.zeros(size, jnp.int64)


@jax.jit
def leaf_fractions(
    re: jax.Array,
    im: jax.Array,
    second: jax.Array,
    multiplicity: jax.Array,
    counts: jax.Array,
    constants: Ext,
    beta_squared: Ext,
) -> Fractions:
    """The fractions of int64[n] columns; counts int64[u] and constants K[u] hold for n/u rows each."""
    units = counts.shape[0]
    shape = (units, re.shape[0] // units)

    def spread(array: jax.Array) -> jax.Array:
        return jnp.broadcast_to(array[:, None], shape).reshape(-1)

    numerator = arrays.from_signed(spread(counts) - multiplicity)
    scaled = extension.mul_base(beta_squared, arrays.from_signed(second))
    value = extension.add(Ext(arrays.from_signed(re), arrays.from_signed(im)), scaled)
    constant = Ext(spread(constants.re), spread(constants.im))
    return Fractions(extension.from_base(numerator), extension.sub(constant, value))
