"""Is a published circuit that of a training step? Compile the step again and compare.

    zkjax.audit(train_step, state, dataset, statement)     # or OtherProgram

A proof says that the circuit of its statement was run; whether that circuit is a given training step
is a question of its own, and this answers it. It takes the formats, the number of steps and of rows from
the statement, and from `state` and `dataset` shapes and types only: no private data, no weights. Where the
learning rate follows a counter, the statement says where the counter starts; look whether that is the block
that you mean.
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
from zkjax.fixedpoint.numbers import Values
from zkjax.fixedpoint.plan import Plan
from zkjax.fixedpoint.published import OtherFormats, PublishedFormats, published_plans, without_remedy
from zkjax.frontend import Reading, read_step
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


def audit(train_step: Callable, state: Any, dataset: Any, statement: Statement) -> str:
    """The digest of the circuit that `train_step` compiles to, which is the statement's.

    `state` and `dataset` are as for `compile` and `run`, but only the shapes and types of their
    leaves count: arrays of any values will do, and so will jax.ShapeDtypeStruct.

    Raises OtherProgram, which shows the first node where the two circuits differ, OtherFormats
    where the leaves are others, UnsupportedError where the step cannot be compiled at all.

    Soundness: says nothing about whether a proof holds; that is `verify`, of the same statement.
    """
    published = statement.circuit
    batch = jax.tree.map(lambda leaf: _zeros(leaf, rows=published.batch), dataset)
    reading = read_step(train_step, jax.tree.map(_concrete, state), batch)
    best, refused = None, None
    for plan in published_plans(reading.step, _numbers(reading, published), published):
        try:
            circuit = lower_block(plan, rows=published.rows).circuit
        except UserError as error:  # these bits do not fit
            refused = error
            continue
        if circuit.to_bytes() == published.to_bytes():
            return circuit.digest().hex()
        candidate = _Candidate(plan, circuit, _agreeing(circuit, published))
        if best is None or candidate.agreeing > best.agreeing:
            best = candidate
    if best is None:
        raise OtherFormats(
            f"the training step does not compile in the formats of the statement: {without_remedy(refused)}"
        )
    raise OtherProgram(_first_difference(best, published))


def _numbers(reading: Reading, published: Circuit) -> tuple[Values, ...]:
    """The numbers that the step computes from its counters, which start where the statement says they do."""
    counters = PublishedFormats.of(published).counters
    try:
        return reading.schedule.values(reading.schedule.start(counters), published.steps)
    except KeyError as error:
        raise OtherFormats(f"the statement does not say where the counter {error} starts") from error
    except UserError as error:
        raise OtherFormats(f"the statement's counters are none of the step's: {without_remedy(error)}") from error


def _zeros(leaf: Any, *, rows: int) -> np.ndarray:
    shape, dtype = _shape_and_type(leaf)
    if not shape:
        raise UserError("every leaf of the data set must have a first axis that counts its rows")
    return np.zeros((rows, *shape[1:]), dtype)


def _concrete(leaf: Any) -> Any:
    return np.zeros(leaf.shape, leaf.dtype) if isinstance(leaf, jax.ShapeDtypeStruct) else leaf


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
