"""Chooses formats and learning rate, lowers the step, and proves that nothing wraps around."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from zkjax.circuit.builder import CircuitBuilder
from zkjax.circuit.program import Lowered
from zkjax.errors import UserError
from zkjax.fixedpoint.analysis import Roles, roles
from zkjax.fixedpoint.bounds import BoundError, check_bounds, check_coefficient
from zkjax.fixedpoint.dyadic import is_short, written
from zkjax.fixedpoint.evaluate import Calibration
from zkjax.fixedpoint.formats import (
    LEAST_BITS,
    MAX_SHIFT,
    STATE_FRACTION,
    DataFormat,
    Precision,
    TensorFormat,
    WeightFormat,
    state_bits,
)
from zkjax.fixedpoint.lower import Lowering, Placed
from zkjax.fixedpoint.rates import Fold, choose_fold, effective_factor, multiplier
from zkjax.fixedpoint.step import Step
from zkjax.statement.circuit import CircuitError

FIRST_FRACTION = 28
MAX_ROUNDS = 8


@dataclass(frozen=True)
class Plan:
    """Everything that decides a circuit but the number of rows of the data set."""

    step: Step
    roles: Roles
    calibration: Calibration
    precision: Precision
    data: dict[str, DataFormat]
    weights: dict[str, WeightFormat]
    fold: Fold | None
    steps: int
    tensors: tuple[TensorFormat, ...] = ()
    remarks: tuple[str, ...] = ()


def plan_block(
    step: Step, calibration: Calibration, data: dict[str, DataFormat], *, steps: int, bits: int
) -> tuple[Plan, Lowered]:
    """The plan with the most magnitude bits, at most `bits`, that fits; and a first circuit.

    Raises BoundError naming the equation, its bound and the remedy if even LEAST_BITS do not fit.
    """
    first_error: BoundError | None = None
    for magnitude in range(bits, min(bits, LEAST_BITS) - 1, -1):
        try:
            plan = plan_formats(step, calibration, data, steps, magnitude)
            return plan, lower_block(plan, rows=steps * step.batch)
        except BoundError as error:
            first_error = first_error or error
    assert first_error is not None
    raise first_error


def lower_block(plan: Plan, *, rows: int) -> Lowered:
    """The circuit of a plan for a data set of `rows` rows, legal and proven free of wrap-around."""
    lowering = _lowering(plan, {name: w.fraction_bits for name, w in plan.weights.items()}, rows)
    changes = _changes(lowering, plan.step)
    _bind_state(lowering, plan, changes)
    lowering.builder.remarks += plan.remarks
    try:
        lowered = lowering.builder.finish()
    except CircuitError as error:
        raise UserError(
            f"a block of {plan.steps} steps on batches of {plan.step.batch} and {rows} rows exceeds a limit: {error}"
        ) from error
    check_bounds(lowered.circuit, lowering.lookup_lines)
    return lowered


def plan_formats(step: Step, calibration: Calibration, data: dict[str, DataFormat], steps: int, bits: int) -> Plan:
    """Weight formats by iteration: they follow from the changes', which hardly depend on them."""
    found = roles(step)
    fold = choose_fold(step, found)
    plan = Plan(
        step=step,
        roles=found,
        calibration=calibration,
        precision=Precision.chosen(bits, calibration.batches, steps),
        data=data,
        weights={},
        fold=fold,
        steps=steps,
    )
    fractions = dict.fromkeys(step.state, FIRST_FRACTION)
    for _ in range(MAX_ROUNDS):
        lowering = _lowering(plan, fractions, steps * step.batch)
        weights = _weights(lowering, plan, _changes(lowering, step))
        settled = {name: form.fraction_bits for name, form in weights.items()}
        excess = max((tensor.shift for tensor in lowering.tensors), default=0) - MAX_SHIFT
        cut = min(plan.precision.most_cut, plan.precision.gradient_cut + excess)
        if settled == fractions and cut > plan.precision.gradient_cut:
            plan = replace(plan, precision=replace(plan.precision, gradient_cut=cut))
        elif settled == fractions:
            remarks = _remarks(plan, weights, lowering)
            return replace(plan, weights=weights, tensors=tuple(lowering.tensors), remarks=remarks)
        fractions = settled
    raise UserError("the formats of the weights do not settle: please report this training step")


def _lowering(plan: Plan, fractions: Mapping[str, int], rows: int) -> Lowering:
    return Lowering(
        step=plan.step,
        roles=plan.roles,
        calibration=plan.calibration,
        data=plan.data,
        precision=plan.precision,
        fractions=fractions,
        fold=plan.fold,
        steps=plan.steps,
        rows=rows,
    )


def _changes(lowering: Lowering, step: Step) -> dict[str, Placed]:
    """The integer change of every moving leaf; nodes are made in the order of the step."""
    changing = {change.node for change in step.changes.values()}
    for index in range(len(step.nodes)):
        if index in lowering.roles.rounded or index in changing:
            lowering.value(index)
    lowering.check_rest()
    return {name: lowering.value(change.node) for name, change in step.changes.items()}


def _weights(lowering: Lowering, plan: Plan, changes: Mapping[str, Placed]) -> dict[str, WeightFormat]:
    formats = {}
    for name in plan.step.state:
        bits = state_bits(name, plan.calibration.state[name])
        change = plan.step.changes.get(name)
        if change is None:
            formats[name] = WeightFormat(STATE_FRACTION, bits, 0)
            continue
        m, k = multiplier(change.factor, name, plan.fold)
        fraction = max(STATE_FRACTION, changes[name].fraction + k)
        applied = effective_factor(m, k, name, plan.fold)
        line = plan.step.lines[change.node]
        check_coefficient(1 << (fraction - STATE_FRACTION), line)
        check_coefficient(m << (fraction - changes[name].fraction - k), line)
        integer_step = m << (fraction - changes[name].fraction - k)
        formats[name] = WeightFormat(fraction, bits, integer_step, change.factor, applied, change.rate)
    return formats


def _bind_state(lowering: Lowering, plan: Plan, changes: Mapping[str, Placed]) -> None:
    """Weights between the steps: the weights before the block plus all earlier changes."""
    b: CircuitBuilder = lowering.builder
    for name, index in plan.step.state.items():
        form, shape = plan.weights[name], plan.step.nodes[index].shape
        bits, lift = form.bits, 1 << (form.fraction_bits - STATE_FRACTION)
        before = b.state_before(name, shape, fraction_bits=STATE_FRACTION, bits=bits)
        axes = tuple(range(len(shape)))
        spread = b.axes(before, (-1, *axes), (plan.steps, *shape))
        current, last = b.combine((lift, spread)), before
        if name in changes:
            change = changes[name].node
            total = b.axes(change, tuple(axis + 1 for axis in axes), shape)
            current = b.combine((lift, spread), (form.step, b.before(change)))
            last = b.combine((lift, before), (form.step, total))
        b.bind(lowering.exact(index).node, current)
        shift = form.fraction_bits - STATE_FRACTION
        b.state_after(name, last, shift, fraction_bits=STATE_FRACTION, bits=bits)


def _remarks(plan: Plan, weights: Mapping[str, WeightFormat], lowering: Lowering) -> tuple[str, ...]:
    """Public facts that belong to the circuit: learning rate, formats of the data, approximations."""
    sayings: dict[str, list[str]] = {}
    for name, form in weights.items():
        if name in plan.step.changes:
            sayings.setdefault(_rate_remark(form), []).append(name)
    remarks = [
        f"{saying}: {'all weights' if len(sayings) == 1 else ', '.join(names)}" for saying, names in sayings.items()
    ]
    remarks += [
        f"data {name}: integers in [{form.lo}, {form.hi}] times 2^-{form.fraction_bits}"
        for name, form in plan.data.items()
    ]
    return (*remarks, *lowering.approximations, *plan.step.notes)


def _rate_remark(form: WeightFormat) -> str:
    """The effective learning rate as an exact number, and the user's."""
    rate, effective = form.rate, form.effective_rate
    if rate is None or effective is None:
        return f"change times {written(form.applied)}, in the training step {float(form.factor):.9g}"
    theirs = f"in the training step {float(rate):.9g}"
    if effective == rate or is_short(effective, 16):
        return f"learning rate {written(effective)} = {float(effective):.9g}, {theirs}"
    product = f"times the constants of the loss {written(abs(form.applied))}"
    return f"learning rate {float(effective):.9g}, {theirs}, {product}"
