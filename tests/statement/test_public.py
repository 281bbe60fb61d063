"""Public tensors: one encoding for each, strictly read; inner products against Python integers."""

from __future__ import annotations

import base64
import gc
import itertools
import time
import tracemalloc
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.statement.evaluate import read
from zkjax.fields.mersenne61 import K, P
from zkjax.fields.vectors import Ext
from zkjax.statement import public
from zkjax.statement.circuit import Constant, Public
from zkjax.statement.public import PublicTensorError, decoded, encoded, inner, text_length

SHAPES = [(1, 2), (7,), (3, 4, 5), (2, 1, 3, 1), (8, 8), (1, 5000), (300, 2)]


def tensor(shape: tuple[int, ...], low: int, high: int) -> np.ndarray:
    """Random entries that reach both ends."""
    values = np.random.default_rng(sum(shape)).integers(low, high + 1, shape)
    values.reshape(-1)[:2] = low, high
    return values


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3, 4), (-100, 155), (5, 1 << 12), (-(1 << 31), (1 << 31) - 1)])
def test_round_trip(shape, low, high):
    values = tensor(shape, low, high)
    node = Public.of(values)
    assert (node.low, node.bits) == (low, (high - low).bit_length())
    assert len(node.entries) == text_length(shape, node.bits)
    np.testing.assert_array_equal(node.values, values)
    np.testing.assert_array_equal(read(shape, node.low, node.bits, node.entries), values)
    with pytest.raises(ValueError, match="read-only"):
        node.above[...] = 0


@given(st.lists(st.integers(-(1 << 59), 1 << 59), min_size=2, max_size=40))
def test_what_has_no_encoding_is_a_constant_or_refused(values):
    array = np.array(values)
    spread = max(values) - min(values)
    if not spread:
        assert Public.of(array) == Constant(array.shape, values[0])
    elif spread >> 32:
        with pytest.raises(PublicTensorError):
            encoded(array)
    else:
        assert decoded(array.shape, *encoded(array)[1:]).max() == spread


@pytest.mark.parametrize("value", [0, 5, -3])
def test_a_tensor_of_one_value_has_no_encoding(value):
    with pytest.raises(PublicTensorError, match="differ by 0 bits"):
        encoded(np.full((2, 3), value))


BITS = tensor((3, 5), 0, 1)
TEXT = encoded(BITS)[2]


@pytest.mark.parametrize(
    ("shape", "bits", "entries"),
    [
        ((3, 5), 0, ""),
        ((3, 5), 33, "A" * text_length((3, 5), 33)),
        ((2,), 33, base64.b64encode((1 << 38).to_bytes(9, "big")).decode()),  # 0 and 2^32: a bit too many
        ((3, 5), -1, TEXT),
        ((3, 6), 2, TEXT),
        ((3, 5), 1, TEXT + "AAAA"),
        ((3, 5), 1, TEXT[:-1]),
        ((3, 5), 1, "!" + TEXT[1:]),
        ((3, 5), 1, " " + TEXT[1:]),
        ((3, 5), 1, "é" + TEXT[1:]),
        ((3, 5), 1, "=" * 4),
        ((3, 5), 1, base64.b64encode(b"\xa5\x01").decode()),  # a bit behind the last entry
        ((3, 5), 1, base64.b64encode(b"\x00\x00").decode()),  # all equal
        ((3, 5), 1, base64.b64encode(b"\xff\xfe").decode()),  # the least is not zero
        ((3, 5), 1, base64.b64encode(b"\xa5\x00").decode()[:2] + "B="),  # bits that base64 drops
        ((3, 5), 2, encoded(BITS)[2] + "A" * 4),
        ((3, 5), 1, base64.b64encode(b"\xa5\x00\x00").decode()),  # a byte too many
        ((3, 5), 1, base64.b64encode(b"\xa5").decode()),  # a byte too few
        ((2,), 2, base64.b64encode(b"\x40").decode()[:3] + "="),  # a bit more than needed
        ((1 << 20, 1 << 20), 32, TEXT),
    ],
    ids=str,
)
def test_another_text_is_refused(shape, bits, entries):
    with pytest.raises(PublicTensorError):
        decoded(shape, bits, entries)


def test_a_huge_shape_is_refused_before_anything_is_made():
    tracemalloc.start()
    begin = time.process_time()
    with pytest.raises(PublicTensorError):
        decoded((1 << 22, 1 << 18), 32, "A" * (1 << 22))
    assert time.process_time() - begin < 1
    assert tracemalloc.get_traced_memory()[1] < 1 << 23
    tracemalloc.stop()


def test_a_tensor_is_decoded_once_and_held_no_longer_than_its_node(monkeypatch):
    """However many a circuit has; and whoever verifies many statements does not gather their tensors."""
    asked = []
    monkeypatch.setattr("zkjax.statement.circuit.decoded", lambda *of: asked.append(of) or decoded(*of))
    nodes = [Public.of(tensor((7, 9), 0, number)) for number in range(1, 400)]
    for _ in range(2):
        assert all((node.values >= 0).all() for node in nodes)
    assert len(asked) == len(nodes)
    held = weakref.ref(nodes[0].above)
    del nodes
    gc.collect()
    assert held() is None


def vectors(shape: tuple[int, ...], largest: bool) -> list[Ext]:
    random = np.random.default_rng(1)

    def plane(size: int) -> np.ndarray:
        return np.full(size, P - 1, np.uint64) if largest else random.integers(0, P, size).astype(np.uint64)

    return [Ext(plane(size), plane(size)) for size in shape]


@pytest.mark.parametrize("largest", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("low", "high"), [(0, 1), (-90, 165), (-7, 1 << 16), (-(1 << 31), (1 << 31) - 1)])
def test_inner_products(shape, low, high, largest):
    values, weights = tensor(shape, low, high), vectors(shape, largest)
    lists = [vector.to_list() for vector in weights]
    expected = K.ZERO
    for place in itertools.product(*map(range, shape)):
        product = K(int(values[place]))
        for own, index in zip(lists, place, strict=True):
            product = product * own[index]
        expected += product
    assert inner(Public.of(values).above, low, weights) == expected


def test_rows_are_taken_in_blocks(monkeypatch):
    values, weights = tensor((7, 3), -3, 4), vectors((7, 3), largest=False)
    at_once = inner(Public.of(values).above, -3, weights)
    monkeypatch.setattr(public, "_BLOCK", 8)  # two rows
    assert inner(Public.of(values).above, -3, weights) == at_once


def test_without_axes_there_is_one_product():
    assert inner(np.array(3, np.uint8), 4, []) == K(7)


def test_sums_of_the_largest_entries_do_not_overflow():
    """4096 entries of 32 bits times limbs of ones, several blocks of them."""
    values = np.full((3, 9000), (1 << 32) - 1)
    values[0, 0] = 0
    weights = vectors(values.shape, largest=True)
    one, other = (vector[:1].item() for vector in weights)
    expected = one * other * ((1 << 32) - 1) * (values.size - 1)
    assert inner(Public.of(values).above, 0, weights) == expected
