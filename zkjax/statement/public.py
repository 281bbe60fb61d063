"""Public tensors of explicit integers: how a circuit writes them, and their inner products.

An entry is `low` plus an unsigned integer of `bits` bits. These integers stand in row-major order, the most
significant bit first, without gaps; the last byte is filled with zeros and the bytes are written in base64.
Canonical: `low` is the least entry, and `bits` are as many as the largest difference from it takes, so that every
tensor has one encoding; a tensor of equal entries has none, because it is a constant.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from zkjax.fields.mersenne61 import K
from zkjax.fields.vectors import Ext, add, ext_mul, ext_sum, mul, reduce

MAX_BITS = 32
# Sums of so many entries of MAX_BITS bits times limbs of so many bits fit in 64.
_COLUMNS = 1 << 12
_BLOCK = 1 << 18
_ROOM = 52

Unsigned = NDArray[np.unsignedinteger]


class PublicTensorError(ValueError):
    """No tensor of this shape is written so."""


def text_length(shape: Sequence[int], bits: int) -> int:
    """Number of characters that the entries of a tensor take."""
    return 4 * -(-_byte_length(shape, bits) // 3)


def encoded(values: np.ndarray) -> tuple[int, int, str]:
    """(low, bits, entries) of a tensor of integers.

    Raises PublicTensorError if all entries are equal, or they are more than MAX_BITS bits apart.
    """
    low = int(values.min())
    above = values.astype(np.int64).ravel() - low
    bits = int(above.max()).bit_length()
    if not 1 <= bits <= MAX_BITS:
        raise PublicTensorError(f"entries that differ by {bits} bits")
    columns = [((above >> place) & 1).astype(np.uint8) for place in reversed(range(bits))]
    packed = np.packbits(np.stack(columns, axis=1).ravel())
    return low, bits, base64.b64encode(packed.tobytes()).decode()


def decoded(shape: tuple[int, ...], bits: int, entries: str) -> Unsigned:
    """What the entries of a tensor have above `low`, in the narrowest type; read-only.

    Raises PublicTensorError for anything that `encoded` does not write. The length of `entries` is compared
    with the shape before anything of that size is made.
    """
    if not 1 <= bits <= MAX_BITS or len(entries) != text_length(shape, bits):
        raise PublicTensorError(f"{len(entries)} characters for {prod(shape)} entries of {bits} bits")
    try:
        packed = base64.b64decode(entries, validate=True)
    except (binascii.Error, ValueError) as error:
        raise PublicTensorError("entries that are not base64") from error
    count = prod(shape)
    if len(packed) != _byte_length(shape, bits) or base64.b64encode(packed).decode() != entries:
        raise PublicTensorError("entries that are not canonical base64")
    unpacked = np.unpackbits(np.frombuffer(packed, np.uint8))
    if unpacked[count * bits :].any():
        raise PublicTensorError("bits behind the last entry")
    places = unpacked[: count * bits].reshape(count, bits)
    values = np.zeros(count, np.min_scalar_type((1 << bits) - 1))
    for place in range(bits):
        values = (values << 1) | places[:, place]
    if values.min() != 0 or int(values.max()).bit_length() != bits:
        raise PublicTensorError(f"entries that do not need the {bits} bits they have, or not this low")
    values = values.reshape(shape)
    values.flags.writeable = False
    return values


def inner(values: Unsigned, low: int, vectors: Sequence[Ext]) -> K:
    """Sum of (low + values[i, j, ...]) * vectors[0][i] * vectors[1][j] * ... over all entries.

    `vectors` has one vector over K for each axis.
    """
    constant = prod((ext_sum(vector).item() for vector in vectors), start=K(low))
    if not vectors:
        return constant + int(values)
    *others, last = vectors
    sums = _last_axis(values.reshape(-1, values.shape[-1]), last)
    for vector in reversed(others):
        sums = ext_sum(ext_mul(sums.reshape(-1, vector.size), vector.reshape(1, -1)), axis=1)
    return constant + sums.item()


def _last_axis(rows: Unsigned, vector: Ext) -> Ext:
    """rows @ vector, over K, of any unsigned integers of at most MAX_BITS bits."""
    bits = max(1, 8 * rows.dtype.itemsize)
    width = min(31, _ROOM - bits)
    places = range(0, 61, width)
    mask = np.uint64((1 << width) - 1)
    limbs = np.stack([(plane >> np.uint64(place)) & mask for plane in vector for place in places], axis=1)
    planes = [np.zeros(len(rows), np.uint64) for _ in range(2)]
    step = max(1, _BLOCK // min(_COLUMNS, rows.shape[1]))
    for top in range(0, len(rows), step):
        for left in range(0, rows.shape[1], _COLUMNS):
            block = rows[top : top + step, left : left + _COLUMNS].astype(np.uint64)
            products = reduce(block @ limbs[left : left + _COLUMNS])
            for plane, part in zip(planes, np.split(products, 2, axis=1), strict=True):
                for place, column in zip(places, part.T, strict=True):
                    shifted = mul(np.ascontiguousarray(column), np.full(len(column), 1 << place, np.uint64))
                    plane[top : top + step] = add(plane[top : top + step], shifted)
    return Ext(*planes)


def _byte_length(shape: Sequence[int], bits: int) -> int:
    return -(-prod(shape) * bits // 8)
