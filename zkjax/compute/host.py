"""Host memory that JAX reads in place.

A NumPy array is passed to a jitted function without a copy if it is contiguous and its first byte
lies at a multiple of 64; any other is copied at every call.
"""

from __future__ import annotations

from typing import Any

import numpy as np

ALIGNMENT = 64


def empty(shape: int | tuple[int, ...], dtype: Any) -> np.ndarray:
    """An aligned array, not initialised."""
    count, kind = int(np.prod(shape)), np.dtype(dtype)
    memory = np.empty(count * kind.itemsize + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + count * kind.itemsize].view(kind).reshape(shape)


def aligned(array: Any) -> np.ndarray:
    """The array on the host, copied only if it is not aligned; the caller must leave it as it is."""
    array = np.asarray(array)
    if array.flags.c_contiguous and array.ctypes.data % ALIGNMENT == 0:
        return array
    copy = empty(array.shape, array.dtype)
    copy[...] = array
    return copy
