"""Compute tests run in x64 mode; tables and their oracle are lists of K."""

from __future__ import annotations

import jax
import pytest

from zkjax.compute.backend import Backend, choose


@pytest.fixture(autouse=True)
def x64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="session", params=["blocked", "reference", "pallas"])
def backend(request) -> Backend:
    """Every backend; the Pallas kernels in their interpreter."""
    return choose(request.param, interpret=request.param == "pallas")
