"""How fine the formats of a circuit are: what an auditor looks at beside the circuit being that of the step.

Formats are calibrated on data that the auditor does not have, and a prover may choose them as they please: in a unit
that is too coarse every activation rounds to zero, and a proof that the program was run exactly is worthless. What
can be told without the data is the *reach* of a rounded tensor: the largest integer that it can take, whatever data
and weights are within their ranges. If even that has few bits, then the tensor has few, on any data. Of a trained
leaf it is the largest move within the block, in units of its commitment.

Reach is certain and weak: ranges allow for gradients that no training has. Where there are values, of the auditor's own
or made up with the right size, the largest of them is *seen* to have so many bits, and is judged too. What is read from
a table, and quotients and roots, are judged as what is rounded is. A memory of the optimiser, whose unit is the
prover's choice, is judged by what is seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf, log2

import numpy as np

from zkjax.errors import VerificationError
from zkjax.fixedpoint.evaluate import Calibration
from zkjax.fixedpoint.formats import TensorFormat
from zkjax.fixedpoint.fuse import has_root
from zkjax.fixedpoint.nodes import Function
from zkjax.fixedpoint.plan import Plan
from zkjax.statement.circuit import Circuit, Combine, Committed, Constant
from zkjax.statement.ranges import Interval, check_ranges
from zkjax.statement.tables import Table

LEAST_BITS = 4
_REMAINDER = "/remainder["
_OF_GRADIENTS = ("gradient", "/clipped", "/update", "/scale")


class TooCoarse(VerificationError):
    """The formats of the statement are so coarse that the training step loses its meaning."""


@dataclass(frozen=True)
class Fineness:
    """Of one tensor or coefficient: `kind` is data, activation, gradient, state, memory, move or rate.

    `reach` is how many bits it can have, inf for a coefficient that is exact; `seen` how many the largest value of
    a measurement has, if there was one. `fraction_bits` is the unit, None for coefficients.
    """

    kind: str
    name: str
    fraction_bits: int | None
    reach: float
    seen: float | None = None

    @property
    def bits(self) -> float:
        """What is judged: data may have one bit, as one-hot labels do, and a state is judged by what moves it."""
        if self.kind in ("data", "state"):
            return inf
        if self.kind == "memory":  # it may be zero at the start, and stay small
            return inf if self.seen is None else self.seen
        return self.reach if self.seen is None else min(self.reach, self.seen)


def fineness(plan: Plan, circuit: Circuit, measured: Calibration | None = None) -> list[Fineness]:
    """Of everything that `circuit`, compiled by `plan`, rounds."""
    found = []
    for name, form in plan.data.items():
        found.append(Fineness("data", name, form.fraction_bits, max(-form.lo, form.hi).bit_length()))
    tensors = {tensor.name: tensor for tensor in plan.tensors}
    intervals = check_ranges(circuit)
    for name, fraction, reach, move in _rounded(circuit, intervals):
        role, _, leaf = name.partition("/")
        if move is None:
            size = measured.nodes[tensors[name].node] if measured and name in tensors else 0.0
            found.append(Fineness(_kind(name), name, fraction, reach.bit_length(), _bits(size, fraction)))
            continue
        assert role == "after"
        size = measured.state.get(leaf, 0.0) if measured else 0.0
        size = size**0.5 if leaf in plan.weights and plan.weights[leaf].rooted else size
        kind = "memory" if plan.is_memory(leaf) else "state"
        found.append(Fineness(kind, leaf, fraction, reach.bit_length(), _bits(size, fraction)))
        if move:
            found.append(Fineness("move", leaf, fraction, move.bit_length()))
    found += _computed(plan, circuit, intervals, measured, {each.name for each in found})
    for name, weights in plan.weights.items():
        if weights.factor:
            error = abs(weights.applied / weights.factor - 1)
            found.append(Fineness("rate", name, None, -log2(error) if error else inf))
    return found


def _kind(name: str) -> str:
    return "gradient" if any(part in name for part in _OF_GRADIENTS) else "activation"


def _computed(
    plan: Plan, circuit: Circuit, intervals: list[Interval], measured: Calibration | None, rounded: set[str]
) -> list[Fineness]:
    """Of quotients, roots and values of tables, whose units follow from calibration too."""
    nodes = {
        node.name: index for index in circuit.committed("advice") if isinstance(node := circuit.nodes[index], Committed)
    }
    tables = {lookup.name: circuit.tables[lookup.table] for lookup in circuit.lookups}
    found = []
    for tensor in plan.tensors:
        if tensor.name in rounded or tensor.name not in nodes:
            continue
        table = tables.get(f"{tensor.name}/function")
        reach = max(map(abs, intervals[nodes[tensor.name]])) if table is None else max(-tensor.lo, tensor.hi)
        if not reach:  # a function that is zero everywhere
            continue
        seen = None if measured is None else _bits(measured.nodes[tensor.node], tensor.fraction_bits)
        if measured is not None and seen is not None and table is not None and has_root(table.formula):
            seen = min(seen, _varied(plan, tensor, table, measured))
        found.append(Fineness(_kind(tensor.name), tensor.name, tensor.fraction_bits, reach.bit_length(), seen))
    return found


def _varied(plan: Plan, tensor: TensorFormat, table: Table, measured: Calibration) -> float:
    """Bits by which a function with a root differs at all: below a floor, which is calibrated too, it is constant."""
    function = plan.step.nodes[tensor.node]
    assert isinstance(function, Function)
    largest = ceil(measured.nodes[function.node] * 2.0**table.input_fraction)
    arguments, values, _ = table.rows()
    read = values[np.abs(arguments) <= largest]
    spread = int(read.max() - read.min())
    return log2(spread) if spread else 0.0


def require_fine(found: list[Fineness], least_bits: float) -> None:
    """Raise TooCoarse if something that matters cannot have `least_bits`."""
    coarse = min(found, key=lambda each: each.bits, default=None)
    if coarse is None or coarse.bits >= least_bits:
        return
    what = {"move": "the change within the block of", "rate": "the learning rate of"}.get(coarse.kind, coarse.kind)
    unit = "" if coarse.fraction_bits is None else f" in its unit of 2^{-coarse.fraction_bits}"
    certain = coarse.reach < least_bits
    why = (
        "whatever the data are: formats so coarse train nothing"
        if certain
        else "with the values given here (shapes and types alone will do, if these have not the size of the run's)"
    )
    raise TooCoarse(
        f"{what} {coarse.name!r} has few bits{unit}, {why}; "
        "ask for a statement in finer formats, or lower the floor (least_bits) if you know better",
        expected=f">= {least_bits:g} bits",
        got=f"{coarse.bits:.3g}",
    )


def _bits(size: float, fraction: int) -> float | None:
    return log2(size) + fraction if 0 < size < inf else None


def _rounded(circuit: Circuit, intervals: list[Interval]) -> list[tuple[str, int, int, int | None]]:
    """(name, fraction bits, largest integer, largest move or None) of every tensor that is a rounded one.

    The lowest part of a remainder is a sum of what is rounded, a constant, the result and the other parts of the
    remainder. A leaf of the state is rounded from itself before the block, and from what moves it.
    """
    found = []
    for lookup in circuit.lookups:
        name, is_remainder, _ = lookup.name.partition(f"{_REMAINDER}0:")
        leaf = circuit.nodes[lookup.re]
        if not is_remainder or not isinstance(leaf, Combine):
            continue
        result, total, move = None, 0, 0
        for coefficient, index in leaf.terms:
            node = circuit.nodes[index]
            if isinstance(node, Committed) and node.name.startswith(f"{name}{_REMAINDER}"):
                continue
            if isinstance(node, Committed) and name in (node.name, f"after/{node.name}") and coefficient < 0:
                result = index, node, -coefficient
                continue
            largest = abs(coefficient) * max(map(abs, intervals[index]))
            total += largest
            own = isinstance(node, Committed) and node.oracle == "before"
            move += 0 if own or isinstance(node, Constant) else largest
        if result is not None:
            index, node, divisor = result
            reach = min(total // divisor, max(map(abs, intervals[index])))
            found.append((name, node.fraction_bits, reach, move // divisor if node.oracle == "after" else None))
    return found
