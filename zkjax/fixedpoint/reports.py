"""Outputs that are published: what only they need, in integers, and how their values are rounded.

The training is lowered as if nothing were published. What an output needs beyond it is computed from the training's
own integers, as exactly as the field allows: values are rounded only where a table or a comparison reads them, for
the output alone. Nothing is clipped: rectifiers are products with a sign that is proved on the whole range.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import ceil, log2, prod
from typing import TYPE_CHECKING

from zkjax.circuit.functions import positive
from zkjax.errors import UserError
from zkjax.fixedpoint.analysis import is_rearranged, origin
from zkjax.fixedpoint.bounds import BoundError, check_coefficient
from zkjax.fixedpoint.dyadic import MULTIPLIER_BITS, constant_fraction, exponent, is_short, ratio, short
from zkjax.fixedpoint.formats import LEAST_LOGIT_BITS, LOGIT_ROOM, REPORT_FRACTION, ROOM_BITS
from zkjax.fixedpoint.fuse import composed, literal
from zkjax.fixedpoint.nodes import (
    Axes,
    First,
    Function,
    Gated,
    Linear,
    Maximum,
    Positive,
    Product,
    Relu,
    StateLeaf,
    Uniform,
)
from zkjax.fixedpoint.placed import Placed
from zkjax.fixedpoint.signs import is_exponential_sum, is_spread
from zkjax.fixedpoint.step import Report, odd_part
from zkjax.statement.circuit import Output
from zkjax.statement.formulas import MAX_FRACTION
from zkjax.statement.tables import Table

if TYPE_CHECKING:
    from zkjax.fixedpoint.lower import Lowering

# Values of tables have so many magnitude bits, multipliers that are not exact at most and at least so many.
TABLE_BITS = 16
MOST_MULTIPLIER_BITS = 30
LEAST_MULTIPLIER_BITS = 16
# Arguments of functions have so many bits, and sums of exponentials so many before their logarithm is looked up.
ARGUMENT_BITS = 14
SUM_BITS = 16
# Factors of a product are rounded where the sum may exceed so many bits, multipliers chosen to stay below.
MOST_BITS = 58
UNSCALED = Fraction(1)
# What is multiplied last keeps so many bits more than are published, where all of them leave no room.
GUARD_BITS = 8
# Numbers of a step are few: their limbs are as wide as the tables that are there anyway.
LIMB = 16


@dataclass
class Reports:
    """The nodes of a step that only outputs need, on top of a lowering of all others."""

    lowering: Lowering
    _known: dict[int, Placed] = field(default_factory=dict)
    _narrow: dict[int, Placed] = field(default_factory=dict)
    _signs: dict[int, Placed] = field(default_factory=dict)
    _arguments: dict[int, tuple[Placed, Fraction]] = field(default_factory=dict)

    def value(self, index: int) -> Placed:
        """The node, exactly what its operands make of it."""
        if index not in self._known:
            self._known[index] = self._computed(index)
        return self._known[index]

    def _computed(self, index: int) -> Placed:
        lowering, node = self.lowering, self.lowering.step.nodes[index]
        match node:
            case Linear(terms=terms):
                return self._linear(index, terms)
            case Product():
                return self._product(node)
            case Relu(node=inner):
                return self._times(self._sign(inner), self.narrow(inner))
            case Gated(gate=gate, node=inner):
                return self._times(self._sign(gate), self.narrow(inner))
            case Positive(node=inner):
                return self._sign(inner)
            case Function(node=inner):
                if is_exponential_sum(lowering.step.nodes, inner):
                    return self._of_exponential_sum(index, node)
                if is_spread(lowering.step.nodes, inner):
                    return lowering.functions.tabled(index, node, lowering.value(inner), TABLE_BITS)
                return self._tabled(index, node)
            case Maximum(node=inner):
                return lowering.functions.largest(index, inner, self.narrow(inner))[0]
            case First(node=inner):
                return lowering.functions.largest(index, inner, self.narrow(inner))[1]
        return lowering.exact(index)

    def narrow(self, index: int) -> Placed:
        """The node within the range of all rounded values, and as if nothing were folded."""
        if index not in self._narrow:
            lowering, node = self.lowering, self.lowering.step.nodes[index]
            value = lowering.value(index)
            if value.bound > lowering.precision.wide or value.degree:
                if isinstance(node, Axes) and is_rearranged(lowering.step, index):
                    own = lowering.step.nodes[node.node].shape
                    value = lowering.moved(self.narrow(node.node), own, node.source, node.shape)
                else:
                    value = self._rounded(index, self._unfolded(value))
            self._narrow[index] = value
        return self._narrow[index]

    def _rounded(self, index: int, exact: Placed) -> Placed:
        lowering, precision = self.lowering, self.lowering.precision
        if exact.bound <= precision.wide:
            return exact
        seen = lowering.calibration.nodes[index]
        if not seen < float("inf"):
            raise UserError(f"the value made at {lowering.step.lines[index]} is infinite or NaN on calibration batches")
        magnitude = exponent(seen) if seen > 0 else 0
        if index in lowering.roles.logits:
            wanted = precision.bits + ROOM_BITS - max(LEAST_LOGIT_BITS, magnitude + LOGIT_ROOM)
        else:
            wanted = precision.bits - precision.forward_headroom - magnitude
        node = lowering.step.nodes[index]
        of = (node.name.partition("/")[2] or node.name) if isinstance(node, StateLeaf) else lowering.names.layer(index)
        name = lowering.names.unique(f"{of}/reported")
        return lowering.rescaled(index, exact, wanted, name)

    def _unfolded(self, value: Placed) -> Placed:
        """The integers of a folded value without the fold, up to a public multiplier."""
        if not value.degree:
            return value
        factor = self._fold_factor(value.degree)
        m, k = short(factor, LEAST_MULTIPLIER_BITS)
        self._approximated(factor, ratio(m, k))
        node = self.lowering.builder.combine((m, value.node))
        return Placed(node, value.fraction + k, m * value.bound)

    def _fold_factor(self, degree: int) -> Fraction:
        fold = self.lowering.fold
        return Fraction(1) if fold is None else fold.scale**-degree

    def _approximated(self, exact: Fraction, used: Fraction) -> None:
        if exact != used:
            self.lowering.approximated(f"the factor {float(exact):.9g}", exact, used)

    # Nodes

    def _linear(self, index: int, terms: tuple[tuple[Fraction, int], ...]) -> Placed:
        """Terms aligned to one fraction, folds taken off where they differ."""
        lowering, nodes = self.lowering, self.lowering.step.nodes
        spread, offset = is_spread(nodes, index), Fraction(0)
        parts: list[tuple[Fraction, Placed]] = []
        for coefficient, inner in terms:
            node = nodes[inner]
            if isinstance(node, Uniform):
                offset = coefficient * node.value
            elif not is_short(coefficient, MULTIPLIER_BITS) and self._is_logarithm(inner):
                odd = odd_part(coefficient)
                parts.append((coefficient / odd, self._scaled_logarithm(inner, odd)))
            else:
                parts.append((coefficient, self.narrow(inner) if spread else self._proven(inner)))
        degrees = {placed.degree for _, placed in parts}
        degree = degrees.pop() if len(degrees) == 1 and not offset else 0
        if any(placed.degree != degree for _, placed in parts):
            parts = [(c * self._fold_factor(placed.degree), placed) for c, placed in parts]
        products = []
        for coefficient, placed in parts:
            bits = MULTIPLIER_BITS if is_short(coefficient, MULTIPLIER_BITS) else LEAST_MULTIPLIER_BITS
            m, power = short(coefficient, bits)
            self._approximated(coefficient, ratio(m, power))
            products.append((m, placed.fraction + power, placed))
        scaled, fraction, bound = _aligned(products, offset)
        if bound >= 1 << MOST_BITS and not spread:
            scaled, fraction, bound = _aligned([self._thinned(index, *product) for product in products], offset)
        made = [(m, placed.node) for m, placed in scaled]
        if offset:
            constant = round(offset * 2**fraction)
            self._approximated(offset, ratio(constant, fraction))
            made.append((1, lowering.builder.constant((lowering.steps, *nodes[index].shape), constant)))
            bound += abs(constant)
        for m, _ in made:
            check_coefficient(m, lowering.step.lines[index])
        return Placed(lowering.builder.combine(*made), fraction, bound, degree)

    def _thinned(self, index: int, m: int, place: int, placed: Placed) -> tuple[int, int, Placed]:
        """A term m * placed of a sum, at `place` fraction bits, but for bits far below what is published.

        A loss of some ten fraction bits and a penalty, a small factor times squares of weights, share no scale.
        """
        fraction, excess = REPORT_FRACTION + GUARD_BITS, abs(m).bit_length()
        if place <= fraction:
            return m, place, placed
        if place > fraction + excess:
            placed = self._shortened(index, placed, place - fraction - excess)
            place = fraction + excess
        node = self.lowering.builder.combine((m, placed.node))
        whole = Placed(node, place, abs(m) * placed.bound, placed.degree)
        return 1, fraction, self._shortened(index, whole, place - fraction)

    def _shortened(self, index: int, placed: Placed, shift: int) -> Placed:
        """A value without its last bits, whatever its size may be."""
        lowering = self.lowering
        name = lowering.names.unique(f"{lowering.names.layer(index)}/reported_term")
        lowering.lookup_lines[name] = lowering.step.lines[index]
        bits = (placed.bound >> shift).bit_length() + 1
        node = lowering.builder.rescale(placed.node, shift, name, fraction_bits=placed.fraction - shift)
        lowering.builder.signed_range(node, bits, name)
        return Placed(node, placed.fraction - shift, 1 << bits, placed.degree)

    def _proven(self, index: int) -> Placed:
        """The value of a node, with what the verifier knows of it: of a largest entry, that it is a sum of entries."""
        value, found = self.lowering.value(index), self.lowering.step.nodes[origin(self.lowering.step, index)]
        if isinstance(found, Maximum):
            return replace(value, bound=value.bound * self.lowering.step.nodes[found.node].shape[-1])
        return value

    def _product(self, node: Product) -> Placed:
        """Exact factors where the sum fits the field, else rounded ones."""
        lowering, nodes = self.lowering, self.lowering.step.nodes
        indices = [node.left, node.right]
        factors = [lowering.factor(index) for index in indices]
        sizes = dict(zip(node.left_labels, nodes[node.left].shape, strict=True))
        sizes |= dict(zip(node.right_labels, nodes[node.right].shape, strict=True))
        count = prod(size for label, size in sizes.items() if label not in node.out_labels)
        squared = all(index in lowering.roles.weights for index in indices)  # a penalty on weights
        for place in sorted((0, 1), key=lambda i: -factors[i].bound):
            fits = count * factors[0].bound * factors[1].bound < 1 << MOST_BITS
            if not fits and (squared or indices[place] not in lowering.roles.weights):
                factors[place] = self.narrow(indices[place])
        return lowering.contracted(node, *factors)

    def _sign(self, index: int) -> Placed:
        """[node > 0], on the whole range of its rounded value."""
        if index not in self._signs:
            lowering, value = self.lowering, self.narrow(index)
            name = lowering.names.unique(f"{lowering.names.layer(index)}/sign")
            lowering.lookup_lines[name] = lowering.step.lines[index]
            made = positive(lowering.builder, value.node, name, bits=(value.bound - 1).bit_length())
            self._signs[index] = Placed(made, 0, 1)
        return self._signs[index]

    def _times(self, mask: Placed, value: Placed) -> Placed:
        labels = "tabcdefg"[: len(self.lowering.builder.shape(mask.node))]
        node = self.lowering.builder.contract(mask.node, value.node, f"{labels},{labels}->{labels}")
        return Placed(node, value.fraction, value.bound)

    def _tabled(self, index: int, node: Function) -> Placed:
        """By a table of 2**ARGUMENT_BITS rows: what is published is a sum of many, and tables are the larger cost.

        Bits beyond these are cut off, and the function is taken at the middle of what they can be: then errors
        have no mean.
        """
        lowering, inner = self.lowering, node.node
        name = lowering.names.unique(f"{lowering.names.layer(index)}/reported_function")
        lowering.lookup_lines[name] = lowering.step.lines[index]
        if inner not in self._arguments:
            value = self.narrow(inner)
            shift = (value.bound - 1).bit_length() + 1 - ARGUMENT_BITS
            middle = Fraction(0)
            if shift > 0:
                b, fraction = lowering.builder, value.fraction - shift
                half = b.constant(b.shape(value.node), 1 << (shift - 1))
                lower = b.combine((1, value.node), (-1, half))
                cut = b.rescale(lower, shift, f"{name}/argument", fraction_bits=fraction)
                middle = ratio((1 << shift) - 1, value.fraction + 1)
                value = Placed(cut, fraction, 1 << (ARGUMENT_BITS - 1))
            self._arguments[inner] = value, middle
        value, middle = self._arguments[inner]
        fraction = lowering.functions.output_fraction(index, node.formula, value.fraction, TABLE_BITS)
        formula = composed(node.formula, f"x + {literal(middle)}" if middle else "x")
        table = Table("function", -value.bound, value.bound - 1, 0, formula, value.fraction, fraction)
        return lowering.functions.looked_up(index, value, table, name)

    def _is_logarithm(self, index: int) -> bool:
        """Whether a node is a function of a sum of exponentials, with its axes moved, repeated or summed."""
        nodes = self.lowering.step.nodes
        while isinstance(node := nodes[index], Axes):
            index = node.node
        return isinstance(node, Function) and is_exponential_sum(nodes, node.node)

    def _scaled_logarithm(self, index: int, factor: Fraction) -> Placed:
        lowering, node = self.lowering, self.lowering.step.nodes[index]
        if isinstance(node, Axes):
            own = lowering.step.nodes[node.node].shape
            return lowering.moved(self._scaled_logarithm(node.node, factor), own, node.source, node.shape)
        assert isinstance(node, Function)
        return self._of_exponential_sum(index, node, factor)

    def _of_exponential_sum(self, index: int, node: Function, factor: Fraction = UNSCALED) -> Placed:
        """`factor` times a function of sum of exp(c (x - max x)), by a table of what the sum exceeds 1 by.

        The factor is that of the logits, by which the rest of a cross-entropy is divided: here it is exact.
        """
        lowering = self.lowering
        total = lowering.value(node.node)
        summands = lowering.step.nodes[lowering.step.nodes[node.node].node].shape[-1]  # type: ignore[union-attr]
        most = summands - 1
        fraction = SUM_BITS - most.bit_length()
        name = lowering.names.unique(f"{lowering.names.layer(index)}/log_sum")
        lowering.lookup_lines[name] = lowering.step.lines[index]
        one = lowering.builder.constant(lowering.builder.shape(total.node), 1 << total.fraction)
        rest = lowering.builder.combine((1, total.node), (-1, one))
        argument = f"{name}/argument"
        quotient = lowering.builder.rescale(rest, total.fraction - fraction, argument, fraction_bits=fraction)
        value = Placed(quotient, fraction, most << fraction)
        largest = ceil(factor * Fraction(log2(summands + 1)))
        out = min(TABLE_BITS - max(0, largest.bit_length() - 1), MAX_FRACTION)
        formula = composed(node.formula, "1 + x")
        formula = formula if factor == 1 else f"{literal(factor)}*{formula}"
        table = Table("function", 0, most << fraction, 0, formula, fraction, out)
        return lowering.functions.looked_up(index, value, table, name)

    # Publishing

    def publish(self, name: str, report: Report) -> None:
        """The node's value times the factor, as an output of the circuit.

        Exactly where it has few fraction bits; else the nearest multiple of 2**-REPORT_FRACTION, halves up, to the
        value times a public multiplier that is the factor to one part in 2**LEAST_MULTIPLIER_BITS or better.
        """
        lowering, builder = self.lowering, self.lowering.builder
        placed = lowering.value(report.node)
        line = lowering.step.lines[report.node]
        factor = report.factor * self._fold_factor(placed.degree)
        if is_short(factor, MULTIPLIER_BITS):
            m, k = short(factor, MULTIPLIER_BITS)
            if placed.fraction + k <= REPORT_FRACTION:
                self._add(name, builder.combine((m, placed.node)), placed.fraction + k)
                return
        m, shift, bits = _last_rounding(factor, placed)
        excess = placed.fraction - (REPORT_FRACTION + GUARD_BITS + _floor_log2(abs(factor)) + 1)
        if shift > MOST_BITS - bits and excess > 0:
            placed = self._shortened(report.node, placed, excess)
            m, shift, bits = _last_rounding(factor, placed)
        if bits > MOST_BITS:
            raise BoundError(f"the values of the output {name!r} are only known to lie within", bits, line)
        self._approximated(factor, ratio(m, REPORT_FRACTION + shift - placed.fraction))
        check_coefficient(max(abs(m), 1 << shift), line)
        lowering.lookup_lines[f"output/{name}"] = line
        scaled = builder.combine((m, placed.node))
        quotient = builder.rescale(scaled, shift, f"output/{name}", fraction_bits=REPORT_FRACTION)
        builder.signed_range(quotient, bits, f"output/{name}")
        self._add(name, quotient, REPORT_FRACTION)

    def _add(self, name: str, node: int, fraction: int) -> None:
        self.lowering.builder.outputs.append(Output(name, node, fraction))


def _aligned(products: list[tuple[int, int, Placed]], offset: Fraction) -> tuple[list[tuple[int, Placed]], int, int]:
    """(multipliers and values, fraction bits, bound) of a sum of m * value at so many fraction bits, and a constant."""
    places = [place for _, place, _ in products]
    fraction = max([*places, constant_fraction(offset)] if offset else places)
    scaled = [(m << (fraction - place), placed) for m, place, placed in products]
    return scaled, fraction, sum(abs(m) * placed.bound for m, placed in scaled)


def _last_rounding(factor: Fraction, placed: Placed) -> tuple[int, int, int]:
    """(multiplier, bits dropped, bits of the result) of an output; they fit if the last two are MOST_BITS at most."""
    largest = abs(factor) * placed.bound / Fraction(2) ** (placed.fraction - REPORT_FRACTION)
    needed = (ceil(largest) + 1).bit_length()
    for bits in (-(-(needed + 1) // LIMB) * LIMB - 1, needed):
        m, shift = _multiplier(factor, placed.fraction, MOST_BITS - bits)
        if shift <= MOST_BITS - bits:
            break
    return m, shift, bits


def _multiplier(factor: Fraction, fraction: int, room: int) -> tuple[int, int]:
    """(m, s), s >= 1: the factor is about m / 2**(REPORT_FRACTION + s - fraction), or exactly where m is short.

    Of the shifts up to `room` that are precise enough, one of whole limbs where there is one, else the largest.
    """
    shift_of_one = fraction - REPORT_FRACTION - _floor_log2(abs(factor))
    if is_short(factor, MULTIPLIER_BITS):
        least = most = max(1, fraction - REPORT_FRACTION + short(factor)[1])
    else:
        least = max(1, shift_of_one + LEAST_MULTIPLIER_BITS)
        most = max(least, min(room, shift_of_one + MOST_MULTIPLIER_BITS))
    whole = -(-least // LIMB) * LIMB
    shift = whole if whole <= room else most
    return round(factor * Fraction(2) ** (REPORT_FRACTION + shift - fraction)), shift


def _floor_log2(value: Fraction) -> int:
    guess = value.numerator.bit_length() - value.denominator.bit_length()
    return guess if value >= Fraction(2) ** guess else guess - 1
