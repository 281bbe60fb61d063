"""Lowering of adaptive optimisers: moments as filters, roots and ratios with all the bits that the field holds.

The gradient is rounded once, where its moments are taken; means, squares and bias corrections are exact sums with
public coefficients. Root and quotient are exact integers of them. So a step commits to three values for each weight,
the gradient, the root and the update, besides limbs; the weights between the steps stay virtual.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from zkjax.circuit.builder import CircuitBuilder
from zkjax.circuit.functions import divide, positive_part, square_root
from zkjax.circuit.recipes import Quotient
from zkjax.errors import UserError
from zkjax.fixedpoint.bounds import BoundError, check_coefficient
from zkjax.fixedpoint.dyadic import exponent
from zkjax.fixedpoint.filters import Response, rounded
from zkjax.fixedpoint.formats import (
    MEMORY_BITS,
    MOMENT_TAP_BITS,
    MOVING_BITS,
    MOVING_ROOM,
    ROOT_BITS,
    ROOTED_BITS,
)
from zkjax.fixedpoint.nodes import DataLeaf, Moment, Ratio
from zkjax.fixedpoint.norms import NORM_REMEDY
from zkjax.fixedpoint.placed import WIDE, Placed
from zkjax.fixedpoint.step import Step, reached
from zkjax.statement.filters import matrix

if TYPE_CHECKING:
    from zkjax.fixedpoint.lower import Lowering

MOST_RADICAND = 2 * ROOT_BITS
MOST_DIVISOR = 42
SPARE_BITS = 6
SCALAR_BITS = 8
SLACK = 1 - 2.0**-10
PLAIN_ROOTS = (
    "roots of means of squared gradients are proved, as Adam and RMSProp take them; not of squares of what many steps "
    "make, such as a mean of gradients (AdaBelief, centred RMSProp) or of updates (Adadelta): use Adam or RMSProp"
)


@dataclass(frozen=True)
class MemoryFormat:
    """A leaf that moments are of: |integer| <= 2**bits, at `fraction` fraction bits; that of its root, if `rooted`.

    Before the block it has `before_bits` only, where a bias correction makes more of it than the optimiser takes up.
    """

    fraction: int
    bits: int
    before_bits: int
    rooted: bool

    @property
    def scale(self) -> int:
        """Fraction bits of the leaf's own value in a sum."""
        return self.fraction * (2 if self.rooted else 1)

    @property
    def bound(self) -> int:
        return 1 << (self.before_bits * (2 if self.rooted else 1))


@dataclass(frozen=True)
class MomentFormat:
    """A moment in integers: `node` stands for it until the state before is known; coefficients by step."""

    node: int
    fraction: int
    initial: dict[str, tuple[int, ...]]
    change: int
    taps: tuple[tuple[int, ...], ...]


def moving(lowering: Lowering, index: int, exact: Placed, name: str) -> Placed:
    """What an optimiser takes the means of, in MOVING_BITS at its calibrated size."""
    bits = MOVING_BITS + MOVING_ROOM
    wanted = MOVING_BITS - exponent(lowering.magnitude(index))
    shift = exact.fraction - wanted
    if exact.bound <= 1 << bits:
        return exact
    line = lowering.step.lines[index]
    lowering.lookup_lines[name] = line
    b = lowering.builder
    if shift < 1:  # committed as it is: that proves a range as narrow as that of the others
        wanted, shape, recipe = exact.fraction, b.shape(exact.node), Quotient(exact.node, 0)
        quotient = b.committed(name, shape, oracle="advice", fraction_bits=wanted, recipe=recipe)
        b.zeros.append(b.combine((1, exact.node), (-1, quotient)))
    else:
        check_coefficient(1 << shift, line)
        quotient = b.rescale(exact.node, shift, name, fraction_bits=wanted)
    b.signed_range(quotient, bits, name)
    lowering.report(name, index, wanted, -(1 << bits), (1 << bits) - 1, max(1, shift))
    return Placed(quotient, wanted, 1 << bits)


def memory(lowering: Lowering, name: str, taken: Placed, corrected: Fraction) -> MemoryFormat:
    """The format of a leaf that takes up `taken`: it holds the mean of the largest, and what calibration saw.

    `corrected` is the largest factor with which a moment takes it up: then it holds a part of the mean as yet.
    """
    if name not in lowering.memories:
        change = lowering.step.changes.get(name)
        largest = 2 * lowering.calibration.state[name]
        if change is not None:
            own = lowering.step.kept[name].get(name)
            kept = Fraction(0) if own is None else own.constant
            gain = 1 / (1 - kept) if kept is not None and 0 <= kept < 1 else Fraction(lowering.steps)
            largest = max(largest, float(abs(change.factor) * gain * taken.bound) * 2.0**-taken.fraction * SLACK)
        is_rooted = name in lowering.roles.rooted
        magnitude = exponent(largest**0.5 if is_rooted else largest)
        most = ROOTED_BITS if is_rooted else MEMORY_BITS
        fraction = lowering.settled.get(name, most - magnitude)
        bits = min(MEMORY_BITS, max(1, fraction + magnitude))
        part = float(max(Fraction(1), corrected))
        missing = exponent(part * SLACK) - 1 if part > 1 else 0
        before = max(1, bits - (missing // 2 if is_rooted else missing))
        lowering.memories[name] = MemoryFormat(fraction, bits, before, is_rooted)
    return lowering.memories[name]


def moment(lowering: Lowering, index: int, node: Moment) -> Placed:
    """A public filter of `node.node` and of the memories before, to be bound with the state.

    Under a root it has all the bits that the root holds, else MOMENT_TAP_BITS for the largest coefficient of a step.
    """
    response, taken = lowering.moments[index], lowering.value(node.node)
    forms = {name: memory(lowering, name, taken, max(map(abs, row))) for name, row in response.initial.items()}
    taps = coefficients(response)
    unit = Fraction(1, 1 << taken.fraction) if taken.fraction >= 0 else Fraction(1 << -taken.fraction)
    rows = []
    for t, row in enumerate(taps):
        before = sum(abs(r[t]) * form.bound / Fraction(2) ** form.scale for (_, r), form in _pairs(response, forms))
        rows.append(sum(map(abs, row)) * taken.bound * unit + before)
    largest = max(rows)
    if index in lowering.roles.radicands:
        fraction = MOST_RADICAND - 2 - exponent(float(largest))
        fraction -= fraction % 2
    else:
        weakest = min((max(map(abs, row)) for row in taps if any(row)), default=Fraction(1))
        fraction = taken.fraction + MOMENT_TAP_BITS - exponent(float(weakest))
    line = lowering.step.lines[index]
    integers = tuple(rounded(row, fraction - taken.fraction) for row in taps)
    initial = {name: rounded(row, fraction - form.scale) for (name, row), form in _pairs(response, forms)}
    for coefficient in (c for row in (*integers, *initial.values()) for c in row):
        check_coefficient(coefficient, line)
    label = f"moment {index}"
    made = MomentFormat(
        lowering.builder.deferred(label, (lowering.steps, *node.shape)), fraction, initial, taken.node, integers
    )
    lowering.filtered.append(made)
    bound = max(
        sum(map(abs, row)) * taken.bound + sum(abs(r[t]) * forms[name].bound for name, r in initial.items())
        for t, row in enumerate(integers)
    )
    return Placed(made.node, fraction, bound)


def _pairs(
    response: Response, forms: dict[str, MemoryFormat]
) -> list[tuple[tuple[str, tuple[Fraction, ...]], MemoryFormat]]:
    return [((name, row), forms[name]) for name, row in response.initial.items()]


def coefficients(response: Response) -> tuple[tuple[Fraction, ...], ...]:
    """The exact numbers by which the changes count, factor included."""
    if response.taps is None or response.change is None:
        return ((),) * len(next(iter(response.initial.values())))
    return tuple(tuple(response.change.factor * tap for tap in row) for row in response.taps)


def bind_moments(lowering: Lowering, before: dict[str, int]) -> None:
    """Define the moments as filters, now that the state before the block is committed."""
    b = lowering.builder
    for made in lowering.filtered:
        shape = b.shape(made.node)
        terms = [(0, b.constant(shape, 0))]
        for name, row in made.initial.items():
            terms.append(spread(b, own_value(lowering, name, before[name]), row))
        if made.taps:
            terms.append((1, b.filter(made.change, matrix(made.taps))))
        b.bind(made.node, b.combine(*terms))


def own_value(lowering: Lowering, name: str, committed: int) -> int:
    """The value of a committed leaf as it enters a sum: its square, if it is committed by its root."""
    b = lowering.builder
    if name not in lowering.memories or not lowering.memories[name].rooted:
        return committed
    labels = "abcdefgh"[: len(b.shape(committed))]
    return b.contract(committed, committed, f"{labels},{labels}->{labels}")


def spread(b: CircuitBuilder, leaf: int, row: Sequence[int]) -> tuple[int, int]:
    """(factor, node) of a leaf at every step, times the coefficients of `row`."""
    shape = b.shape(leaf)
    axes = range(len(shape))
    if len(set(row)) == 1:
        return row[0], b.axes(leaf, (-1, *axes), (len(row), *shape))
    return 1, b.filter(b.axes(leaf, (-1, *axes), (1, *shape)), matrix([value] for value in row))


def check_is_used(step: Step, index: int) -> None:
    """Raise UserError, naming all leaves that get no gradient, where node `index` is made of memories of one alone."""

    def is_computed(node: int) -> bool:
        return any(isinstance(step.nodes[made], DataLeaf | Moment) for made in reached(step.nodes, [node]))

    unused = [name for name, change in step.changes.items() if not is_computed(change.node)]
    if unused and not is_computed(index):
        raise UserError(
            f"no gradient for {', '.join(map(repr, unused))}: the loss does not use what is there, and the optimiser "
            "divides what it remembers of it, which is zero: use it in the model, leave it out of the state, or keep "
            "the optimiser off it (optax.masked)"
        )


def root(lowering: Lowering, index: int, inner: int) -> Placed:
    """floor(sqrt) of the exact node, at half its fraction bits, with as many as a root may have."""
    value, line = lowering.exact(inner), lowering.step.lines[index]
    up = MOST_RADICAND - value.bound.bit_length()
    up = 0 if 0 <= up <= SPARE_BITS and value.fraction % 2 == 0 else up - (value.fraction + up) % 2
    if value.bound >= WIDE:
        check_is_used(lowering.step, inner)
        remedy = PLAIN_ROOTS if lowering.step.nodes[index].shape else NORM_REMEDY
        what = "the value under a root takes, with its sign, at least"
        raise BoundError(what, value.bound.bit_length() + 1, line, remedy)
    b = lowering.builder
    name = lowering.names.unique(f"{lowering.names.leaf(index)}/root")
    lowering.lookup_lines[name] = line
    check_coefficient(1 << abs(up), line)
    if up < 0:  # more bits than a square may have: rounded once
        node = b.rescale(value.node, -up, f"{name}/square", fraction_bits=value.fraction + up)
        b.unsigned_range(node, MOST_RADICAND, f"{name}/square/range")
    else:
        node = b.combine((1 << up, value.node))
    bits = min(ROOT_BITS, -(-(value.bound.bit_length() + up) // 2))
    fraction = (value.fraction + up) // 2
    made = square_root(lowering.builder, node, name, bits=bits, fraction_bits=fraction)
    lowering.report(name, index, fraction, 0, (1 << bits) - 1)
    return Placed(made, fraction, 1 << bits)


def excess(lowering: Lowering, index: int, inner: int) -> Placed:
    """max(node, 0) of a wide node, by which a norm exceeds its limit."""
    value = lowering.exact(inner)
    name = lowering.names.unique(f"{lowering.names.leaf(index)}/excess")
    lowering.lookup_lines[name] = lowering.step.lines[index]
    made = positive_part(lowering.builder, value.node, name, bits=value.bound.bit_length())
    return Placed(made, value.fraction, value.bound)


def ratio(lowering: Lowering, index: int, node: Ratio) -> Placed:
    """The quotient in as many magnitude bits as an activation, with the same room; in more, if it is one a step."""
    line, more = lowering.step.lines[index], 0 if node.shape else SCALAR_BITS
    numerator, divisor = lowering.value(node.numerator), lowering.exact(node.divisor)
    fraction = lowering.precision.bits - exponent(lowering.magnitude(index)) + more
    shift = fraction - numerator.fraction + divisor.fraction
    b, bits = lowering.builder, lowering.precision.wide.bit_length() - 1 + more
    below = divisor.node
    divisor_bits = divisor.bound.bit_length() + max(0, -shift)
    if shift < 0:
        below, shift = b.combine((1 << -shift, below)), 0
    if divisor_bits > MOST_DIVISOR:
        raise BoundError("a divisor is only known to lie within", divisor_bits, line)
    check_coefficient(numerator.bound << (shift + 1), line)
    name = lowering.names.unique(f"{lowering.names.leaf(index)}/{'update' if node.shape else 'scale'}")
    lowering.lookup_lines[name] = line
    made = divide(b, numerator.node, below, shift, name, bits=bits, divisor_bits=divisor_bits, fraction_bits=fraction)
    lowering.report(name, index, fraction, -(1 << bits), (1 << bits) - 1)
    return Placed(made, fraction, 1 << bits)
