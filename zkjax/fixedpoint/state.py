"""The state of a block in integers: formats, filters, and the circuit that ties both ends together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from zkjax.circuit.builder import CircuitBuilder
from zkjax.circuit.functions import square_root
from zkjax.fixedpoint.adaptive import MemoryFormat, bind_moments, coefficients, own_value, spread
from zkjax.fixedpoint.bounds import check_coefficient
from zkjax.fixedpoint.dyadic import exponent, written
from zkjax.fixedpoint.filters import decay_bits, rounded, tap_bits, weight_bits
from zkjax.fixedpoint.formats import (
    LEAST_EFFECTIVE_BITS,
    MEMORY_BITS,
    MEMORY_HEADROOM,
    ROOT_BITS,
    STATE_FRACTION,
    WeightFormat,
    state_bits,
)
from zkjax.fixedpoint.lower import Lowering
from zkjax.fixedpoint.placed import Placed
from zkjax.fixedpoint.plan import Plan
from zkjax.fixedpoint.rates import effective_factor, multiplier
from zkjax.statement.filters import matrix


def state_formats(lowering: Lowering, plan: Plan, changes: Mapping[str, Placed]) -> dict[str, WeightFormat]:
    """The format of every state leaf: committed, between the steps, and the integers of its filter."""
    multipliers = {name: multiplier(change.factor, name, plan.fold) for name, change in plan.step.changes.items()}
    taps = {name: tap_bits(response) for name, response in plan.responses.items()}
    # The fraction bits of one change of a leaf that counts once.
    units = {name: changes[name].fraction + k + taps[name] for name, (_, k) in multipliers.items()}
    committed = _state_fractions(plan, units, {name: form.fraction for name, form in lowering.memories.items()})
    formats = {}
    for name, response in plan.responses.items():
        line = plan.step.lines[plan.step.changes[name].node] if name in units else ""
        if name in lowering.memories and lowering.memories[name].rooted:
            formats[name] = _rooted(plan, name, lowering.memories[name], changes[name])
            continue
        fraction = _inner_fraction(plan, name, units, committed)
        form = WeightFormat(
            fraction_bits=fraction,
            bits=lowering.memories[name].bits
            if name in lowering.memories
            else state_bits(
                name,
                plan.calibration.state[name],
                committed[name] if plan.is_memory(name) else None,
                plan.calibration.headroom,
            ),
            step=0,
            initial={other: rounded(row, fraction - committed[other]) for other, row in response.initial.items()},
            state_fraction=committed[name],
            before_bits=lowering.memories[name].before_bits if name in lowering.memories else 0,
        )
        if name in units:
            m, k = multipliers[name]
            check_coefficient(m << (fraction - units[name]), line)
            form = replace(
                form,
                step=m << (fraction - units[name]),
                taps=None if response.taps is None else tuple(rounded(row, taps[name]) for row in response.taps),
                tap_bits=taps[name],
                factor=plan.step.changes[name].factor,
                applied=effective_factor(m, k, name, plan.fold),
                rate=plan.step.changes[name].rate if plan.is_read(name) else None,
            )
        for coefficient in (c for row in (*form.initial.values(), *(form.taps or ())) for c in row):
            check_coefficient(coefficient, line)
        formats[name] = form
    return formats


def _rooted(plan: Plan, name: str, form: MemoryFormat, change: Placed) -> WeightFormat:
    """A leaf committed by its root: the sum after the block has twice as many fraction bits as the root taken of it."""
    response = plan.responses[name]
    fraction = 2 * (form.fraction + ROOT_BITS - form.bits)
    factor = plan.step.changes[name].factor
    return WeightFormat(
        fraction_bits=fraction,
        bits=form.bits,
        step=1,
        initial={other: rounded(row, fraction - form.scale) for other, row in response.initial.items()},
        state_fraction=form.fraction,
        taps=tuple(rounded(row, fraction - change.fraction) for row in coefficients(response)),
        tap_bits=fraction - change.fraction,
        factor=factor,
        applied=factor,
        rooted=True,
        before_bits=form.before_bits,
    )


def _state_fractions(plan: Plan, units: Mapping[str, int], memories: Mapping[str, int]) -> dict[str, int]:
    """The fraction bits at which each state leaf is committed.

    A leaf that only the optimiser reads is a memory of gradients, small where its rate is large: it gets
    as many bits as the leaves that take it up have for it, and float32 holds.
    """
    found = {name: STATE_FRACTION for name in plan.step.state if not plan.is_memory(name)} | dict(memories)
    for name in plan.step.state.keys() - found.keys():
        largest = plan.calibration.state[name]
        magnitude = exponent(largest) if largest > 0 else 0
        readers = [
            units.get(reader, STATE_FRACTION) - weight_bits(response.initial[name])
            for reader, response in plan.responses.items()
            if name in response.initial and reader != name
        ]
        bits = max(LEAST_EFFECTIVE_BITS - magnitude, min(readers))
        found[name] = plan.fractions.get(name, min(MEMORY_BITS - MEMORY_HEADROOM - magnitude, bits))
    return {name: found[name] for name in plan.step.state}


def _inner_fraction(plan: Plan, name: str, units: Mapping[str, int], committed: Mapping[str, int]) -> int:
    """Fraction bits between the steps: for the changes, for what is kept, for other leaves taken up."""
    initial = plan.responses[name].initial
    kept = decay_bits(initial[name]) if name in initial else 0
    taken = [committed[other] + weight_bits(row) for other, row in initial.items() if other != name]
    return max(committed[name] + kept, units.get(name, 0), *taken)


def bind_state(lowering: Lowering, plan: Plan, changes: Mapping[str, Placed]) -> None:
    """The state between the steps and after them: public filters of the state before and of the changes."""
    b: CircuitBuilder = lowering.builder
    before = {
        name: b.state_before(
            name,
            plan.step.nodes[index].shape,
            fraction_bits=plan.weights[name].state_fraction,
            bits=plan.weights[name].bits_before,
        )
        for name, index in plan.step.state.items()
    }
    bind_moments(lowering, before)
    for name, index in plan.step.state.items():
        form, shape = plan.weights[name], plan.step.nodes[index].shape
        if form.rooted:
            _bind_rooted(lowering, name, form, before[name], changes[name])
            continue
        axes = tuple(range(len(shape)))
        moved = tuple(axis + 1 for axis in axes)
        now, last = [], []
        for other, row in form.initial.items():
            now.append(spread(b, before[other], row[:-1]))
            last.append((row[-1], before[other]))
        if name in changes:
            change = changes[name].node
            if form.taps is None:
                now.append((form.step, b.before(change)))
                total = b.axes(change, moved, shape)
            else:
                now.append((form.step, b.filter(change, matrix(form.taps[:-1]))))
                total = b.axes(b.filter(change, matrix(form.taps[-1:])), moved, shape)
            last.append((form.step, total))
        none = (0, b.constant((plan.steps, *shape), 0)), (0, b.constant(shape, 0))
        b.bind(lowering.exact(index).node, b.combine(none[0], *now))
        shift = form.fraction_bits - form.state_fraction
        b.state_after(name, b.combine(none[1], *last), shift, fraction_bits=form.state_fraction, bits=form.bits)


def _bind_rooted(lowering: Lowering, name: str, form: WeightFormat, before: int, change: Placed) -> None:
    """The leaf after the block as the nearest root of its mean of squares; between the steps moments have it."""
    b, shape = lowering.builder, lowering.builder.shape(before)
    terms = [(form.initial[name][-1], own_value(lowering, name, before))] if name in form.initial else []
    if form.taps and form.taps[-1]:
        total = b.filter(change.node, matrix(form.taps[-1:]))
        terms.append((1, b.axes(total, tuple(axis + 1 for axis in range(len(shape))), shape)))
    mean = b.combine((0, b.constant(shape, 0)), *terms)
    root = square_root(b, mean, f"{name}/root", bits=ROOT_BITS, fraction_bits=form.fraction_bits // 2)
    shift = form.fraction_bits // 2 - form.state_fraction
    b.state_after(name, root, shift, fraction_bits=form.state_fraction, bits=form.bits)


def filter_remarks(plan: Plan, formats: Mapping[str, WeightFormat]) -> dict[str, list[str]]:
    """The integers of the filters, and how far they are from the exact numbers; for each, the leaves."""
    found: dict[str, list[str]] = {}
    for name, form in formats.items():
        for saying in _sayings(plan, formats, name, form):
            found.setdefault(saying, []).append(name)
    return found


def _sayings(plan: Plan, formats: Mapping[str, WeightFormat], name: str, form: WeightFormat) -> Iterator[str]:
    response = plan.responses[name]
    if form.rooted:
        yield "committed by its square root"
    if form.taps is not None and response.taps is not None:
        exact_taps = coefficients(response) if form.rooted else response.taps
        error = _error(form.taps, exact_taps, form.tap_bits)
        yield f"gradients count {_shown(form.taps)}, in units of 2^-{form.tap_bits}{error}"
    for other, row in form.initial.items():
        scale = formats[other].state_fraction * (2 if formats[other].rooted else 1)
        exact, bits = response.initial[other], form.fraction_bits - scale
        if other != name or set(exact) != {1}:
            last = f"{written(row[-1] * Fraction(2) ** -bits)} of {'itself' if other == name else other}"
            error = _error([row], [exact], bits)
            yield f"takes over {last} from before the block, exactly {float(exact[-1]):.9g}{error}"


def _shown(taps: Sequence[Sequence[int]]) -> str:
    """The taps as one list where they depend on the distance of steps alone, or on the gradient's step alone."""
    last = taps[-1]
    if all(row[::-1] == last[::-1][: len(row)] for row in taps):
        return f"{list(last[::-1])} by steps since"
    if all(row == last[: len(row)] for row in taps):
        return f"{list(last)} by their step"
    return "as the filters say"


def _error(integers: Sequence[Sequence[int]], exact: Sequence[Sequence[Fraction]], bits: int) -> str:
    """The largest rounding of a coefficient, against the largest coefficient."""
    pairs = [(i, e) for row, numbers in zip(integers, exact, strict=True) for i, e in zip(row, numbers, strict=True)]
    scale = Fraction(2) ** -bits
    largest = max(abs(e) for _, e in pairs)
    error = max(abs(i * scale - e) for i, e in pairs) / largest if largest else Fraction(0)
    return f", rounded by at most {float(error):.1e} of the largest" if error > Fraction(1, 1 << 40) else ""
