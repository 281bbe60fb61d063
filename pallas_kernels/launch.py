"""What a launch may look like: planes, blocks, block specifications, compiler parameters.

Every kernel runs on a one-dimensional grid whose programs are independent: each writes blocks of
its own and none reads what another wrote. The CPU interpreter runs programs one after the other
and would hide a violation; a GPU runs them in any order and at the same time.

Triton wants power-of-two blocks, so tables have power-of-two lengths, as multilinear tables do.
Where a kernel needs the halves or quarters of a table side by side, a plane is viewed as
[parts, n / parts] and a block holds the same columns of every part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import numpy as np
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

DEFAULT_BLOCK = 256
DEFAULT_WARPS = 4

Pair = tuple[jax.Array, jax.Array]


def table_length(minimum: int, **tables: Pair) -> int:
    """The common length of K tables: a power of two, at least `minimum`.

    Raises TypeError for planes that are not uint64 (x64 off, mostly) and ValueError for planes
    that are not one-dimensional, differ in length, or have another length.
    """
    lengths = {}
    for name, pair in tables.items():
        for part, array in zip(("re", "im"), _planes(name, pair), strict=True):
            if array.ndim != 1:
                raise ValueError(f"{name}.{part} must have one axis, got shape {array.shape}")
            lengths[f"{name}.{part}"] = array.shape[0]
    length = next(iter(lengths.values()))
    if any(other != length for other in lengths.values()):
        raise ValueError(f"planes differ in length: {lengths}")
    if length < minimum or length & (length - 1):
        raise ValueError(f"length must be a power of two of at least {minimum}, got {length}")
    return length


def scalar_operands(**scalars: Pair) -> list[jax.Array]:
    """K scalars as arrays of one entry, re before im, in the order given.

    Raises TypeError for planes that are not uint64 and ValueError for planes with axes.
    """
    operands = []
    for name, pair in scalars.items():
        for part, array in zip(("re", "im"), _planes(name, pair), strict=True):
            if array.ndim != 0:
                raise ValueError(f"{name}.{part} must be a scalar, got shape {array.shape}")
            operands.append(array.reshape(1))
    return operands


def choose_block(block: int | None, size: int, default: int = DEFAULT_BLOCK) -> int:
    """The given block, or the default one cut to `size`.

    Raises ValueError for a given block that is not a power of two in [1, size].
    """
    if block is None:
        return min(default, size)
    if block < 1 or block & (block - 1) or block > size:
        raise ValueError(f"block must be a power of two in [1, {size}], got {block}")
    return block


def columns(block: int, parts: int = 1) -> pl.BlockSpec:
    """Program i takes columns [i block, (i + 1) block) of every row of a [parts, n] array."""
    return pl.BlockSpec((parts, block), lambda i: (0, i))


def broadcast_scalar() -> pl.BlockSpec:
    """Every program reads the one entry of the operand."""
    return pl.BlockSpec((1,), lambda i: (0,))


def view(pair: Pair, parts: int = 1) -> list[jax.Array]:
    """The planes of a K table as [parts, n / parts]."""
    return [array.reshape(parts, -1) for array in pair]


def call(
    kernel: Callable[..., None],
    operands: Sequence[jax.Array],
    *,
    in_specs: Sequence[pl.BlockSpec],
    out_specs: Sequence[pl.BlockSpec],
    out_shapes: Sequence[tuple[int, ...]],
    programs: int,
    num_warps: int,
    interpret: bool,
) -> list[jax.Array]:
    """Launch `kernel` on a grid of `programs`; every output is uint64.

    With interpret=False only a GPU runs it: JAX raises on any other backend, and nothing here
    falls back to the interpreter.
    """
    return pl.pallas_call(
        kernel,
        grid=(programs,),
        in_specs=list(in_specs),
        out_specs=list(out_specs),
        out_shape=[jax.ShapeDtypeStruct(shape, np.uint64) for shape in out_shapes],
        compiler_params=triton.CompilerParams(num_warps=num_warps, num_stages=1),
        interpret=interpret,
    )(*operands)


def _planes(name: str, pair: Pair) -> tuple[jax.Array, jax.Array]:
    re, im = pair
    for part, array in (("re", re), ("im", im)):
        if array.dtype != np.uint64:
            raise TypeError(f"{name}.{part} must be uint64 (jax.enable_x64), got {array.dtype}")
    return re, im
