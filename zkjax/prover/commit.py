"""Commitments: the prover's secret view of an oracle, its codeword and its Merkle tree.

An oracle is a matrix of symbols of K. A row is encoded as [message | uniform masks], a leaf of the
tree is SHA-256 of (0, salt, one column of the codeword), an inner node of (1, left, right). All that
is random comes from one key, so that a commitment can be made again from its tensors and that key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import pairwise

import jax
import numpy as np

from zkjax.compute import cores, host
from zkjax.compute.encode import encode
from zkjax.errors import WitnessError
from zkjax.fields.mersenne61 import K, P
from zkjax.fields.vectors import Ext, from_signed
from zkjax.prover.randomness import Randomness
from zkjax.statement.layout import EXTRA_ADVICE_ROWS, MASK_COUNT, OracleLayout, axis_bits
from zkjax.statement.parameters import DIGEST_BYTES, SALT_BYTES, Code
from zkjax.statement.plan import Plan

# hashlib lets other threads run while it hashes at least this much.
_PARALLEL_LEAF_BYTES = 2048
# A leaf's buffer: one zero word, the salt, the column. Hashing starts at the last zero byte.
_HEADER_WORDS = 1 + SALT_BYTES // 8
_LEAF_TAG_AT = 7
_SALT_AT = 8
# Entries that are reduced at a time, and what a negative integer that wrapped around is too large by.
_PART = 1 << 16
_WRAPPED = (1 << 64) - P


class TensorError(WitnessError):
    """A tensor to be committed is missing or has another shape."""


class Oracle:
    """One commitment: message, masks, codeword, tree. Everything but `root` is secret.

    `message` is [rows, 2**log_message], `masks` [rows, mask_symbols], host arrays. `layout` is the
    oracle's role in one proof; `in_role` gives it another one.
    """

    def __init__(self, layout: OracleLayout, code: Code, message: Ext, randomness: Randomness):
        self.layout, self.code, self.message = layout, code, message
        self._randomness = randomness
        self.masks = randomness.extension("masks", layout.rows, code.mask_symbols)
        self._leaves = self._encoded()
        self._levels = _tree(self._leaves)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.layout.name}, root {self.root.hex()[:16]})"

    def __reduce__(self) -> tuple:
        raise TypeError("an oracle is secret and is not pickled")

    @property
    def root(self) -> bytes:
        """The root of the tree, 32 bytes; the only public part."""
        return self._levels[-1]

    def secret_key(self) -> bytes:
        """The 32 bytes from which, with the tensors, this commitment can be made again."""
        return self._randomness.key

    def in_role(self, layout: OracleLayout) -> Oracle:
        """The same commitment under the layout of another role or proof, nothing copied.

        Raises TensorError unless the tensors lie at the same places.
        """
        if places(layout) != places(self.layout) or self.layout.masks >= 0:
            raise TensorError(f"the commitment to {self.layout.name} has another layout than {layout.name} needs")
        other = object.__new__(Oracle)
        other.__dict__.update(self.__dict__, layout=layout)
        return other

    def difference(self, tensors: Mapping[int, np.ndarray]) -> int | None:
        """The first node of the layout whose values in `tensors` are not those committed to, if there is one.

        Raises TensorError as a commitment to them would.
        """
        for block, (place, values) in zip(self.layout.blocks, _placed(self.layout, self.message, tensors), strict=True):
            if not all(cores.on_all_cores(_holds, _in_parts(place, values))):
                return block.node
        return None

    def open_columns(self, positions: Iterable[int]) -> bytes:
        """What `verifier.merkle.receive_columns` reads: columns by position, then siblings by level.

        Soundness: none. Hiding: over all calls, at most `code.mask_symbols` distinct positions.
        """
        distinct = sorted(set(positions))
        parts = [self._leaves[position].tobytes()[_SALT_AT:] for position in distinct]
        known = distinct
        for level in self._levels[:-1]:
            present = set(known)
            for position in known:
                if position ^ 1 not in present:
                    parts.append(_node(level, position ^ 1))
            known = sorted({position >> 1 for position in known})
        return b"".join(parts)

    def _rows(self) -> int:
        return self.layout.rows

    def _coefficients(self, start: int, stop: int) -> tuple[Ext, Ext]:
        """Rows [start, stop) as coefficient vectors: the message symbols and, behind them, the masks."""
        return self.message[start:stop], self.masks[start:stop]

    def _encoded(self) -> np.ndarray:
        rows = self._rows()
        leaves = host.mapped((self.code.length, _HEADER_WORDS + 2 * rows), "<u8")
        salts = self._randomness.bytes("salts", self.code.length * SALT_BYTES)
        leaves[:, 1:_HEADER_WORDS] = np.frombuffer(salts, dtype="<u8").reshape(self.code.length, -1)
        columns = leaves[:, _HEADER_WORDS:].reshape(self.code.length, rows, 2)
        encode(rows, self._coefficients, self.code.log_length, columns)
        return leaves


class AdviceOracle(Oracle):
    """The advice of one proof, with its single-use masks and pads. Never written, never reused.

    Rows beyond the layout's: `mask_row`, uniform [dimension]; `pads` followed by uniform symbols;
    `pad_mask`, uniform of the same length.
    """

    def __init__(self, plan: Plan, message: Ext, randomness: Randomness):
        code, layout = plan.code, plan.layout.oracle("advice")
        self.mask_row = randomness.extension("mask row", code.dimension)
        self.pad_row = randomness.extension("pads", plan.pads + code.mask_symbols)
        self.pad_mask = randomness.extension("pad mask", plan.pads + code.mask_symbols)
        self._pad_count = plan.pads
        super().__init__(layout, code, message, randomness)

    @cached_property
    def pads(self) -> list[K]:
        """The pads as the prover's channel wants them."""
        return self.pad_row[: self._pad_count].to_list()

    def secret_key(self) -> bytes:
        raise TensorError("an advice oracle is never written")

    def in_role(self, layout: OracleLayout) -> Oracle:
        raise TensorError("an advice oracle serves one proof")

    def _rows(self) -> int:
        return self.layout.rows + EXTRA_ADVICE_ROWS

    def _coefficients(self, start: int, stop: int) -> tuple[Ext, Ext]:
        rows, code = self.layout.rows, self.code
        message, masks = super()._coefficients(min(start, rows), min(stop, rows))
        extra = (self.mask_row, self.pad_row, self.pad_mask)[max(start - rows, 0) : max(stop - rows, 0)]
        if not extra:
            return message, masks
        padded = ([np.pad(plane, (0, code.dimension - plane.size)) for plane in row] for row in extra)
        tail = Ext(*(np.stack(planes) for planes in zip(*padded, strict=True)))
        parts = ((message, tail[:, : code.message]), (masks, tail[:, code.message :]))
        message, masks = (Ext(*map(np.concatenate, zip(*pair, strict=True))) for pair in parts)
        return message, masks


def commit_oracle(
    layout: OracleLayout, code: Code, tensors: Mapping[int, np.ndarray], randomness: Randomness | None = None
) -> Oracle:
    """Commit to data or a state: `tensors` maps the nodes of `layout` to signed integer arrays.

    `randomness` is given only to make a commitment again. Raises TensorError.
    """
    with jax.enable_x64(True):
        return Oracle(layout, code, _message(layout, code, tensors), randomness or Randomness())


def commit_advice(plan: Plan, tensors: Mapping[int, np.ndarray], randomness: Randomness | None = None) -> AdviceOracle:
    """Commit to the advice of one proof, with fresh masks and pads.

    `tensors` holds the advice nodes and, as node -1 - t, the multiplicities of table t.
    `randomness` is for tests: two proofs that share it reveal their witnesses. Raises TensorError.
    """
    randomness = randomness or Randomness()
    layout = plan.layout.oracle("advice")
    message = _message(layout, plan.code, tensors)
    # Uniform in F: they make the value that the opening sends to split real and imaginary parts uniform.
    message.re.reshape(-1)[layout.masks : layout.masks + MASK_COUNT] = randomness.base("split masks", MASK_COUNT)
    with jax.enable_x64(True):
        return AdviceOracle(plan, message, randomness)


def places(layout: OracleLayout) -> tuple:
    """What of a layout a commitment depends on."""
    return layout.rows, layout.masks, tuple((block.shape, block.lane, block.offset) for block in layout.blocks)


def _message(layout: OracleLayout, code: Code, tensors: Mapping[int, np.ndarray]) -> Ext:
    message = Ext(*host.mapped((2, layout.rows, code.message), np.uint64))
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    for place, values in _placed(layout, message, tensors):
        parts += _in_parts(place, values)
    cores.on_all_cores(_write_residues, parts)
    return message


def _placed(
    layout: OracleLayout, message: Ext, tensors: Mapping[int, np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each tensor of a layout the view of the message that is its place, and its values."""
    for block in layout.blocks:
        if block.node not in tensors:
            raise TensorError(f"no values for node {block.node} of the commitment to {layout.name}")
        values = np.asarray(tensors[block.node])
        if values.shape != block.shape or values.dtype.kind not in "iu":
            raise TensorError(
                f"node {block.node} of the commitment to {layout.name} takes integers of shape {block.shape}, "
                f"got {values.dtype} of shape {values.shape}"
            )
        padded = tuple(1 << axis_bits(size) for size in block.shape)
        plane = tuple(message)[block.lane].reshape(-1)
        place = plane[block.offset : block.offset + (1 << block.bits)].reshape(padded)
        yield place[(*map(slice, block.shape), ...)], values


def _in_parts(place: np.ndarray, values: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of equal shape along the leading axes, each small enough to stay in a cache where that is possible."""
    if values.size <= _PART or not values.ndim:
        return [(place, values)]
    rows = max(_PART // (values.size // values.shape[0]), 1)
    if rows == 1 and values.ndim > 1:
        return [part for pair in zip(place, values, strict=True) for part in _in_parts(*pair)]
    return [(place[at : at + rows], values[at : at + rows]) for at in range(0, values.shape[0], rows)]


def _holds(part: tuple[np.ndarray, np.ndarray]) -> bool:
    place, values = part
    residues = np.empty(values.shape, np.uint64)
    _write_residues((residues, values))
    return np.array_equal(place, residues)


def _write_residues(part: tuple[np.ndarray, np.ndarray]) -> None:
    """Integers mod p, into place; those of the narrow types in which a witness is kept need no reduction."""
    place, values = part
    if values.dtype.itemsize >= 8:
        place[...] = from_signed(values.astype(np.int64, copy=False))
    else:
        place[...] = values  # negative ones wrap around to 2^64 - |x|
        if values.dtype.kind == "i":
            place -= (place >> np.uint64(63)) * np.uint64(_WRAPPED)


def _node(level: bytes, position: int) -> bytes:
    return level[position * DIGEST_BYTES : (position + 1) * DIGEST_BYTES]


def _tree(leaves: np.ndarray) -> list[bytes]:
    """Digests level by level, from the leaves to the root."""
    parts = cores.threads() if leaves.shape[1] * 8 >= _PARALLEL_LEAF_BYTES else 1
    bounds = [leaves.shape[0] * part // parts for part in range(parts + 1)]
    levels = [b"".join(cores.on_all_cores(lambda pair: _hash_leaves(leaves, *pair), pairwise(bounds)))]
    while len(levels[-1]) > DIGEST_BYTES:
        below = levels[-1]
        pairs = (below[at : at + 2 * DIGEST_BYTES] for at in range(0, len(below), 2 * DIGEST_BYTES))
        levels.append(b"".join([hashlib.sha256(b"\x01" + pair).digest() for pair in pairs]))
    return levels


def _hash_leaves(leaves: np.ndarray, start: int, stop: int) -> bytes:
    size = leaves.shape[1] * 8
    data = leaves[start:stop].reshape(-1).view(np.uint8).data
    return b"".join([hashlib.sha256(data[at + _LEAF_TAG_AT : at + size]).digest() for at in range(0, len(data), size)])
