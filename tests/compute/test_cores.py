"""Work shared out among threads: order, mode, errors, and calls within calls."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

from zkjax.compute import cores
from zkjax.compute.cores import on_all_cores


@pytest.fixture(autouse=True)
def two_threads(monkeypatch):
    monkeypatch.setattr(cores, "threads", lambda: 2)


def test_results_are_in_order():
    assert on_all_cores(lambda item: item * item, range(50)) == [item * item for item in range(50)]


def test_every_thread_is_in_x64_mode():
    with jax.enable_x64(False):
        assert set(on_all_cores(lambda item: jnp.uint64(item).dtype.name, range(8))) == {"uint64"}


def test_an_error_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        on_all_cores(lambda item: 1 // item, [2, 1, 0, 3])


def test_calls_within_calls_end():
    found = on_all_cores(lambda item: sum(on_all_cores(lambda other: item * other, range(4))), range(8))
    assert found == [6 * item for item in range(8)]
