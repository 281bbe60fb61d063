"""The proof: one stream of messages whose lengths follow from the statement."""

from __future__ import annotations

from dataclasses import dataclass

from zkjax.errors import VerificationError
from zkjax.statement.statement import parameter_hash

_HEAD = b"zkjax proof\0\0\0\0\0"
# The columns of 2^31 committed elements in the longest rows take a quarter of it.
MAX_PROOF_BYTES = 1 << 26


class ProofFormatError(VerificationError):
    """Not a proof of this format version and parameter set."""


@dataclass(frozen=True)
class Proof:
    """`data` is what the prover's channel recorded."""

    data: bytes

    def __repr__(self) -> str:
        return f"<proof of {len(self.data)} bytes>"

    def to_bytes(self) -> bytes:
        return _HEAD + parameter_hash() + self.data

    @classmethod
    def from_bytes(cls, data: bytes) -> Proof:
        """Strict inverse of `to_bytes`; what the data say is for `verify` to judge."""
        if len(data) > MAX_PROOF_BYTES:
            raise ProofFormatError("proof too large", expected=f"<= {MAX_PROOF_BYTES} bytes", got=len(data))
        if not data.startswith(_HEAD):
            raise ProofFormatError("not a proof", expected=_HEAD, got=data[: len(_HEAD)])
        if data[len(_HEAD) : len(_HEAD) + 32] != parameter_hash():
            raise ProofFormatError("proof of another format version or parameter set")
        return cls(data[len(_HEAD) + 32 :])
