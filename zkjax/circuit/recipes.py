"""How the prover computes each committed advice tensor from earlier nodes.

Recipes are the prover's own business: the verifier never sees them. A wrong recipe can only lead
to a witness that violates a lookup.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from zkjax.statement.tables import Table


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


@dataclass(frozen=True)
class TableValue:
    """f(source) - f(0) by a table of a function; 0 where source is outside of it."""

    source: int
    table: Table


@dataclass(frozen=True)
class Largest:
    """1 at the first of the largest entries along the last axis, else 0."""

    source: int


@dataclass(frozen=True)
class IsZero:
    """1 where source is 0, else 0."""

    source: int


@dataclass(frozen=True)
class Ratio:
    """floor((2**(shift + 1) * source + divisor) / (2 * divisor)); 0 where divisor is 0."""

    source: int
    divisor: int
    shift: int


@dataclass(frozen=True)
class SquareRoot:
    """floor(sqrt(source)); 0 where source is negative."""

    source: int


Recipe = (
    Quotient
    | RemainderLimb
    | ValueLimb
    | ReluOutput
    | ReluGate
    | Gated
    | TableValue
    | Largest
    | IsZero
    | Ratio
    | SquareRoot
)


def reads(recipe: Recipe) -> tuple[int, ...]:
    """The nodes that a recipe reads, the source first."""
    match recipe:
        case Gated(source=source, gate=other) | Ratio(source=source, divisor=other):
            return source, other
        case _:
            return (recipe.source,)


def renumbered(recipe: Recipe, number: dict[int, int]) -> Recipe:
    """`recipe` with the nodes that it reads renamed."""
    recipe = replace(recipe, source=number[recipe.source])
    match recipe:
        case Gated(gate=gate):
            return replace(recipe, gate=number[gate])
        case Ratio(divisor=divisor):
            return replace(recipe, divisor=number[divisor])
        case _:
            return recipe
