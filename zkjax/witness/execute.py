"""Carries out the integer program: every committed and looked-up value of a block, exactly.

One jitted program per circuit: static tensors first, then `lax.scan` over the steps with the
sums of the updates as its carry, then the totals. Data, weights and schedule are
arguments, never constants, because compiled programs may be cached on disk.

Nothing is clamped here except where a recipe says so: `check.check_lookups` finds what left its
range. Up to and including the first value that does, everything is exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from zkjax.circuit.program import Lowered
from zkjax.circuit.recipes import (
    Gated,
    IsZero,
    Largest,
    Quotient,
    Ratio,
    Recipe,
    ReluGate,
    ReluOutput,
    RemainderLimb,
    SquareRoot,
    TableValue,
    ValueLimb,
)
from zkjax.errors import UserError, WitnessError
from zkjax.statement.circuit import (
    Axes,
    Circuit,
    Combine,
    Committed,
    Constant,
    Contract,
    Filter,
    Positions,
    Public,
    Rows,
)
from zkjax.statement.filters import dense, earlier
from zkjax.witness import exact
from zkjax.witness.plan import Phase, Plan

Array = Any

STORED_TYPES = ("int8", "uint8", "int16", "uint16", "int32", "uint32")


class Values(Mapping[int, np.ndarray]):
    """Node -> int64 array of the node's shape; kept in narrower types, widened on access.

    Not printed: the values are the prover's secret.
    """

    def __init__(self, stored: Mapping[int, np.ndarray]):
        self._stored = dict(stored)

    def __getitem__(self, node: int) -> np.ndarray:
        return self._stored[node].astype(np.int64, copy=False)

    def __iter__(self) -> Iterator[int]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)

    def stored(self, node: int) -> np.ndarray:
        """The same values in the type in which they are kept."""
        return self._stored[node]

    @property
    def narrow(self) -> Mapping[int, np.ndarray]:
        """All values in the types in which they are kept."""
        return MappingProxyType(self._stored)

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self._stored.values())

    def __repr__(self) -> str:
        return f"<values of {len(self)} nodes, {self.nbytes} bytes>"


class Carry(NamedTuple):
    """What the scan over steps hands on.

    `sums` by the node summed, `totals` (weighted sums) by the filter that they make, `history` by the
    node kept: its slices so far, the rest zero.
    """

    sums: dict[int, Array]
    totals: dict[int, Array]
    history: dict[int, Array]


@dataclass(frozen=True, eq=False)
class Witness:
    """An exact run of a block.

    `values` holds every committed node, every node that a lookup reads, every zero node and every output, in
    its full shape; `schedule` is int32 [steps, batch]. Read-only arrays.
    """

    values: Values
    schedule: np.ndarray


def execute(
    lowered: Lowered,
    data: Mapping[int, np.ndarray],
    before: Mapping[int, np.ndarray],
    schedule: np.ndarray,
) -> Witness:
    """Run the block on integer tensors keyed by node: `data` [rows, ...], `before` the state.

    Compiled once per circuit and process. Raises UserError for tensors or a schedule that do not
    fit the circuit, PlanError for recipes that cannot be carried out. Values out of range are
    not an error here: `check_lookups` locates them, and the witness holds them unabridged (then
    the block is run a second time, with nothing stored narrowly).
    """
    circuit = lowered.circuit
    data = _checked_tensors(circuit, "data", data)
    before = _checked_tensors(circuit, "before", before)
    schedule = checked_schedule(schedule, steps=circuit.steps, batch=circuit.batch, rows=circuit.rows)
    values, narrow_enough = executor(lowered).run(data, before, schedule)
    if not narrow_enough:
        values, _ = executor(lowered, wide=True).run(data, before, schedule)
    for array in values.values():
        array.flags.writeable = False
    return Witness(Values(values), schedule)


def checked_schedule(schedule: np.ndarray, *, steps: int, batch: int, rows: int) -> np.ndarray:
    """`schedule` as an int32 array of its own; raises UserError naming the first wrong entry."""
    try:
        array = np.asarray(schedule)
    except ValueError as error:  # a list of lists of different lengths
        raise UserError(f"the schedule must be an array [steps, batch] of row numbers: {error}") from error
    if not np.issubdtype(array.dtype, np.integer):
        raise UserError(f"the schedule must hold integers (row numbers), it has type {array.dtype}")
    if array.shape != (steps, batch):
        raise UserError(
            f"the schedule has shape {array.shape}, the program was compiled for {steps} steps of "
            f"{batch} rows: expected {(steps, batch)}"
        )
    wrong = np.argwhere((array < 0) | (array >= rows))
    if wrong.size:
        step, position = map(int, wrong[0])
        raise UserError(
            f"the schedule names row {int(array[step, position])} at step {step}, position {position}, "
            f"but the data set has rows 0 to {rows - 1}"
        )
    array = array.astype(np.int32)
    array.flags.writeable = False
    return array


def _checked_tensors(circuit: Circuit, oracle: str, tensors: Mapping[int, np.ndarray]) -> dict[int, np.ndarray]:
    nodes = circuit.committed(oracle)
    checked = {}
    for index in nodes:
        node = circuit.nodes[index]
        if index not in tensors:
            raise UserError(f"{oracle} tensor {node.name!r} (node {index}) is missing")  # type: ignore[union-attr]
        array = np.asarray(tensors[index])
        if array.shape != node.shape or not np.issubdtype(array.dtype, np.integer):
            raise UserError(
                f"{oracle} tensor {node.name!r} has shape {array.shape} and type {array.dtype}; "  # type: ignore[union-attr]
                f"expected integers of shape {node.shape}"
            )
        checked[index] = array.astype(np.int64)
    extra = sorted(set(tensors) - set(nodes))
    if extra:
        raise UserError(f"nodes {extra} are no {oracle} tensors of the circuit")
    return checked


def executor(lowered: Lowered, *, wide: bool = False) -> Executor:
    """The compiled program of a circuit, shared between calls."""
    return _executor(lowered.circuit, tuple(sorted(lowered.recipes.items())), wide)


@lru_cache(maxsize=32)
def _executor(circuit: Circuit, recipes: tuple[tuple[int, Recipe], ...], wide: bool) -> Executor:
    return Executor(Plan.of(Lowered(circuit, dict(recipes))), wide)


class Executor:
    """The block as one jitted function of (data, before, schedule).

    Values are stored in the narrowest type that holds the node's proven range, unless `wide`.
    """

    def __init__(self, plan: Plan, wide: bool = False):
        self.plan, self.wide = plan, wide
        self.circuit = plan.lowered.circuit
        self.program = jax.jit(self.trace)

    def run(
        self, data: dict[int, np.ndarray], before: dict[int, np.ndarray], schedule: np.ndarray
    ) -> tuple[dict[int, np.ndarray], bool]:
        """(values of all required nodes, whether every one fitted its stored type)."""
        with jax.enable_x64(True):
            computed, fits = self.program(data, before, schedule, self._public)
            fits = bool(fits)
            values = {node: np.asarray(array) for node, array in computed.items()}
        return {**data, **before, **values}, fits

    @cached_property
    def _public(self) -> dict[int, np.ndarray]:
        """Public tensors are arguments of the program, so that blocks with other ones share compiled code."""
        nodes = enumerate(self.circuit.nodes)
        return {index: node.values for index, node in nodes if isinstance(node, Public)}

    def trace(
        self, data: dict[int, Array], before: dict[int, Array], schedule: Array, public: dict[int, Array]
    ) -> tuple[dict[int, Array], Array]:
        """The traced block; needs x64 mode."""
        plan = self.plan
        whole: dict[int, Array] = {**data, **before, **public}
        for node in plan.static_order:
            if node not in whole:
                whole[node] = exact.as_int(self._whole(node, whole, schedule))

        def step(carry: Carry, at: Array) -> tuple[Carry, tuple[dict[int, Array], Array]]:
            slices = self._step(whole, carry, schedule, at)
            return self._carried(carry, slices, at), self._narrowed({node: slices[node] for node in plan.stacked})

        totals, (stacked, fits) = lax.scan(step, self._start(), jnp.arange(self.circuit.steps))
        for node in plan.late_order:
            whole[node] = exact.as_int(self._late(node, whole, totals, stacked, schedule))
        given = {*data, *before}
        others = {
            node: whole[node] for node in plan.required if node not in given and plan.phases[node] is not Phase.STEPPED
        }
        narrow, others_fit = self._narrowed(others)
        narrow |= {node: stacked[node] for node in plan.required_in(Phase.STEPPED)}
        return narrow, jnp.all(fits) & others_fit

    def _narrowed(self, values: dict[int, Array]) -> tuple[dict[int, Array], Array]:
        """The values in their stored types, and whether all of them fit.

        One reduction per shape, over what narrowing changed: a reduction per node takes most of
        the compile time.
        """
        narrow: dict[int, Array] = {}
        changed: dict[tuple[int, ...], Array] = {}
        for node, value in values.items():
            value = exact.as_int(value)
            narrow[node] = value.astype(self.stored_type(node))
            if narrow[node].dtype != np.int64:
                change = value ^ narrow[node].astype(np.int64)
                changed[value.shape] = changed[value.shape] | change if value.shape in changed else change
        fits = jnp.bool_(True)
        for change in changed.values():
            fits &= jnp.all(change == 0)
        return narrow, fits

    def stored_type(self, node: int) -> np.dtype:
        """Narrowest integer type of the values of `node`, should all lookups hold."""
        low, high = self._stored_intervals.get(node, self.plan.intervals[node])
        if not self.wide:
            for kind in map(np.dtype, STORED_TYPES):
                if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
                    return kind
        return np.dtype(np.int64)

    @cached_property
    def _stored_intervals(self) -> dict[int, tuple[int, int]]:
        found: dict[int, tuple[int, int]] = {}
        for lookup in self.circuit.lookups:
            ranges = self.circuit.tables[lookup.table].coordinate_ranges()
            for node, (low, high) in zip(lookup.coordinates, ranges, strict=True):
                known = found.get(node, self.plan.intervals[node])
                found[node] = (max(low, known[0]), min(high, known[1]))
        return found

    def _start(self) -> Carry:
        nodes, plan = self.circuit.nodes, self.plan
        return Carry(
            sums={
                node: jnp.zeros(nodes[node].shape[1:], _exact_type(self.circuit.steps * plan.bound(node)))
                for node in plan.carried
            },
            totals={
                node: jnp.zeros(nodes[node].shape[1:], _exact_type(self._filter_bound(node)))
                for node in plan.weighted_totals
            },
            history={node: jnp.zeros(nodes[node].shape, _exact_type(plan.bound(node))) for node in plan.kept},
        )

    def _carried(self, carry: Carry, slices: dict[int, Array], at: Array) -> Carry:
        """What the next step reads: this step's slices added to the sums and kept in the history."""
        totals = {}
        for node, total in carry.totals.items():
            coefficient = self._coefficients(node)[0, at].astype(total.dtype)
            totals[node] = total + coefficient * slices[self.circuit.nodes[node].node].astype(total.dtype)  # type: ignore[union-attr]
        return Carry(
            sums={node: total + slices[node].astype(total.dtype) for node, total in carry.sums.items()},
            totals=totals,
            history={
                node: lax.dynamic_update_index_in_dim(past, slices[node].astype(past.dtype), at, 0)
                for node, past in carry.history.items()
            },
        )

    def _coefficients(self, node: int) -> Array:
        """The matrix of a filter, int64 [rows, columns]."""
        kind = self.circuit.nodes[node]
        assert isinstance(kind, Filter)
        return jnp.asarray(np.array(dense(kind.rows, self.circuit.nodes[kind.node].shape[0]), np.int64))

    def _filter_bound(self, node: int) -> int:
        """The largest sum of magnitudes that a row of a filter makes."""
        kind = self.circuit.nodes[node]
        assert isinstance(kind, Filter)
        return self.plan.bound(kind.node) * max(sum(n * abs(c) for n, c in runs) for runs in kind.rows)

    def _filter_slice(self, node: int, slices: dict[int, Array], carry: Carry, at: Array) -> Array:
        """A stepped filter at one step: earlier slices from what is carried, its own from this step."""
        kind = self.circuit.nodes[node]
        assert isinstance(kind, Filter)
        if self.plan.is_running_sum(node):
            return carry.sums[kind.node]
        row, bound = self._coefficients(node)[at], self._filter_bound(node)
        total = jnp.zeros(kind.shape[1:], np.int64)
        if self.plan.reads_history(node):
            total = exact.weighted(row, carry.history[kind.node], bound)
        if not self.plan.cut(node):
            own = slices[kind.node]
            total = exact.combine([(1, total), (1, exact.weighted(row[at][None], own[None], bound))], bound)
        return total

    def _step(self, whole: dict[int, Array], carry: Carry, schedule: Array, at: Array) -> dict[int, Array]:
        """Slices of all nodes that a step computes, at step `at`."""
        plan = self.plan
        slices: dict[int, Array] = {}
        for node in plan.step_order:
            kind = self.circuit.nodes[node]
            if isinstance(kind, Filter) and plan.phases[node] is Phase.STEPPED:
                slices[node] = self._filter_slice(node, slices, carry, at)
                continue
            if plan.cut(node):
                slices[node] = lax.dynamic_index_in_dim(whole[node], at, 0, False)
                continue
            reads = [slices[operand] if sliced else whole[operand] for operand, sliced in plan.slice_reads(node) or ()]
            match kind:
                case Rows(node=data):
                    slices[node] = whole[data][lax.dynamic_index_in_dim(schedule, at, 0, False)]
                case Axes(source=(0, *source)):
                    slices[node] = self._axes(node, reads[0], _without_step(source), kind.shape[1:])
                case Axes(source=(_, *source)):
                    slices[node] = self._axes(node, reads[0], source, kind.shape[1:])
                case Filter():
                    slices[node] = exact.weighted(self._coefficients(node)[at], reads[0], self._filter_bound(node))
                case Contract():
                    slices[node] = self._contract(_without_label(kind, kind.out_labels[0]), reads)
                case _:
                    slices[node] = self._pointwise(node, reads, kind.shape[1:])
        return slices

    def _whole(self, node: int, whole: Mapping[int, Array], schedule: Array) -> Array:
        """The full tensor of a node that is not stepped, from full operands."""
        kind = self.circuit.nodes[node]
        reads = [whole[operand] for operand in self.plan.dependencies(node)]
        match kind:
            case Rows():
                return reads[0][schedule]
            case Filter(rows=rows):
                if rows == earlier(len(rows)) and len(rows) == reads[0].shape[0]:
                    return jnp.cumsum(reads[0], axis=0) - reads[0]
                return exact.filtered(self._coefficients(node), reads[0], self._filter_bound(node))
            case Axes(source=source):
                return self._axes(node, reads[0], source, kind.shape)
            case Contract():
                return self._contract(kind, reads)
            case _:
                return self._pointwise(node, reads, kind.shape)

    def _late(
        self,
        node: int,
        whole: dict[int, Array],
        totals: Carry,
        stacked: dict[int, Array],
        schedule: Array,
    ) -> Array:
        kind = self.circuit.nodes[node]
        if isinstance(kind, Axes) and self.plan.is_total(node):
            return self._axes(node, totals.sums[kind.node], _without_step(kind.source), kind.shape)
        if node in totals.totals:
            return totals.totals[node][None]
        known = {
            operand: exact.as_int(stacked[operand]) if operand in stacked else whole[operand]
            for operand in self.plan.dependencies(node)
        }
        return self._whole(node, known, schedule)

    def _axes(self, node: int, x: Array, source: Sequence[int], shape: tuple[int, ...]) -> Array:
        return exact.axes(x, source, shape, self.plan.bound(node))

    def _contract(self, node: Contract, reads: list[Array]) -> Array:
        return exact.contract(node, reads[0], reads[1], (self.plan.bound(node.left), self.plan.bound(node.right)))

    def _pointwise(self, node: int, reads: list[Array], shape: tuple[int, ...]) -> Array:
        """Constants, combinations and recipes, whole or sliced."""
        match self.circuit.nodes[node]:
            case Constant(value=value):
                return jnp.full(shape, value, np.int64)
            case Positions(axis=axis) as kind:
                places = jnp.arange(shape[axis - len(kind.shape)], dtype=np.int64)
                return jnp.broadcast_to(places.reshape([-1, *[1] * (len(kind.shape) - 1 - axis)]), shape)
            case Combine(terms=terms):
                bound = sum(abs(coefficient) * self.plan.bound(operand) for coefficient, operand in terms)
                return exact.combine([(c, x) for (c, _), x in zip(terms, reads, strict=True)], bound)
            case Committed():
                return follow(self.plan.lowered.recipes[node], *map(exact.as_int, reads))
            case kind:
                raise WitnessError(f"node {node} ({kind}) has no pointwise rule")


def follow(recipe: Recipe, source: Array, other: Array = None) -> Array:
    """What a recipe makes of int64 arrays."""
    match recipe:
        case Quotient(shift=shift):
            return source if shift == 0 else (source + np.int64(1 << (shift - 1))) >> np.int64(shift)
        case RemainderLimb(shift=shift, offset=offset, width=width):
            return ((source + np.int64(1 << (shift - 1))) >> np.int64(offset)) & np.int64((1 << width) - 1)
        case ValueLimb(bias=bias, offset=offset, width=width):
            return ((source + np.int64(bias)) >> np.int64(offset)) & np.int64((1 << width) - 1)
        case ReluOutput(limit=limit):
            return jnp.clip(source, 0, limit)
        case ReluGate(limit=limit):
            return ((source > 0) & (source <= limit)).astype(np.int64)
        case Gated(limit=limit):
            return other * jnp.clip(source, -limit, limit)
        case TableValue(table=table):
            values = jnp.asarray(table.rows()[1][: table.size])
            inside = (source >= table.lo) & (source <= table.hi)
            return jnp.where(inside, values[jnp.clip(source - table.lo, 0, table.size - 1)], 0)
        case Largest():
            return jax.nn.one_hot(jnp.argmax(source, axis=-1), source.shape[-1], dtype=np.int64)
        case IsZero():
            return (source == 0).astype(np.int64)
        case Ratio(shift=shift):
            nonzero = jnp.where(other == 0, 1, other)
            ratio = ((source << np.int64(shift + 1)) + other) // (2 * nonzero)
            return jnp.where(other == 0, 0, ratio)
        case SquareRoot():
            return exact.square_root(source)
    raise WitnessError(f"unknown recipe {recipe}")


def _exact_type(bound: int) -> Any:
    return np.float64 if bound <= exact.EXACT else np.int64


def _without_step(source: Sequence[int]) -> list[int]:
    """The axis map `source` of a slice, whose operand lost its leading axis."""
    return [axis - 1 if axis > 0 else axis for axis in source]


def _without_label(node: Contract, label: int) -> Contract:
    """The contraction with one label, and its axis, taken off all tensors."""
    labels = (node.left_labels, node.right_labels, node.out_labels)
    left, right, out = (tuple(other for other in group if other != label) for group in labels)
    return Contract(node.shape[1:], node.left, node.right, left, right, out)
