"""Work shared out among threads: order, nesting, exceptions, x64 mode."""

from __future__ import annotations

import threading

import jax
import jax.numpy as jnp
import pytest

from zkjax.compute import cores
from zkjax.compute.cores import on_all_cores


@pytest.fixture(autouse=True)
def two_threads(monkeypatch):
    """Threads even where there is one core."""
    monkeypatch.setattr(cores, "threads", lambda: 2)


def test_results_are_in_order():
    assert on_all_cores(lambda item: item * item, range(1000)) == [item * item for item in range(1000)]
    assert on_all_cores(str, []) == []
    assert on_all_cores(str, [1]) == ["1"]


def test_both_threads_work():
    meeting = threading.Barrier(2, timeout=20)
    names = on_all_cores(lambda _: (meeting.wait(), threading.current_thread().name)[1], range(2))
    assert len(set(names)) == 2


def test_what_is_shared_out_within_stays_on_its_thread():
    def outer(_: int) -> set[int]:
        return {threading.get_ident(), *on_all_cores(lambda _: threading.get_ident(), range(50))}

    assert [len(each) for each in on_all_cores(outer, range(20))] == [1] * 20


def test_every_thread_is_in_x64_mode():
    with jax.enable_x64(False):
        kinds = on_all_cores(lambda _: jnp.arange(3).dtype.itemsize, range(8))
        assert set(kinds) == {8}
        assert jnp.arange(3).dtype.itemsize == 4


def test_an_exception_ends_the_work():
    begun = []

    def fails(item: int) -> None:
        begun.append(item)
        raise KeyError(item)

    with pytest.raises(KeyError):
        on_all_cores(fails, range(1000))
    assert len(begun) <= 2
    assert on_all_cores(abs, range(5)) == list(range(5))
