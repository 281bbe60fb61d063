"""Functions in the translation of a step: tables, largest entries and reciprocals, and fractions of their values."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from zkjax.circuit.functions import divide, look_up, maximum
from zkjax.errors import UserError
from zkjax.fixedpoint.bounds import check_coefficient
from zkjax.fixedpoint.dyadic import exponent, written
from zkjax.fixedpoint.evaluate import real
from zkjax.fixedpoint.formats import EXPONENTIAL_FRACTION, RECIPROCAL_BITS, RECIPROCAL_ROOM, ROOT_EXTRA, ROOT_ROOM
from zkjax.fixedpoint.fuse import composed, has_root
from zkjax.fixedpoint.nodes import Function
from zkjax.fixedpoint.placed import Placed
from zkjax.fixedpoint.signs import is_nonnegative, is_spread
from zkjax.statement.formulas import MAX_FRACTION, parse
from zkjax.statement.tables import Table

if TYPE_CHECKING:
    from zkjax.fixedpoint.lower import Lowering

FUNCTION_SAMPLES = 4097


class Functions:
    """What a lowering asks for where a node is a function of others."""

    def __init__(self, lowering: Lowering):
        self.lowering = lowering
        self._largest: dict[int, tuple[Placed, Placed]] = {}

    def tabled(self, index: int, node: Function, value: Placed, bits: int) -> Placed:
        """By a table over all that the argument `value` can be; values of `bits` magnitude bits."""
        formula = node.formula
        kind = "exp" if formula == "exp(x)" else "function"
        name = self.lowering.names.unique(f"{self.lowering.names.layer(index)}/{kind}")
        self.lowering.lookup_lines[name] = self.lowering.step.lines[index]
        if is_spread(self.lowering.step.nodes, node.node):
            lo, hi, fraction = 1 - value.bound, 0, EXPONENTIAL_FRACTION
        else:
            committed = value.bound == self.lowering.precision.wide
            lo, hi = -value.bound, value.bound - committed
            if has_root(formula) and self._is_of_positive(node, formula, value.fraction):
                formula, fraction = self._with_floor(index, formula, value.fraction)
            else:
                fraction = self.output_fraction(index, formula, value.fraction, bits)
        return self.looked_up(index, value, Table("function", lo, hi, 0, formula, value.fraction, fraction), name)

    def looked_up(self, index: int, value: Placed, table: Table, name: str) -> Placed:
        if not table.is_legal():
            lo, hi = (end * 2.0**-value.fraction for end in (table.lo, table.hi))
            raise UserError(
                f"{table.formula} has no value, or too large a one, for some x between {lo:g} and {hi:g}, "
                f"the range of its argument\n    at {self.lowering.step.lines[index]}\n"
                "    of exponentials, subtract the largest first, as softmax does; scale the data to about one, "
                "and lower the learning rate if the run diverges"
            )
        self.lowering._unchecked.pop(value.node, None)
        made = look_up(self.lowering.builder, value.node, table, name)
        low, high = table.coordinate_ranges()[1]
        bound = max(abs(low + table.offset), abs(high + table.offset))
        self.lowering.report(name, index, table.output_fraction, low + table.offset, high + table.offset)
        return Placed(made, table.output_fraction, bound)

    def output_fraction(self, index: int, formula: str, fraction: int, bits: int) -> int:
        """Fraction bits of a function whose argument has `fraction`: as many as its values leave room for.

        It is the values at arguments of `bits` magnitude bits that count, so that layers share tables.
        """
        x = (
            np.linspace(-self.lowering.precision.limit, self.lowering.precision.limit, FUNCTION_SAMPLES)
            * 2.0**-fraction
        )
        with np.errstate(all="ignore"):
            largest = float(np.abs(real(parse(formula), x)).max())
        if not np.isfinite(largest):
            raise UserError(
                f"{formula} is not finite on the range of its argument\n    at {self.lowering.step.lines[index]}\n"
                "    its argument is not known to stay clear of such values; of softmax probabilities, or of sums "
                "of exponentials: use jax.nn.log_softmax, jax.nn.logsumexp or a loss of Optax, which subtract "
                "the largest logit first; if only an output needs it, ask for other outputs"
            )
        if largest == 0:
            return bits
        return min(max(bits - exponent(largest), 0), MAX_FRACTION)

    def _is_of_positive(self, node: Function, formula: str, fraction: int) -> bool:
        """Whether it is the positive arguments that count: others do not occur, or all have one value, or none."""
        if is_nonnegative(self.lowering.step.nodes, node.node):
            return True
        with np.errstate(all="ignore"):
            negative = real(parse(formula), -np.arange(1.0, self.lowering.precision.limit) * 2.0**-fraction)
        return not np.isfinite(negative).all() or bool((negative == negative[0]).all())

    def _with_floor(self, index: int, formula: str, fraction: int) -> tuple[str, int]:
        """(the formula with arguments below a floor raised to it, fraction bits of its values).

        What is divided by a root has no bound near zero. The floor is the least power of two at which the formula is
        at most ROOT_ROOM bits larger than calibrated; bits go to the calibrated size.
        """
        alike = [
            i
            for i, node in enumerate(self.lowering.step.nodes)
            if isinstance(node, Function) and node.formula == formula
        ]
        size = exponent(max(self.lowering.magnitude(i) for i in alike))
        floor = next(
            (
                power
                for power in range(-fraction, self.lowering.precision.bits - fraction)
                if abs(real(parse(formula), np.array([2.0**power]))[0]) <= 2.0 ** (size + ROOT_ROOM)
            ),
            self.lowering.precision.bits - fraction,
        )
        least = Fraction(2) ** floor
        self._approximated_below(formula, least)
        written_least = f"({least})" if least.denominator != 1 else f"{least}"
        raised = f"(x - {written_least})*positive(x - {written_least}) + {written_least}"
        return composed(formula, raised), min(max(self.lowering.precision.bits + ROOT_EXTRA - size, 0), MAX_FRACTION)

    def _approximated_below(self, formula: str, least: Fraction) -> None:
        text = f"{formula} of what is less than {written(least)} counts as that of {written(least)}"
        if text not in self.lowering.approximations:
            self.lowering.approximations.append(text)

    def largest(self, index: int, inner: int, value: Placed) -> tuple[Placed, Placed]:
        """(the largest entries, the one-hot form of their first places) of `value`, which is that of node `inner`."""
        if inner not in self._largest:
            name = self.lowering.names.unique(f"{self.lowering.names.layer(index)}/maximum")
            self.lowering.lookup_lines[name] = self.lowering.step.lines[index]
            node, selector = maximum(self.lowering.builder, value.node, name, spread=2 * value.bound - 1)
            self._largest[inner] = replace(value, node=node), Placed(selector, 0, 1)
        return self._largest[inner]

    def reciprocal(self, index: int, inner: int) -> Placed:
        """RECIPROCAL_BITS magnitude bits at the calibrated size, and room for more."""
        value = self.lowering.value(inner)
        line = self.lowering.step.lines[index]
        largest = self.lowering.magnitude(index)
        fraction = RECIPROCAL_BITS - exponent(largest)
        shift = value.fraction + fraction
        check_coefficient(1 << (shift + 1), line)
        name = self.lowering.names.unique(f"{self.lowering.names.layer(index)}/reciprocal")
        self.lowering.lookup_lines[name] = line
        bits = RECIPROCAL_BITS + RECIPROCAL_ROOM
        one = self.lowering.builder.constant(self.lowering.builder.shape(value.node), 1)
        node = divide(
            self.lowering.builder,
            one,
            value.node,
            shift,
            name,
            bits=bits,
            divisor_bits=value.bound.bit_length(),
            fraction_bits=fraction,
        )
        self.lowering.report(name, index, fraction, 0, (1 << bits) - 1)
        return Placed(node, fraction, 1 << bits)
