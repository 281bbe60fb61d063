"""Calls of compiled programs from as many threads as there are cores.

A loop of XLA runs on one core, and JAX runs programs that are called from one thread one after the other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from threading import current_thread
from typing import TypeVar

import jax

MAX_THREADS = 4
NAME = "zkjax-worker"

Item = TypeVar("Item")
Result = TypeVar("Result")


def threads() -> int:
    """How many threads share the work."""
    return min(MAX_THREADS, len(os.sched_getaffinity(0)))


def on_all_cores(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """`function` of each item, in order of the items; under x64 mode, which holds for one thread.

    What such a function shares out in its turn stays on its own thread: waiting for others could be forever.
    """
    given = list(items)
    if len(given) < 2 or threads() < 2 or current_thread().name.startswith(NAME):
        return [function(item) for item in given]

    def scoped(item: Item) -> Result:
        with jax.enable_x64(True):
            return function(item)

    return list(_pool(threads()).map(scoped, given))


@lru_cache(maxsize=1)
def _pool(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix=NAME)
