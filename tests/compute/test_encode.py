"""The encoder against NumPy, for rows that fill no block, and codes of every shape."""

from __future__ import annotations

import mmap

import jax
import numpy as np
import pytest

from tests.compute.oracle import random_elements
from zkjax.compute import host
from zkjax.compute.encode import BLOCK_ROWS, _Buffers, _encoded, encode
from zkjax.fields.vectors import Ext, transform


@pytest.mark.parametrize(
    ("rows", "message", "masks", "log_length"),
    [(1, 64, 9, 8), (BLOCK_ROWS, 64, 64, 7), (3 * BLOCK_ROWS - 1, 128, 300, 9), (2, 2048, 1000, 13)],
)
def test_columns_are_those_of_numpy(rows, message, masks, log_length):
    planes = np.array([[entry.re, entry.im] for entry in random_elements(7, rows * (message + masks))], np.uint64)
    table = Ext(*(np.ascontiguousarray(plane).reshape(rows, -1) for plane in planes.T))
    out = np.zeros((1 << log_length, rows, 2), np.uint64)
    encode(rows, lambda a, b: (table[a:b, :message], table[a:b, message:]), log_length, out)
    expected = transform(Ext(table.re.T, table.im.T), log_length)
    assert (out[..., 0] == expected.re).all()
    assert (out[..., 1] == expected.im).all()


def test_the_program_writes_to_its_buffers_and_nowhere_else():
    length, message, masks = 1 << 16, 1 << 15, 500
    with jax.enable_x64(True):
        buffers = _Buffers.blank(length)
        parts = (Ext(*np.zeros((2, BLOCK_ROWS, size), np.uint64)) for size in (message, masks))
        memory = _encoded.lower(buffers, *parts, 16).compile().memory_analysis()
    plane = 8 * length * BLOCK_ROWS
    assert memory.alias_size_in_bytes == 6 * plane
    assert memory.temp_size_in_bytes < plane


def test_memory_of_a_dropped_array_is_taken_again_and_is_zero():
    array = host.mapped((1000, 1000), np.uint64)
    array[...] = 7
    address, view = array.ctypes.data, array[3:5].view(np.uint8)
    del array
    other = host.mapped((1000, 1000), np.uint64)
    assert other.ctypes.data != address  # a view is left
    assert (view == view[0, 0]).sum() == view.size // 8
    del view
    smaller = host.mapped((900, 1000), "<u8")
    assert smaller.ctypes.data == address
    assert not smaller.any()
    assert not smaller.ctypes.data % host.ALIGNMENT
    smaller[...] = 1
    assert not other.any()


@pytest.mark.skipif(not hasattr(mmap, "MADV_HUGEPAGE"), reason="no large pages")
def test_mapped_memory_may_have_large_pages():
    array = host.mapped((1 << 22,), np.uint64)
    address = array.ctypes.data
    with open("/proc/self/smaps", encoding="ascii") as maps:
        region: list[str] = []
        for line in maps:
            name, _, rest = line.partition(" ")
            if "-" in name and not name.endswith(":"):
                region = [rest]
                start, end = (int(bound, 16) for bound in name.split("-"))
            elif name == "VmFlags:" and start <= address < end:
                break
    assert "p" in region[0].split()[0]  # shared memory has none
    assert "hg" in rest.split()
