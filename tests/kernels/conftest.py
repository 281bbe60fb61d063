"""Every test here runs in x64 and under strict promotion.

The kernels run in Pallas' interpreter unless ZKJAX_KERNELS=gpu asks for the GPU; then a computer
without one fails, as it should.
"""

from __future__ import annotations

import jax
import pytest

from tests.kernels.compilation import BACKEND


@pytest.fixture(autouse=True)
def strict_x64():
    with jax.enable_x64(True), jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture(scope="session")
def interpret() -> bool:
    if BACKEND not in ("interpret", "gpu"):
        raise ValueError(f"ZKJAX_KERNELS must be interpret or gpu, got {BACKEND!r}")
    return BACKEND == "interpret"
