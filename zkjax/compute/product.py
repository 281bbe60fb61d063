"""A round of the product sumcheck: the definition that every backend must equal.

Tables are K[2^n], most significant variable first. The round polynomial is
s(X) = sum over x of f(X, x) g(X, x); a round gives its coefficients of X^0 and X^2, and the claim
s(0) + s(1) determines the middle one. Pure functions, for `jit` and `vmap`; x64 mode is the caller's.

Source: Thaler, "Proofs, Arguments, and Zero-Knowledge", section 4.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zkjax.fields import extension
from zkjax.fields.vectors import Ext

Sums = tuple[Ext, Ext]


def halves(table: Ext) -> tuple[Ext, Ext]:
    """The table with its most significant variable at zero, and at one."""
    half = table.shape[-1] // 2
    return table[..., :half], table[..., half:]


def fold(table: Ext, r: Ext) -> Ext:
    """The table with its most significant variable set to r, without axes."""
    return extension.fold(*halves(table), r)


def round_sums(f: Ext, g: Ext) -> Sums:
    """(sum of f_low g_low, sum of (f_high - f_low)(g_high - g_low)), without axes."""
    (f_low, f_high), (g_low, g_high) = halves(f), halves(g)
    leading = extension.inner(extension.sub(f_high, f_low), extension.sub(g_high, g_low))
    return extension.inner(f_low, g_low), leading


def fold_and_sums(f: Ext, g: Ext, r: Ext) -> tuple[Ext, Ext, Sums]:
    """Fold both tables, K[2^n] with n >= 2, and give the sums of the next round."""
    f, g = fold(f, r), fold(g, r)
    return f, g, round_sums(f, g)


def interleaved(tables: Sequence[Ext]) -> tuple[Ext, int]:
    """Equally long tables K[2^n] as one K[2^n lanes], entry x of table s at x lanes + s; and `lanes`.

    `lanes` is a power of two, missing tables are zero. The sumcheck of two interleaved tables over
    the n variables in front is that of the sum over the instances; weights belong into one of them.
    Host arrays.
    """
    lanes = 1 << max(len(tables) - 1, 0).bit_length()
    planes = []
    for which in range(2):
        plane = np.zeros((tables[0].shape[0], lanes), np.uint64)
        for lane, table in enumerate(tables):
            plane[:, lane] = tuple(table)[which]
        planes.append(plane.reshape(-1))
    return Ext(*planes), lanes
