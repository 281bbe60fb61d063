"""Optax computes rates from integers, which strict promotion refuses: users do not run it strictly either."""

from __future__ import annotations

import jax
import pytest


@pytest.fixture(scope="module", autouse=True)
def _promotion():
    with jax.numpy_dtype_promotion("standard"):
        yield
