"""The launches that are lowered and compiled ahead of time: every kernel at its default block,
and at the edges of what a proof launches: the smallest tables, and a batch.

A launch is data: a name, a function of K tables and K scalars, and their shapes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import numpy as np

from pallas_kernels import field_mul, fold, launch, logup_round, sumcheck_round

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Launch:
    """A kernel with the shapes of its K operands; each operand is a pair of planes."""

    kernel: str
    block: int
    function: Callable
    shapes: tuple[Shape, ...]
    batch: int | None = None

    def arguments(self, sharding: jax.sharding.Sharding | None = None) -> tuple:
        """The abstract operands: uint64 pairs, with a leading batch axis where there is one."""
        leading = () if self.batch is None else (self.batch,)
        return tuple(
            (jax.ShapeDtypeStruct(leading + shape, np.uint64, sharding=sharding),) * 2 for shape in self.shapes
        )

    def callable(self) -> Callable:
        """The function of `arguments`, mapped over the batch where there is one."""
        function = partial(self.function, block=self.block)
        return function if self.batch is None else jax.vmap(function)


def launches(size: int = 2**20) -> tuple[Launch, ...]:
    """Every launch to check; `size` is the length of the large tables."""
    default = launch.DEFAULT_BLOCK
    logup = logup_round.DEFAULT_BLOCK
    return (
        Launch("extension_product", default, field_mul.extension_product, ((size,),) * 2),
        Launch("fold", default, fold.fold, ((size,), ())),
        Launch("fold", 1, fold.fold, ((2,), ())),
        _product_round_sums(size, default),
        _product_round(size, default),
        _product_round(size, default // 2),
        _product_round(4, 1),
        _product_round(2**13, default, batch=8),
        _logup_round_sums(size, logup),
        _logup_round(size, logup),
        _logup_round(4, 1),
    )


def _product_round_sums(size: int, block: int) -> Launch:
    function = sumcheck_round.product_round_sums
    return Launch("product_round_sums", block, function, ((size,), (size,)))


def _product_round(size: int, block: int, batch: int | None = None) -> Launch:
    function = sumcheck_round.product_round
    return Launch("product_round", block, function, ((size,), (size,), ()), batch)


def _logup_round_sums(size: int, block: int) -> Launch:
    shapes = ((size,),) * 4 + ((size // 2,), (), ())
    return Launch("logup_round_sums", block, logup_round.logup_round_sums, shapes)


def _logup_round(size: int, block: int) -> Launch:
    shapes = ((size,),) * 4 + ((size // 4,), (), (), ())
    return Launch("logup_round", block, logup_round.logup_round, shapes)
