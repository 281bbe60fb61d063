"""Public lookup tables, derived from a few integers by prover and verifier alike.

A row is the tuple (re + i*im, second). `rows` lists them in order: the witness counts
multiplicities in that order, the verifier evaluates the table's extension.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zkjax.statement.formulas import FormulaError, rounded, weight

MAX_TABLE_BITS = 18
MAX_TABLE_WORK = 1 << 24


@dataclass(frozen=True)
class Table:
    """A table by kind.

    - `range`: rows (v, 0) for lo <= v <= hi; `limit` is 0.
    - `relu`: rows (q + i*gate, out) for lo <= q <= hi with out = min(max(q, 0), limit) and
      gate = [0 < q <= limit].
    - `gated`: rows (q + i*gate, gate * clip(q, -limit, limit)) for lo <= q <= hi, gate in {0, 1}.
    - `function`: rows (q + i*(f(q) - f(0)), 0) for lo <= q <= hi with f(q) the nearest integer to
      2**output_fraction * F(q * 2**-input_fraction), as `formulas.rounded` says, F by `formula`; `limit` is 0. The
      difference gives the table its zero row; whoever looks f up adds `f(0)`, which is `offset`.

    `formula` is empty and the fractions are 0 for all other kinds.
    """

    kind: str
    lo: int
    hi: int
    limit: int
    formula: str = ""
    input_fraction: int = 0
    output_fraction: int = 0

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
        """Number of coordinates that a lookup into this table names, in the order re, im, second."""
        return {"range": 1, "function": 2}.get(self.kind, 3)

    @property
    def work(self) -> int:
        """What deriving the rows costs the verifier, in operations on long integers."""
        return weight(self.formula) << self.bits if self.kind == "function" else 0

    def is_small(self) -> bool:
        """Whether it contains the zero row, is one of the kinds, and may be derived with bounded work."""
        small = (
            self.kind in ("range", "relu", "gated", "function")
            and -(1 << MAX_TABLE_BITS) <= self.lo <= 0 <= self.hi <= 1 << MAX_TABLE_BITS
            and self.bits <= MAX_TABLE_BITS
            and (0 < self.limit <= self.hi if self.kind in ("relu", "gated") else self.limit == 0)
        )
        if not small or self.kind != "function":
            return small and (self.formula, self.input_fraction, self.output_fraction) == ("", 0, 0)
        try:
            return self.work <= MAX_TABLE_WORK
        except FormulaError:
            return False

    def is_legal(self) -> bool:
        """Whether the table is small and can be derived: a function has a value everywhere. This derives it."""
        try:
            return self.is_small() and (self.kind != "function" or self._function() is not None)
        except FormulaError:
            return False

    def _function(self) -> np.ndarray:
        """f(q) of all q in order."""
        return rounded(self.formula, self.lo, self.hi, self.input_fraction, self.output_fraction)

    @property
    def offset(self) -> int:
        """f(0) of a function."""
        return int(self._function()[-self.lo])

    def coordinate_ranges(self) -> tuple[tuple[int, int], ...]:
        """Inclusive integer range of each named coordinate (re[, im, second])."""
        if self.kind == "range":
            return ((self.lo, self.hi),)
        if self.kind == "function":
            values = self._function()
            return ((self.lo, self.hi), (int(values.min()) - self.offset, int(values.max()) - self.offset))
        low = 0 if self.kind == "relu" else max(-self.limit, self.lo)
        return ((self.lo, self.hi), (0, 1), (low, self.limit))

    def rows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(re, im, second): int64 arrays of length 2**bits, padded by repeating row 0."""
        value = np.arange(self.lo, self.hi + 1, dtype=np.int64)
        if self.kind == "range":
            gate, second = np.zeros_like(value), np.zeros_like(value)
        elif self.kind == "function":
            gate, second = self._function() - self.offset, np.zeros_like(value)
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
        if self.kind == "function":
            return f"{text}, f - f(0) of {self.formula}, fraction bits {self.input_fraction} to {self.output_fraction}"
        return text if self.kind == "range" else f"{text}, output limit {self.limit}"
