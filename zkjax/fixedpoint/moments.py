"""What a step reads of its optimiser's memory: means of gradients and of their squares, this step's included.

An adaptive optimiser divides one memory by the root of another. The memories are linear in gradients and squares, as
a momentum is; only what is computed of them is not. So each sum of memories and of the tensor that they take up becomes
one `Moment`, which over a block is a public filter like the state itself, and no value of the optimiser is a recursion.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from zkjax.fixedpoint.filters import Response, reaching, responses
from zkjax.fixedpoint.nodes import DataLeaf, Linear, Moment, Paced, RealNode, operands, renumbered
from zkjax.fixedpoint.numbers import Number, Values, constant, total
from zkjax.fixedpoint.step import Change, Report, Step, StepGraph, pruned


def expanded(nodes: Sequence[RealNode], node: int, stops: Iterable[int] = ()) -> dict[int, Number]:
    """`node` as a sum of nodes that are no sums, or are among `stops`, each times a public number."""
    found = nodes[node]
    if node in stops:
        return {node: constant(1)}
    match found:
        case Linear(terms=terms):
            parts: dict[int, list[Number]] = {}
            for coefficient, term in terms:
                for base, number in expanded(nodes, term, stops).items():
                    parts.setdefault(base, []).append(number.scaled(coefficient))
            sums = {base: total(numbers) for base, numbers in parts.items()}
            return {base: number for base, number in sums.items() if number.terms}
        case Paced(node=inner, number=place):
            return {base: number.paced(place) for base, number in expanded(nodes, inner, stops).items()}
        case _:
            return {node: constant(1)}


def with_moments(step: Step) -> Step:
    """The same step, reading its memories through moments."""
    sources = _memories(step)
    if not sources:
        return step
    names = {step.state[name]: name for name in sources}
    graph, new = StepGraph(), dict[int, int]()
    for index, found in enumerate(step.nodes):
        graph.current_line = step.lines[index]
        made = _of_moments(step, graph, index, names, sources, new) if isinstance(found, Linear | Paced) else None
        new[index] = graph.add(renumbered(found, new)) if made is None else made
    state = {name: new[index] for name, index in step.state.items()}
    moved = {name: graph.factored(new[change.node]) for name, change in step.changes.items()}
    reported = {name: (report, graph.factored(new[report.node])) for name, report in step.reports.items()}
    roots = [*state.values(), *(node for _, node in moved.values()), *(node for _, (_, node) in reported.values())]
    order, number = pruned(graph, roots)
    return replace(
        step,
        nodes=tuple(renumbered(graph.nodes[index], number) for index in order),
        lines=tuple(graph.lines[index] for index in order),
        state={name: number[index] for name, index in state.items()},
        data={n.name: place for place, index in enumerate(order) if isinstance(n := graph.nodes[index], DataLeaf)},
        changes={
            name: replace(change, factor=change.factor * moved[name][0], node=number[moved[name][1]])
            for name, change in step.changes.items()
        },
        reports={
            name: Report(report.factor * factor, number[node]) for name, (report, (factor, node)) in reported.items()
        },
    )


def _memories(step: Step) -> dict[str, int]:
    """The leaves that the step reads only in sums, by name, with the one node that they take up."""
    readers: dict[int, list[RealNode]] = {}
    for node in step.nodes:
        for operand in operands(node):
            readers.setdefault(operand, []).append(node)
    candidates = {
        name
        for name, index in step.state.items()
        if index in readers and all(isinstance(node, Linear | Paced) for node in readers[index])
    }
    found = {}
    for name in sorted(candidates):
        group = reaching(step, name)
        taken = {step.changes[member].node for member in group if member in step.changes}
        if candidates.issuperset(group) and len(taken) == 1:
            (found[name],) = taken
    return found


def _of_moments(
    step: Step, graph: StepGraph, index: int, names: Mapping[int, str], sources: Mapping[str, int], new: dict[int, int]
) -> int | None:
    """A sum that reads memories, as a sum of moments and of the rest; None for any other."""
    parts = expanded(step.nodes, index, set(sources.values()))
    kept: dict[int, list[tuple[str, Number]]] = {}
    for base in [base for base in parts if base in names]:
        kept.setdefault(sources[names[base]], []).append((names[base], parts.pop(base)))
    if not kept or any(node not in new for node in kept):
        return None
    shape, terms = step.nodes[index].shape, []
    for node, leaves in kept.items():
        factor, pace = parts.pop(node, Number(())).factored()
        terms.append((Fraction(1), graph.add(Moment(shape, tuple(sorted(leaves)), new[node], factor, pace))))
    for base, number in parts.items():
        for monomial, coefficient in number.terms:
            paced = new[base]
            for place in monomial:
                paced = graph.paced(paced, place)
            terms.append((coefficient, paced))
    return graph.linear(terms)


def moment_responses(step: Step, values: Sequence[Values]) -> dict[int, Response]:
    """What every moment is made of at the steps 0 to T - 1, in the terms of `filters.responses`.

    A moment is what a leaf would be after the step that kept these leaves and took up this change.
    """
    places = {f"moment {index}": index for index, node in enumerate(step.nodes) if isinstance(node, Moment)}
    kept: dict[str, Mapping[str, Number]] = dict(step.kept)
    changes = dict(step.changes)
    for name, index in places.items():
        node = step.nodes[index]
        assert isinstance(node, Moment)
        kept[name] = dict(node.kept)
        if node.factor:
            changes[name] = Change(node.factor, node.node, None, node.pace)
    made = responses(replace(step, kept=kept, changes=changes), values, places)
    return {
        places[name]: Response(
            {other: row[1:] for other, row in found.initial.items() if any(row[1:])},
            found.taps and found.taps[1:],
            found.change,
        )
        for name, found in made.items()
    }
