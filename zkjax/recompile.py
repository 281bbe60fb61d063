"""Is a published circuit that of a training step? Compile the step again and compare.

    zkjax.audit(train_step, state, dataset, statement)     # or OtherProgram

A proof says that the circuit of its statement was run; whether that circuit is a given training step
is a question of its own, and this answers it. It takes the formats, the number of steps and of rows and the names of
the outputs from the statement, and from `state` and `dataset` shapes and types: no private data, no weights. Where
learning rates or masks follow from counters or keys, the statement says where those start; `examine` shows it beside
those of `state`: look whether it is the block that you mean.

The formats are the prover's choice. An audit refuses those in which nothing can be trained, whatever the data are
(`fixedpoint.fineness`); `examine` says how fine they are, and measures it on the values of `state` and `dataset`, if
they have any.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import jax
import numpy as np

from zkjax.errors import UserError, VerificationError
from zkjax.fixedpoint.compile import lower_block
from zkjax.fixedpoint.evaluate import Calibration
from zkjax.fixedpoint.fineness import LEAST_BITS, Fineness, fineness, require_fine
from zkjax.fixedpoint.numbers import Values
from zkjax.fixedpoint.plan import Plan
from zkjax.fixedpoint.published import OtherFormats, PublishedFormats, published_plans, without_remedy
from zkjax.frontend import Reading, read_step
from zkjax.frontend.counters import Raw
from zkjax.frontend.outputs import UnknownOutput
from zkjax.frontend.trace import is_key
from zkjax.program import compile
from zkjax.statement.circuit import Circuit, Committed
from zkjax.statement.printing import describe_circuit
from zkjax.statement.statement import Statement


class OtherProgram(VerificationError):
    """The training step compiles to another circuit than the statement's."""


@dataclass(frozen=True)
class _Candidate:
    """The step compiled in one of the numbers of magnitude bits, and how far it agrees."""

    plan: Plan
    circuit: Circuit
    agreeing: int


@dataclass(frozen=True)
class Start:
    """Where a counter or a random key starts: in the statement, and in the state at hand if that has values."""

    name: str
    stated: Raw
    own: Raw | None


@dataclass(frozen=True)
class Examination:
    """The digest of the circuit that a step compiles to, how fine the statement's formats are, and where it starts."""

    digest: str
    fineness: list[Fineness]
    starts: list[Start]


def audit(
    train_step: Callable, state: Any, dataset: Any, statement: Statement, *, least_bits: float = LEAST_BITS
) -> str:
    """The digest of the circuit that `train_step` compiles to, which is the statement's.

    `state` and `dataset` are as for `compile` and `run`. Shapes and types are enough (jax.ShapeDtypeStruct, or zeros);
    values that are there, of the size of those of the run, serve to judge how fine the formats are.

    Raises OtherProgram, which shows the first node where the two circuits differ, OtherFormats
    where the leaves are others, UnsupportedError where the step cannot be compiled at all, and TooCoarse where an
    activation, a gradient, the change of a weight or a learning rate cannot have `least_bits` bits on any data, or an
    activation or gradient has not on the first rows of `dataset`.

    Soundness: says nothing about whether a proof holds; that is `verify`, of the same statement.
    """
    return examine(train_step, state, dataset, statement, least_bits=least_bits).digest


def examine(
    train_step: Callable, state: Any, dataset: Any, statement: Statement, *, least_bits: float = LEAST_BITS
) -> Examination:
    """As `audit`, with what it found: `seen` bits are those of the first rows of `dataset` in `state`."""
    published = statement.circuit
    batch = jax.tree.map(lambda leaf: _zeros(leaf, rows=published.batch), dataset)
    names = tuple(output.name for output in published.outputs)
    measured = _measured(train_step, state, dataset, published.batch, names)
    try:
        reading = read_step(train_step, jax.tree.map(_concrete, state), batch, names, public_constants=True)
    except UnknownOutput as error:
        raise OtherFormats(f"the statement publishes what the step does not return: {error}") from error
    best, refused = None, None
    for plan in published_plans(reading.step, _numbers(reading, published), published):
        try:
            circuit = lower_block(plan, rows=published.rows).circuit
        except UserError as error:  # these bits do not fit
            refused = error
            continue
        if circuit.to_bytes() == published.to_bytes():
            found = fineness(plan, circuit, measured)
            require_fine(found, least_bits)
            return Examination(circuit.digest().hex(), found, _starts(reading, state, published))
        candidate = _Candidate(plan, circuit, _agreeing(circuit, published))
        if best is None or candidate.agreeing > best.agreeing:
            best = candidate
    if best is None:
        raise OtherFormats(
            f"the training step does not compile in the formats of the statement: {without_remedy(refused)}"
        )
    raise OtherProgram(_first_difference(best, published))


def _measured(
    train_step: Callable, state: Any, dataset: Any, rows: int, outputs: tuple[str, ...]
) -> Calibration | None:
    """What the step's values are like on the first rows, if there are values enough."""
    leaves = jax.tree.leaves((state, dataset))
    short = any(np.shape(leaf)[:1] < (rows,) for leaf in jax.tree.leaves(dataset))
    if short or any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in leaves):
        return None
    try:
        batch = jax.tree.map(lambda leaf: np.asarray(leaf)[:rows], dataset)
        return compile(train_step, state, batch, steps=1, outputs=outputs, public_constants=True).plan.calibration
    except UserError:  # values with which nobody would train
        return None


def _numbers(reading: Reading, published: Circuit) -> tuple[Values, ...]:
    """The numbers that the step computes from its counters, which start where the statement says they do."""
    counters = PublishedFormats.of(published).counters
    try:
        return reading.schedule.values(reading.schedule.start(counters), published.steps)
    except KeyError as error:
        raise OtherFormats(f"the statement does not say where the counter {error} starts") from error
    except UserError as error:
        raise OtherFormats(f"the statement's counters are none of the step's: {without_remedy(error)}") from error


def _starts(reading: Reading, state: Any, published: Circuit) -> list[Start]:
    """The counters and keys that rates, corrections and masks of the block follow from."""
    stated = PublishedFormats.of(published).counters
    leaves, schedule = jax.tree.leaves(state), reading.schedule
    own: dict[str, Raw] = {}
    if not any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in leaves):
        own = schedule.named(schedule.start(dict(zip(reading.state.names, leaves, strict=True))))
    return [Start(name, value, own.get(name)) for name, value in stated.items()]


def _zeros(leaf: Any, *, rows: int) -> np.ndarray:
    shape, dtype = _shape_and_type(leaf)
    if not shape:
        raise UserError("every leaf of the data set must have a first axis that counts its rows")
    return np.zeros((rows, *shape[1:]), dtype)


def _concrete(leaf: Any) -> Any:
    if not isinstance(leaf, jax.ShapeDtypeStruct):
        return leaf
    if is_key(leaf.dtype):
        data = jax.numpy.zeros((*leaf.shape, *leaf.dtype._impl.key_shape), np.uint32)
        return jax.random.wrap_key_data(data, impl=leaf.dtype._impl.name)
    return np.zeros(leaf.shape, leaf.dtype)


def _shape_and_type(leaf: Any) -> tuple[tuple[int, ...], Any]:
    if hasattr(leaf, "shape") and hasattr(leaf, "dtype"):
        return tuple(leaf.shape), leaf.dtype
    array = np.asarray(leaf)
    return array.shape, array.dtype


def _lines(circuit: Circuit) -> list[str]:
    """A circuit without the line that names its digest: nodes, lookups, zeros, remarks."""
    return list(describe_circuit(circuit))[1:]


def _agreeing(circuit: Circuit, published: Circuit) -> int:
    """How many lines of two descriptions agree before the first that does not."""
    pairs = zip_longest(_lines(circuit), _lines(published))
    return next((place for place, (ours, theirs) in enumerate(pairs) if ours != theirs), len(_lines(circuit)))


def _first_difference(best: _Candidate, published: Circuit) -> str:
    ours, theirs = _lines(best.circuit), _lines(published)
    shown = [(lines[best.agreeing] if best.agreeing < len(lines) else "nothing more") for lines in (theirs, ours)]
    where = _source_line(best)
    return (
        f"the training step compiles to another circuit than the statement's\n"
        f"    statement: {shown[0]}\n"
        f"    this step: {shown[1]}" + (f"\n    in what is made at {where}" if where else "")
    )


def _source_line(best: _Candidate) -> str | None:
    """Where the tensor is made that the first differing node belongs to: the next rounded one."""
    lines = {tensor.name: tensor.line for tensor in best.plan.tensors}
    for node in best.circuit.nodes[best.agreeing :]:
        if isinstance(node, Committed) and node.name in lines:
            return lines[node.name]
    return None
