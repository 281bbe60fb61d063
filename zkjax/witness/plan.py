"""When each node of a circuit is computed: before the scan over steps, inside it, or after it.

The full tensors of a circuit depend on each other in a circle (weights, activations, gradients,
weights); step by step they do not, because updates are filtered over earlier steps only. So every node is
given a phase:

- STATIC: depends on no batch; computed once, before the scan.
- STEPPED: its leading axis counts steps and its slice at a step needs only slices of that step,
  static tensors, and what filters carry from earlier steps: a running sum, or all earlier slices.
- LATE: all the rest, such as the totals over the block; computed after the scan from stacked
  slices and final sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property

from zkjax.circuit.program import Lowered
from zkjax.circuit.recipes import Ratio, reads
from zkjax.errors import WitnessError
from zkjax.statement.circuit import (
    Axes,
    Combine,
    Committed,
    Constant,
    Contract,
    Filter,
    Positions,
    Public,
    Rows,
    operands,
)
from zkjax.statement.filters import earlier, spans, width
from zkjax.statement.ranges import Interval, check_ranges

RECIPE_BOUND = 1 << 62


class Phase(Enum):
    STATIC = auto()
    STEPPED = auto()
    LATE = auto()


class PlanError(WitnessError):
    """The circuit's recipes cannot be carried out step by step."""


@dataclass(frozen=True)
class Plan:
    """Phases, proven intervals and orders of evaluation of one lowered circuit.

    `phases` and `intervals` are by node. Raises PlanError on construction through `of` where a
    recipe is missing, recipes are cyclic within a step, or a source may leave 64 bits.
    """

    lowered: Lowered
    phases: tuple[Phase, ...]
    intervals: tuple[Interval, ...]

    @classmethod
    def of(cls, lowered: Lowered) -> Plan:
        plan = cls(lowered, tuple(_phases(lowered)), tuple(check_ranges(lowered.circuit)))
        plan._check_recipes()
        return plan

    def bound(self, node: int) -> int:
        """Largest magnitude that the ranges allow."""
        low, high = self.intervals[node]
        return max(-low, high)

    @cached_property
    def required(self) -> tuple[int, ...]:
        """Nodes whose values a witness holds: committed, looked up, published, or claimed to vanish."""
        circuit = self.lowered.circuit
        published = (output.node for output in circuit.outputs)
        nodes = {*circuit.committed(), *self.lowered.lookup_values, *circuit.zeros, *published}
        return tuple(sorted(nodes))

    def required_in(self, phase: Phase) -> list[int]:
        return [node for node in self.required if self.phases[node] is phase]

    @cached_property
    def late_order(self) -> tuple[int, ...]:
        """Late nodes to compute after the scan, in order."""
        return tuple(self._order(self.required_in(Phase.LATE), self._late_operands))

    def _late_operands(self, node: int) -> list[int]:
        return [operand for operand in self.dependencies(node) if self.phases[operand] is Phase.LATE]

    def is_total(self, node: int) -> bool:
        """Whether a late node sums a stepped tensor over the steps, so that its running sum suffices."""
        kind = self.lowered.circuit.nodes[node]
        return isinstance(kind, Axes) and self.phases[kind.node] is Phase.STEPPED and 0 not in kind.source

    def is_weighted_total(self, node: int) -> bool:
        """Whether a late node is one row of a filter of a stepped tensor: a running weighted sum."""
        kind = self.lowered.circuit.nodes[node]
        return isinstance(kind, Filter) and self._is_stepped(kind.node) and len(kind.rows) == 1

    def is_running_sum(self, node: int) -> bool:
        """Whether a stepped node sums another over all earlier steps."""
        kind = self.lowered.circuit.nodes[node]
        return isinstance(kind, Filter) and self._is_stepped(node) and kind.rows == earlier(len(kind.rows))

    def reads_history(self, node: int) -> bool:
        """Whether a stepped node weighs slices of earlier steps, which must be kept."""
        kind = self.lowered.circuit.nodes[node]
        filters = isinstance(kind, Filter) and self._is_stepped(node) and not self.is_running_sum(node)
        return filters and any(start < row for row, start, _, _ in spans(kind.rows))  # type: ignore[union-attr]

    @cached_property
    def weighted_totals(self) -> tuple[int, ...]:
        """Late nodes that a running weighted sum gives."""
        return tuple(node for node in self.late_order if self.is_weighted_total(node))

    @cached_property
    def carried(self) -> tuple[int, ...]:
        """Stepped nodes of which a running sum over the steps is kept."""
        nodes = self.lowered.circuit.nodes
        totals = {nodes[node].node for node in self.late_order if self.is_total(node)}  # type: ignore[union-attr]
        sums = {nodes[node].node for node in self.step_order if self.is_running_sum(node)}  # type: ignore[union-attr]
        return tuple(sorted(totals | sums))

    @cached_property
    def kept(self) -> tuple[int, ...]:
        """Stepped nodes of which the slices of all earlier steps are kept."""
        nodes = self.lowered.circuit.nodes
        return tuple(sorted({nodes[node].node for node in self.step_order if self.reads_history(node)}))  # type: ignore[union-attr]

    @cached_property
    def stacked(self) -> tuple[int, ...]:
        """Stepped nodes whose slices are kept for every step."""
        nodes = set(self.required_in(Phase.STEPPED))
        for late in self.late_order:
            if not (self.is_total(late) or self.is_weighted_total(late)):
                nodes |= {operand for operand in self.dependencies(late) if self._is_stepped(operand)}
        return tuple(sorted(nodes))

    @cached_property
    def step_order(self) -> tuple[int, ...]:
        """Nodes of which a step computes its slice, in order; static ones among them.

        What a filter carries on to later steps is computed as well, though no slice of this step reads it.
        """
        nodes = self.lowered.circuit.nodes
        late = [node for node in self.late_order if self.is_total(node) or self.is_weighted_total(node)]
        roots = {*self.stacked, *(nodes[node].node for node in late)}  # type: ignore[union-attr]
        while True:
            order = self._order(sorted(roots), self._slice_operands)
            filters = (nodes[node] for node in order if isinstance(nodes[node], Filter) and self._is_stepped(node))
            missing = {node.node for node in filters} - set(order)  # type: ignore[union-attr]
            if not missing:
                return tuple(order)
            roots |= missing

    def _slice_operands(self, node: int) -> list[int]:
        if self.cut(node):
            return []
        return [operand for operand, sliced in self.slice_reads(node) or () if sliced]

    def cut(self, node: int) -> bool:
        """Whether the slice of a node comes from earlier steps alone or from a tensor that is whole already."""
        kind = self.lowered.circuit.nodes[node]
        if self._is_stepped(node):
            return isinstance(kind, Filter) and all(stop <= row for row, _, stop, _ in spans(kind.rows))
        sliced = isinstance(kind, Filter) and self.slice_reads(node) == [(kind.node, True)]
        return isinstance(kind, Committed) or sliced or self.slice_reads(node) is None

    @cached_property
    def static_order(self) -> tuple[int, ...]:
        """Static nodes to compute whole before the scan, in order."""
        roots = set(self.required_in(Phase.STATIC))
        for node in self.step_order:
            if self.cut(node) and not self._is_stepped(node):
                roots.add(node)
            elif not self.cut(node):
                roots |= {operand for operand, sliced in self.slice_reads(node) or () if not sliced}
        for node in self.late_order:
            roots |= {operand for operand in self.dependencies(node) if self.phases[operand] is Phase.STATIC}
        return tuple(self._order(sorted(roots), self.dependencies))

    def dependencies(self, node: int) -> tuple[int, ...]:
        """Nodes whose values determine the value of `node`."""
        return _dependencies(self.lowered, node)

    def slice_reads(self, node: int) -> list[tuple[int, bool]] | None:
        """What the slice of `node` at a step reads: (operand, whether its slice or the whole of it)."""
        return _slice_reads(self.lowered, node)

    def _is_stepped(self, node: int) -> bool:
        return self.phases[node] is Phase.STEPPED

    def _order(self, roots: Iterable[int], reads: Callable[[int], Iterable[int]]) -> list[int]:
        """`roots` and all that they read, operands first."""
        order: list[int] = []
        finished: dict[int, bool] = {}
        stack = [(root, False) for root in roots]
        while stack:
            node, leaving = stack.pop()
            if leaving:
                finished[node] = True
                order.append(node)
            elif node not in finished:
                finished[node] = False
                stack.append((node, True))
                stack += [(operand, False) for operand in reads(node)]
            elif not finished[node]:
                raise PlanError(f"node {node} ({self.lowered.circuit.nodes[node]}) depends on itself within a step")
        return order

    def _check_recipes(self) -> None:
        nodes = self.lowered.circuit.nodes
        for node, recipe in self.lowered.recipes.items():
            for source in _dependencies(self.lowered, node):
                if nodes[source].shape != nodes[node].shape:
                    raise PlanError(f"the recipe of {nodes[node]} reads a tensor of another shape: {nodes[source]}")
                shift = recipe.shift + 1 if isinstance(recipe, Ratio) and source == recipe.source else 0
                if self.bound(source) << shift >= RECIPE_BOUND:
                    raise PlanError(f"the source of {recipe} may leave 64 bits: {self.intervals[source]}")


def _dependencies(lowered: Lowered, node: int) -> tuple[int, ...]:
    kind = lowered.circuit.nodes[node]
    if not isinstance(kind, Committed):
        return operands(kind)
    if kind.oracle in ("data", "before"):
        return ()
    recipe = lowered.recipes.get(node)
    if recipe is None:
        raise PlanError(f"no recipe for the committed tensor {kind.name!r}")
    return reads(recipe)


def _slice_reads(lowered: Lowered, node: int) -> list[tuple[int, bool]] | None:
    """Operands of the slice at a step, each with True for its slice and False for the whole.

    None where the slice has no rule of its own and must be cut from the whole tensor.
    """
    kind = lowered.circuit.nodes[node]
    if kind.shape[:1] != (lowered.circuit.steps,):
        return None
    match kind:
        case Committed():
            return [(source, True) for source in _dependencies(lowered, node)] or None
        case Constant() | Rows():
            return []
        case Public():
            return None
        case Positions(axis=axis):
            return [] if axis else None
        case Combine(terms=terms):
            return [(operand, True) for _, operand in terms]
        case Filter(node=operand, rows=rows):
            columns = lowered.circuit.nodes[operand].shape[0]
            causal = columns == len(rows) and all(width(runs) <= t + 1 for t, runs in enumerate(rows))
            return [(operand, causal)]
        case Axes(node=operand, source=source):
            return [(operand, source[0] == 0)] if source[0] in (-1, 0) else None
        case Contract():
            step = kind.out_labels[0]
            factors = ((kind.left, kind.left_labels), (kind.right, kind.right_labels))
            if any(step in labels[1:] for _, labels in factors):
                return None
            return [(operand, labels[:1] == (step,)) for operand, labels in factors]


def _phases(lowered: Lowered) -> list[Phase]:
    """STEPPED is the largest set that is closed under the slice rules."""
    nodes = lowered.circuit.nodes
    dynamic = [isinstance(node, Rows) for node in nodes]
    changed = True
    while changed:
        changed = False
        for node in range(len(nodes)):
            if not dynamic[node] and any(dynamic[operand] for operand in _dependencies(lowered, node)):
                dynamic[node] = changed = True
    phases = [Phase.STEPPED if moves else Phase.STATIC for moves in dynamic]
    changed = True
    while changed:
        changed = False
        for node in range(len(nodes)):
            if phases[node] is Phase.STEPPED and not _can_step(lowered, node, phases):
                phases[node] = Phase.LATE
                changed = True
    return phases


def _can_step(lowered: Lowered, node: int, phases: list[Phase]) -> bool:
    reads = _slice_reads(lowered, node)
    return reads is not None and all(
        phases[operand] is (Phase.STEPPED if sliced else Phase.STATIC) or phases[operand] is Phase.STATIC
        for operand, sliced in reads
    )
