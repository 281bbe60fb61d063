"""An optimiser over a block as a public filter of the gradients, in integers.

At the times 0 to T a state leaf is linear in the state before the block and in the gradients G_s:

    leaf_t = sum over others of initial[other][t] * other_0 + factor * sum over s < t of taps[t][s] * G_s

with public numbers that follow from what one step keeps and takes up. They are computed to EXACT_BITS
fraction bits and then rounded once, each to an integer at a scale of its own. Nothing accumulates: the
integers of the block are exact sums with these coefficients.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from zkjax.fixedpoint.numbers import ONE, Number, Values
from zkjax.fixedpoint.step import Change, Step, odd_part

EXACT_BITS = 96
# Coefficients are exact, to NEAR_BITS bits of the largest, where MOST_BITS bits hold them all so. Else the largest
# has TAP_BITS bits or more, WHOLE_TAP_BITS where they hold the learning rate as well, and that of a gradient just taken
# up at least GUARD_BITS fraction bits.
MOST_BITS = 10
TAP_BITS = 8
WHOLE_TAP_BITS = 10
NEAR_BITS = 12
GUARD_BITS = 4
# What a block takes off a leaf that it keeps is exact to DECAY_BITS bits, as far as MOST_DECAY_BITS reach.
# Less than LEAST_DECAY of it is left out: that is a small part of the unit in which weights are committed.
DECAY_BITS = 4
MOST_DECAY_BITS = 20
LEAST_DECAY = Fraction(1, 1 << 19)
_NEGLIGIBLE = Fraction(1, 1 << 40)

Numbers = tuple[Fraction, ...]
Integers = tuple[int, ...]


@dataclass(frozen=True)
class Response:
    """What a leaf is made of at the times 0 to T.

    `initial[other]` holds T + 1 numbers. `taps` holds T + 1 rows, of t numbers at time t; None where
    every earlier gradient counts once. `change` says of which gradient and with which factor; None
    where no gradient reaches the leaf. `largest_bits` says how many bits the largest tap gets where taps are rounded.
    """

    initial: dict[str, Numbers]
    taps: tuple[Numbers, ...] | None
    change: Change | None
    largest_bits: int = TAP_BITS

    @property
    def peak(self) -> Fraction:
        """The largest size of a coefficient of a gradient just taken up, in units of the factor."""
        return max((abs(row[-1]) for row in (self.taps or ())[1:]), default=Fraction(1))


def responses(step: Step, values: Sequence[Values], names: Iterable[str] | None = None) -> dict[str, Response]:
    """The response of every state leaf, or of `names`; `values` are the public numbers of each step of the block."""
    known: dict[tuple, tuple[list[Numbers], list[Numbers]]] = {}
    found: dict[str, Response] = {}
    for name in step.state if names is None else names:
        change = step.changes.get(name)
        if step.kept[name] == {name: ONE} and (change is None or change.pace == ONE):
            ones = (Fraction(1),) * (len(values) + 1)
            found[name] = Response({name: ones}, None, change)
            continue
        group = reaching(step, name)
        change = _reference(step, group, values)
        place = {member: index for index, member in enumerate(group)}
        system = tuple(
            (
                tuple((place[other], number) for other, number in step.kept[member].items()),
                _relative(step.changes.get(member), change),
            )
            for member in group
        )
        if system not in known:
            known[system] = _solved(system, values)
        initial, taps = known[system]
        found[name] = Response(
            {member: row for member, row in zip(group, initial, strict=True) if any(row)},
            tuple(taps) if change else None,
            change,
        )
    return found


def whole(response: Response) -> Response:
    """The same with a power of two for its factor, and the rest of it in the taps.

    Taps that are rounded anyway are rounded once then; a multiplier of its own would cost as many bits again.
    """
    change = response.change
    if change is None or response.taps is None or _exact_bits(response) is not None:
        return response
    odd = odd_part(change.factor)
    taps = tuple(tuple(_trimmed(entry * odd) for entry in row) for row in response.taps)
    return replace(response, taps=taps, change=replace(change, factor=change.factor / odd), largest_bits=WHOLE_TAP_BITS)


def reaching(step: Step, name: str) -> list[str]:
    """`name` and all leaves that it takes up in any number of steps."""
    group = [name]
    for member in group:
        group += [other for other in step.kept[member] if other not in group]
    return group


def _reference(step: Step, group: Sequence[str], values: Sequence[Values]) -> Change | None:
    """The change whose factor, with the largest size of its pace, is the unit of the first leaf's taps."""
    change = next((step.changes[member] for member in group if member in step.changes), None)
    if change is None or change.pace == ONE:
        return change
    peak = max((change.pace.at(at) for at in values), key=abs) or Fraction(1)
    return replace(change, factor=change.factor * peak, pace=ONE)


def _relative(change: Change | None, reference: Change | None) -> Number:
    return Number(()) if change is None or reference is None else change.pace.scaled(change.factor / reference.factor)


System = tuple[tuple[tuple[tuple[int, Number], ...], Number], ...]


def _solved(system: System, values: Sequence[Values]) -> tuple[list[Numbers], list[Numbers]]:
    """(initial, taps) of the first leaf of a system, by running it on every unit of input."""
    steps, size = len(values), len(system)
    keep = [[[(i, _trimmed(number.at(at))) for i, number in row] for row, _ in system] for at in values]
    take = [[_trimmed(number.at(at)) for _, number in system] for at in values]

    def run(state: list[Fraction], start: int) -> Numbers:
        """The first leaf at the times `start` to T, from a state at `start`."""
        seen = [state[0]]
        for rows in keep[start:]:
            state = [_trimmed(sum((c * state[i] for i, c in row), Fraction(0))) for row in rows]
            seen.append(state[0])
        return tuple(seen)

    initial = [run([Fraction(int(i == j)) for j in range(size)], 0) for i in range(size)]
    after = [run(take[s], s + 1) for s in range(steps)]
    return initial, [tuple(after[s][t - s - 1] for s in range(t)) for t in range(steps + 1)]


def _trimmed(value: Fraction) -> Fraction:
    """Rounded to EXACT_BITS fraction bits, where it has more."""
    if value.denominator <= 1 << EXACT_BITS and value.denominator & (value.denominator - 1) == 0:
        return value
    return Fraction(round(value * (1 << EXACT_BITS)), 1 << EXACT_BITS)


def tap_bits(response: Response) -> int:
    """Fraction bits of the integer taps: those that hold all of them, or enough for the guard."""
    if (exact := _exact_bits(response)) is not None:
        return exact
    assert response.taps is not None
    largest = max(abs(entry) for row in response.taps for entry in row)
    peak = response.peak or largest
    return max(response.largest_bits - 1 - _log2(largest), GUARD_BITS - min(0, _log2(peak)), 0)


def _exact_bits(response: Response) -> int | None:
    """The fraction bits that hold all taps, to NEAR_BITS bits of the largest, within MOST_BITS bits, if any do."""
    entries = {entry for row in response.taps or () for entry in row}
    largest = max(map(abs, entries), default=Fraction(0))
    if not largest:
        return 0
    for bits in range(MOST_BITS):
        if largest * (1 << bits) >= 1 << MOST_BITS:
            break
        if all(_error(entry, bits) <= (largest * (1 << bits)) / (1 << NEAR_BITS) for entry in entries):
            return bits
    return None


def row_bits(row: Numbers) -> int:
    """Fraction bits of public numbers that multiply a tensor: those that hold all, or enough for MOST_BITS bits."""
    largest = max(map(abs, row))
    if not largest:
        return 0
    most = max(0, MOST_BITS - 1 - _log2(largest))
    return next((bits for bits in range(most) if all(_error(entry, bits) <= _NEGLIGIBLE for entry in row)), most)


def decay_bits(row: Numbers) -> int:
    """Fraction bits with which what a leaf loses of itself is known well enough."""
    lost = max(abs(1 - entry) for entry in row)
    if lost < LEAST_DECAY:
        return 0
    enough = min(MOST_DECAY_BITS, max(0, DECAY_BITS - _log2(lost)))
    return next((bits for bits in range(enough) if all(_error(e, bits) <= _NEGLIGIBLE for e in row)), enough)


def weight_bits(row: Numbers) -> int:
    """Fraction bits that give the largest coefficient of another leaf TAP_BITS bits; may be negative."""
    return TAP_BITS - 1 - _log2(max(map(abs, row)))


def rounded(row: Sequence[Fraction], bits: int) -> Integers:
    """Each entry times 2**bits, to the nearest integer, halves up."""
    scale = Fraction(2) ** bits
    return tuple((2 * entry * scale + 1).__floor__() // 2 for entry in row)


def _error(entry: Fraction, bits: int) -> Fraction:
    scaled = entry * (1 << bits)
    return abs(scaled - round(scaled))


def _log2(value: Fraction) -> int:
    """floor(log2(value)) of a positive number."""
    guess = value.numerator.bit_length() - value.denominator.bit_length()
    return guess if value >= Fraction(2) ** guess else guess - 1
