"""Parameters of the proof system: constants of the format, and the code of a commitment.

Nothing here is read from a proof. The code parameters are derived from the sizes in the statement.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2

FORMAT_VERSION = 4
SOUNDNESS_FLOOR_BITS = 100
QUERY_TARGET_BITS = 102
LOOKUP_GRINDING_BITS = 12
OPENING_GRINDING_BITS = 16
COMBINATION_GRINDING_BITS = 8
SALT_BYTES = 32
DIGEST_BYTES = 32
ELEMENT_BYTES = 16
MIN_LOG_MESSAGE = 11
MAX_LOG_MESSAGE = 18
LOG_BLOWUP = 2
# Codes at least as long as this may have half the length, if that takes at most so many queries.
SHORT_LOG_MESSAGE = 15
SHORT_MAX_QUERIES = 256
MIN_LOOKUP_ROW_BITS = 11
DEFAULT_OPENINGS = 8
MAX_OPENINGS = 1024


@dataclass(frozen=True)
class Code:
    """Interleaved Reed-Solomon code over K that all oracles of one proof share.

    A row is the coefficient vector [2**log_message message symbols | mask_symbols uniform ones],
    evaluated at the 2**log_length roots of unity. `openings` is how many proofs may open one
    commitment before its hiding is used up; each opens `queries` columns.

    The rate is near 1/2 for large blocks, where encoding and hashing cost most, else near 1/4, where the
    columns of a proof cost most.
    """

    log_message: int
    openings: int

    @property
    def message(self) -> int:
        return 1 << self.log_message

    @property
    def log_length(self) -> int:
        return self.log_message + self._chosen()[0]

    @property
    def length(self) -> int:
        return 1 << self.log_length

    @property
    def queries(self) -> int:
        """Columns opened per proof: the least count that reaches QUERY_TARGET_BITS."""
        return self._chosen()[1]

    def _chosen(self) -> tuple[int, int]:
        """Logarithm of length over message, and the queries that it takes. Raises ValueError if nothing fits."""
        if self.log_message >= SHORT_LOG_MESSAGE:
            try:
                queries = self._least_queries(self.message << (LOG_BLOWUP - 1))
            except ValueError:
                queries = SHORT_MAX_QUERIES + 1
            if queries <= SHORT_MAX_QUERIES:
                return LOG_BLOWUP - 1, queries
        return LOG_BLOWUP, self._least_queries(self.message << LOG_BLOWUP)

    def _least_queries(self, length: int) -> int:
        """The count and the rate depend on each other through the mask symbols; the least fixed point is taken."""
        count = 1
        while True:
            needed = ceil((QUERY_TARGET_BITS - OPENING_GRINDING_BITS) / self._bits_per_query(count, length))
            if needed <= count:
                return count
            count = needed

    def bits_per_query(self, queries: int) -> float:
        """-log2(1 - delta) at the unique-decoding radius delta with masks for `queries` columns."""
        return self._bits_per_query(queries, self.length)

    def _bits_per_query(self, queries: int, length: int) -> float:
        dimension = self.message + self.openings * queries
        if dimension >= length:
            raise ValueError(f"{self.openings} openings of {queries} columns do not fit a code of length {length}")
        delta = ((length - dimension) // 2 + 1) / length
        return -log2(1 - delta)

    @property
    def mask_symbols(self) -> int:
        """Uniform symbols per row: one per column that may ever be opened."""
        return self.openings * self.queries

    @property
    def dimension(self) -> int:
        return self.message + self.mask_symbols

    def is_legal(self) -> bool:
        """Whether the parameters are in the supported range and the code exists."""
        integers = all(type(value) is int for value in (self.log_message, self.openings))
        if not (integers and MIN_LOG_MESSAGE <= self.log_message <= MAX_LOG_MESSAGE):
            return False
        if not 1 <= self.openings <= MAX_OPENINGS:
            return False
        try:
            return self.dimension < self.length
        except ValueError:
            return False
