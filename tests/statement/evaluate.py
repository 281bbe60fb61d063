"""The meaning of a circuit in a few lines: tensors of Python integers, node by node."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import numpy as np

from zkjax.statement.circuit import (
    Axes,
    Circuit,
    Combine,
    Committed,
    Constant,
    Contract,
    Filter,
    Positions,
    Public,
    Rows,
)
from zkjax.statement.filters import dense


def read(shape: tuple[int, ...], low: int, bits: int, entries: str) -> np.ndarray:
    """A public tensor, bit by bit."""
    digits = "".join(f"{byte:08b}" for byte in base64.b64decode(entries))
    count = int(np.prod(shape))
    values = [low + int(digits[bits * place : bits * (place + 1)], 2) for place in range(count)]
    return np.array(values, object).reshape(shape)


def evaluate(circuit: Circuit, committed: Mapping[int, np.ndarray], schedule: np.ndarray) -> list[np.ndarray]:
    """The value of every node, as arrays of Python integers."""
    values: list[np.ndarray] = []
    for index, node in enumerate(circuit.nodes):
        match node:
            case Committed():
                value = committed[index]
            case Constant(value=constant):
                value = np.full(node.shape, constant, object)
            case Positions(axis=axis):
                value = np.indices(node.shape)[axis].astype(object)
            case Public(low=low, bits=bits, entries=entries):
                value = read(node.shape, low, bits, entries)
            case Combine(terms=terms):
                value = sum(coefficient * values[operand] for coefficient, operand in terms)
            case Axes(node=operand, source=source):
                summed = tuple(axis for axis in range(values[operand].ndim) if axis not in source)
                value = np.asarray(values[operand].sum(axis=summed), object)
                order = [axis for axis in source if axis >= 0]
                value = value.transpose([sorted(order).index(axis) for axis in order])
                value = np.expand_dims(value, tuple(j for j, axis in enumerate(source) if axis < 0))
            case Rows(node=operand):
                value = values[operand][schedule]
            case Filter(node=operand, rows=rows):
                matrix = np.array(dense(rows, len(values[operand])), object)
                value = np.tensordot(matrix, values[operand], 1)
            case Contract():
                known = sorted({*node.left_labels, *node.right_labels})
                left, right, out = (
                    [known.index(label) for label in labels]
                    for labels in (node.left_labels, node.right_labels, node.out_labels)
                )
                value = np.einsum(values[node.left], left, values[node.right], right, out)
        values.append(np.broadcast_to(np.asarray(value, object), node.shape))
    return values
