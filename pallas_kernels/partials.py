"""Sums in K: over a block inside a kernel, and over the programs of a launch afterwards.

A program writes its sums into a column of its own, uint64[planes, programs], and a second small
reduction adds the columns. Programs never add into a shared entry: on a GPU that is a race, and
the CPU interpreter, which runs them in order, would not show it.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from pallas_kernels import field_mul

_MASK_32 = np.uint64(2**32 - 1)
_MASK_29 = np.uint64(2**29 - 1)

Pair = tuple[jax.Array, jax.Array]


def modular_sum(values: jax.Array) -> jax.Array:
    """The sum in F over the last axis; any uint64 in, canonical out; at most 2^28 entries.

    The 32-bit halves are summed apart, each below 2^60; then 2^32 h is a rotation of 61 bits.
    """
    low = jnp.sum(values & _MASK_32, axis=-1, dtype=jnp.uint64)
    high = jnp.sum(values >> np.uint64(32), axis=-1, dtype=jnp.uint64)
    rotated = ((high & _MASK_29) << np.uint64(32)) + (high >> np.uint64(29))
    return field_mul.reduce(low + rotated)


def write_block_sums(partials_ref, *sums: Pair) -> None:
    """Inside a kernel: sum each pair of [block] planes into rows 2k and 2k + 1 of the column.

    partials_ref: the program's [2 len(sums), 1] block. The planes may be unreduced.
    """
    for index, plane in enumerate(plane for pair in sums for plane in pair):
        partials_ref[index, 0] = modular_sum(plane)


def combine_partials(partials: jax.Array) -> tuple[Pair, ...]:
    """Outside a kernel: the sums over all programs.

    partials: uint64[2k, programs], rows (re, im) of k sums. Returns k elements of K, canonical.
    """
    totals = modular_sum(partials)
    return tuple((totals[2 * k], totals[2 * k + 1]) for k in range(partials.shape[0] // 2))
