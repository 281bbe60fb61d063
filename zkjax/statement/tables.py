"""Public lookup tables, derived from a few integers by prover and verifier alike.

A row is the tuple (re + i*im, second). `rows` lists them in order: the witness counts
multiplicities in that order, the verifier evaluates the table's extension.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MAX_TABLE_BITS = 18


@dataclass(frozen=True)
class Table:
    """A table by kind.

    - `range`: rows (v, 0) for lo <= v <= hi; `limit` is 0.
    - `relu`: rows (q + i*gate, out) for lo <= q <= hi with out = min(max(q, 0), limit) and
      gate = [0 < q <= limit].
    - `gated`: rows (q + i*gate, gate * clip(q, -limit, limit)) for lo <= q <= hi, gate in {0, 1}.
    """

    kind: str
    lo: int
    hi: int
    limit: int

    @property
    def size(self) -> int:
        """Number of distinct rows."""
        span = self.hi - self.lo + 1
        return 2 * span if self.kind == "gated" else span

    @property
    def bits(self) -> int:
        """Base-two logarithm of the padded number of rows (padding repeats row 0)."""
        return max(0, (self.size - 1).bit_length())

    @property
    def arity(self) -> int:
        """Number of coordinates that a lookup into this table names: 1 or 3."""
        return 1 if self.kind == "range" else 3

    def is_legal(self) -> bool:
        """Whether the table is small, contains the zero row, and is one of the kinds."""
        return (
            self.kind in ("range", "relu", "gated")
            and -(1 << MAX_TABLE_BITS) <= self.lo <= 0 <= self.hi <= 1 << MAX_TABLE_BITS
            and self.bits <= MAX_TABLE_BITS
            and (self.limit == 0 if self.kind == "range" else 0 < self.limit <= self.hi)
        )

    def coordinate_ranges(self) -> tuple[tuple[int, int], ...]:
        """Inclusive integer range of each named coordinate (re[, im, second])."""
        if self.kind == "range":
            return ((self.lo, self.hi),)
        low = 0 if self.kind == "relu" else max(-self.limit, self.lo)
        return ((self.lo, self.hi), (0, 1), (low, self.limit))

    def rows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(re, im, second): int64 arrays of length 2**bits, padded by repeating row 0."""
        value = np.arange(self.lo, self.hi + 1, dtype=np.int64)
        if self.kind == "range":
            gate, second = np.zeros_like(value), np.zeros_like(value)
        elif self.kind == "relu":
            gate = ((value > 0) & (value <= self.limit)).astype(np.int64)
            second = np.clip(value, 0, self.limit)
        else:
            clipped = np.clip(value, -self.limit, self.limit)
            second = np.concatenate([np.zeros_like(value), clipped])
            gate = np.repeat(np.arange(2, dtype=np.int64), value.size)
            value = np.tile(value, 2)
        padding = (1 << self.bits) - value.size
        padded = [np.concatenate([column, np.full(padding, column[0])]) for column in (value, gate, second)]
        return padded[0], padded[1], padded[2]

    def describe(self) -> str:
        """One line for people."""
        text = f"{self.kind} [{self.lo}, {self.hi}]"
        return text if self.kind == "range" else f"{text}, output limit {self.limit}"
