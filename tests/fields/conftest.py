"""Field tests run in x64 mode and under strict promotion."""

import jax
import numpy as np
import pytest

from zkjax.fields.mersenne61 import P
from zkjax.fields.vectors import Ext


@pytest.fixture(autouse=True)
def strict_x64():
    with (
        jax.enable_x64(True),
        jax.numpy_dtype_promotion("strict"),
        jax.numpy_rank_promotion("raise"),
    ):
        yield


class Draw:
    """Canonical random arrays, with the largest values thrown in."""

    def __init__(self, seed: int):
        self.generator = np.random.default_rng(seed)

    def base(self, *shape: int) -> np.ndarray:
        a = self.generator.integers(0, P, shape, dtype=np.uint64)
        if a.ndim and a.shape[0] > 3:
            a[0], a[-1], a[1] = P - 1, P - 1, 0
        return a

    def ext(self, *shape: int) -> Ext:
        return Ext(self.base(*shape), self.base(*shape))


@pytest.fixture
def draw() -> Draw:
    return Draw(7)
