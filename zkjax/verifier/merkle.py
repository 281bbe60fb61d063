"""Opened columns of the committed matrix, authenticated against the roots.

A leaf is SHA-256 of (0, salt, symbols of all rows of its oracle in that column), an inner node of
(1, left, right). All oracles are opened at the same columns. The proof holds, oracle by oracle, the
columns by rising position, then the siblings that cannot be computed, level by level from the
leaves, by rising position: one multi-proof of a length that the positions determine.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from zkjax.errors import VerificationError
from zkjax.fields.vectors import Ext
from zkjax.statement.layout import EXTRA_ADVICE_ROWS
from zkjax.statement.parameters import DIGEST_BYTES, ELEMENT_BYTES, SALT_BYTES
from zkjax.statement.plan import Plan
from zkjax.transcript.channel import CanonicalError, VerifierChannel


class MerkleError(VerificationError):
    """An opened column does not belong to the committed root."""


@dataclass(frozen=True)
class Columns:
    """Opened columns by rising position: the rows of every oracle, [columns, rows] each.

    And of the advice the mask row, the pads and the pads' mask, [columns] each.
    """

    positions: list[int]
    rows: tuple[Ext, ...]
    mask: Ext
    pads: Ext
    pad_mask: Ext


def receive_columns(channel: VerifierChannel, plan: Plan, roots: list[bytes], positions: list[int]) -> Columns:
    """Read and authenticate the columns at `positions` (repetitions are opened once).

    Raises MerkleError, CanonicalError, ProofLengthError.
    """
    distinct = sorted(set(positions))
    rows = []
    for oracle, root in zip(plan.layout.oracles, roots, strict=True):
        height = oracle.rows + (EXTRA_ADVICE_ROWS if oracle.name == "advice" else 0)
        leaves, columns = {}, []
        for position in distinct:
            data = channel.take(f"column of {oracle.name}", SALT_BYTES + height * ELEMENT_BYTES)
            leaves[position] = hashlib.sha256(b"\x00" + data).digest()
            try:
                columns.append(Ext.from_bytes(data[SALT_BYTES:]))
            except ValueError as error:
                raise CanonicalError(f"column {position} of {oracle.name}: {error}") from error
        computed = _root(channel, leaves, plan.code.log_length, oracle.name)
        if computed != root:
            raise MerkleError(
                f"opened columns of {oracle.name} do not lead to its root", expected=root.hex(), got=computed.hex()
            )
        symbols = Ext(np.stack([column.re for column in columns]), np.stack([column.im for column in columns]))
        rows.append(symbols[:, : oracle.rows])
        if oracle.name == "advice":
            mask, pads, pad_mask = (symbols[:, row] for row in range(oracle.rows, height))
    return Columns(distinct, tuple(rows), mask, pads, pad_mask)


def _root(channel: VerifierChannel, level: dict[int, bytes], height: int, name: str) -> bytes:
    """Root of the tree over the leaves in `level` and the siblings that the proof supplies."""
    for _ in range(height):
        parents = {}
        for position in sorted(level):
            if position ^ 1 not in level:
                sibling = channel.take(f"sibling in {name}", DIGEST_BYTES)
            elif position & 1:
                continue
            else:
                sibling = level[position ^ 1]
            left, right = (sibling, level[position]) if position & 1 else (level[position], sibling)
            parents[position >> 1] = hashlib.sha256(b"\x01" + left + right).digest()
        level = parents
    return level[0]
