"""Kernels of the opening's prover: weights of rank one, and the split of two lanes.

Two lanes of weights, wf on real parts and wg on imaginary parts of symbols h, make
P = (wf - i wg)/2 and Q = (conj wf - i conj wg)/2, so that <wf, Re h> + <wg, Im h> = <P, h> + conj<Q, h>.
Tables are worked on in tiles of one size, one compiled program per kernel. Host arrays in and out;
call under a scoped x64 mode.
"""

from __future__ import annotations

from collections.abc import Iterator

import jax
import numpy as np

from zkjax.fields import arrays, extension
from zkjax.fields.mersenne61 import K
from zkjax.fields.vectors import Ext, ext_add, outer, scalar

TILE = 1 << 16
HALF = K(1) / 2


def split_sums(real: Ext, imaginary: Ext, symbols: Ext) -> tuple[K, K]:
    """(<P, h>, <Q, h>)."""
    totals = [K.ZERO, K.ZERO]
    for part in _tiles(symbols.size):
        for index, total in enumerate(_doubled_sums(real[part], imaginary[part], symbols[part])):
            totals[index] += total.item() * HALF
    return totals[0], totals[1]


def split_weights(real: Ext, imaginary: Ext, split: K, out: Ext) -> None:
    """out = P + split Q. `out` may be one of the lanes."""
    half, half_split = scalar(HALF), scalar(HALF * split)
    for part in _tiles(real.size):
        _assign(out, part, _doubled_weights(real[part], imaginary[part], half, half_split))


def add_outer(out: Ext, left: Ext, right: Ext) -> None:
    """out += left x right: flat [l * r], [l], [r]."""
    if out.size < TILE:
        for plane, value in zip(out, ext_add(out, outer(left, right).reshape(-1)), strict=True):
            plane[:] = value
        return
    width = min(right.size, TILE)
    columns = Ext(*(np.resize(plane, TILE) for plane in right)) if right.size < TILE else right
    for part in _tiles(out.size):
        rows = Ext(*(np.repeat(plane[part.start // right.size :][: TILE // width], width) for plane in left))
        start = part.start % columns.size
        _assign(out, part, _mul_add(rows, columns[start : start + TILE], out[part]))


@jax.jit
def _mul_add(a: Ext, b: Ext, c: Ext) -> Ext:
    return extension.mul_add(a, b, c)


def _doubled(real: Ext, imaginary: Ext) -> tuple[Ext, Ext]:
    """2P and 2Q."""
    direct = Ext(arrays.add(real.re, imaginary.im), arrays.sub(real.im, imaginary.re))
    mirrored = Ext(arrays.sub(real.re, imaginary.im), arrays.neg(arrays.add(real.im, imaginary.re)))
    return direct, mirrored


@jax.jit
def _doubled_sums(real: Ext, imaginary: Ext, symbols: Ext) -> tuple[Ext, Ext]:
    direct, mirrored = _doubled(real, imaginary)
    return extension.inner(direct, symbols), extension.inner(mirrored, symbols)


@jax.jit
def _doubled_weights(real: Ext, imaginary: Ext, half: Ext, half_split: Ext) -> Ext:
    direct, mirrored = _doubled(real, imaginary)
    return extension.mul_add(mirrored, half_split, extension.mul(direct, half))


def _tiles(size: int) -> Iterator[slice]:
    return (slice(start, min(start + TILE, size)) for start in range(0, size, TILE))


def _assign(out: Ext, part: slice, values: Ext) -> None:
    for plane, value in zip(out, values, strict=True):
        plane[part] = np.asarray(value)
