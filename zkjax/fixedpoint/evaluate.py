"""Runs a step in floating point, to see how large its values become."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from zkjax.fixedpoint.step import (
    Axes,
    DataLeaf,
    Gated,
    Linear,
    Product,
    Relu,
    StateLeaf,
    Step,
    Uniform,
)

Leaves = Mapping[str, Any]


@dataclass(frozen=True)
class Calibration:
    """Largest magnitudes seen: of every node, and of every state leaf before or after a step.

    `batches` counts the batches that were run. `first` is the state after the first of them.
    """

    nodes: tuple[float, ...]
    state: dict[str, float]
    batches: int
    first: dict[str, np.ndarray]


def evaluate(step: Step, state: Leaves, batch: Leaves) -> tuple[list[jax.Array], dict[str, jax.Array]]:
    """(value of every node, the state after the step), in the float type of the leaves."""
    values: list[jax.Array] = []
    for node in step.nodes:
        match node:
            case StateLeaf(name=name):
                value = jnp.asarray(state[name])
            case DataLeaf(name=name, shape=shape):
                value = jnp.asarray(batch[name], jnp.float32).reshape(shape)
            case Uniform(shape=shape, value=number):
                value = jnp.full(shape, float(number), jnp.float32)
            case Linear(terms=terms):
                value = sum(float(c) * values[index] for c, index in terms)  # type: ignore[assignment]
            case Axes(node=index, source=source, shape=shape):
                value = _moved(values[index], source, shape)
            case Product():
                value = jnp.einsum(
                    values[node.left],
                    node.left_labels,
                    values[node.right],
                    node.right_labels,
                    node.out_labels,
                )
            case Relu(node=index):
                value = jnp.maximum(values[index], 0)
            case Gated(gate=gate, node=index):
                value = jnp.where(values[gate] > 0, values[index], 0)
        values.append(value)
    after = {name: values[index] for name, index in step.state.items()}
    for name, change in step.changes.items():
        after[name] = after[name] + float(change.factor) * values[change.node]
    return values, after


def _moved(value: jax.Array, source: tuple[int, ...], shape: tuple[int, ...]) -> jax.Array:
    kept = [axis for axis in source if axis != -1]
    gone = tuple(axis for axis in range(value.ndim) if axis not in kept)
    value = value.sum(axis=gone)
    order = sorted(kept)
    value = value.transpose([order.index(axis) for axis in kept])
    new = [place for place, axis in enumerate(source) if axis == -1]
    return jnp.broadcast_to(jnp.expand_dims(value, new), shape)


def calibrate(step: Step, state: Leaves, batches: Iterable[Leaves]) -> Calibration:
    """Train on `batches` in order, in floating point, and record the largest magnitudes."""

    @jax.jit
    def run(state: Leaves, batch: Leaves) -> tuple[Leaves, jax.Array]:
        values, after = evaluate(step, state, batch)
        return after, jnp.stack([jnp.abs(value).max() for value in values])

    state = {name: jnp.asarray(state[name]) for name in step.state}
    nodes = np.zeros(len(step.nodes))
    weights = {name: float(np.abs(state[name]).max()) for name in step.state}
    first: dict[str, np.ndarray] = {}
    count = 0
    for batch in batches:
        state, maxima = run(state, {name: np.asarray(batch[name]) for name in step.data})
        nodes = np.maximum(nodes, np.asarray(maxima, np.float64))
        weights = {name: max(weights[name], float(np.abs(state[name]).max())) for name in weights}
        first = first or {name: np.asarray(value) for name, value in state.items()}
        count += 1
    return Calibration(tuple(nodes.tolist()), weights, count, first)
