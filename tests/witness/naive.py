"""A naive interpreter of circuits: whole tensors of Python integers, iterated until nothing moves.

Since no value depends on itself, the equations of a circuit and its recipes have one solution, and
sweeping over them with anything in the unknown places reaches it: no order of steps is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt

import numpy as np

from tests.statement.evaluate import read
from zkjax.circuit.program import Lowered
from zkjax.circuit.recipes import (
    Gated,
    IsZero,
    Largest,
    Quotient,
    Ratio,
    ReluGate,
    ReluOutput,
    RemainderLimb,
    SquareRoot,
    TableValue,
    ValueLimb,
)
from zkjax.statement.circuit import Axes, Combine, Committed, Constant, Contract, Filter, Positions, Public, Rows


def integers(array: object) -> np.ndarray:
    """An array of Python integers."""
    return np.array(array, dtype=object)


def interpret(lowered: Lowered, given: Mapping[int, np.ndarray], schedule: np.ndarray) -> list[np.ndarray]:
    """The value of every node; `given` holds data and the state before."""
    nodes = lowered.circuit.nodes
    values = [integers(np.zeros(node.shape, int)) for node in nodes]
    values = [integers(given[i]) if i in given else value for i, value in enumerate(values)]
    for _ in range(1000):
        earlier = list(values)
        for index, node in enumerate(nodes):
            if index not in given:
                values[index] = np.asarray(_value(node, lowered.recipes.get(index), values, schedule), dtype=object)
        if all(np.array_equal(a, b) for a, b in zip(earlier, values, strict=True)):
            return values
    raise AssertionError("the circuit's equations do not settle")


def _value(node, recipe, values, schedule):
    match node:
        case Committed():
            return _follow(recipe, values)
        case Constant(shape=shape, value=value):
            return np.full(shape, value, dtype=object)
        case Positions(shape=shape, axis=axis):
            return integers(np.indices(shape)[axis])
        case Public(shape=shape, low=low, bits=bits, entries=entries):
            return read(shape, low, bits, entries)
        case Combine(terms=terms):
            return sum(coefficient * values[operand] for coefficient, operand in terms)
        case Rows(node=operand):
            return values[operand][schedule]
        case Filter(node=operand, rows=rows):
            result = []
            for runs in rows:
                coefficients = [coefficient for count, coefficient in runs for _ in range(count)]
                zero = integers(np.zeros(node.shape[1:], int))
                result.append(sum((c * x for c, x in zip(coefficients, values[operand], strict=False)), zero))
            return integers(result)
        case Axes(node=operand, source=source, shape=shape):
            dropped = tuple(axis for axis in range(values[operand].ndim) if axis not in source)
            result = np.asarray(values[operand].sum(axis=dropped), dtype=object) if dropped else values[operand]
            result = result.transpose(np.argsort(np.argsort([axis for axis in source if axis != -1])))
            for position, axis in enumerate(source):
                if axis == -1:
                    result = np.expand_dims(result, position)
            return np.broadcast_to(result, shape)
        case Contract():
            labels = sorted({*node.left_labels, *node.right_labels})
            pair = [
                _spread(values[operand], own, labels)
                for operand, own in ((node.left, node.left_labels), (node.right, node.right_labels))
            ]
            summed = tuple(i for i, label in enumerate(labels) if label not in node.out_labels)
            result = np.asarray((pair[0] * pair[1]).sum(axis=summed), dtype=object)
            kept = [label for label in labels if label in node.out_labels]
            return result.transpose([kept.index(label) for label in node.out_labels])


def _spread(value, own, labels):
    """`value` with one axis per label, of size one where it has none."""
    value = value.transpose(np.argsort(own))
    shape = iter(value.shape)
    return value.reshape([next(shape) if label in own else 1 for label in labels])


def _follow(recipe, values):
    source = values[recipe.source]
    match recipe:
        case Quotient(shift=0):
            return source
        case Quotient(shift=shift):
            return (2 * source + 2**shift) // 2 ** (shift + 1)
        case RemainderLimb(shift=shift, offset=offset, width=width):
            remainder = (source + 2**shift // 2) % 2**shift
            return remainder // 2**offset % 2**width
        case ValueLimb(bias=bias, offset=offset, width=width):
            return (source + bias) // 2**offset % 2**width
        case ReluOutput(limit=limit):
            return np.minimum(np.maximum(source, 0), limit)
        case ReluGate(limit=limit):
            return integers(((source >= 1) & (source <= limit)).astype(int))
        case Gated(gate=gate, limit=limit):
            return values[gate] * np.maximum(np.minimum(source, limit), -limit)
        case TableValue(table=table):
            entries = {q: f for q, f, _ in zip(*(column.tolist() for column in table.rows()), strict=True)}
            return np.vectorize(lambda q: entries.get(q, 0), otypes=[object])(source)
        case Largest():
            flat = source.reshape(-1, source.shape[-1]).tolist()
            rows = [[int(i == row.index(max(row))) for i in range(len(row))] for row in flat]
            return integers(rows).reshape(source.shape)
        case IsZero():
            return integers((source == 0).astype(int))
        case Ratio(divisor=divisor, shift=shift):
            pairs = np.frompyfunc(lambda n, d: (2 ** (shift + 1) * n + d) // (2 * d) if d else 0, 2, 1)
            return pairs(source, values[divisor])
        case SquareRoot():
            return np.frompyfunc(lambda v: isqrt(max(v, 0)), 1, 1)(source)
