"""Step and formats -> circuit: every real node becomes integers with a public fraction.

Each node gets the integers of a builder node and a number of fraction bits. Weights are deferred
tensors at full scale until their changes are known; the caller supplies their fraction bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from math import prod

import numpy as np

from zkjax.circuit.builder import CircuitBuilder
from zkjax.circuit.functions import one_hot
from zkjax.errors import UserError
from zkjax.fixedpoint import adaptive, filters, norms
from zkjax.fixedpoint.analysis import Roles, degrees, is_rearranged, origin
from zkjax.fixedpoint.arrays import MAX_TEXT, in_integers
from zkjax.fixedpoint.bounds import check_coefficient
from zkjax.fixedpoint.dyadic import MULTIPLIER_BITS, constant_fraction, exponent, is_short, ratio, short, written
from zkjax.fixedpoint.evaluate import Calibration
from zkjax.fixedpoint.formats import (
    DIVISOR_BITS,
    LEAST_LOGIT_BITS,
    LOGIT_ROOM,
    ROOM_BITS,
    DataFormat,
    Precision,
    TensorFormat,
)
from zkjax.fixedpoint.functions import Functions
from zkjax.fixedpoint.fuse import has_root
from zkjax.fixedpoint.naming import Names
from zkjax.fixedpoint.nodes import (
    Axes,
    Bit,
    DataLeaf,
    First,
    Function,
    Gated,
    Linear,
    Maximum,
    Moment,
    OneHot,
    Paced,
    Product,
    Public,
    PublicArray,
    Ratio,
    Reciprocal,
    Relu,
    Root,
    StateLeaf,
    Uniform,
)
from zkjax.fixedpoint.numbers import Values, number
from zkjax.fixedpoint.placed import WIDE, Placed
from zkjax.fixedpoint.rates import Fold
from zkjax.fixedpoint.reports import Reports
from zkjax.fixedpoint.signs import is_spread
from zkjax.fixedpoint.step import Step
from zkjax.statement.filters import matrix

PREPARED_BITS = 15
LEAST_MULTIPLIER_BITS = 6
LETTERS = "abcdefghijklmnopqrsuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass
class Lowering:
    """One translation of a step.

    `fractions` are the fraction bits of every state leaf, `numbers` the public numbers of each step, `moments` what
    the moments are made of, `settled` the fraction bits at which leaves are committed, where that is decided already.
    """

    step: Step
    roles: Roles
    calibration: Calibration
    data: Mapping[str, DataFormat]
    precision: Precision
    fractions: Mapping[str, int]
    numbers: Sequence[Values]
    fold: Fold | None
    steps: int
    rows: int
    moments: Mapping[int, filters.Response] = field(default_factory=dict)
    settled: Mapping[str, int] = field(default_factory=dict)
    builder: CircuitBuilder = field(init=False)
    reports: Reports = field(init=False)
    functions: Functions = field(init=False)
    names: Names = field(init=False)
    tensors: list[TensorFormat] = field(default_factory=list)
    approximations: list[str] = field(default_factory=list)
    epsilons: dict[tuple[Fraction, Fraction], list[str]] = field(default_factory=dict)
    lookup_lines: dict[str, str] = field(default_factory=dict)
    memories: dict[str, adaptive.MemoryFormat] = field(default_factory=dict)
    filtered: list[adaptive.MomentFormat] = field(default_factory=list)
    _exact: dict[int, Placed] = field(default_factory=dict)
    _rounded: dict[int, Placed] = field(default_factory=dict)
    _gates: dict[int, tuple[Placed, Placed]] = field(default_factory=dict)
    _unchecked: dict[int, str] = field(default_factory=dict)
    _degrees: list[int | None] | None = None

    def __post_init__(self) -> None:
        self.names = Names(self.step, self.roles)
        self.builder = CircuitBuilder(steps=self.steps, batch=self.step.batch, rows=self.rows)
        self.reports = Reports(self)
        self.functions = Functions(self)

    # Values

    def value(self, index: int) -> Placed:
        """The node as all its uses read it: rounded where it has to be narrow."""
        if index in self.step.reporting:
            return self.reports.value(index)
        return self.rounded(index) if index in self.roles.rounded else self.exact(index)

    def exact(self, index: int) -> Placed:
        if index not in self._exact:
            self._exact[index] = self._computed(index)
        return self._exact[index]

    def _computed(self, index: int) -> Placed:
        node = self.step.nodes[index]
        match node:
            case StateLeaf(name=name, shape=shape):
                deferred = self.builder.deferred(name, (self.steps, *shape))
                return Placed(deferred, self.fractions[name], WIDE)
            case DataLeaf(name=name):
                return self._data(name)
            case Uniform(shape=shape, value=value):
                return self._constant(shape, value, constant_fraction(value))
            case Linear(terms=terms):
                return self._linear(index, terms)
            case Public(shape=shape, number=place):
                one = self.builder.constant((1, *shape), 1)
                return self._paced(index, Placed(one, 0, 1), place, whole=True)
            case PublicArray(shape=shape, number=place):
                return self._public_array(index, shape, place)
            case Paced(node=inner, number=place):
                return self._paced(index, self.value(inner), place, whole=False)
            case Axes(node=inner, source=source, shape=shape):
                return self.moved(self.value(inner), self.step.nodes[inner].shape, source, shape)
            case Product():
                return self.contracted(node, *(self.factor(i) for i in (node.left, node.right)))
            case Relu(node=inner):
                return adaptive.excess(self, index, inner) if inner in self.roles.radicands else self.gate(inner)[0]
            case Gated():
                return self._gated(node)
            case Function():
                return self.functions.tabled(index, node, self.value(node.node), self.precision.bits)
            case Reciprocal(node=inner):
                return self.functions.reciprocal(index, inner)
            case Root(node=inner):
                return adaptive.root(self, index, inner)
            case Ratio():
                return adaptive.ratio(self, index, node)
            case Moment():
                return adaptive.moment(self, index, node)
            case Maximum(node=inner):
                return self.functions.largest(index, inner, self.value(inner))[0]
            case First(node=inner):
                return self.functions.largest(index, inner, self.value(inner))[1]
            case Bit(node=inner):
                return replace(self.value(inner), bound=1)
            case OneHot(node=inner, shape=shape):
                hot = one_hot(
                    self.builder, self.value(inner).node, shape[-1], self.names.unique(self.names.layer(index))
                )
                return Placed(hot, 0, 1)
        raise TypeError(f"no lowering for {type(node).__name__}")

    def _data(self, name: str) -> Placed:
        form = self.data[name]
        leaf = self.builder.committed(name, (self.rows, *form.shape), oracle="data", fraction_bits=form.fraction_bits)
        rows = self.builder.rows(leaf)
        checked = leaf if self.rows <= self.steps * self.step.batch else rows
        self.builder.range_check(checked, form.lo, form.hi, f"data/{name}")
        return Placed(rows, form.fraction_bits, max(-form.lo, form.hi))

    def _constant(self, shape: tuple[int, ...], number: Fraction, fraction: int) -> Placed:
        integer = round(number * Fraction(2) ** fraction)
        if Fraction(integer) != number * Fraction(2) ** fraction:
            self.approximated(f"the constant {float(number):.9g}", number, ratio(integer, fraction))
        node = self.builder.constant((self.steps, *shape), integer)
        return Placed(node, fraction, abs(integer))

    def approximated(self, what: str, exact: Fraction, used: Fraction) -> None:
        """A public remark: without source lines, which depend on where the user's files lie."""
        text = f"{what} is {written(used)} (relative error {float(abs(used / exact - 1)):.1e})"
        if text not in self.approximations:
            self.approximations.append(text)

    def _linear(self, index: int, terms: tuple[tuple[Fraction, int], ...]) -> Placed:
        """Terms aligned to one fraction; long coefficients become short ones."""
        parts: list[tuple[Fraction, Placed]] = []
        offset = Fraction(0)
        for coefficient, inner in terms:
            value = self.step.nodes[inner]
            if isinstance(value, Uniform):
                offset = coefficient * value.value
            else:
                parts.append((coefficient, self.value(inner)))
        exact = all(is_short(c, MULTIPLIER_BITS) for c, _ in parts) and (not offset or is_short(offset, 8))
        if index in self.roles.data and not exact:
            multipliers, fraction = self._prepared(parts, offset)
        else:
            short_ones = [short(coefficient) for coefficient, _ in parts]
            if index in self._norms:
                fitted = norms.fitting(self, index, [placed for _, placed in parts], short_ones)
                parts = [(coefficient, placed) for (coefficient, _), placed in zip(parts, fitted, strict=True)]
            places = [placed.fraction + power for (_, power), (_, placed) in zip(short_ones, parts, strict=True)]
            aligned = index in self.roles.radicands or not offset
            fraction = max(places if aligned else [*places, constant_fraction(offset)])
            multipliers = [m << (fraction - place) for (m, _), place in zip(short_ones, places, strict=True)]
        scaled = []
        for multiplier, (coefficient, placed) in zip(multipliers, parts, strict=True):
            used = ratio(multiplier, fraction - placed.fraction)
            if used != coefficient:
                self.approximated(f"the factor {float(coefficient):.9g}", coefficient, used)
            scaled.append((multiplier, placed))
        if offset:
            if index in self.roles.radicands:
                offset = self._kept_from_zero(index, offset, fraction)
            check_coefficient(round(offset * Fraction(2) ** fraction), self.step.lines[index])
            scaled.append((1, self._constant(self.step.nodes[index].shape, offset, fraction)))
        for multiplier, _ in scaled:
            check_coefficient(multiplier, self.step.lines[index])
        node = self.builder.combine(*((m, placed.node) for m, placed in scaled))
        bound = min(WIDE, sum(abs(m) * placed.bound for m, placed in scaled))
        return Placed(node, fraction, bound, max(placed.degree for _, placed in parts))

    @cached_property
    def _norms(self) -> frozenset[int]:
        return norms.norm_sums(self.step)

    def _kept_from_zero(self, index: int, offset: Fraction, fraction: int) -> Fraction:
        """A constant that keeps a divisor from zero, in `fraction` fraction bits: one unit of them at least."""
        used = ratio(max(1, round(offset * Fraction(2) ** fraction)), fraction) if offset > 0 else offset
        if used != offset:
            names, name = self.epsilons.setdefault((offset, used), []), self.names.leaf(index)
            names += [] if name in names else [name]
        return used

    def _prepared(self, parts: list[tuple[Fraction, Placed]], offset: Fraction) -> tuple[list[int], int]:
        """(multipliers, fraction) for data in about PREPARED_BITS magnitude bits, shared twos left out."""
        largest = abs(offset) + sum(abs(c) * placed.bound * Fraction(2) ** -placed.fraction for c, placed in parts)
        places = [placed.fraction + LEAST_MULTIPLIER_BITS - exponent(abs(float(c))) for c, placed in parts]
        fraction = max(PREPARED_BITS - exponent(float(largest)), *places)
        multipliers = [round(c * Fraction(2) ** (fraction - placed.fraction)) for c, placed in parts]
        while not offset and not any(m % 2 for m in multipliers):
            multipliers, fraction = [m // 2 for m in multipliers], fraction - 1
        return multipliers, fraction

    def _paced(self, index: int, placed: Placed, place: int, *, whole: bool) -> Placed:
        """The public number of each step, rounded once for all of them, times a tensor of steps or (`whole`) of one."""
        row = tuple(number(at[place]) for at in self.numbers)
        bits = filters.row_bits(row)
        integers = filters.rounded(row, bits)
        for exact, integer in zip(row, integers, strict=True):
            if ratio(integer, bits) != exact:
                self.approximated(f"the number {float(exact):.9g} that a counter gives", exact, ratio(integer, bits))
            check_coefficient(integer, self.step.lines[index])
        rows = matrix([*([0] * (0 if whole else t)), integer] for t, integer in enumerate(integers))
        node = self.builder.filter(placed.node, rows)
        return Placed(node, placed.fraction + bits, min(WIDE, max(map(abs, integers)) * placed.bound), placed.degree)

    def _public_array(self, index: int, shape: tuple[int, ...], place: int) -> Placed:
        """The array of every step, in the clear."""
        found = in_integers([np.asarray(at[place]) for at in self.numbers])
        if found.error:
            unit = written(Fraction(2) ** -found.fraction)
            text = f"a public array of shape {shape} counts in units of {unit} (at most {found.error:.1e} off)"
            self.approximations += [] if text in self.approximations else [text]
        node = self._written(index, found.entries, (self.steps, *shape))
        if found.factor != 1:
            node = self.builder.combine((found.factor, node))
        return Placed(node, found.fraction, found.factor * int(np.abs(found.entries).max()))

    def _written(self, index: int, entries: np.ndarray, shape: tuple[int, ...]) -> int:
        """The tensor of `shape` that is `entries`, repeated along axes of length one."""
        kept = [axis for axis, size in enumerate(entries.shape) if size > 1]
        if not kept:
            return self.builder.constant(shape, int(entries.reshape(-1)[0]))
        node = self.builder.public(entries.reshape([entries.shape[axis] for axis in kept]))
        if (size := self.builder.public_text) > MAX_TEXT:
            raise UserError(
                f"the public arrays of a block of {self.steps} steps, such as the masks of a dropout, take {size:,} "
                f"bytes of the statement, which has room for {MAX_TEXT:,}\n    at {self.step.lines[index]}\n"
                "    use fewer steps per block or a smaller batch; or draw the array outside of the step and pass it "
                "in the batch: then it is committed, and private"
            )
        return self.builder.axes(node, [kept.index(axis) if axis in kept else -1 for axis in range(len(shape))], shape)

    def moved(self, placed: Placed, own: tuple[int, ...], source: tuple[int, ...], shape: tuple[int, ...]) -> Placed:
        moved = (0, *(-1 if axis == -1 else axis + 1 for axis in source))
        node = self.builder.axes(placed.node, moved, (self.steps, *shape))
        count = prod(size for axis, size in enumerate(own) if axis not in source)
        return Placed(node, placed.fraction, min(WIDE, count * placed.bound), placed.degree)

    def factor(self, index: int) -> Placed:
        """The node as a product reads it: weights exactly."""
        return self.exact(index) if index in self.roles.weights else self.value(index)

    def contracted(self, node: Product, left: Placed, right: Placed) -> Placed:
        parts = (node.left_labels, node.right_labels, node.out_labels)
        spelled = ["t" + "".join(LETTERS[label] for label in part) for part in parts]
        made = self.builder.contract(left.node, right.node, f"{spelled[0]},{spelled[1]}->{spelled[2]}")
        sizes = dict(zip(node.left_labels, self.step.nodes[node.left].shape, strict=True))
        sizes |= dict(zip(node.right_labels, self.step.nodes[node.right].shape, strict=True))
        count = prod(size for label, size in sizes.items() if label not in node.out_labels)
        bound = min(WIDE, count * left.bound * right.bound)
        return Placed(made, left.fraction + right.fraction, bound, left.degree + right.degree)

    def report(self, name: str, index: int, fraction: int, lo: int, hi: int, shift: int = 1) -> None:
        shape = self.step.nodes[index].shape
        self.tensors.append(TensorFormat(index, name, self.step.lines[index], shape, fraction, lo, hi, shift))

    # Rounding

    def rounded(self, index: int) -> Placed:
        if index not in self._rounded:
            self._rounded[index] = self._round(index)
        return self._rounded[index]

    def _round(self, index: int) -> Placed:
        """The node with few magnitude bits: as it is where it is small, else rescaled."""
        exact = self.exact(index)
        tabled = index in self.roles.gating or index in self.roles.gradients
        checked = tabled or index in self.roles.arguments
        name = self.names.of(index)
        if index in self.roles.moving:
            return adaptive.moving(self, index, exact, name)
        if self.fold is not None and self.fold.node == index:
            return self._folded(index, exact, name)
        if index in self.roles.divisors and exact.bound < 1 << DIVISOR_BITS:
            return exact
        if is_spread(self.step.nodes, index):
            return exact
        wanted = self._fraction(index)
        if index in self.roles.logits:
            return self.rescaled(index, exact, wanted, name)
        if exact.bound <= (self.precision.limit if tabled else 2 * self.precision.wide):
            return exact
        return self.rescaled(index, exact, wanted, name, checked=checked)

    def _folded(self, index: int, exact: Placed, name: str) -> Placed:
        """The loss gradient times the fold's multiplier."""
        fold = self.fold
        assert fold is not None
        if exact.bound > 2 * self.precision.wide:
            exact = self.rescaled(index, exact, self._fraction(index) + 1, f"{name}/unscaled")
        node = self.builder.combine((fold.multiplier, exact.node))
        scaled = Placed(node, exact.fraction + fold.power, fold.multiplier * exact.bound, degree=1)
        tabled = index in self.roles.gating or index in self.roles.gradients
        return self.rescaled(index, scaled, self._fraction(index), name, checked=tabled)

    def _fraction(self, index: int) -> int:
        """Fraction bits that place the calibrated magnitude, folded, below the limit, with headroom."""
        precision = self.precision
        least = LEAST_LOGIT_BITS + self.calibration.headroom
        if index in self.roles.logits and self.calibration.nodes[index] == 0:  # the last layer starts at zero
            return precision.bits + ROOM_BITS - least
        largest = self.magnitude(index)
        if index in self.roles.logits:
            return precision.bits + ROOM_BITS - max(least, exponent(largest) + LOGIT_ROOM)
        if index in self.roles.arguments:  # one format for all of a kind, so that layers share tables
            rooted = self.roles.arguments & self._rooted_arguments
            alike = rooted if index in rooted else self.roles.arguments - rooted
            spread = [other for other in alike if is_spread(self.step.nodes, other)]
            largest = max((self.magnitude(other) for other in alike - set(spread)), default=largest)
        if index in self.roles.gradients or index in self.roles.losses:
            reserve = precision.gradient_headroom + precision.gradient_cut
        else:
            reserve = precision.forward_headroom
        return precision.bits - reserve - exponent(largest)

    @cached_property
    def _rooted_arguments(self) -> frozenset[int]:
        """The arguments of formulas with a root: variances, of another size than what activations read."""
        functions = [node for node in self.step.nodes if isinstance(node, Function)]
        return frozenset(origin(self.step, node.node) for node in functions if has_root(node.formula))

    def magnitude(self, index: int) -> float:
        """The calibrated magnitude of a node, folded; refused if it is zero or infinite."""
        largest = self.calibration.nodes[index] * self._fold_scale(index)
        if not largest > 0 or largest == float("inf"):
            adaptive.check_is_used(self.step, index)
            raise UserError(
                f"the value made at {self.step.lines[index]} is {'infinite or NaN on some' if largest else '0 on all'} "
                "calibration batches, so that no format can be chosen: pass calibration= batches (and a state) "
                "on which it is finite and not zero"
            )
        return largest

    def _fold_scale(self, index: int) -> float:
        """By how much the fold enlarges the node."""
        if self.fold is None:
            return 1.0
        if self._degrees is None:
            self._degrees = degrees(self.step, self.fold.node)
        return float(self.fold.scale) ** (self._degrees[index] or 0)

    def rescaled(self, index: int, exact: Placed, wanted: int, name: str, *, checked: bool = False) -> Placed:
        """Quotient with `wanted` fraction bits, range-checked unless a later lookup does so."""
        wide, shift = self.precision.wide, exact.fraction - wanted
        line = self.step.lines[index]
        self.lookup_lines[name] = line
        if shift < 1:
            quotient, wanted, shift = exact.node, exact.fraction, 0
        else:
            check_coefficient(1 << shift, line)
            quotient = self.builder.rescale(exact.node, shift, name, fraction_bits=wanted)
        if checked:
            self._unchecked[quotient] = name
        else:
            self.builder.range_check(quotient, -wide, wide - 1, f"{name}/range")
        shape = self.step.nodes[index].shape
        self.tensors.append(TensorFormat(index, name, line, shape, wanted, -wide, wide - 1, shift))
        return Placed(quotient, wanted, wide, exact.degree)

    def check_rest(self) -> None:
        """Range checks of the quotients that were meant for a tuple lookup and met none."""
        wide = self.precision.wide
        for quotient, name in self._unchecked.items():
            self.builder.range_check(quotient, -wide, wide - 1, f"{name}/range")
        self._unchecked.clear()

    def gate(self, index: int) -> tuple[Placed, Placed]:
        """(rectified value, gate) of a node, from one zkReLU tuple for all its rearrangements."""
        if index not in self._gates:
            node = self.step.nodes[index]
            if isinstance(node, Axes) and is_rearranged(self.step, index):
                own = self.step.nodes[node.node].shape
                pair = [self.moved(part, own, node.source, node.shape) for part in self.gate(node.node)]
                self._gates[index] = (pair[0], pair[1])
            else:
                self._gates[index] = self._activation(index)
        return self._gates[index]

    def _activation(self, index: int) -> tuple[Placed, Placed]:
        value = self.value(index)
        wide, limit = self.precision.wide, self.precision.limit
        name = self.names.unique(f"{self.names.layer(index)}/activation")
        self.lookup_lines[name] = self.step.lines[index]
        self._unchecked.pop(value.node, None)
        output, gate = self.builder.relu(value.node, lo=-wide, hi=wide - 1, limit=limit, name=name)
        return Placed(output, value.fraction, limit, value.degree), Placed(gate, 0, 1)

    def _gated(self, node: Gated) -> Placed:
        gate = self.gate(node.gate)[1]
        if isinstance(self.step.nodes[node.node], Uniform):
            return gate
        value = self.value(node.node)
        wide, limit = self.precision.wide, self.precision.limit
        name = self.names.unique(f"{self.names.layer(node.gate)}/gradient", "/gated")
        self.lookup_lines[name] = self.step.lines[node.node]
        self._unchecked.pop(value.node, None)
        output = self.builder.gated(value.node, gate.node, lo=-wide, hi=wide - 1, limit=limit, name=name)
        return Placed(output, value.fraction, limit, value.degree)
