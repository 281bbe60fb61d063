"""Calls of compiled programs from as many threads as there are cores.

A loop of XLA runs on one core, and JAX runs programs that are called from one thread one after the other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache
from threading import local
from typing import TypeVar

import jax

MAX_THREADS = 4

Item = TypeVar("Item")
Result = TypeVar("Result")

_this_thread = local()


def threads() -> int:
    """How many threads share the work, the caller's among them."""
    return min(MAX_THREADS, len(os.sched_getaffinity(0)))


def on_all_cores(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """`function` of each item, in order of the items; under x64 mode, which holds for one thread.

    What such a function shares out in its turn stays on its own thread. After an exception no further items are
    begun; it is raised when those under way are done.
    """
    given = list(items)
    helpers = min(threads(), len(given)) - 1
    if helpers < 1 or getattr(_this_thread, "shares", False):
        return [function(item) for item in given]
    results: list = [None] * len(given)
    # Threads take the next number when they are free: a future for each item would cost more than a small program.
    numbers = iter(range(len(given)))

    def work() -> None:
        _this_thread.shares = True
        try:
            with jax.enable_x64(True):
                for number in numbers:
                    results[number] = function(given[number])
        except BaseException:
            for _ in numbers:
                pass
            raise
        finally:
            _this_thread.shares = False

    others = [_pool(threads() - 1).submit(work) for _ in range(helpers)]
    try:
        work()
    finally:
        wait(others)
    for other in others:
        other.result()
    return results


@lru_cache(maxsize=1)
def _pool(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="zkjax-worker")
