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

from zkjax.compute import host
from zkjax.compute.fractions import Fractions
from zkjax.fields import arrays, extension
from zkjax.fields.mersenne61 import K
from zkjax.fields.vectors import Ext, scalar

UNIT = 1 << 11

Integers = np.ndarray | None


@dataclass(frozen=True)
class Column:
    """One column; arrays [2^row_bits] of any integer type but uint64, None where all are zero."""

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

    def pieces(self, size: int) -> Iterator[Fractions | None]:
        """The leaves in order, `size` at a time; see `piece`."""
        return (self.piece(number, size) for number in range(max((1 << self.depth) // size, 1)))

    def piece(self, number: int, size: int) -> Fractions | None:
        """Leaves `number * size` to `(number + 1) * size`, a power of two; padded by 0/1 if there are fewer.

        None stands for a piece of padding alone. Planes that hold one constant are those of
        `constant_planes`, shared and not to be donated.
        """
        rows = 1 << self.row_bits
        unit = min(rows, UNIT, size)
        start = number * size
        covered = range(start // rows, -(-(start + size) // rows))
        within = slice(start % rows, start % rows + min(size, rows))
        some = [self.columns[index] if index < len(self.columns) else PADDING for index in covered]
        if all(column is PADDING for column in some):
            return None
        zeros, ones = constant_planes(size)
        re, im, second, multiplicity = (
            _joined([None if array is None else array[within] for array in coordinate], size)
            for coordinate in zip(*(column.integers for column in some), strict=True)
        )
        repeats = min(size, rows) // unit
        count = np.repeat(np.array([column.count for column in some], np.int64), repeats)
        constant = Ext(*(np.repeat(plane, repeats) for plane in Ext.from_list([column.constant for column in some])))
        p = ones if multiplicity is None and np.all(count == 1) else numerators(_present(multiplicity, size), count)
        q = denominators(_present(re, size), im, second, constant, scalar(self.beta_squared))
        return Fractions(Ext(p, zeros), q)


def _joined(parts: Sequence[Integers], size: int) -> Integers:
    """The parts one after the other, widened to int64."""
    if all(part is None for part in parts):
        return None
    length = size // len(parts)
    joined = host.empty(size, np.int64)
    for start, part in zip(range(0, size, length), parts, strict=True):
        joined[start : start + length] = 0 if part is None else part
    return joined


def _present(integers: Integers, size: int) -> np.ndarray:
    return np.zeros(size, np.int64) if integers is None else integers


@lru_cache(maxsize=4)
def constant_planes(size: int) -> tuple[jax.Array, jax.Array]:
    """The planes uint64[size] of zeros and of ones."""
    return jnp.asarray(np.zeros(size, np.uint64)), jnp.asarray(np.ones(size, np.uint64))


@jax.jit
def numerators(multiplicity: jax.Array, counts: jax.Array) -> jax.Array:
    """count - multiplicity over F; int64[n], counts int64[u] hold for n/u rows each."""
    return arrays.from_signed(_spread(counts, multiplicity.shape[0]) - multiplicity)


@jax.jit
def denominators(
    re: jax.Array, im: jax.Array | None, second: jax.Array | None, constants: Ext, beta_squared: Ext
) -> Ext:
    """constant - (re + i im) - beta^2 second; int64[n], constants K[u] hold for n/u rows each."""
    size = re.shape[0]
    constant = Ext(*(_spread(plane, size) for plane in constants))
    value = extension.from_base(arrays.from_signed(re))
    if im is not None:
        value = Ext(value.re, arrays.from_signed(im))
    if second is not None:
        value = extension.add(value, extension.mul_base(beta_squared, arrays.from_signed(second)))
    return extension.sub(constant, value)


def _spread(array: jax.Array, size: int) -> jax.Array:
    units = array.shape[0]
    return jnp.broadcast_to(array[:, None], (units, size // units)).reshape(-1)
