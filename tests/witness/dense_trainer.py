"""An integer trainer of dense networks in plain Python integers, straight from the mathematics.

It knows nothing of circuits: lists of lists, products, shifts. The compiled run must equal it
bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.blocks import DenseShape

Matrix = list[list[int]]
State = list[tuple[Matrix, list[int]]]


def rounded(value: int, shift: int) -> int:
    """value / 2**shift to the nearest integer, halves up."""
    return (value + 2 ** (shift - 1)) // 2**shift


def product(left: Matrix, right: Matrix) -> Matrix:
    return [
        [sum(a * b for a, b in zip(row, column, strict=True)) for column in zip(*right, strict=True)] for row in left
    ]


def transposed(matrix: Matrix) -> Matrix:
    return [list(column) for column in zip(*matrix, strict=True)]


def mapped(function: Callable[..., int], *matrices: Matrix) -> Matrix:
    return [[function(*entries) for entries in zip(*rows, strict=True)] for rows in zip(*matrices, strict=True)]


def train(
    shape: DenseShape, x: np.ndarray, y: np.ndarray, before: dict[str, np.ndarray], schedule: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """(advice by name, each with a leading axis of steps; state after by name), as object arrays.

    Squared loss on the logits, ReLU with outputs clipped to [0, limit] and no gradient where
    clipped, gradients clipped to [-limit, limit], weights W <- W - A^T G kept exactly.
    """
    limit = 2**shape.bits - 1
    lift = shape.weight_fraction - 16
    layers = range(len(shape.widths) - 1)
    state: State = [
        (
            [[int(entry) << lift for entry in row] for row in before[f"layer{layer}/kernel"]],
            [int(entry) << lift for entry in before[f"layer{layer}/bias"]],
        )
        for layer in layers
    ]
    seen: dict[str, list[Matrix]] = {}

    def record(name: str, matrix: Matrix) -> Matrix:
        seen.setdefault(name, []).append(matrix)
        return matrix

    for rows in schedule:
        inputs = [[int(entry) for entry in x[row]] for row in rows]
        targets = [[int(entry) << shape.activation_fraction for entry in y[row]] for row in rows]
        activations, gates = [inputs], []
        for layer in layers:
            kernel, bias = state[layer]
            fraction = shape.activation_fraction if layer else shape.input_fraction
            accumulated = [
                [entry + (offset << fraction) for entry, offset in zip(row, bias, strict=True)]
                for row in product(activations[-1], kernel)
            ]
            shift = fraction + shape.weight_fraction - shape.activation_fraction
            pre = record(f"layer{layer}/pre_activation", mapped(lambda v, s=shift: rounded(v, s), accumulated))
            if layer < layers[-1]:
                gates.append(record(f"layer{layer}/gate", mapped(lambda q: int(0 < q <= limit), pre)))
                activations.append(record(f"layer{layer}/output", mapped(lambda q: min(max(q, 0), limit), pre)))
        gradient = mapped(lambda q, target: q - target, pre, targets)
        updates = []
        for layer in reversed(layers):
            updates.append(
                (
                    product(transposed(activations[layer]), gradient),
                    [sum(column) for column in zip(*gradient, strict=True)],
                )
            )
            if layer:
                back = mapped(
                    lambda v: rounded(v, shape.weight_fraction), product(gradient, transposed(state[layer][0]))
                )
                record(f"layer{layer - 1}/gradient", back)
                gradient = record(
                    f"layer{layer - 1}/gated",
                    mapped(lambda gate, g: gate * min(max(g, -limit), limit), gates[layer - 1], back),
                )
        for layer, (kernel_update, bias_update) in zip(reversed(layers), updates, strict=True):
            kernel, bias = state[layer]
            rate = 1 if layer else 2 ** (shape.activation_fraction - shape.input_fraction)
            state[layer] = (
                mapped(lambda w, u, r=rate: w - r * u, kernel, kernel_update),
                [w - (u << shape.activation_fraction) for w, u in zip(bias, bias_update, strict=True)],
            )
    advice = {name: np.array(steps, dtype=object) for name, steps in seen.items()}
    after: dict[str, Any] = {}
    for layer, (kernel, bias) in enumerate(state):
        after[f"layer{layer}/kernel"] = np.array(mapped(lambda w: rounded(w, lift), kernel), dtype=object)
        after[f"layer{layer}/bias"] = np.array([rounded(w, lift) for w in bias], dtype=object)
    return advice, after
