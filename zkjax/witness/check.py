"""Where a run leaves its proven ranges: every lookup and every zero, checked against the values.

Independent of the recipes: it reads values and tables only, so it also judges witnesses that
something else made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from zkjax.circuit.program import Lowered
from zkjax.circuit.recipes import ValueLimb
from zkjax.errors import WitnessError
from zkjax.statement.circuit import Circuit, Combine, Committed, Lookup, operands
from zkjax.statement.tables import Table
from zkjax.witness.execute import Witness, executor
from zkjax.witness.plan import Phase, Plan

_DATA = "compile with dataset= or calibration= that hold such rows, or rescale the data"
_LIMB = re.compile(r"(/limb)?\[\d+:\d+\]$")
_INTERNAL = "the values do not follow the program: run it again with `execute`"


class OutOfRangeError(WitnessError):
    """A value of the run is no row of the table that bounds it.

    `name` is "layer/tensor"; `step` is None for tensors without an axis of steps, and `index`
    then counts all axes of the tensor, otherwise those after the steps. `bound` is the inclusive
    range (lowest, highest) that `value` should lie in, both in integers of `fraction_bits` fraction bits.
    """

    def __init__(
        self,
        name: str,
        *,
        step: int | None,
        index: tuple[int, ...],
        value: int,
        bound: tuple[int, int],
        remedy: str,
        fraction_bits: int = 0,
    ):
        self.name, self.step, self.index = name, step, index
        self.value, self.bound, self.remedy, self.fraction_bits = value, bound, remedy, fraction_bits
        when = "" if step is None else f" at step {step}"
        expected = f"expected {bound[0]}" if bound[0] == bound[1] else f"outside [{bound[0]}, {bound[1]}]"
        unit = 2.0**-fraction_bits
        real = f" ({value * unit:.6g}, outside [{bound[0] * unit:.6g}, {bound[1] * unit:.6g}])" if fraction_bits else ""
        super().__init__(f"{name}{when}, index {index}: value {value}, {expected}{real}; {remedy}")


@dataclass(frozen=True)
class _Violation:
    error: OutOfRangeError
    order: tuple[int, int, int]


def check_lookups(lowered: Lowered, witness: Witness) -> None:
    """Raise OutOfRangeError for the first lookup or zero that the witness violates.

    First by step (the state before the block counts as earlier than step 0, the totals as later
    than the last step), then in the order of the circuit's lookups, zeros last, then by index.
    What comes after the first violation may be garbage, and is not reported.
    """
    plan = executor(lowered).plan
    found = [violation for violation in _violations(plan, witness) if violation is not None]
    if found:
        raise min(found, key=lambda violation: violation.order).error


def _violations(plan: Plan, witness: Witness) -> Iterator[_Violation | None]:
    circuit = plan.lowered.circuit
    for order, lookup in enumerate(circuit.lookups):
        columns = [witness.values.stored(node) for node in lookup.coordinates]
        expected = _expected(circuit.tables[lookup.table], columns)
        limbs_of = _limbs_of(plan, lookup)
        for column, (node, bounds) in enumerate(zip(lookup.coordinates, expected, strict=True)):
            name = _LIMB.sub("", lookup.name) if column == 0 else _name(circuit, node)
            remedy = _remedy(lookup) if column == 0 else lambda value, bound: _INTERNAL
            violation = _first(plan, node, columns[column], bounds, (order, column), name, remedy)
            if violation is not None and limbs_of is not None:
                source, bounds = limbs_of
                values = witness.values.stored(source)
                violation = _first(plan, source, values, bounds, (order, 0), name, remedy) or violation
            yield violation
    for order, node in enumerate(circuit.zeros):
        position = (len(circuit.lookups) + order, 0)
        name = f"zero node {node}"
        yield _first(plan, node, witness.values.stored(node), (0, 0), position, name, lambda value, bound: _INTERNAL)


def _limbs_of(plan: Plan, lookup: Lookup) -> tuple[int, tuple[int, int]] | None:
    """The tensor that a leaf of value limbs bounds, and its bounds: they say more than the leaf's."""
    leaf = plan.lowered.circuit.nodes[lookup.re]
    if not isinstance(leaf, Combine):
        return None
    recipes = [plan.lowered.recipes.get(part) for part in operands(leaf)]
    limbs = [recipe for recipe in recipes if isinstance(recipe, ValueLimb)]
    if not limbs or limbs[0].source not in operands(leaf):
        return None
    highest = 1 << max(limb.offset + limb.width for limb in limbs)
    return limbs[0].source, (-limbs[0].bias, highest - 1 - limbs[0].bias)


def _expected(table: Table, columns: list[np.ndarray]) -> list[tuple]:
    """For each coordinate the (lowest, highest) values that the earlier ones leave: ints or arrays."""
    if table.kind == "range":
        return [(table.lo, table.hi)]
    source = columns[0].astype(np.int64, copy=False)
    if table.kind == "function":
        changes = table.rows()[1][np.clip(source, table.lo, table.hi) - table.lo]
        return [(table.lo, table.hi), (changes, changes)]
    if table.kind == "relu":
        gate = (source > 0) & (source <= table.limit)
        output = np.clip(source, 0, table.limit)
        return [(table.lo, table.hi), (gate, gate), (output, output)]
    output = columns[1] * np.clip(source, -table.limit, table.limit)
    return [(table.lo, table.hi), (0, 1), (output, output)]


def _first(
    plan: Plan,
    node: int,
    values: np.ndarray,
    bounds: tuple,
    order: tuple[int, int],
    name: str,
    remedy: Callable[[int, tuple[int, int]], str],
) -> _Violation | None:
    low, high = bounds
    if isinstance(low, int):
        if low <= values.min() and values.max() <= high:
            return None
        wrong = (values < low) | (values > high)
    else:
        wrong = values != low
        if not wrong.any():
            return None
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(wrong)), wrong.shape))
    bound = (low, high) if isinstance(low, int) else (int(low[index]), int(high[index]))
    value, kind = int(values[index]), plan.lowered.circuit.nodes[node]
    steps = plan.lowered.circuit.steps
    phase = plan.phases[node]
    stepped = phase is Phase.STEPPED
    error = OutOfRangeError(
        name,
        step=index[0] if stepped else None,
        index=index[1:] if stepped else index,
        value=value,
        bound=bound,
        remedy=remedy(value, bound),
        fraction_bits=kind.fraction_bits if isinstance(kind, Committed) else 0,
    )
    time = index[0] if stepped else (-1 if phase is Phase.STATIC else steps)
    return _Violation(error, (time, *order))


def _name(circuit: Circuit, node: int) -> str:
    kind = circuit.nodes[node]
    return kind.name if isinstance(kind, Committed) else f"node {node}"


def _remedy(lookup: Lookup) -> Callable[[int, tuple[int, int]], str]:
    """What the user can do when the first coordinate of `lookup`, a value, leaves its table, a bound."""
    if "remainder[" in lookup.name:
        return lambda value, bound: _INTERNAL
    if lookup.name.startswith("data/"):
        return lambda value, bound: _DATA
    return _widen


def _widen(value: int, bound: tuple[int, int]) -> str:
    """By the option of `zkjax.compile` that moves every range, by as many bits as this value lacks."""
    largest = max(abs(bound[0]), abs(bound[1]) + 1)
    lacking = max(1, (max(value + 1, -value) - 1).bit_length() - (largest - 1).bit_length())
    return (
        f"compile with headroom= {lacking} higher (prove --headroom), which widens every range by {lacking} "
        f"bit{'s' * (lacking > 1)}; or calibrate on more batches (calibration=) in which it grows as far, "
        "or lower the learning rate"
    )


def saturations(lowered: Lowered, witness: Witness) -> dict[str, int]:
    """Number of values that each ReLU or gated lookup clipped to its limit, by lookup name.

    A pre-activation counts when it exceeds the limit (its gate is then off); a gradient when its
    gate is on and its magnitude exceeds the limit.
    """
    counts: dict[str, int] = {}
    for lookup in lowered.circuit.lookups:
        table = lowered.circuit.tables[lookup.table]
        source = witness.values.stored(lookup.re)
        if table.kind == "relu":
            counts[lookup.name] = int(np.count_nonzero(source > table.limit))
        elif table.kind == "gated":
            beyond = (source > table.limit) | (source < -table.limit)
            counts[lookup.name] = int(np.count_nonzero(beyond & (witness.values.stored(lookup.im) != 0)))
    return counts
