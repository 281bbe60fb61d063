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
from zkjax.fields.mersenne61 import K, P
from zkjax.fields.vectors import Ext, scalar

UNIT = 1 << 11

_M30 = np.int64((1 << 30) - 1)
_M31 = np.uint64((1 << 31) - 1)

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
        if self.is_padding(number, size):
            return None
        some, within = self._covered(number, size)
        zeros, ones = constant_planes(size)
        multiplicities = [column.multiplicity for column in some]
        counts = [column.count for column in some]
        if all(column is None for column in multiplicities) and set(counts) == {1}:
            p = ones
        else:
            multiplicity = _present(_joined(multiplicities, within, size), size)
            p = numerators(multiplicity, np.repeat(np.array(counts, np.int64), self._repeats(size)))
        return Fractions(Ext(p, zeros), self.denominators(number, size, K.ZERO))

    def is_padding(self, number: int, size: int) -> bool:
        """Whether a piece is padding alone."""
        return all(column is PADDING for column in self._covered(number, size)[0])

    def numerator(self, number: int, size: int) -> int | None:
        """The numerator that all leaves of a piece have, or None."""
        some, _ = self._covered(number, size)
        counts = {column.count for column in some}
        return counts.pop() if len(counts) == 1 and all(column.multiplicity is None for column in some) else None

    def denominators(self, number: int, size: int, shift: K) -> Ext:
        """The denominators of a piece plus `shift`, in planes of their own."""
        some, within = self._covered(number, size)
        beta_squared = scalar(self.beta_squared)
        if len(some) == 1 and some[0].re is not None:
            (column,) = some
            integers = (None if array is None else array[within] for array in (column.re, column.im, column.second))
            return denominators(*integers, Ext.from_list([column.constant + shift]), beta_squared)
        re, im, second = (
            _joined([getattr(column, name) for column in some], within, size) for name in ("re", "im", "second")
        )
        constants = Ext.from_list([column.constant + shift for column in some])
        constant = Ext(*(np.repeat(plane, self._repeats(size)) for plane in constants))
        return denominators(_present(re, size), im, second, constant, beta_squared)

    def _covered(self, number: int, size: int) -> tuple[list[Column], slice]:
        """The columns that a piece touches, and which rows of each."""
        rows, start = 1 << self.row_bits, number * size
        covered = range(start // rows, -(-(start + size) // rows))
        some = [self.columns[index] if index < len(self.columns) else PADDING for index in covered]
        return some, slice(start % rows, start % rows + min(size, rows))

    def _repeats(self, size: int) -> int:
        """How many units of a piece belong to one column."""
        rows = 1 << self.row_bits
        return min(size, rows) // min(rows, UNIT, size)


def _joined(parts: Sequence[Integers], within: slice, size: int) -> Integers:
    """The rows `within` of all parts one after the other, widened to int64."""
    if all(part is None for part in parts):
        return None
    length = size // len(parts)
    joined = host.empty(size, np.int64)
    for start, part in zip(range(0, size, length), parts, strict=True):
        joined[start : start + length] = 0 if part is None else part[within]
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
    """constant - (re + i im) - beta^2 second; integers [n] of any type but uint64, constants K[u] for n/u rows each."""

    def minus(constant: jax.Array, integers: jax.Array) -> jax.Array:
        # Less than p in magnitude: the wrapped sum is between zero and 3p.
        return arrays.reduce(constant + np.uint64(P) - integers.astype(jnp.int64).astype(jnp.uint64))

    constant = Ext(*(_spread(plane, re.shape[0]) for plane in constants))
    value = Ext(minus(constant.re, re), constant.im if im is None else minus(constant.im, im))
    if second is None:
        return value
    if second.dtype.itemsize == 8 or second.dtype == np.uint32:
        return extension.sub(value, extension.mul_base(beta_squared, arrays.from_signed(second.astype(jnp.int64))))
    return Ext(*(_minus_small(x, b, second) for x, b in zip(value, beta_squared, strict=True)))


def _minus_small(a: jax.Array, b: jax.Array, integers: jax.Array) -> jax.Array:
    """a - b integers over F, for integers of magnitude at most 2^31: two short products in place of four."""
    small = integers.astype(jnp.int64)
    low, high = ((part.astype(jnp.int64) * small) for part in (b & _M31, b >> np.uint64(31)))
    # high 2^31 = (high >> 30) 2^61 + (high mod 2^30) 2^31; all in all less than 2^62 + 2^61 + 2^32 in magnitude.
    product = low + (high >> np.int64(30)) + ((high & _M30) << np.int64(31))
    return arrays.reduce(a + np.uint64(4 * P) - product.astype(jnp.uint64))


def _spread(array: jax.Array, size: int) -> jax.Array:
    units = array.shape[0]
    return jnp.broadcast_to(array[:, None], (units, size // units)).reshape(-1)
