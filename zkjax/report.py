"""How accurate a block is beside float32, how much room its ranges have left, and what a proof of it costs.

Everything here is the prover's to see: errors and magnitudes tell about data and weights.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import log2, prod
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table as Printed

from zkjax.circuit.program import Lowered
from zkjax.circuit.recipes import TableValue
from zkjax.fixedpoint.analysis import degrees
from zkjax.fixedpoint.evaluate import evaluate
from zkjax.fixedpoint.formats import TensorFormat
from zkjax.fixedpoint.nodes import Function, operands
from zkjax.fixedpoint.plan import Plan
from zkjax.fixedpoint.step import Step
from zkjax.statement import plan as proofs
from zkjax.statement.circuit import Circuit, Committed
from zkjax.statement.parameters import DEFAULT_OPENINGS
from zkjax.statement.size import expected_bytes
from zkjax.witness.run import Run

WIDTH = 118


@dataclass(frozen=True)
class TensorReport:
    """A tensor of every step, or a leaf of the state after the block, beside the same in float32.

    `error` is the root mean square of the difference, in parts of that of the float32 values (for a leaf, of its
    change); `largest_error` the largest difference. `margin_bits` is by how many bits the largest integer could grow
    before the run were refused; None where nothing can: of zeros, and of values of a table.
    """

    name: str
    line: str
    fraction_bits: int
    largest: float
    error: float
    largest_error: float
    margin_bits: float | None


@dataclass(frozen=True)
class LeafReport:
    """What the optimiser does with a leaf, and what that commits for each step of the block."""

    name: str
    how: str
    committed_per_step: int


@dataclass(frozen=True)
class CostReport:
    """What a proof of the block costs, from its circuit alone; a table's rows count padding."""

    committed_elements: int
    lookups: int
    tables: tuple[tuple[str, int], ...]
    proof_bytes: int

    @property
    def table_rows(self) -> int:
        return sum(rows for _, rows in self.tables)


@dataclass(frozen=True)
class Report:
    """Secret, like the run that it is of. `str` prints it, `as_dict` has the same for machines.

    `clipped` counts, for each rectifier or gated gradient, the values beyond its limit.
    """

    tensors: tuple[TensorReport, ...]
    state: tuple[TensorReport, ...]
    leaves: tuple[LeafReport, ...]
    clipped: Mapping[str, int]
    cost: CostReport

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "clipped": dict(self.clipped)}

    def __str__(self) -> str:
        return _printed(self)


def report(run: Run, step: Step, plan: Plan, state: Mapping[str, Any], batches: Sequence[Mapping[str, Any]]) -> Report:
    """The report of a run, beside `step` trained in float32 from `state`, leaves by name, on the same `batches`.

    `step` is the step as it was read, `plan` its formats.
    """
    lowered, before = run.lowered, {name: np.asarray(leaf, np.float32) for name, leaf in state.items()}
    sums = {place: _Sums() for place in range(len(plan.tensors))}
    integers = {place: _integers(lowered, run, tensor) for place, tensor in enumerate(plan.tensors)}
    scales = _fold_scales(plan)
    floating: Mapping[str, Any] = before
    for at, (batch, numbers) in enumerate(zip(batches, plan.numbers, strict=True)):
        values, floating = evaluate(step, floating, batch, numbers)
        for place, tensor in enumerate(plan.tensors):
            if (found := integers[place]) is not None:
                scale = 1.0 if tensor.name.endswith("/unscaled") else scales[tensor.node]
                sums[place].add(found[at], tensor.fraction_bits, scale, values[tensor.node])
    tensors = []
    for place, tensor in enumerate(plan.tensors):
        if integers[place] is not None:
            free = not isinstance(plan.step.nodes[tensor.node], Function)
            bounds = (tensor.lo, tensor.hi) if free else (0, 0)
            tensors.append(sums[place].report(tensor.name, tensor.line, tensor.fraction_bits, *bounds))
    leaves, after = [], run.integers("after")
    for name, form in plan.weights.items():
        own, power = _Sums(), 2 if form.rooted else 1
        integers_after, fraction, bound = after[name] ** power, power * form.state_fraction, 1 << (power * form.bits)
        own.add(integers_after, fraction, 1.0, floating[name], np.asarray(floating[name]) - before[name])
        leaves.append(own.report(name, "", fraction, -bound, bound - 1))
    circuit = lowered.circuit
    cost = CostReport(
        committed_elements=circuit.committed_elements,
        lookups=circuit.lookup_entries,
        tables=tuple((table.describe(), 1 << table.bits) for table in circuit.tables),
        proof_bytes=expected_bytes(proofs.Plan(circuit, DEFAULT_OPENINGS)),
    )
    clipped = {name: count for name, count in run.saturations.items() if count}
    return Report(tuple(tensors), tuple(leaves), leaf_reports(plan, circuit), clipped, cost)


def leaf_reports(plan: Plan, circuit: Circuit) -> tuple[LeafReport, ...]:
    """The choice for every leaf of the state.

    What the optimiser commits for a leaf are the tensors of its shape that bear its name, as the gradient of an
    adaptive optimiser does, or that move no other leaf; with their limbs.
    """
    needed = {name: _needed(plan.step, change.node) for name, change in plan.step.changes.items()}
    found = []
    for name, form in plan.weights.items():
        shape = plan.step.nodes[plan.step.state[name]].shape
        own = needed.get(name, set()).difference(*(nodes for other, nodes in needed.items() if other != name))
        path = f"{name.partition('/')[2] or name}/"
        made = {
            tensor.name
            for tensor in plan.tensors
            if tensor.shape == shape and (tensor.node in own or tensor.name.startswith(path))
        }
        committed = sum(
            prod(node.shape) // circuit.steps
            for node in (circuit.nodes[index] for index in circuit.committed("advice"))
            if isinstance(node, Committed) and any(f"{node.name}/".startswith(f"{tensor}/") for tensor in made)
        )
        response = plan.responses[name]
        if response.change is None and set(response.initial) <= {name}:
            how = "kept as it is, or times a public number"
        elif form.taps is None:
            how = "virtual: the leaf before and the sum of its changes"
        else:
            how = "virtual: a public filter of the state before and the changes"
        how += (
            ", which are committed" * (committed > 0) + "; by its square root at both ends of the block" * form.rooted
        )
        found.append(LeafReport(name, how, committed))
    return tuple(found)


def _needed(step: Step, node: int) -> set[int]:
    """The nodes that `node` is computed from, and itself."""
    stack, found = [node], {node}
    while stack:
        more = {operand for operand in operands(step.nodes[stack.pop()]) if operand not in found}
        found |= more
        stack += more
    return found


class _Sums:
    """Sums of squares and largest magnitudes, over the steps."""

    def __init__(self) -> None:
        self.error = self.size = self.largest_error = 0.0
        self.low = self.high = 0

    def add(
        self, integers: np.ndarray, fraction: int, scale: float, exact: np.ndarray, base: np.ndarray | None = None
    ) -> None:
        """`integers` stand for `exact` times `scale`; errors are in parts of `base`."""
        self.low, self.high = min(self.low, int(integers.min())), max(self.high, int(integers.max()))
        exact = np.asarray(exact, np.float64)
        difference = integers * (2.0**-fraction / scale) - exact
        self.error += float(np.square(difference).sum())
        self.size += float(np.square(exact if base is None else base.astype(np.float64)).sum())
        self.largest_error = max(self.largest_error, float(np.abs(difference).max()))

    def report(self, name: str, line: str, fraction: int, lo: int, hi: int) -> TensorReport:
        ratios = [bound / value for bound, value in ((hi, self.high), (lo, self.low)) if value]
        return TensorReport(
            name=name,
            line=line,
            fraction_bits=fraction,
            largest=max(self.high, -self.low) * 2.0**-fraction,
            error=(self.error / self.size) ** 0.5 if self.size else float(self.error > 0),
            largest_error=self.largest_error,
            margin_bits=log2(min(ratios)) if ratios and min(ratios) > 0 else None,
        )


def _integers(lowered: Lowered, run: Run, tensor: TensorFormat) -> np.ndarray | None:
    """Integers [steps, ...] of a tensor of the plan, where the witness holds them."""
    circuit = lowered.circuit
    for node in circuit.committed("advice"):
        found = circuit.nodes[node]
        if isinstance(found, Committed) and found.name == tensor.name:
            recipe = lowered.recipes[node]
            return run.witness.values[node] + (recipe.table.offset if isinstance(recipe, TableValue) else 0)
    for lookup in circuit.lookups:
        if lookup.name == f"{tensor.name}/range":
            return run.witness.values[lookup.re]
    return None


def _fold_scales(plan: Plan) -> list[float]:
    """By how much the fold enlarges each node of the step."""
    if plan.fold is None:
        return [1.0] * len(plan.step.nodes)
    return [float(plan.fold.scale) ** (degree or 0) for degree in degrees(plan.step, plan.fold.node)]


def _printed(report: Report) -> str:
    console = Console(file=io.StringIO(), width=WIDTH, color_system=None, legacy_windows=False)
    columns = ("fraction bits", "largest", "relative error", "largest error", "room in bits")
    for title, rows in (("Tensors of a step", report.tensors), ("State after the block", report.state)):
        table = Printed("tensor", *columns, title=f"{title}, beside float32")
        for row in rows:
            room = "" if row.margin_bits is None else f"{row.margin_bits:.1f}"
            figures = (f"{row.largest:.4g}", f"{row.error:.2e}", f"{row.largest_error:.2e}", room)
            table.add_row(row.name, str(row.fraction_bits), *figures)
        console.print(table)
    for name, count in report.clipped.items():
        console.print(f"{name}: {count:,} values clipped to the limit", highlight=False)
    for how in dict.fromkeys(leaf.how for leaf in report.leaves):
        own = [leaf for leaf in report.leaves if leaf.how == how]
        names = "all leaves" if len(own) == len(report.leaves) else ", ".join(leaf.name for leaf in own)
        committed = sum(leaf.committed_per_step for leaf in own)
        console.print(f"{how}, {committed:,} elements committed a step: {names}", highlight=False)
    cost = report.cost
    counts = f"{cost.committed_elements:,} committed elements, {cost.lookups:,} lookups"
    console.print(f"{counts}, about {cost.proof_bytes:,} bytes of proof")
    console.print(tables_line(cost.tables))
    return console.file.getvalue().rstrip()  # type: ignore[attr-defined]


def tables_line(tables: tuple[tuple[str, int], ...]) -> str:
    """How many tables, and how large."""
    rows = [size for _, size in tables]
    return f"{len(rows)} tables of {sum(rows):,} rows, the largest of 2^{max(rows).bit_length() - 1}"
