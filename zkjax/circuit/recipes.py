"""How the prover computes each committed advice tensor from earlier nodes.

Recipes are the prover's own business: the verifier never sees them. A wrong recipe can only lead
to a witness that violates a lookup.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quotient:
    """floor((source + 2**(shift - 1)) / 2**shift): rounding with halves towards plus infinity."""

    source: int
    shift: int


@dataclass(frozen=True)
class RemainderLimb:
    """Bits [offset, offset + width) of (source + 2**(shift - 1)) mod 2**shift."""

    source: int
    shift: int
    offset: int
    width: int


@dataclass(frozen=True)
class ValueLimb:
    """Bits [offset, offset + width) of source + bias (which is not negative)."""

    source: int
    bias: int
    offset: int
    width: int


@dataclass(frozen=True)
class ReluOutput:
    """min(max(source, 0), limit)."""

    source: int
    limit: int


@dataclass(frozen=True)
class ReluGate:
    """1 where 0 < source <= limit, else 0."""

    source: int
    limit: int


@dataclass(frozen=True)
class Gated:
    """gate * clip(source, -limit, limit)."""

    source: int
    gate: int
    limit: int


Recipe = Quotient | RemainderLimb | ValueLimb | ReluOutput | ReluGate | Gated
