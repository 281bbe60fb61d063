"""Every test here runs in x64 and under strict promotion.

The kernels run in Pallas' interpreter unless ZKJAX_KERNELS=gpu asks for the GPU; then a computer
without one fails, as it should.
"""

from __future__ import annotations

import functools
import inspect
import os

import jax
import pytest


@pytest.fixture(autouse=True)
def strict_x64():
    with jax.enable_x64(True), jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture(scope="session")
def compiled():
    """jit with the launch options static, one per function: the tests of a shape share a program."""

    @functools.cache
    def compiled(function):
        names = inspect.signature(function).parameters
        return jax.jit(function, static_argnames=[n for n in ("block", "interpret") if n in names])

    return compiled


@pytest.fixture(scope="session")
def interpret() -> bool:
    backend = os.environ.get("ZKJAX_KERNELS", "interpret")
    if backend not in ("interpret", "gpu"):
        raise ValueError(f"ZKJAX_KERNELS must be interpret or gpu, got {backend!r}")
    return backend == "interpret"
