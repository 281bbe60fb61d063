"""A grid as a GPU runs it: every program alone, in any order, on outputs nobody initialised.

Pallas' interpreter runs a grid in order over shared outputs, so a kernel that adds into one block
from many programs passes there and races on a GPU. `isolated_pallas_call` replaces
`pl.pallas_call`: it runs one program at a time in a shuffled order, hands it only its input blocks
and output blocks full of poison, and refuses a block that two programs write.
"""

from __future__ import annotations

import random
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import pallas as pl

from tests.kernels.compilation import quick_jit

POISON = np.uint64(0xDEADBEEFDEADBEEF)


class SharedBlockError(AssertionError):
    """Two programs write one entry."""


def isolated_pallas_call(seed: int):
    """A stand-in for `pl.pallas_call` on a one-dimensional grid."""
    pallas_call = pl.pallas_call

    def stand_in(kernel, *, grid, in_specs, out_specs, out_shape, **_):
        (programs,) = grid
        order = list(range(programs))
        random.Random(seed).shuffle(order)

        def with_poison(program_ref, *refs):
            for ref in refs[len(in_specs) :]:
                ref[...] = jnp.full(ref.shape, POISON, ref.dtype)
            with mock.patch.object(pl, "program_id", lambda axis: program_ref[axis]):
                kernel(*refs)

        one_program = quick_jit(
            pallas_call(
                with_poison,
                out_shape=[
                    jax.ShapeDtypeStruct(spec.block_shape, shape.dtype)
                    for spec, shape in zip(out_specs, out_shape, strict=True)
                ],
                interpret=True,
            )
        )

        def run(*operands):
            outputs = [np.full(shape.shape, POISON, shape.dtype) for shape in out_shape]
            written = [np.zeros(shape.shape, bool) for shape in out_shape]
            for program in order:
                blocks = [
                    np.asarray(operand)[_slices(spec, program)]
                    for spec, operand in zip(in_specs, operands, strict=True)
                ]
                results = one_program(np.array([program], np.int32), *blocks)
                for spec, result, output, mask in zip(out_specs, results, outputs, written, strict=True):
                    place = _slices(spec, program)
                    if mask[place].any():
                        raise SharedBlockError(f"program {program} writes {place} again")
                    mask[place] = True
                    output[place] = result
            if not all(mask.all() for mask in written):
                raise AssertionError("some entries are written by no program")
            return [jnp.asarray(output) for output in outputs]

        return run

    return stand_in


def _slices(spec: pl.BlockSpec, program: int) -> tuple[slice, ...]:
    indices = spec.index_map(program)
    return tuple(slice(i * size, (i + 1) * size) for i, size in zip(indices, spec.block_shape, strict=True))
