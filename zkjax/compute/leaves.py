"""The leaves of a lookup tree: fractions made of columns of small signed integers.

A column is 2^row_bits fractions numerator/denominator with

    numerator = count - multiplicity,    denominator = constant - (re + i im) - beta^2 second,

`count` and `constant` the same for the whole column. Columns follow each other; what is missing to a
power of two is padding, 0/1. The integers are secrets: they are arguments of jitted programs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np

from zkjax.compute import host
from zkjax.compute.blocked import WIDE, in_spans
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

    def piece(self, number: int, size: int, spare: Ext | None = None) -> Fractions | None:
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
        return Fractions(Ext(p, zeros), self.denominators(number, size, K.ZERO, spare))

    def is_padding(self, number: int, size: int) -> bool:
        """Whether a piece is padding alone."""
        return all(column is PADDING for column in self._covered(number, size)[0])

    def numerator(self, number: int, size: int) -> int | None:
        """The numerator that all leaves of a piece have, or None."""
        some, _ = self._covered(number, size)
        counts = {column.count for column in some}
        return counts.pop() if len(counts) == 1 and all(column.multiplicity is None for column in some) else None

    def denominators(self, number: int, size: int, shift: K, spare: Ext | None = None) -> Ext:
        """The denominators of a piece plus `shift`, written to `spare` if there is one."""
        key = number, size
        if key not in self._prepared:
            self._prepared[key] = self._integers(number, size)
        integers, constants = self._prepared[key]
        shifted = Ext.from_list([constant + shift for constant in constants])
        if len(constants) > 1:
            shifted = Ext(*(np.repeat(plane, self._repeats(size)) for plane in shifted))
        return denominators(*integers, shifted, scalar(self.beta_squared), spare)

    @cached_property
    def _prepared(self) -> dict[tuple[int, int], tuple[tuple[jax.Array | None, ...], list[K]]]:
        """What `_integers` gave: a piece is read several times, and an array of NumPy's costs more at every call."""
        return {}

    def _integers(self, number: int, size: int) -> tuple[tuple[jax.Array | None, ...], list[K]]:
        """re, im and second of a piece, read in place where they are aligned, and the constants of its columns."""
        some, within = self._covered(number, size)
        if len(some) == 1 and some[0].re is not None:
            integers = tuple(None if array is None else array[within] for array in some[0].integers[:3])
        else:
            re, im, second = (
                _joined([getattr(column, name) for column in some], within, size) for name in ("re", "im", "second")
            )
            integers = _present(re, size), im, second
        return jax.device_put(integers), [column.constant for column in some]

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


@partial(jax.jit, donate_argnames="spare", compiler_options=WIDE)
def denominators(
    re: jax.Array,
    im: jax.Array | None,
    second: jax.Array | None,
    constants: Ext,
    beta_squared: Ext,
    spare: Ext | None = None,
) -> Ext:
    """constant - (re + i im) - beta^2 second; integers [n] of any type but uint64, constants K[u] for n/u rows each."""
    if spare is None:
        return _denominators(re, im, second, constants, beta_squared)
    return in_spans(partial(_denominators, beta_squared=beta_squared), spare, re, im, second, constants)


def _denominators(
    re: jax.Array, im: jax.Array | None, second: jax.Array | None, constants: Ext, beta_squared: Ext
) -> Ext:
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
