"""Trains with a compiled Program in plain Python integers, and with the user's step in float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tests.witness.naive import interpret
from zkjax.program import Program


def integer_run(program: Program, state: Any, dataset: Any, schedule: np.ndarray) -> Any:
    """The state after the block, every lookup checked against its table."""
    first = next(iter(program.quantize_dataset(dataset).values()))
    lowered = program.lowered_for(len(first))
    circuit = lowered.circuit
    tensors = {"data": program.quantize_dataset(dataset), "before": program.quantize_state(state)}
    given = {
        node: tensors[oracle][circuit.nodes[node].name] for oracle in tensors for node in circuit.committed(oracle)
    }
    values = interpret(lowered, given, schedule)
    for lookup in circuit.lookups:
        table = circuit.tables[lookup.table]
        allowed = set(zip(*(column.tolist() for column in table.rows()), strict=True))
        columns = [
            values[node].ravel().tolist() if node >= 0 else None for node in (lookup.re, lookup.im, lookup.second)
        ]
        found = set(zip(*(column or [0] * len(columns[0]) for column in columns), strict=True))
        assert found <= allowed, f"{lookup.name} leaves its table: {sorted(found - allowed)[:3]}"
    for node in circuit.zeros:
        assert not np.any(values[node])
    after = {circuit.nodes[node].name: values[node] for node in circuit.committed("after")}
    return program.restore_state(after, state)


def float_run(train_step: Callable, state: Any, dataset: Any, schedule: np.ndarray, has_aux: bool) -> Any:
    for rows in schedule:
        result = train_step(state, jax.tree.map(lambda leaf, rows=rows: leaf[rows], dataset))
        state = result[0] if has_aux else result
    return state


def differences(one: Any, other: Any) -> np.ndarray:
    """Magnitudes of the differences of all weights of two states."""
    trees = (getattr(state, "params", state) for state in (one, other))
    pairs = zip(*map(_weights, trees), strict=True)
    return np.concatenate([np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64)).ravel() for a, b in pairs])


def distance(one: Any, other: Any) -> float:
    """Largest difference of the weights of two states."""
    trees = (getattr(state, "params", state) for state in (one, other))
    pairs = zip(*map(_weights, trees), strict=True)
    return max(float(np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64)).max()) for a, b in pairs)


def _weights(tree: Any) -> list[Any]:
    return [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(jnp.asarray(leaf).dtype, jnp.floating)]
