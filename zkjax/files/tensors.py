"""Named arrays with metadata as bytes: canonical JSON in front, raw little-endian arrays behind.

    length of the JSON 4 | JSON {"arrays": [{"dtype", "name", "shape"}], "metadata": ...} | data

One value has one encoding: the JSON has sorted keys, no spaces and only ASCII; arrays are
C-ordered and stand in the order in which they are listed, without padding.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zkjax.files.errors import DamagedFile

LENGTH = struct.Struct("<I")
MAX_JSON_BYTES = 1 << 22
MAX_RANK = 16
DTYPES = frozenset({"|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f4", "<f8"})


def encode_tensors(arrays: Mapping[str, np.ndarray], metadata: Any = None) -> bytes:
    """The canonical bytes of `arrays`, in their order, and of JSON-able `metadata`."""
    listed, data = [], []
    for name, array in arrays.items():
        array = np.asarray(array)
        array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(array.shape)
        if array.dtype.str not in DTYPES:
            raise ValueError(f"array {name!r} has dtype {array.dtype}, which has no encoding")
        listed.append({"dtype": array.dtype.str, "name": name, "shape": list(array.shape)})
        data.append(array.tobytes())
    head = _canonical_json({"arrays": listed, "metadata": metadata})
    if len(head) > MAX_JSON_BYTES:
        raise ValueError(f"the metadata take {len(head):,} bytes, more than {MAX_JSON_BYTES:,}")
    return b"".join([LENGTH.pack(len(head)), head, *data])


def decode_tensors(content: bytes, path: Path | str) -> tuple[dict[str, np.ndarray], Any]:
    """Arrays (read-only views of `content`) and metadata; `path` is only named in messages.

    Raises:
        DamagedFile: anything but the one encoding of some arrays and metadata
    """
    if len(content) < LENGTH.size:
        raise DamagedFile(path, "has no room for the length of its metadata")
    (head_bytes,) = LENGTH.unpack_from(content)
    if head_bytes > min(MAX_JSON_BYTES, len(content) - LENGTH.size):
        raise DamagedFile(path, f"announces {head_bytes:,} bytes of metadata")
    offset = LENGTH.size + head_bytes
    listed, metadata = _decode_head(content[LENGTH.size : offset], path)
    arrays: dict[str, np.ndarray] = {}
    for entry in listed:
        name, dtype, shape = _checked_entry(entry, path)
        if name in arrays:
            raise DamagedFile(path, f"lists array {name!r} twice")
        size = math.prod(shape) * dtype.itemsize
        if size > len(content) - offset:
            raise DamagedFile(path, f"ends inside array {name!r}")
        data = np.frombuffer(content, dtype=dtype, count=math.prod(shape), offset=offset)
        if dtype.kind == "b" and data.view(np.uint8).max(initial=0) > 1:
            raise DamagedFile(path, f"array {name!r} has a boolean that is neither 0 nor 1")
        arrays[name] = data.reshape(shape)
        offset += size
    if offset != len(content):
        raise DamagedFile(path, f"has {len(content) - offset:,} bytes after its last array")
    return arrays, metadata


def _decode_head(head: bytes, path: Path | str) -> tuple[list[Any], Any]:
    try:
        value = json.loads(head.decode("ascii"), parse_constant=_refuse_constant)
        canonical = _canonical_json(value)
    except (ValueError, RecursionError) as error:
        raise DamagedFile(path, f"its metadata are not JSON: {error}") from error
    if canonical != head:
        raise DamagedFile(path, "its metadata are not in canonical form")
    if not isinstance(value, dict) or value.keys() != {"arrays", "metadata"}:
        raise DamagedFile(path, "its metadata are not those of an array file")
    if not isinstance(value["arrays"], list):
        raise DamagedFile(path, "its arrays are not a list")
    return value["arrays"], value["metadata"]


def _checked_entry(entry: Any, path: Path | str) -> tuple[str, np.dtype, tuple[int, ...]]:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "name", "shape"}:
        raise DamagedFile(path, f"lists an array as {entry!r}")
    name, dtype, shape = entry["name"], entry["dtype"], entry["shape"]
    if not isinstance(name, str) or not isinstance(dtype, str) or dtype not in DTYPES:
        raise DamagedFile(path, f"array {name!r} has dtype {dtype!r}")
    plain = isinstance(shape, list) and len(shape) <= MAX_RANK
    if not plain or not all(type(size) is int and 0 <= size < 1 << 48 for size in shape):
        raise DamagedFile(path, f"array {name!r} has shape {shape!r}")
    return name, np.dtype(dtype), tuple(shape)


def _canonical_json(value: Any) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
