"""Runs a step in floating point, to see how large its values become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import erf
from typing import Any

import numpy as np

from zkjax.errors import UserError
from zkjax.fixedpoint.nodes import (
    Axes,
    Bit,
    DataLeaf,
    First,
    Function,
    Gated,
    Linear,
    Maximum,
    Moment,
    OneHot,
    Paced,
    Positive,
    Product,
    Public,
    PublicArray,
    Ratio,
    Reciprocal,
    Relu,
    Root,
    StateLeaf,
    Uniform,
)
from zkjax.fixedpoint.numbers import Values, number
from zkjax.fixedpoint.step import Step
from zkjax.statement.formulas import Formula, parse

Leaves = Mapping[str, Any]


@dataclass(frozen=True)
class Calibration:
    """Largest magnitudes seen: of every node, and of every state leaf before or after a step.

    `batches` counts the batches that were run. `first` is the state after the first of them, `reported` are the
    outputs of that step. `headroom` is by how many bits the magnitudes were enlarged, which ranges that do not follow
    from them have to know.
    """

    nodes: tuple[float, ...]
    state: dict[str, float]
    batches: int
    first: dict[str, np.ndarray]
    reported: dict[str, np.ndarray] = field(default_factory=dict)
    headroom: int = 0

    def enlarged(self, bits: int) -> Calibration:
        """As if everything had been 2**bits times as large, for formats with so many bits more of headroom."""
        state = {name: largest * 2.0**bits for name, largest in self.state.items()}
        nodes = tuple(largest * 2.0**bits for largest in self.nodes)
        return replace(self, nodes=nodes, state=state, headroom=self.headroom + bits)


def evaluate(
    step: Step, state: Leaves, batch: Leaves, numbers: Values = ()
) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    """(value of every node, the state after the step), in float32; `numbers` are the step's public ones."""
    values: list[np.ndarray] = []
    for node in step.nodes:
        match node:
            case StateLeaf(name=name):
                value = np.asarray(state[name], np.float32)
            case DataLeaf(name=name, shape=shape):
                value = np.asarray(batch[name], np.float32).reshape(shape)
            case Uniform(shape=shape, value=constant):
                value = np.full(shape, float(constant), np.float32)
            case Public(shape=shape, number=place):
                value = np.full(shape, float(number(numbers[place])), np.float32)
            case PublicArray(number=place):
                value = np.asarray(numbers[place], np.float32)
            case Paced(node=index, number=place):
                value = np.float32(float(number(numbers[place]))) * values[index]
            case Linear(terms=terms):
                value = sum(np.float32(float(c)) * values[index] for c, index in terms)  # type: ignore[assignment]
            case Axes(node=index, source=source, shape=shape):
                value = _moved(values[index], source, shape)
            case Product():
                operands = (values[node.left], node.left_labels, values[node.right], node.right_labels)
                value = np.einsum(*operands, node.out_labels, optimize=True)
            case Relu(node=index):
                value = np.maximum(values[index], 0)
            case Gated(gate=gate, node=index):
                value = np.where(values[gate] > 0, values[index], np.float32(0))
            case Function(node=index, formula=formula):
                value = real(parse(formula), values[index].astype(np.float64)).astype(np.float32)
            case Reciprocal(node=index):
                value = np.float32(1) / values[index]  # type: ignore[assignment]
            case Root(node=index):
                value = np.sqrt(values[index])
            case Ratio(numerator=numerator, divisor=divisor):
                value = values[numerator] / values[divisor]
            case Moment(kept=kept, node=index):
                parts = [(number.at(numbers), np.asarray(state[name], np.float32)) for name, number in kept]
                parts.append((node.factor * node.pace.at(numbers), values[index]))
                value = sum(np.float32(float(c)) * part for c, part in parts)  # type: ignore[assignment]
            case Maximum(node=index):
                value = values[index].max(axis=-1)
            case First(node=index, shape=shape):
                value = (values[index].argmax(axis=-1)[..., None] == np.arange(shape[-1])).astype(np.float32)
            case Positive(node=index):
                value = (values[index] > 0).astype(np.float32)
            case Bit(node=index):
                value = values[index]
            case OneHot(node=index, shape=shape):
                value = (values[index][..., None] == np.arange(shape[-1])).astype(np.float32)
        values.append(value)
    after = {}
    for name, index in step.state.items():
        parts = [(kept.at(numbers), values[step.state[other]]) for other, kept in step.kept[name].items()]
        if (change := step.changes.get(name)) is not None:
            parts.append((change.factor * change.pace.at(numbers), values[change.node]))
        after[name] = sum((np.float32(float(c)) * part for c, part in parts), np.zeros_like(values[index]))
    return values, after


def real(formula: Formula, x: np.ndarray) -> np.ndarray:
    """A formula in floating point."""
    parts = [real(part, x) for part in formula.parts]
    match formula.name:
        case "x":
            return x
        case "number":
            return np.full(x.shape, float(formula.value))
        case "+" | "-" | "*" | "/":
            operation = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide}[formula.name]
            return operation(*parts)
        case "positive":
            return (parts[0] > 0).astype(np.float64)
        case "erf":
            return np.vectorize(erf, otypes=[np.float64])(parts[0])
        case name:
            return getattr(np, name)(parts[0])


def _moved(value: np.ndarray, source: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    kept = [axis for axis in source if axis != -1]
    gone = tuple(axis for axis in range(value.ndim) if axis not in kept)
    value = value.sum(axis=gone)
    order = sorted(kept)
    value = value.transpose([order.index(axis) for axis in kept])
    new = [place for place, axis in enumerate(source) if axis == -1]
    return np.broadcast_to(np.expand_dims(value, tuple(new)), shape)


def calibrate(step: Step, state: Leaves, batches: Sequence[Leaves], numbers: Sequence[Values]) -> Calibration:
    """Train on `batches` in order, in floating point, and record the largest magnitudes.

    `numbers` are the public numbers of as many steps.

    A magnitude that became NaN or infinite is recorded as infinite; weights that did are refused
    with a UserError that says after which batch.
    """
    nodes = np.zeros(len(step.nodes))
    weights = {name: _largest(np.asarray(state[name])) for name in step.state}
    first: dict[str, np.ndarray] = {}
    reported: dict[str, np.ndarray] = {}
    count = 0
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for batch, at in zip(batches, numbers, strict=True):
            values, after = evaluate(step, state, batch, at)
            nodes = np.maximum(nodes, [_largest(value) for value in values])
            weights = {name: max(weights[name], _largest(after[name])) for name in weights}
            if not first:
                first = after
                reported = {name: float(r.factor) * values[r.node] for name, r in step.reports.items()}
            state = after
            count += 1
            diverged = [name for name, largest in weights.items() if not np.isfinite(largest)]
            if diverged:
                raise UserError(
                    f"the training step itself, in floating point, makes state leaf {diverged[0]!r} NaN or infinite "
                    f"on calibration batch {count - 1}: scale the data to about one, or lower the learning rate"
                )
    return Calibration(tuple(nodes.tolist()), weights, count, first, reported)


def _largest(value: np.ndarray) -> float:
    largest = float(np.abs(value).max())
    return largest if np.isfinite(largest) else float("inf")
