"""Chooses formats and learning rate, lowers the step, and proves that nothing wraps around."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType

from zkjax.circuit.program import Lowered
from zkjax.errors import UserError
from zkjax.fixedpoint.analysis import roles
from zkjax.fixedpoint.bounds import BoundError, check_bounds
from zkjax.fixedpoint.dyadic import is_short, written
from zkjax.fixedpoint.evaluate import Calibration
from zkjax.fixedpoint.filters import Response, responses, whole
from zkjax.fixedpoint.formats import (
    LEAST_BITS,
    MAX_SHIFT,
    DataFormat,
    Precision,
    WeightFormat,
)
from zkjax.fixedpoint.lower import Lowering
from zkjax.fixedpoint.moments import moment_responses
from zkjax.fixedpoint.numbers import Values
from zkjax.fixedpoint.placed import Placed
from zkjax.fixedpoint.plan import Plan
from zkjax.fixedpoint.rates import choose_fold, has_long_multiplier
from zkjax.fixedpoint.state import bind_state, filter_remarks, state_formats
from zkjax.fixedpoint.step import Step
from zkjax.statement.circuit import CircuitError

FIRST_FRACTION = 28
MAX_ROUNDS = 8
# A learning rate below this is named where a step does not fit.
SMALL_RATE = Fraction(1, 1 << 17)


def plan_block(
    step: Step,
    calibration: Calibration,
    data: dict[str, DataFormat],
    *,
    numbers: Sequence[Values],
    bits: int,
    fractions: Mapping[str, int] = MappingProxyType({}),
    counters: Mapping[str, int | tuple[int, ...]] = MappingProxyType({}),
) -> tuple[Plan, Lowered]:
    """The plan with the most magnitude bits, at most `bits`, that fits; and a first circuit.

    `numbers` are the public numbers of each step, `fractions` the fraction bits of state leaves that
    are settled already, `counters` the counters before the block that the numbers follow from.

    Raises BoundError naming the equation, its bound and the remedy if even LEAST_BITS do not fit.
    """
    first_error: BoundError | None = None
    for magnitude in range(bits, min(bits, LEAST_BITS) - 1, -1):
        try:
            plan = plan_formats(step, calibration, data, tuple(numbers), magnitude, fractions, counters)
            return plan, lower_block(plan, rows=plan.steps * step.batch)
        except BoundError as error:
            first_error = first_error or error
            if step.reports and _fits(replace(step, reports={}), calibration, data, numbers, magnitude, fractions):
                raise error.of_output() from error  # what is published must not cost the training its bits
    assert first_error is not None
    rates = [(abs(change.rate), name) for name, change in step.changes.items() if change.rate]
    if rates and min(rates)[0] < SMALL_RATE:
        raise first_error.of_rate(*min(rates)[::-1]) from first_error
    raise first_error


def _fits(
    step: Step,
    calibration: Calibration,
    data: dict[str, DataFormat],
    numbers: Sequence[Values],
    bits: int,
    fractions: Mapping[str, int],
) -> bool:
    try:
        plan = plan_formats(step, calibration, data, tuple(numbers), bits, fractions, {})
        lower_block(plan, rows=plan.steps * step.batch)
    except BoundError:
        return False
    return True


def lower_block(plan: Plan, *, rows: int) -> Lowered:
    """The circuit of a plan for a data set of `rows` rows, legal and proven free of wrap-around."""
    lowering = _lowering(plan, {name: w.fraction_bits for name, w in plan.weights.items()}, rows)
    changes = _changes(lowering, plan.step)
    bind_state(lowering, plan, changes)
    _publish(lowering, plan.step)
    lowering.builder.remarks += plan.remarks
    try:
        lowered = lowering.builder.finish()
    except CircuitError as error:
        raise UserError(
            f"a block of {plan.steps} steps on batches of {plan.step.batch} and {rows} rows exceeds a limit: {error}"
        ) from error
    check_bounds(lowered.circuit, lowering.lookup_lines)
    return lowered


def plan_formats(
    step: Step,
    calibration: Calibration,
    data: dict[str, DataFormat],
    numbers: tuple[Values, ...],
    bits: int,
    settled: Mapping[str, int],
    counters: Mapping[str, int | tuple[int, ...]],
) -> Plan:
    """Weight formats by iteration: they follow from the changes', which hardly depend on them.

    Raises BoundError, with the tensors that come before what does not fit.
    """
    found, moments = responses(step, numbers), moment_responses(step, numbers)
    step = _changed(step, found)
    decided = roles(step)
    fold = choose_fold(step, decided)
    found = {name: whole(r) if has_long_multiplier(r.change, name, fold) else r for name, r in found.items()}
    step = _changed(step, found)
    plan = Plan(
        step=step,
        numbers=numbers,
        responses=found,
        moments=moments,
        roles=decided,
        calibration=calibration,
        precision=Precision.chosen(bits, calibration.batches, len(numbers)),
        data=data,
        weights={},
        fold=fold,
        steps=len(numbers),
        fractions=settled,
        counters=dict(counters),
    )
    fractions = dict.fromkeys(step.state, FIRST_FRACTION)
    for _ in range(MAX_ROUNDS):
        lowering = _lowering(plan, fractions, plan.steps * step.batch)
        try:
            weights = state_formats(lowering, plan, _changes(lowering, step))
            trained = len(lowering.tensors)
            _publish(lowering, step)
        except BoundError as error:
            error.tensors = tuple(lowering.tensors)
            raise
        reached = {name: form.fraction_bits for name, form in weights.items()}
        excess = max((tensor.shift for tensor in lowering.tensors[:trained]), default=0) - MAX_SHIFT
        cut = min(plan.precision.most_cut, plan.precision.gradient_cut + excess)
        if reached == fractions and cut > plan.precision.gradient_cut:
            plan = replace(plan, precision=replace(plan.precision, gradient_cut=cut))
        elif reached == fractions:
            remarks = _remarks(plan, weights, lowering)
            return replace(plan, weights=weights, tensors=tuple(lowering.tensors), remarks=remarks)
        fractions = reached
    raise UserError("the formats of the weights do not settle: please report this training step")


def _changed(step: Step, found: Mapping[str, Response]) -> Step:
    """The step with the changes that the responses are in units of."""
    return replace(step, changes={name: r.change for name, r in found.items() if r.change is not None})


def _lowering(plan: Plan, fractions: Mapping[str, int], rows: int) -> Lowering:
    return Lowering(
        step=plan.step,
        roles=plan.roles,
        calibration=plan.calibration,
        data=plan.data,
        precision=plan.precision,
        fractions=fractions,
        numbers=plan.numbers,
        fold=plan.fold,
        steps=plan.steps,
        rows=rows,
        moments=plan.moments,
        settled={**plan.fractions, **{name: form.state_fraction for name, form in plan.weights.items()}},
    )


def _changes(lowering: Lowering, step: Step) -> dict[str, Placed]:
    """The integer change of every moving leaf; nodes are made in the order of the step."""
    changing = {change.node for change in step.changes.values()}
    for index in range(len(step.nodes)):
        if index not in step.reporting and (index in lowering.roles.rounded or index in changing):
            lowering.value(index)
    lowering.check_rest()
    return {name: lowering.value(change.node) for name, change in step.changes.items()}


def _publish(lowering: Lowering, step: Step) -> None:
    """The outputs, after all that the training needs, which therefore does not depend on them."""
    for name, report in step.reports.items():
        lowering.reports.publish(name, report)
    lowering.check_rest()


def _remarks(plan: Plan, weights: Mapping[str, WeightFormat], lowering: Lowering) -> tuple[str, ...]:
    """Public facts that belong to the circuit: learning rate, formats of the data, approximations."""
    sayings: dict[str, list[str]] = {}
    for name, form in weights.items():
        if name in plan.step.changes:
            sayings.setdefault(_rate_remark(form), []).append(name)
    sayings |= filter_remarks(plan, weights)
    remarks = [
        f"{saying}: {'all weights' if len(sayings) == 1 else ', '.join(names)}" for saying, names in sayings.items()
    ]
    remarks += [
        f"data {name}: integers in [{form.lo}, {form.hi}] times 2^-{form.fraction_bits}"
        for name, form in plan.data.items()
    ]
    remarks += [_start_remark(name, value) for name, value in plan.counters.items()]
    remarks += [
        f"the constant {float(exact):.9g} that is added to a root or beneath, as epsilon is, counts as {written(used)} "
        f"in units of the root (relative error {float(abs(used / exact - 1)):.1e}): {', '.join(names)}"
        for (exact, used), names in lowering.epsilons.items()
    ]
    return (*remarks, *lowering.approximations, *plan.step.notes)


def _start_remark(name: str, value: int | tuple[int, ...]) -> str:
    if isinstance(value, int):
        return f"counter {name}: {value} at the start"
    return f"public {name}: {' '.join(map(str, value))} at the start"


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
