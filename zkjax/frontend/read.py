"""Reads a training step: from the user's function to a program over real tensors.

All that cannot be translated is collected first and reported in one UnsupportedError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import jax
import numpy as np

from zkjax.errors import UserError
from zkjax.fixedpoint.fuse import fused
from zkjax.fixedpoint.moments import with_moments
from zkjax.fixedpoint.nodes import DataLeaf, StateLeaf, renumbered
from zkjax.fixedpoint.step import Change, Report, Step, StepGraph, pruned
from zkjax.frontend.counters import PublicState, Schedule, followed, schedule
from zkjax.frontend.outputs import Outputs, asked_for
from zkjax.frontend.preparation import Preparation, Prepared
from zkjax.frontend.roles import Leaf, Tree, difference, named_leaves
from zkjax.frontend.rules import RULES, stacks
from zkjax.frontend.shortened import SHORT_NOTE, shortened
from zkjax.frontend.trace import Atom, Constant, Equation, Trace, Variable, live, trace
from zkjax.frontend.unsupported import DEFAULT_REMEDY, REMEDIES, Problem, Refused, UnsupportedError
from zkjax.frontend.updates import Kept, updates
from zkjax.frontend.values import Public, Real, Stack, Value, Values

LEAVE_OUT = "leave it out of outputs="
PREPARED_NOTE = "data {}: computed row by row by the training step, and committed as the result"


@dataclass(frozen=True)
class Reading:
    """A step and the roles of its leaves.

    `program` is the traced step, from all leaves of state and batch to the new float leaves of the
    state. `public` says how every other leaf of the state moves, `schedule` gives the public numbers and
    arrays that the step computes from them. `has_aux` says whether the user's step returns
    (state, aux) rather than the state alone. `prepared` says how to compute data leaves that the batch
    does not hold itself. `stacks` names the parts of the state leaves that the step reads by layers. `outputs`
    are the leaves of aux that are published; `reported` computes them, from the inputs of `program`.
    `shortened` says which types shorter than float32 the step rounds to, and where first.
    """

    step: Step
    program: Trace
    prepared: dict[str, Prepared]
    state: Tree
    batch: Tree
    public: PublicState
    schedule: Schedule
    has_aux: bool
    stacks: dict[str, tuple[str, ...]]
    outputs: tuple[Leaf, ...]
    reported: Trace
    shortened: dict[str, str]

    def parted(self, leaves: Mapping[str, Any]) -> dict[str, Any]:
        """The leaves of the state as the step names them: a stack is replaced by its parts."""
        parts = {name: leaves[whole][place] for whole, names in self.stacks.items() for place, name in enumerate(names)}
        return {name: leaf for name, leaf in leaves.items() if name not in self.stacks} | parts

    def joined(self, leaves: Mapping[str, Any]) -> dict[str, Any]:
        """The leaves of the step as the state names them: parts are put together again."""
        stacks = {whole: np.stack([leaves[name] for name in names]) for whole, names in self.stacks.items()}
        parts = {name for names in self.stacks.values() for name in names}
        return {name: leaf for name, leaf in leaves.items() if name not in parts} | stacks


def read_step(
    train_step: Callable, state: Any, batch: Any, outputs: Outputs = (), *, public_constants: bool = False
) -> Reading:
    """The training step as a program over real tensors, with the roles of its leaves.

    `outputs` names the leaves of aux that are published, True stands for all. `public_constants` says that everybody
    may see arrays that the step closes over.

    Raises UnsupportedError listing everything that has no translation, and UserError where the
    pytrees are not what a training step takes and returns. Computes nothing.
    """
    if not callable(train_step):
        raise UserError(f"train_step is a {type(train_step).__name__}, not a function")
    state_tree, batch_tree = named_leaves(state, "state"), named_leaves(batch, "batch")
    rows = _batch_size(batch_tree)
    weights = _weights(state_tree)
    program, shapes = trace(train_step, state, batch)
    has_aux = _returned(shapes, state_tree)
    asked = asked_for(outputs, shapes[1] if has_aux else None)
    count = len(state_tree.leaves)
    problems: list[Problem] = []
    results, aux = program.outputs[:count], program.outputs[count:]
    for leaf in state_tree.leaves:
        before, after = program.inputs[leaf.index], results[leaf.index]
        if before.shape != after.shape:
            raise UserError(
                f"the step changes the shape of state leaf {leaf.name!r} from {before.shape} to "
                f"{after.shape}: the state must keep its shapes"
            )
    others = [leaf for leaf in state_tree.leaves if not leaf.is_float]
    old, new = [program.inputs[leaf.index] for leaf in others], [results[leaf.index] for leaf in others]
    public, moving = PublicState.of(program, others, old, new)
    problems += map(_no_counter, moving)
    reported = live(program, [aux[leaf.index] for leaf in asked])
    program = live(program, [results[leaf.index] for leaf in weights])
    trees = (state_tree, batch_tree)
    stacked: list[str] = []
    while True:
        try:
            return _translated(
                program, reported, asked, trees, rows, public, has_aux, list(problems), stacked, public_constants
            )
        except stacks.Stacked as found:
            stacked.append(found.name)


def _translated(
    program: Trace,
    reported: Trace,
    asked: tuple[Leaf, ...],
    trees: tuple[Tree, Tree],
    rows: int,
    public: PublicState,
    has_aux: bool,
    problems: list[Problem],
    stacked: list[str],
    public_constants: bool,
) -> Reading:
    """The reading of `program`, where the state leaves `stacked` are read as one leaf for each layer."""
    state_tree, batch_tree = trees
    weights, count = _weights(state_tree), len(state_tree.leaves)
    graph = StepGraph()
    by_variable = {program.inputs[count + leaf.index]: leaf.name for leaf in batch_tree.leaves}
    reader = _Reader(graph, problems, Preparation(by_variable, rows), public_constants)
    inputs: dict[str, int] = {}
    parts = {leaf.name: _parts(leaf) if leaf.name in stacked else (leaf.name,) for leaf in weights}
    if len({name for names in parts.values() for name in names}) != sum(map(len, parts.values())):
        raise UserError("a state leaf is named as a layer of another: rename a key")
    for leaf in state_tree.leaves:
        if leaf.is_float:
            names = parts[leaf.name]
            shape = leaf.shape[1:] if leaf.name in stacked else leaf.shape
            inputs |= {name: graph.add(StateLeaf(shape, name)) for name in names}
            values = tuple(Real(inputs[name]) for name in names)
            reader.known[program.inputs[leaf.index]] = Stack(values) if leaf.name in stacked else values[0]
        elif program.inputs[leaf.index] in public.moves.inputs:
            variable = program.inputs[leaf.index]
            reader.known[variable] = Public(leaf.shape, None if leaf.shape else variable, variable)
        else:  # a problem, reported already
            reader.known[program.inputs[leaf.index]] = None
    for leaf in batch_tree.leaves:
        node = graph.add(DataLeaf(leaf.shape, leaf.name))
        reader.known[program.inputs[count + leaf.index]] = Real(node)
    for equation in program.equations:
        reader.translate(equation)
    updated: dict[str, int | None] = {}
    for leaf, atom in zip(weights, program.outputs, strict=True):
        updated |= reader.output(atom, leaf, parts[leaf.name], leaf.name in stacked)
    kept, changes = updates(graph, inputs, {name: node for name, node in updated.items() if node is not None}, problems)
    reports = reader.reports(reported, asked)
    if problems:
        raise UnsupportedError(problems)
    found = zip(weights, _rates(program), strict=True)
    rates = {name: rate for leaf, rate in found for name in parts[leaf.name]}
    changes = {name: replace(change, rate=rates[name]) for name, change in changes.items()}
    numbers = [(variable, inverse, line) for (variable, inverse), line in reader.values.numbers.items()]
    step = with_moments(fused(_step(graph, inputs, changes, kept, rows, tuple(reader.values.notes), reports)))
    whole = Trace(program.inputs, (), tuple(reader.equations))
    prepared = {
        name: reader.preparation.prepared(whole, variable)
        for name, variable in reader.prepared.items()
        if name in step.data
    }
    short = shortened([*program.equations, *reported.equations])
    notes = (*map(SHORT_NOTE.format, short), *map(PREPARED_NOTE.format, prepared))
    step = replace(step, notes=(*step.notes, *notes))
    if not step.data:
        raise UserError("no leaf of the batch influences the new state: there is nothing to train on")
    return Reading(
        step=step,
        program=program,
        prepared=prepared,
        state=state_tree,
        batch=batch_tree,
        public=public,
        schedule=schedule(whole, public, numbers),
        has_aux=has_aux,
        stacks={name: parts[name] for name in stacked},
        outputs=asked,
        reported=reported,
        shortened=short,
    )


class _Reader:
    """Runs the rules over the equations; a value that depends on a problem is unknown."""

    def __init__(
        self, graph: StepGraph, problems: list[Problem], preparation: Preparation, public_constants: bool = False
    ):
        self.graph, self.problems, self.preparation = graph, problems, preparation
        self.values = Values(graph, public_constants)
        self.known: dict[Variable, Value | None] = {}
        self.prepared: dict[str, Variable] = {}
        self.equations: list[Equation] = []

    def translate(self, equation: Equation) -> None:
        self.equations.append(equation)
        self.graph.current_line = equation.line
        for var in equation.outputs:
            self.known[var] = None
        self.preparation.follow(equation)
        try:
            read = [self.known[atom] for atom in equation.inputs if isinstance(atom, Variable)]
            if (outputs := followed(equation, read)) is not None:
                self.known.update(zip(equation.outputs, outputs, strict=True))
                return
            rule = RULES.get(equation.name)
            known = [self.known.get(atom) if isinstance(atom, Variable) else None for atom in equation.inputs]
            if stacks.applies(equation, known):
                inputs = [self.read(atom) for atom in equation.inputs]
                if all(value is not None for value in inputs):
                    made = stacks.apply(self.values, equation, inputs, rule)  # type: ignore[arg-type]
                    self.known[equation.outputs[0]] = made
                return
            if rule is None:
                raise Refused(f"the operation {equation.name!r}", REMEDIES.get(equation.name, DEFAULT_REMEDY))
            inputs = [self.read(atom) for atom in equation.inputs]
            if all(value is not None for value in inputs):
                self.known[equation.outputs[0]] = rule(self.values, equation, inputs)  # type: ignore[arg-type]
        except Refused as refused:
            if not self.prepare(equation):
                self.problems.append(Problem(refused.what, equation.line, refused.remedy))

    def reports(self, program: Trace, asked: Sequence[Leaf]) -> dict[str, Report]:
        """The outputs that are published. Equations that the training needs too are translated already."""
        self.values.reporting = True
        for equation in program.equations:
            if not set(equation.outputs) <= self.known.keys():
                self.translate(equation)
        found = {}
        for leaf, atom in zip(asked, program.outputs, strict=True):
            self.graph.current_line = f"the output {leaf.name!r}"
            try:
                value = self.read(atom)
                if isinstance(value, Public):
                    raise Refused("an output that follows from counters alone, which are public", LEAVE_OUT)
                if value is not None:
                    factor, node = self.graph.factored(self.values.real(value))
                    if self.graph.uniform_value(node) is not None:
                        raise Refused("an output that is the same number at every step", LEAVE_OUT)
                    found[leaf.name] = Report(factor, node)
            except Refused as refused:
                self.problems.append(Problem(refused.what, self.graph.current_line, refused.remedy))
        return found

    def prepare(self, equation: Equation) -> bool:
        """Take what cannot be translated as data, if it is computed from single rows of the batch.

        Not for an output: what is committed does not depend on what is published.
        """
        if self.values.reporting:
            return False
        (variable, *others) = equation.outputs
        sources = self.preparation.sources.get(variable)
        if others or sources is None:
            return False
        base = f"{'+'.join(sorted(sources))}/{equation.name}"
        name = base
        while name in self.prepared or name in self.preparation.batch.values():
            name = f"{name}#"
        self.prepared[name] = variable
        self.known[variable] = Real(self.graph.add(DataLeaf(variable.shape, name)))
        return True

    def read(self, atom: Atom) -> Value | None:
        return self.values.constant(atom) if isinstance(atom, Constant) else self.known[atom]

    def output(self, atom: Atom, leaf: Leaf, names: tuple[str, ...], stacked: bool) -> dict[str, int | None]:
        """The new node of the leaf, or of each of its parts `names`."""
        self.graph.current_line = f"the new value of state leaf {leaf.name!r}"
        try:
            value = self.read(atom)
            if value is None:
                return dict.fromkeys(names)
            if isinstance(value, Stack) and not stacked:
                raise stacks.Stacked(leaf.name)
            parts = [stacks.part(self.values, value, place) for place in range(len(names))] if stacked else [value]
            return dict(zip(names, map(self.values.real, parts), strict=True))
        except Refused as refused:
            self.problems.append(Problem(refused.what, self.graph.current_line, refused.remedy))
            return dict.fromkeys(names)


def _parts(leaf: Leaf) -> tuple[str, ...]:
    """Names of the layers of a stacked leaf: 'params/layers/w' is 'params/layers[0]/w' and so on."""
    path, slash, last = leaf.name.rpartition("/")
    return tuple(f"{path}[{place}]/{last}" if slash else f"{last}[{place}]" for place in range(leaf.shape[0]))


def _weights(state: Tree) -> list[Leaf]:
    """The float leaves; refused if there is none, or one that cannot be a weight."""
    weights = [leaf for leaf in state.leaves if leaf.is_float]
    if not weights:
        raise UserError("the state has no floating-point leaf: there is nothing to train")
    for leaf in weights:
        if leaf.dtype.itemsize < 4:
            raise UserError(
                f"state leaf {leaf.name!r} is of type {leaf.dtype}, which cannot hold the weights after a block: keep "
                "weights in float32 (computing in a shorter type is fine)"
            )
        if 0 in leaf.shape:
            raise UserError(f"state leaf {leaf.name!r} is empty")
    return weights


def _batch_size(batch: Tree) -> int:
    sizes = {leaf.name: leaf.shape[:1] for leaf in batch.leaves}
    if not sizes:
        raise UserError("the batch has no arrays")
    scalars = [name for name, size in sizes.items() if not size]
    if scalars:
        raise UserError(
            f"batch leaf {scalars[0]!r} has no axis of rows: every batch leaf must be an array "
            "whose first axis counts the rows"
        )
    if len(set(sizes.values())) != 1:
        counts = ", ".join(f"{name}: {size[0]}" for name, size in sizes.items())
        raise UserError(f"the batch leaves differ in their number of rows ({counts})")
    empty = [leaf.name for leaf in batch.leaves if 0 in leaf.shape]
    if empty:
        raise UserError(f"batch leaf {empty[0]!r} is empty")
    return batch.leaves[0].shape[0]


def _returned(shapes: Any, state: Tree) -> bool:
    """Whether the step returns (state, aux); refused if it returns no state."""
    if jax.tree_util.tree_structure(shapes) == state.structure:
        return False
    aux = isinstance(shapes, tuple) and len(shapes) == 2
    if aux and jax.tree_util.tree_structure(shapes[0]) == state.structure:
        return True
    parts = [jax.tree_util.tree_structure(part) for part in shapes] if isinstance(shapes, tuple) else []
    if state.structure in parts:
        given = f"it returns a tuple of {len(parts)} with the state at place {parts.index(state.structure)}"
    else:
        given = f"{'the first' if aux else 'what it returns'} {difference(state, shapes[0] if aux else shapes)}"
    raise UserError(
        "the training step must return the new state, or (state, aux), with the same tree structure as the state it "
        f"takes; {given}"
    )


def _no_counter(leaf: Leaf) -> Problem:
    return Problem(
        f"is of type {leaf.dtype} and moves by what is no weight and not public",
        "the training step",
        "let integers and random keys of the state move by what the step computes from them alone",
        (leaf.name,),
    )


def _rates(program: Trace) -> list[Fraction | None]:
    """For each output `leaf + c * gradient`, the size of the constant c, as the program has it."""
    made = {var: equation for equation in program.equations for var in equation.outputs}

    def rate(atom: Atom) -> Fraction | None:
        equation = made.get(atom) if isinstance(atom, Variable) else None
        if equation is None or equation.name not in ("add", "sub", "add_any"):
            return None
        total, current = Fraction(1), equation.inputs[1]
        while (equation := made.get(current)) is not None:  # type: ignore[arg-type]
            numbers = [a.uniform() for a in equation.inputs if isinstance(a, Constant)]
            variables = [a for a in equation.inputs if isinstance(a, Variable)]
            if equation.name in ("mul", "div") and len(numbers) == 1 and numbers[0] is not None:
                number = Fraction(float(numbers[0]))
                if not number or (equation.name == "div" and equation.inputs[0] is not variables[0]):
                    return None
                total = total * number if equation.name == "mul" else total / number
            elif len(variables) > 1 and equation.name == "mul":
                return None
            elif equation.name not in ("neg", "convert_element_type"):
                break
            current = variables[0]
        return abs(total)

    return [rate(atom) for atom in program.outputs]


def _step(
    graph: StepGraph,
    state: dict[str, int],
    changes: dict[str, Change],
    kept: dict[str, Kept],
    batch: int,
    notes: tuple[str, ...],
    reports: dict[str, Report],
) -> Step:
    """The nodes that the changes and outputs need, and all leaves of the state."""
    needed = [*(change.node for change in changes.values()), *(report.node for report in reports.values())]
    order, number = pruned(graph, [*state.values(), *needed])
    data: dict[str, int] = {}
    for index in order:
        node = graph.nodes[index]
        if isinstance(node, DataLeaf) and data.setdefault(node.name, number[index]) != number[index]:
            other = graph.shape(order[data[node.name]])
            raise UserError(
                f"batch leaf {node.name!r} is used in two shapes, {other} and {node.shape}: "
                "reshape it before it enters the step, or give it twice"
            )
    return Step(
        nodes=tuple(renumbered(graph.nodes[index], number) for index in order),
        lines=tuple(graph.lines[index] for index in order),
        state={name: number[index] for name, index in state.items()},
        data=data,
        changes={name: replace(change, node=number[change.node]) for name, change in changes.items()},
        batch=batch,
        kept=kept,
        notes=notes,
        reports={name: replace(report, node=number[report.node]) for name, report in reports.items()},
    )
