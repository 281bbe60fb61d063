"""`compile` and the Program it returns: a training step as an exact integer program.

A Program knows the user's pytrees and the integer tensors that stand for them, in both
directions. The circuit depends on the number of rows of the data set, which is known at run time:
`lowered_for(rows)`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

from zkjax.circuit.program import Lowered
from zkjax.errors import UserError
from zkjax.fixedpoint.compile import lower_block, plan_block
from zkjax.fixedpoint.evaluate import calibrate
from zkjax.fixedpoint.formats import (
    DEFAULT_BITS,
    LEAST_BITS,
    MOST_BITS,
    MOST_HEADROOM,
    check_finite,
    data_format,
    label_format,
    quantized_data,
    quantized_state,
    restored_state,
)
from zkjax.fixedpoint.nodes import First, Positive
from zkjax.fixedpoint.plan import Plan
from zkjax.frontend import Reading, read_step
from zkjax.frontend.counters import Raw
from zkjax.frontend.outputs import Outputs
from zkjax.frontend.roles import Tree, difference
from zkjax.frontend.trace import is_key, run
from zkjax.frontend.values import MASK_NOTE, TIE_NOTE
from zkjax.prover.checkpoint import Checkpoint
from zkjax.report import Report, report, tables_line
from zkjax.statement.circuit import Circuit, Public
from zkjax.statement.ranges import check_ranges
from zkjax.witness.run import Run, run_program

# Of the root mean square of a leaf's change, and of its largest entry.
TRANSLATION_TOLERANCE = 0.01
LARGEST_DIFFERENCE = 0.25
# Of an output, and the number of rows that may be predicted otherwise.
REPORT_TOLERANCE = 0.01
CLOSE_CALLS = 2


def compile(
    train_step: Callable,
    state: Any,
    batch: Any,
    *,
    steps: int,
    calibration: Iterable[Any] | None = None,
    dataset: Any = None,
    before: Checkpoint | None = None,
    bits: int = DEFAULT_BITS,
    headroom: int = 0,
    public_constants: bool = False,
    outputs: Outputs = (),
) -> Program:
    """The exact integer program of `steps` training steps.

    `train_step(state, batch)` returns the new state, or (state, aux); it is traced, not changed.
    `batch` is one real batch, its leaves arrays with a leading axis of rows. Formats come from
    running the step in floating point on `calibration`, an iterable of batches in the order of
    training, or on `batch` alone; batches for all steps of the block need the least headroom. The
    formats of the data hold all of `dataset` where it is given, and then are the same for every
    block; else they hold what calibration holds, and as much again. `before` is the commitment to the
    state that the block before ended in, if there is one: state leaves keep its formats. `bits` is the number of
    magnitude bits of activations and gradients; fewer are taken, but no fewer than 10, where the
    proof of the ranges needs it. `headroom` is how many bits more everything computed and the state may grow beyond
    calibration, each at the cost of a fraction bit; a run that leaves its ranges says how many it lacked.
    `public_constants` allows arrays that the step closes over: everybody who has the statement sees them.
    `outputs` names the leaves of aux that become public: `outputs=("loss", "accuracy")` of a step that returns
    `(state, {"loss": ..., "accuracy": ...})`, True for all leaves. Their values at every step are part of the
    statement, and proved; what is not asked for is not computed.

    Raises UnsupportedError (all operations that cannot be proved, with source lines), BoundError
    (a value that may leave the field, with the remedy), UserError for anything else.
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise UserError(f"steps must be a whole number from 1 on, not {steps!r}")
    if isinstance(bits, bool) or not isinstance(bits, int) or not LEAST_BITS <= bits <= MOST_BITS:
        raise UserError(f"bits must be a whole number from {LEAST_BITS} to {MOST_BITS}, not {bits!r}")
    if isinstance(headroom, bool) or not isinstance(headroom, int) or not 0 <= headroom <= MOST_HEADROOM:
        raise UserError(f"headroom must be a whole number of bits from 0 to {MOST_HEADROOM}, not {headroom!r}")
    reading = read_step(train_step, state, batch, outputs, public_constants=public_constants)
    if isinstance(calibration, Mapping):
        raise UserError("calibration is an iterable of batches, not one batch: pass a list of them")
    batches = [batch] if calibration is None else list(calibration)
    if not batches:
        raise UserError("calibration holds no batch")
    leaves = [_data(reading, each, "calibration batch", same_rows=True) for each in batches]
    initial = reading.parted(_leaves(reading.state, state, "state"))
    step = reading.step
    for name in step.state:
        check_finite(f"state leaf {name!r}", np.asarray(initial[name], np.float64))
    seen = [_data(reading, dataset, "data set"), *leaves] if dataset is not None else leaves
    for number, tree in enumerate(seen, start=len(leaves) - len(seen)):
        what = "data set" if number < 0 else "batch" if calibration is None else f"calibration batch {number}"
        for name in step.data:
            check_finite(f"{what}: leaf {name!r}", np.asarray(tree[name], np.float64))
    data = {
        name: label_format(step.labels[name], step.nodes[index].shape[1:])
        if name in step.labels
        else data_format(name, step.nodes[index].shape[1:], [each[name] for each in seen])
        for name, index in step.data.items()
    }
    for name in step.labels:  # before the step is run on them: it makes NaN of some, and counts -1 from the end
        for each in seen:
            quantized_data(name, data[name], each[name])
    start = reading.schedule.start(initial)
    calibrated = calibrate(step, initial, leaves, reading.schedule.values(start, len(leaves)))
    _check_translation(reading, state, batches[0], calibrated.first)
    _check_reports(reading, state, batches[0], calibrated.reported)
    calibrated = calibrated.enlarged(headroom)
    settled = {place.name: place.fraction_bits for place in before.type.tensors} if before is not None else {}
    numbers = reading.schedule.values(start, steps)
    plan, lowered = plan_block(
        step, calibrated, data, numbers=numbers, bits=bits, fractions=settled, counters=reading.schedule.named(start)
    )
    return Program(reading, plan, train_step, start, {lowered.circuit.rows: lowered})


@dataclass(eq=False)
class Program:
    """A training block as an exact integer program, and its relation to the user's pytrees.

    Integer tensors are int64 arrays keyed by leaf name ('params/Dense_0/kernel', 'image'), the
    names of the circuit's committed tensors. `str(program)` is a table of all that is public.

    `start` are the counters and keys before the block, if the step computes numbers or arrays from them: a
    program is of the steps that begin there, `at(state)` the program for others.
    """

    reading: Reading
    plan: Plan
    train_step: Callable
    start: tuple[Raw, ...]
    _lowered: dict[int, Lowered] = field(repr=False)
    _by_start: dict[tuple[Raw, ...], Program] = field(default_factory=dict, repr=False)

    @property
    def steps(self) -> int:
        return self.plan.steps

    @property
    def batch(self) -> int:
        """Rows per batch."""
        return self.plan.step.batch

    @property
    def has_aux(self) -> bool:
        """Whether the user's step returns (state, aux)."""
        return self.reading.has_aux

    def lowered_for(self, rows: int) -> Lowered:
        """The circuit and its recipes for a data set of `rows` rows."""
        if rows not in self._lowered:
            self._lowered[rows] = lower_block(self.plan, rows=rows)
        return self._lowered[rows]

    def circuit_for(self, rows: int) -> Circuit:
        return self.lowered_for(rows).circuit

    @property
    def lowered(self) -> Lowered:
        """The circuit for a data set of exactly the rows that the block reads."""
        return self.lowered_for(self.steps * self.batch)

    @property
    def circuit(self) -> Circuit:
        return self.lowered.circuit

    def at(self, state: Any) -> Program:
        """The program of the block that begins at `state`, whose counters and keys decide rates and masks.

        The same program wherever no number depends on a counter. Otherwise another circuit in the same
        formats of data and state, so that blocks chain.
        """
        schedule = self.reading.schedule
        start = schedule.start(_leaves(self.reading.state, state, "state"))
        if start == self.start or not schedule.inverse:
            return self
        if start not in self._by_start:
            plan, lowered = plan_block(
                self.reading.step,
                self.plan.calibration,
                self.plan.data,
                numbers=schedule.values(start, self.steps),
                bits=self.plan.precision.bits,
                fractions={name: form.state_fraction for name, form in self.plan.weights.items()},
                counters=schedule.named(start),
            )
            self._by_start[start] = replace(
                self, plan=plan, start=start, _lowered={lowered.circuit.rows: lowered}, _by_start=self._by_start
            )
        return self._by_start[start]

    def quantize_state(self, state: Any) -> dict[str, np.ndarray]:
        """The float leaves of a state as integers, weights with 16 fraction bits.

        Raises UserError naming leaf, index, value and range where one is NaN, infinite or too large.
        """
        leaves = self.reading.parted(_leaves(self.reading.state, state, "state"))
        return {name: quantized_state(name, form, leaves[name]) for name, form in self.plan.weights.items()}

    def quantize_dataset(self, dataset: Any) -> dict[str, np.ndarray]:
        """The data leaves that the step reads as integers [rows, ...].

        `dataset` has the structure of a batch, with any number of rows from one batch on. Raises
        UserError naming leaf, index, value and range where one does not fit.
        """
        leaves = _data(self.reading, dataset, "data set")
        count = len(next(iter(leaves.values())))
        if count < self.batch:
            raise UserError(f"the data set has {count} rows, fewer than the {self.batch} of one batch")
        return {name: quantized_data(name, form, leaves[name]) for name, form in self.plan.data.items()}

    def restore_state(self, integers: Mapping[str, np.ndarray], template: Any) -> Any:
        """The state after the block, in the user's own pytree and types.

        `integers` are the weights after the block; every other leaf comes from `template`, the
        state before, with counters and keys advanced by `steps`.
        """
        leaves, structure = jax.tree_util.tree_flatten(template)
        weights = self.reading.joined(
            {name: restored_state(form, integers[name]) for name, form in self.plan.weights.items()}
        )
        public = self.reading.public
        raw = public.start({leaf.name: leaves[leaf.index] for leaf in self.reading.state.leaves})
        for _ in range(self.steps):
            raw = public.after(raw)
        moved = {leaf.name: leaf.value(own) for leaf, own in zip(public.leaves, raw, strict=True) if leaf.move != 0}
        for leaf in self.reading.state.leaves:
            value = leaves[leaf.index]
            if leaf.name in weights:
                leaves[leaf.index] = _like(value, weights[leaf.name].reshape(leaf.shape))
            elif leaf.name in moved:
                leaves[leaf.index] = _like(value, moved[leaf.name])
        return jax.tree_util.tree_unflatten(structure, leaves)

    def run(self, state: Any, dataset: Any, schedule: Any) -> Run:
        """Train one block exactly, in the integer arithmetic that a proof is about.

        `dataset` is a pytree like a batch with any number of rows, `schedule` an integer array
        [steps, batch] of row numbers. `run.state` is the state after it, from which the next block
        can start. Raises UserError for input that does not fit, OutOfRangeError (layer, step,
        index, value, bound) where the run leaves its proven ranges.
        """
        return run_program(self, state, dataset, schedule)

    def report(self, state: Any, dataset: Any, schedule: Any) -> Report:
        """Run one block as `run` does, and say how it compares with float32, how much room it left, what it costs.

        The report prints, and has `as_dict()` for machines. It is secret: magnitudes tell about data and weights.
        """
        program = self.at(state)
        run = program.run(state, dataset, schedule)
        data = _data(self.reading, dataset, "data set")
        batches = [{name: leaf[rows] for name, leaf in data.items()} for rows in run.schedule]
        leaves = self.reading.parted(_leaves(self.reading.state, state, "state"))
        before = {name: leaves[name] for name in program.plan.weights}
        return report(run, self.reading.step, program.plan, before, batches)

    def train_in_float(self, state: Any, dataset: Any, schedule: Any) -> tuple[Any, dict[str, np.ndarray]]:
        """(state, outputs) after the same steps in the training step's own arithmetic; outputs are [steps, ...]."""
        step = jax.jit(self.train_step)
        seen: dict[str, list[np.ndarray]] = {leaf.name: [] for leaf in self.reading.outputs}
        for rows in np.asarray(schedule):
            returned = step(state, jax.tree.map(lambda leaf, rows=rows: leaf[rows], dataset))
            state, aux = returned if self.has_aux else (returned, None)
            leaves = jax.tree_util.tree_leaves(aux)
            for leaf in self.reading.outputs:
                seen[leaf.name].append(np.asarray(leaves[leaf.index]))
        return state, {name: np.stack(values) for name, values in seen.items()}

    def step(self, state: Any, batch: Any) -> Any:
        """One step of the integer program, a drop-in for the training step; returns what that returns.

        The weights in and out are the user's own floats, rounded to multiples of 2**-16: a block
        of one step. Inside a longer block weights keep all their bits and are rounded once at its
        end, so a run of steps differs from `run` by that rounding, and changes below 2**-17 are
        lost here. The auxiliary output, if any, is the training step's own at `state`, in floats.

        Raises UserError for input that does not fit, OutOfRangeError where the step leaves its ranges.
        """
        _data(self.reading, batch, "batch", same_rows=True)
        rows = np.arange(self.batch, dtype=np.int32)[None]
        after = self.at(state)._one_step.run(state, batch, rows).state
        return (after, jax.jit(self.train_step)(state, batch)[1]) if self.has_aux else after

    @cached_property
    def _one_step(self) -> Program:
        return self if self.steps == 1 else replace(self, plan=self.plan.shortened(1), _lowered={}, _by_start={})

    def __str__(self) -> str:
        return _printed(self)


def _check_translation(reading: Reading, state: Any, batch: Any, ours: Mapping[str, np.ndarray]) -> None:
    """Compare one step of the translated program with the traced one, both in floating point.

    Raises UserError where they disagree by more than rounding: then a proof would be about
    something else than the user's step. A step that notes ties at zero may differ there. A rectifier close to
    zero may open for a row in one arithmetic and not in the other, which moves the few weights of one unit:
    so single entries may differ by more than all of them together.
    """
    inputs = [*jax.tree_util.tree_leaves(state), *jax.tree_util.tree_leaves(batch)]
    theirs = jax.jit(lambda *leaves: run(reading.program, leaves))(*inputs)
    before, ours = _leaves(reading.state, state, "state"), reading.joined(ours)
    names = [leaf.name for leaf in reading.state.leaves if leaf.is_float]
    for name, expected in zip(names, theirs, strict=True):
        if not np.isfinite(expected).all():
            raise UserError(
                f"the training step itself, in floating point, makes state leaf {name!r} NaN or infinite on the first "
                "batch: scale the data to about one, or lower the learning rate"
            )
        change = np.asarray(expected, np.float64) - before[name]
        error = np.asarray(expected, np.float64) - ours[name]
        size = np.abs(before[name]).max()
        ties = set(reading.step.notes) & {TIE_NOTE, MASK_NOTE}
        near = _mean_square(error) <= (TRANSLATION_TOLERANCE * _mean_square(change) ** 0.5 + 1e-5 * size) ** 2
        nowhere_far = np.abs(error).max() <= LARGEST_DIFFERENCE * np.abs(change).max() + 1e-5 * size
        if not (near and nowhere_far) and not ties:
            differ, moved = np.abs(error).max(), np.abs(change).max()
            raise UserError(
                f"the compiled program moves {name!r} by something else than the training step does (they differ by "
                f"{differ:.2g}, the step moves it by {moved:.2g}): please report this training step"
            )


def _check_reports(reading: Reading, state: Any, batch: Any, ours: Mapping[str, np.ndarray]) -> None:
    """Compare the outputs of one step likewise; predictions close to a tie may fall the other way."""
    inputs = [*jax.tree_util.tree_leaves(state), *jax.tree_util.tree_leaves(batch)]
    theirs = jax.jit(lambda *leaves: run(reading.reported, leaves))(*inputs) if ours else []
    for leaf, expected in zip(reading.outputs, theirs, strict=True):
        expected, got = np.asarray(expected, np.float64), ours[leaf.name]
        if not np.isfinite(expected).all():
            raise UserError(
                f"the training step itself, in floating point, returns a {leaf.name!r} that is NaN or infinite on the "
                "first batch: scale the data to about one, or lower the learning rate"
            )
        choices = any(isinstance(node, First | Positive) for node in reading.step.nodes)
        allowed = REPORT_TOLERANCE * np.abs(expected).max() + 1e-5 + choices * CLOSE_CALLS / reading.step.batch
        if np.abs(got - expected).max() > allowed:
            raise UserError(
                f"the compiled program returns another {leaf.name!r} than the training step does "
                f"({np.ravel(got)[0]:.6g} for {np.ravel(expected)[0]:.6g}): please report this training step"
            )


def _mean_square(values: np.ndarray) -> float:
    return float(np.mean(np.square(values)))


def _like(value: Any, new: np.ndarray) -> Any:
    """`new` in the type of `value`."""
    if isinstance(value, bool | int | float):
        return type(value)(new)
    if is_key(new.dtype):
        return new
    new = new.astype(value.dtype)
    return new if isinstance(value, np.ndarray | np.generic) else jnp.asarray(new)


def _leaves(tree: Tree, value: Any, what: str, *, same_rows: bool = False) -> dict[str, np.ndarray]:
    """{name: array} of a pytree that must have the structure and shapes of `tree`.

    The first axis may differ for data, unless `same_rows`.
    """
    leaves, structure = jax.tree_util.tree_flatten(value)
    if len(leaves) != len(tree.leaves) or (what != "state" and structure != tree.structure):
        raise UserError(f"the {what} has another structure than at compile time: it {difference(tree, value)}")
    found = {}
    for leaf, given in zip(tree.leaves, leaves, strict=True):
        shape = tuple(np.shape(given))
        fixed = 0 if what == "state" or same_rows else 1
        if shape[fixed:] != leaf.shape[fixed:] or len(shape) != len(leaf.shape):
            expected = leaf.shape if not fixed else ("rows", *leaf.shape[1:])
            raise UserError(f"{what} leaf {leaf.name!r} has shape {shape}, not {expected} as at compile time")
        found[leaf.name] = given
    return {name: np.asarray(jax.random.key_data(each) if _is_key(each) else each) for name, each in found.items()}


def _data(reading: Reading, value: Any, what: str, *, same_rows: bool = False) -> dict[str, np.ndarray]:
    """The leaves of a batch or data set by name, with those that the step prepares from them."""
    leaves = _leaves(reading.batch, value, what, same_rows=same_rows)
    counts = {name: len(leaf) for name, leaf in leaves.items()}
    if len(set(counts.values())) != 1:
        listed = ", ".join(f"{name}: {count}" for name, count in counts.items())
        raise UserError(f"the leaves of the {what} differ in their number of rows ({listed})")
    ordered = [leaves[name] for name in reading.batch.names]
    return leaves | {name: prepared.of(ordered) for name, prepared in reading.prepared.items()}


def _is_key(value: Any) -> bool:
    return is_key(getattr(value, "dtype", None))


def _printed(program: Program) -> str:
    """Formats, proven ranges, what is committed and virtual, learning rates, cost."""
    plan, circuit = program.plan, program.circuit
    proven = check_ranges(circuit)
    console = Console(file=io.StringIO(), width=110, color_system=None, legacy_windows=False)
    title = f"{plan.steps} steps of batch {program.batch}, {plan.precision.bits} magnitude bits"
    table = Table("tensor", "role", "shape", "fraction bits", "range", title=title)
    for name, form in plan.data.items():
        shape = ("rows", *form.shape)
        table.add_row(name, "data", _shape(shape), str(form.fraction_bits), f"[{form.lo}, {form.hi}]")
    for tensor in plan.tensors:
        role = "committed" if tensor.shift else "virtual"
        bounds = f"[{tensor.lo}, {tensor.hi}]"
        shape = (plan.steps, *tensor.shape)
        table.add_row(tensor.name, role, _shape(shape), str(tensor.fraction_bits), bounds)
    for name, weight in plan.weights.items():
        shape = plan.step.nodes[plan.step.state[name]].shape
        bounds = f"+-2^{weight.bits}"
        table.add_row(name, "before, after", _shape(shape), str(weight.state_fraction), bounds)
        table.add_row("", "virtual, every step", "", str(weight.fraction_bits), "")
    console.print(table)
    largest = max(max(-low, high) for low, high in proven if high < 1 << 100)
    console.print(f"largest proven bound of any value: 2^{largest.bit_length()} (the field holds 2^61)")
    elements, lookups = circuit.committed_elements, circuit.lookup_entries
    parameters = sum(int(np.prod(plan.step.nodes[index].shape)) for index in plan.step.state.values())
    console.print(
        f"{parameters:,} parameters, {elements:,} committed elements, {lookups:,} lookups "
        f"(for a data set of {circuit.rows:,} rows)"
    )
    console.print(tables_line(tuple((table.describe(), 1 << table.bits) for table in circuit.tables)))
    schedule = program.reading.schedule
    start = {name: f", {at} at the start" for name, at in schedule.named(program.start).items()}
    for leaf in program.reading.public.leaves:
        moves = "moved by each step" if leaf.move is None else f"plus {leaf.move} a step" if leaf.move else "unchanged"
        console.print(f"public: {leaf.name}, {moves}{start.get(leaf.name, '') if schedule.inverse else ''}")
    arrays = [node for node in circuit.nodes if isinstance(node, Public)]
    if arrays:
        text = sum(len(node.entries) for node in arrays)
        console.print(f"public: {len(arrays)} arrays, {text:,} bytes of the statement")
    for output in circuit.outputs:
        of = _shape(circuit.output_shape(output)[1:])
        console.print(f"public: output {output.name} ({of}) of every step, in units of 2^-{output.fraction_bits}")
    for remark in circuit.remarks:
        console.print(remark, soft_wrap=True, markup=False, highlight=False)
    for kind, line in program.reading.shortened.items():  # not in the circuit, which is the same wherever files lie
        console.print(f"rounded to {kind} first at {line}", soft_wrap=True, markup=False, highlight=False)
    return console.file.getvalue().rstrip()  # type: ignore[attr-defined]


def _shape(shape: tuple[object, ...]) -> str:
    return " x ".join(map(str, shape)) or "scalar"


__all__ = ["Program", "compile"]
