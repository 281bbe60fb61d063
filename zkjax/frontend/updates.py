"""How a step moves its state: what it keeps of each leaf, and the gradient that it adds.

An optimiser is linear in the gradients if every new float leaf is a sum of old leaves and of
computed tensors, each times a public number. Then a block never forms its state step by step: it is
a public filter of the gradients and of the state before (`fixedpoint.filters`).
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from zkjax.fixedpoint.moments import expanded
from zkjax.fixedpoint.nodes import Axes, DataLeaf, Gated, Product, StateLeaf, Uniform
from zkjax.fixedpoint.numbers import ONE, Number
from zkjax.fixedpoint.step import Change, StepGraph, reached
from zkjax.frontend.unsupported import Problem

LINEAR = (
    "a new leaf of the state must be a sum of old leaves of its shape and of gradients, each times a constant or a "
    "number that the step computes from its counters"
)
ONE_GRADIENT = (
    "let the leaves of one parameter (weights, momentum, averages) take up one and the same gradient: add its parts "
    "up before the optimiser sees them"
)
NO_SIGNS = (
    "a gradient that is zero, or rounds to zero, would move its weight by a whole step: use Adam, momentum or SGD in "
    "place of Lion or sign_sgd"
)

Kept = dict[str, Number]


def updates(
    graph: StepGraph, state: Mapping[str, int], after: Mapping[str, int], problems: list[Problem]
) -> tuple[dict[str, Kept], dict[str, Change]]:
    """(what each leaf keeps of which leaf, what it moves by), from the nodes of the leaves after the step.

    A leaf without an entry among the changes takes up no gradient. What is not linear becomes a problem. A gradient
    whose square is taken up as well stays one node, even if it is a sum.
    """
    squared = {node.left for node in graph.nodes if isinstance(node, Product) and node.left == node.right}
    kept: dict[str, Kept] = {}
    moved: dict[str, dict[int, Number]] = {}
    for name, node in after.items():
        kept[name], moved[name] = {}, {}
        for base, number in expanded(graph.nodes, node, squared).items():
            found = graph.nodes[base]
            if isinstance(found, StateLeaf):
                kept[name][found.name] = number
            elif _moved_leaf(graph, base) is not None:
                what = "takes up a leaf of the state with its axes summed, moved or broadcast"
                problems.append(Problem(what, graph.lines[node], LINEAR, (name,)))
            elif _is_sign_of_data(graph, base):
                problems.append(Problem("moves by the sign of a gradient", graph.lines[base], NO_SIGNS, (name,)))
            else:
                moved[name][base] = number
    changes: dict[str, Change] = {}
    for names in coupled(kept):
        changes |= _changes(graph, after, {name: moved[name] for name in names if moved.get(name)}, problems)
    return {name: kept.get(name, {name: ONE}) for name in state}, changes


def _is_sign_of_data(graph: StepGraph, node: int) -> bool:
    """Whether `node` is a gate alone, of what comes from the data; the sign of a weight, of a penalty, is none."""
    found = graph.nodes[node]
    if not isinstance(found, Gated) or not isinstance(graph.nodes[found.node], Uniform):
        return False
    return any(isinstance(graph.nodes[index], DataLeaf) for index in reached(graph.nodes, [found.gate]))


def coupled(kept: Mapping[str, Kept]) -> list[list[str]]:
    """The leaves in groups within which one takes up another."""
    group = {name: [name] for name in kept}
    for name, numbers in kept.items():
        for other in numbers:
            if other in group and group[other] is not group[name]:
                group[name] += group[other]
                for member in group[other]:
                    group[member] = group[name]
    return [members for name, members in group.items() if members[0] == name]


def _changes(
    graph: StepGraph, after: Mapping[str, int], moved: Mapping[str, Mapping[int, Number]], problems: list[Problem]
) -> dict[str, Change]:
    """The change of each leaf of a group, all of them multiples of one node."""
    if not moved:
        return {}
    bases = sorted({base for numbers in moved.values() for base in numbers})
    profiles: dict[tuple[tuple[str, Number], ...], list[tuple[Fraction, int]]] = {}
    for base in bases:
        lead = next(numbers[base] for numbers in moved.values() if base in numbers).factored()[0]
        profile = tuple((name, numbers[base].scaled(1 / lead)) for name, numbers in moved.items() if base in numbers)
        profiles.setdefault(profile, []).append((lead, base))
    if len(profiles) > 1:
        names, what = tuple(sorted(moved)), "takes up several gradients, each in a way of its own"
        problems.append(Problem(what, graph.lines[after[names[0]]], ONE_GRADIENT, names))
        return {}
    ((profile, terms),) = profiles.items()
    outer, node = graph.factored(graph.linear(terms))
    changes = {}
    for name, number in profile:
        factor, pace = number.factored()
        changes[name] = Change(outer * factor, node, None, pace)
    return changes


def _moved_leaf(graph: StepGraph, node: int) -> str | None:
    """The name of the state leaf that `node` is, axes apart."""
    found = graph.nodes[node]
    if isinstance(found, Axes):
        return _moved_leaf(graph, found.node)
    return found.name if isinstance(found, StateLeaf) else None
