"""Integers times weights over K, summed over an axis: exact products of limbs in float64.

A matrix product in float64 is far faster than one over the field, and exact as long as its sums stay
below 2^53. So the weights are cut into limbs, as wide as the integers leave room for.
"""

from __future__ import annotations

import numpy as np

from zkjax.fields.mersenne61 import P
from zkjax.fields.vectors import Base, Ext, add, from_signed

FIELD_BITS = 61
EXACT_BITS = 53
# Integers that leave less room than this are for the field's own arithmetic.
LEAST_WIDTH = 4
CHUNK = 1 << 22


def sum_over_axis(values: np.ndarray, axis: int, weights: Ext) -> Ext | None:
    """sum over j of weights[j] * values[.., j, ..], host arrays of the shape without `axis`; K[n] weights.

    `values` are integers of any type but uint64; None where they are too large to be summed exactly.
    """
    count = values.shape[axis]
    length = max(CHUNK * values.shape[0] // max(values.size, 1), 1)
    largest = max(-int(values.min(initial=0)), int(values.max(initial=0)))
    width = EXACT_BITS - largest.bit_length() - (min(count, length) if axis == 0 else count).bit_length()
    if width < LEAST_WIDTH:
        return None
    matrix = _limbs(weights, width)
    total: Ext | None = None
    parts: list[Ext] = []
    for start in range(0, values.shape[0], length):
        chunk = slice(start, start + length)
        if axis == 0:
            part = _summed(values[chunk], 0, matrix[:, chunk], width)
            total = part if total is None else Ext(*map(add, total, part))
        else:
            parts.append(_summed(values[chunk], axis, matrix, width))
    return total or Ext(*(np.concatenate(planes) for planes in zip(*parts, strict=True)))


def _limbs(weights: Ext, width: int) -> np.ndarray:
    """float64 [2 limbs, n]: the limbs of the real plane, lowest first, then those of the imaginary one."""
    mask = np.uint64((1 << width) - 1)
    shifts = [np.uint64(shift) for shift in range(0, FIELD_BITS, width)]
    return np.stack([(np.asarray(plane) >> shift) & mask for plane in weights for shift in shifts]).astype(np.float64)


def _summed(values: np.ndarray, axis: int, matrix: np.ndarray, width: int) -> Ext:
    shape = values.shape[:axis] + values.shape[axis + 1 :]
    before, after = (int(np.prod(part, dtype=np.int64)) for part in (values.shape[:axis], values.shape[axis + 1 :]))
    floats = values.reshape(before, values.shape[axis], after).astype(np.float64)
    if after == 1:
        sums = (floats[:, :, 0] @ matrix.T).T
    else:
        sums = np.moveaxis(np.matmul(matrix, floats), 1, 0)
    residues = from_signed(np.ascontiguousarray(sums).astype(np.int64)).reshape(2, -1, *shape)
    return Ext(*(_recombined(plane, width) for plane in residues))


def _recombined(limbs: Base, width: int) -> Base:
    """sum of limbs[l] * 2^(l width): multiplication by a power of two turns the 61 bits of a residue."""
    total = limbs[0]
    for number, limb in enumerate(limbs[1:], start=1):
        shift = number * width
        turned = ((limb << np.uint64(shift)) & np.uint64(P)) | (limb >> np.uint64(FIELD_BITS - shift))
        total = add(total, turned)
    return total
