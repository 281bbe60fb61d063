"""Reed-Solomon encoding for a commitment: columns as bytes, ready to be hashed.

Rows are encoded in blocks, so that the transform's buffers stay small beside the codeword, which is
held once. A column of the codeword is contiguous. A block runs on one core, so that there are as many
threads as cores, up to a few: each holds buffers of its own, made once and written to again and again,
because the page faults of fresh memory cost as much as the transform.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from zkjax.compute.blocked import WIDE
from zkjax.compute.cores import on_all_cores
from zkjax.fields import ntt
from zkjax.fields.vectors import Ext

# A row of eight entries is one vector of 512 bits.
BLOCK_ROWS = 8
TRANSPOSED = 1 << 10
# Of the lengths that this process has encoded.
_compiled: set[int] = set()


class _Buffers(NamedTuple):
    """What one thread writes to: two tables [length, rows] for the transform, and `columns` [length, rows, 2]."""

    first: Ext
    second: Ext
    columns: jax.Array

    @classmethod
    def blank(cls, length: int) -> _Buffers:
        shape = (length, BLOCK_ROWS)
        return cls(ntt.blank(shape, mark=0), ntt.blank(shape, mark=1), jnp.zeros((*shape, 2), jnp.uint64))


# Kept though it is not read: the memory of `columns` becomes that of the result.
@partial(jax.jit, static_argnames="log_length", donate_argnames="buffers", keep_unused=True, compiler_options=WIDE)
def _encoded(buffers: _Buffers, message: Ext, masks: Ext, log_length: int) -> _Buffers:
    """Rows with coefficients [message | masks], [rows, k] and [rows, e], as `columns`, the last axis being (re, im)."""
    rows, k = message.shape
    end = k + masks.shape[1]
    gap = jnp.zeros((ntt.present(end, log_length) - end, rows), jnp.uint64)
    planes = []
    for plane, mask in zip(buffers.first, masks, strict=True):
        plane = lax.dynamic_update_slice(plane, mask.T, (k, 0))
        planes.append(lax.dynamic_update_slice(plane, gap, (end, 0)))
    step = min(k, TRANSPOSED)

    # The loop's boundary keeps XLA from making the table once for every pass that refers to it.
    def transposed(at: jax.Array, table: Ext) -> Ext:
        parts = (lax.dynamic_slice(plane, (0, at * step), (rows, step)).T for plane in message)
        return Ext(*(lax.dynamic_update_slice(x, y, (at * step, 0)) for x, y in zip(table, parts, strict=True)))

    source = lax.fori_loop(0, k // step, transposed, Ext(*planes))
    tables = ntt.transform_within(source, (source, buffers.second), log_length, end)
    return _Buffers(*tables, jnp.stack(list(tables[ntt.passes(log_length) % 2]), axis=-1))


def encode(rows: int, block: Callable[[int, int], tuple[Ext, Ext]], log_length: int, out: np.ndarray) -> None:
    """Write the codewords of `rows` rows to `out`, uint64 [2**log_length, rows, 2].

    `block(start, stop)` gives message [stop - start, k] and masks [stop - start, e] of some rows: their
    coefficients, lowest degree first. Entry j of the result holds the values at
    `mersenne61.evaluation_point(j, log_length)`.
    """
    idle: list[_Buffers] = []

    def write(start: int) -> None:
        stop = min(start + BLOCK_ROWS, rows)
        message, masks = block(start, stop)
        if stop - start < BLOCK_ROWS:  # one compiled program per length
            padding = ((0, BLOCK_ROWS - (stop - start)), (0, 0))
            message, masks = (Ext(*(np.pad(plane, padding) for plane in part)) for part in (message, masks))
        try:
            buffers = idle.pop()
        except IndexError:
            buffers = _Buffers.blank(1 << log_length)
        buffers = _encoded(buffers, message, masks, log_length)
        out[:, start:stop] = np.asarray(buffers.columns)[:, : stop - start]
        idle.append(buffers)

    starts = list(range(0, rows, BLOCK_ROWS))
    with jax.enable_x64(True):
        if log_length not in _compiled:
            # Threads that meet a program for the first time would each compile it.
            write(starts.pop())
            _compiled.add(log_length)
        on_all_cores(write, starts)
