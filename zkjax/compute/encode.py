"""Reed-Solomon encoding for a commitment: columns as bytes, ready to be hashed.

Rows are encoded in blocks, so that the transform's buffers stay small beside the codeword, which is
held once. A column of the codeword is contiguous. A block runs on one core, so that there are as many
threads as cores, up to a few: each holds buffers of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from zkjax.fields import ntt
from zkjax.fields.vectors import Ext

BLOCK_SYMBOLS = 1 << 21
MAX_BLOCK_ROWS = 16
MAX_THREADS = 4


@partial(jax.jit, static_argnames="log_length")
def _encoded(coefficients: Ext, log_length: int) -> jax.Array:
    """[rows, dimension] to [length, rows, 2], the last axis being (re, im)."""
    columns = Ext(*(jnp.transpose(plane) for plane in coefficients))
    return jnp.stack(list(ntt.transform(columns, log_length)), axis=-1)


def block_rows(log_length: int) -> int:
    """How many rows are encoded at once, whatever their number: one compiled program per length."""
    return max(1, min(MAX_BLOCK_ROWS, BLOCK_SYMBOLS >> log_length))


def encode(rows: int, block: Callable[[int, int], Ext], log_length: int, out: np.ndarray) -> None:
    """Write the codewords of `rows` rows to `out`, uint64 [2**log_length, rows, 2].

    `block(start, stop)` gives the coefficients [stop - start, dimension] of some rows. Entry j of
    the result holds the values at `mersenne61.evaluation_point(j, log_length)`.
    """
    width = block_rows(log_length)

    def write(start: int) -> None:
        stop = min(start + width, rows)
        coefficients = block(start, stop)
        if stop - start < width:
            padding = ((0, width - (stop - start)), (0, 0))
            coefficients = Ext(*(np.pad(plane, padding) for plane in coefficients))
        with jax.enable_x64(True):  # holds for one thread
            out[:, start:stop] = np.asarray(_encoded(coefficients, log_length))[:, : stop - start]

    first, *others = range(0, rows, width)
    write(first)  # compiles
    if others:
        with ThreadPoolExecutor(min(MAX_THREADS, len(os.sched_getaffinity(0)))) as pool:
            list(pool.map(write, others))
