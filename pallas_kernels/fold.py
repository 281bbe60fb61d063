"""Bind the most significant variable of a K table to a challenge.

For the rounds that need no sums in the same pass: the last one, and tables outside a product.
"""

from __future__ import annotations

import jax

from pallas_kernels import field_mul, launch

Pair = tuple[jax.Array, jax.Array]


def fold(
    table: Pair,
    challenge: Pair,
    *,
    block: int | None = None,
    num_warps: int = launch.DEFAULT_WARPS,
    interpret: bool = False,
) -> Pair:
    """table[:n] + challenge (table[n:] - table[:n]); means `reference.fold`.

    table: K[2n], n a power of two; challenge: K[]; canonical. Returns K[n], canonical.
    block: entries of the result per program, a power of two at most n.
    Raises TypeError for planes that are not uint64, ValueError for shapes or blocks that do not
    fit, and JAX's error where the backend cannot run the kernel.
    """
    size = launch.table_length(2, table=table) // 2
    block = launch.choose_block(block, size)
    re, im = launch.call(
        _fold_kernel,
        [*launch.view(table, 2), *launch.scalar_operands(challenge=challenge)],
        in_specs=[launch.columns(block, 2)] * 2 + [launch.broadcast_scalar()] * 2,
        out_specs=[launch.columns(block)] * 2,
        out_shapes=[(1, size)] * 2,
        programs=size // block,
        num_warps=num_warps,
        interpret=interpret,
    )
    return re.reshape(size), im.reshape(size)


def _fold_kernel(re, im, challenge_re, challenge_im, out_re, out_im):
    challenge = challenge_re[0], challenge_im[0]
    out_re[0], out_im[0] = field_mul.interpolate((re[0], im[0]), (re[1], im[1]), challenge)
