"""Host memory that JAX reads in place.

A NumPy array is passed to a jitted function without a copy if it is contiguous and its first byte
lies at a multiple of 64; any other is copied at every call.
"""

from __future__ import annotations

import contextlib
import mmap
import weakref
from functools import lru_cache
from typing import Any

import numpy as np

from zkjax.fields.vectors import Ext

ALIGNMENT = 64
MOST_IDLE = 8


def empty(shape: int | tuple[int, ...], dtype: Any) -> np.ndarray:
    """An aligned array, not initialised."""
    count, kind = int(np.prod(shape)), np.dtype(dtype)
    memory = np.empty(count * kind.itemsize + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + count * kind.itemsize].view(kind).reshape(shape)


def mapped(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """A zeroed array with memory of its own, in large pages where the system has them.

    For the largest arrays: within malloc's heap their space would be cut up for smaller ones, and a column of a
    codeword, written to at long strides, is on fewer pages. When such an array is dropped, the next one of
    about its size takes its memory: fresh pages cost more than writing to them.
    """
    count = int(np.prod(shape))
    size = max(count * np.dtype(dtype).itemsize, 1)
    memory = _reused(size)
    if memory is None:
        memory = _fresh(size)
    else:
        np.frombuffer(memory, np.uint8, size)[:] = 0
    holder = _Holder(memory)
    weakref.finalize(holder, _idle.append, memory)
    return np.asarray(holder)[: count * np.dtype(dtype).itemsize].view(dtype).reshape(shape)


class _Holder:
    """What the views of a mapped array keep alive; with it goes the last reference to the array."""

    def __init__(self, memory: mmap.mmap):
        self.__array_interface__ = np.frombuffer(memory, np.uint8).__array_interface__


def _fresh(size: int) -> mmap.mmap:
    # Private: by default Python maps memory to be shared, which gets no large pages.
    private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
    memory = mmap.mmap(-1, size, **private)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):
            memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


# Memory of dropped arrays, the latest last. Appended to by finalizers, which may run at any moment: no lock.
_idle: list[mmap.mmap] = []


def _reused(size: int) -> mmap.mmap | None:
    """Idle memory for `size` bytes, at most a quarter larger. All but the last few go back to the system."""
    while len(_idle) > MOST_IDLE:
        with contextlib.suppress(IndexError):
            _idle.pop(0)
    for memory in reversed(_idle[:]):
        if size <= len(memory) <= size + size // 4:
            try:
                _idle.remove(memory)
            except ValueError:  # another thread was faster
                continue
            return memory
    return None


def aligned(array: Any) -> np.ndarray:
    """The array on the host, copied only if it is not aligned; the caller must leave it as it is."""
    array = np.asarray(array)
    if array.flags.c_contiguous and array.ctypes.data % ALIGNMENT == 0:
        return array
    copy = empty(array.shape, array.dtype)
    copy[...] = array
    return copy


def aligned_or_device(array: Any) -> Any:
    """A JAX array as it is, one of the host's aligned."""
    return aligned(array) if isinstance(array, np.ndarray) else array


def zeros(size: int) -> Ext:
    """A table of zeros to be written to."""
    planes = Ext(empty(size, np.uint64), empty(size, np.uint64))
    for plane in planes:
        plane[:] = 0
    return planes


@lru_cache(maxsize=4)
def zero_piece(size: int) -> Ext:
    """A shared table of zeros, to be read only."""
    piece = zeros(size)
    for plane in piece:
        plane.flags.writeable = False
    return piece
