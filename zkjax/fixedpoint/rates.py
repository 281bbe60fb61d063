"""The learning rate as a public dyadic number.

The step moves a leaf by factor * change, with all constants of the loss and the optimiser in one
exact factor. In integers the leaf must move by a short integer times the integer change. A factor
that is a short integer times a power of two needs nothing. Of any other, the part that is no power
of two is *folded* into the loss gradient: the rounded gradient is scaled by a short multiplier, by
which all changes scale alike. A leaf that disagrees gets a short multiplier of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from zkjax.fixedpoint.analysis import Roles
from zkjax.fixedpoint.dyadic import MULTIPLIER_BITS, is_short, ratio, short
from zkjax.fixedpoint.nodes import operands
from zkjax.fixedpoint.step import Change, Step, odd_part

FREE_BITS = 4


@dataclass(frozen=True)
class Fold:
    """The rounded node `node` carries its value times multiplier / 2**power, in [1, 2).

    `leaves` are the state leaves whose change scales with it.
    """

    node: int
    multiplier: int
    power: int
    leaves: frozenset[str]

    @property
    def scale(self) -> Fraction:
        return ratio(self.multiplier, self.power)


def choose_fold(step: Step, roles: Roles) -> Fold | None:
    """The fold that serves most leaves that the step computes with, or None where none needs one or no node serves."""
    trained = (node for index, node in enumerate(step.nodes) if index not in step.reporting)
    read = {operand for node in trained for operand in operands(node)}
    needy = [
        name
        for name, change in step.changes.items()
        if step.state[name] in read and not is_short(change.factor, FREE_BITS)
    ]
    best: tuple[int, int, Fraction, frozenset[str]] | None = None
    for node, leaves in roles.losses.items():
        served: dict[Fraction, int] = {}
        for name in filter(leaves.__contains__, needy):
            odd = odd_part(step.changes[name].factor)
            served[odd] = served.get(odd, 0) + 1
        for odd, count in served.items():
            if best is None or count > best[0]:
                best = (count, node, odd, leaves)
    if best is None:
        return None
    _, node, odd, leaves = best
    multiplier, power = short(odd, MULTIPLIER_BITS)
    return Fold(node, multiplier, power, leaves)


def multiplier(factor: Fraction, name: str, fold: Fold | None) -> tuple[int, int]:
    """(m, k): after the fold, the leaf moves by m / 2**k times the integer change's value."""
    if fold is not None and name in fold.leaves:
        factor /= fold.scale
    if is_short(factor, FREE_BITS):
        return short(factor)
    odd = odd_part(factor)
    near = min(abs(odd - 1), abs(odd / 2 - 1))
    if near <= Fraction(1, 1 << (MULTIPLIER_BITS - 1)):
        return short(factor, 1)
    return short(factor, MULTIPLIER_BITS)


def has_long_multiplier(change: Change | None, name: str, fold: Fold | None) -> bool:
    """Whether a leaf whose rate is not named moves by a multiplier of more than FREE_BITS bits."""
    if change is None or change.rate is not None or (fold is not None and name in fold.leaves):
        return False
    return abs(multiplier(change.factor, name, fold)[0]).bit_length() > FREE_BITS


def effective_factor(m: int, k: int, name: str, fold: Fold | None) -> Fraction:
    """The factor that the integer program applies."""
    scale = fold.scale if fold is not None and name in fold.leaves else Fraction(1)
    return ratio(m, k) * scale
