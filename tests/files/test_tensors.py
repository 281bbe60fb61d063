"""Arrays as bytes: one value, one encoding, and nothing else decodes."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from zkjax.errors import FileError
from zkjax.files import DamagedFile, decode_tensors, encode_tensors

ARRAYS = {
    "weights/dense": np.arange(12, dtype=np.uint64).reshape(3, 4),
    "step": np.array(7, dtype=np.int32),
    "gates": np.array([True, False]),
    "none": np.zeros((0, 5), dtype=np.float32),
}
METADATA = {"fraction_bits": {"weights/dense": 28}, "name": "dünn"}
WHOLE = encode_tensors(ARRAYS, METADATA)


def with_head(head: bytes, data: bytes = b"") -> bytes:
    return struct.pack("<I", len(head)) + head + data


def one_array(**changes) -> bytes:
    entry = {"dtype": "<u8", "name": "a", "shape": [2], **changes}
    head = json.dumps({"arrays": [entry], "metadata": None}, sort_keys=True, separators=(",", ":"))
    return with_head(head.encode(), bytes(16))


def test_round_trip():
    arrays, metadata = decode_tensors(WHOLE, "it")
    assert list(arrays) == list(ARRAYS)
    assert metadata == METADATA
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)


@given(
    hnp.arrays(
        dtype=st.sampled_from([np.dtype(">u4"), np.dtype("<i8"), np.dtype("u1"), np.dtype(">f8")]),
        shape=hnp.array_shapes(min_dims=1, min_side=0),
    )
)
def test_any_byte_order_and_layout_has_one_encoding(array):
    encoded = encode_tensors({"a": array})
    assert encode_tensors({"a": np.asfortranarray(array)}) == encoded
    arrays, _ = decode_tensors(encoded, "it")
    np.testing.assert_array_equal(arrays["a"], array)
    assert encode_tensors(arrays) == encoded


@pytest.mark.parametrize("length", range(len(WHOLE)))
def test_truncation_at_every_length(length):
    with pytest.raises(DamagedFile):
        decode_tensors(WHOLE[:length], "it")


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_refused_by_type(content):
    try:
        decode_tensors(content, "it")
    except FileError:
        pass


@pytest.mark.parametrize(
    "content",
    [
        WHOLE + b"\0",
        with_head(b'{"arrays":[],"metadata":NaN}'),
        with_head(b'{"arrays":[], "metadata":null}'),
        with_head(b'{"metadata":null,"arrays":[]}'),
        with_head(b'{"arrays":[],"arrays":[],"metadata":null}'),
        with_head(b'{"arrays":{},"metadata":null}'),
        with_head(b'{"arrays":[]}'),
        with_head(b"[]"),
        with_head('{"arrays":[],"metadata":"ü"}'.encode()),
        with_head(b"[" * 100_000),
        with_head(b'{"arrays":[],"metadata":' + b"9" * 5000 + b"}"),
        one_array(dtype="|O"),
        one_array(dtype=">u8"),
        one_array(dtype=8),
        one_array(name=1),
        one_array(shape=[-2]),
        one_array(shape=[True, 2]),
        one_array(shape=[2.0]),
        one_array(shape=[3]),
        one_array(shape=[1]),
        one_array(shape=[1 << 47, 1 << 47]),
        one_array(shape=[1] * 17),
        one_array(shape="2"),
        one_array(extra=1),
    ],
)
def test_other_encodings_are_refused(content):
    with pytest.raises(DamagedFile):
        decode_tensors(content, "it")


def test_the_base_of_the_refusals_is_accepted():
    arrays, _ = decode_tensors(one_array(), "it")
    np.testing.assert_array_equal(arrays["a"], np.zeros(2, np.uint64))


def test_a_boolean_is_zero_or_one():
    content = bytearray(encode_tensors({"gates": np.array([True, False])}))
    content[-1] = 2
    with pytest.raises(DamagedFile, match="neither 0 nor 1"):
        decode_tensors(bytes(content), "it")


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([None]), np.array([1j])])
def test_what_has_no_encoding(array):
    with pytest.raises(ValueError, match="no encoding"):
        encode_tensors({"a": array})
