"""Inputs for the witness tests, and a circuit that uses every node kind in unusual ways."""

from __future__ import annotations

import numpy as np

from tests.blocks import DenseShape, dense_block
from zkjax.circuit.builder import CircuitBuilder
from zkjax.circuit.program import Lowered
from zkjax.statement.filters import matrix

Tensors = dict[int, np.ndarray]


def named(lowered: Lowered, oracle: str) -> dict[str, int]:
    """Node of each committed tensor of an oracle, by name."""
    circuit = lowered.circuit
    return {circuit.nodes[node].name: node for node in circuit.committed(oracle)}  # type: ignore[union-attr]


def dense_inputs(shape: DenseShape, seed: int, weight: float = 0.5) -> tuple[Lowered, Tensors, Tensors, np.ndarray]:
    """(lowered, data, before, schedule) with weights of about `weight` / sqrt(inputs)."""
    lowered = dense_block(shape)
    random = np.random.default_rng(seed)
    nodes = named(lowered, "data")
    data = {
        nodes["x"]: random.integers(0, (1 << shape.input_fraction) + 1, (shape.rows, shape.widths[0])),
        nodes["y"]: np.eye(shape.widths[-1], dtype=np.int64)[random.integers(0, shape.widths[-1], shape.rows)],
    }
    before = {}
    for node in lowered.circuit.committed("before"):
        size = lowered.circuit.nodes[node].shape
        drawn = random.normal(size=size) * (weight * 2**16 / np.sqrt(size[0]))
        before[node] = np.clip(drawn, -(1 << 17), (1 << 17) - 1).astype(np.int64)
    schedule = random.integers(0, shape.rows, (shape.steps, shape.batch))
    return lowered, data, before, schedule


def odd_block() -> Lowered:
    """Legal, and nothing like a network: sums of sums, moved and contracted steps, feedback by rounding."""
    steps, batch, width = 3, 2, 4
    b = CircuitBuilder(steps=steps, batch=batch, rows=5)
    x = b.rows(b.committed("x", (5, width), oracle="data"))
    b.range_check(x, -(1 << 14), (1 << 14) - 1, "data/x")
    spread = b.committed("v", (5,), oracle="data")
    b.range_check(b.rows(spread), 0, 1, "data/v")
    state = b.state_before("w", (width,), fraction_bits=0, bits=17)
    table = b.state_before("table", (steps, width), fraction_bits=0, bits=10)

    columns = b.axes(x, (0, 2), (steps, width))
    sums = b.before(b.before(columns))
    feedback = b.deferred("feedback", (steps, width))
    mixed = b.combine((1, columns), (3, sums), (1, feedback), (1, table), (5, b.before(table)))
    halved = b.rescale(mixed, 1, "halved")
    b.signed_range(halved, 20, "halved")
    b.bind(feedback, b.before(halved))

    moved = b.axes(columns, (1, 0), (width, steps))
    b.signed_range(b.rescale(moved, 3, "moved"), 15, "moved")
    over_steps = b.contract(columns, halved, "ti,tj->ji")
    b.signed_range(b.rescale(over_steps, 20, "over_steps"), 20, "over_steps")
    dots = b.contract(state, halved, "i,ti->t")
    b.signed_range(b.rescale(dots, 17, "dots"), 25, "dots")
    turned = b.contract(b.axes(table, (1, 0), (width, steps)), columns, "it,ti->t")
    b.signed_range(b.rescale(turned, 8, "turned"), 22, "turned")
    outer = b.contract(b.rows(spread), b.axes(state, (-1, 0), (steps, width)), "tb,ti->tib")
    b.signed_range(b.rescale(outer, 4, "outer"), 15, "outer")
    lonely = b.contract(x, b.axes(columns, (0, 1), (steps, width)), "tbi,tj->tj")
    b.signed_range(b.rescale(lonely, 17, "lonely"), 20, "lonely")

    large = b.combine((1 << 13, x))
    wide = b.contract(large, large, "tbi,tbj->tij")
    b.signed_range(b.rescale(wide, 40, "wide"), 18, "wide")
    backwards = b.before(b.axes(moved, (1, 0), (steps, width)))
    b.signed_range(b.rescale(backwards, 2, "backwards"), 17, "backwards")

    trace = b.filter(columns, matrix([[], [5], [4, -3]]))
    paced = b.filter(columns, matrix([[3], [0, 0], [0, 0, 2]]))
    both = b.filter(halved, matrix([[1], [-2, 7], [0, 1 << 15, 5]]))
    ahead = b.filter(columns, matrix([[0, 1], [1, 0, 1], [2]]))
    fading = b.filter(b.axes(state, (-1, 0), (1, width)), matrix([[9], [7], [-5]]))
    filtered = b.combine((1, trace), (1, paced), (1, both), (1, fading))
    b.signed_range(b.rescale(filtered, 20, "filtered"), 20, "filtered")
    b.signed_range(b.rescale(ahead, 1, "ahead"), 17, "ahead")
    b.signed_range(b.rescale(b.filter(both, matrix([[1, -2, 3]])), 20, "last"), 20, "last")
    b.signed_range(b.rescale(b.filter(columns, matrix([[1, 1, 1], [0, 2]])), 2, "two"), 17, "two")

    ones = b.constant((steps, batch, width), 1)
    b.zeros.append(b.combine((1, b.contract(x, ones, "tbi,tbi->t")), (-1, b.axes(x, (0,), (steps,)))))
    total = b.axes(halved, (1,), (width,))
    b.state_after("w", b.combine((8, state), (1, total)), 3, fraction_bits=0, bits=17)
    b.state_after("table", b.combine((1, table)), 0, fraction_bits=0, bits=10)
    return b.finish()


def odd_inputs(seed: int) -> tuple[Lowered, Tensors, Tensors, np.ndarray]:
    lowered = odd_block()
    random = np.random.default_rng(seed)
    nodes, state = named(lowered, "data"), named(lowered, "before")
    data = {
        nodes["x"]: random.integers(-(1 << 14), 1 << 14, (5, 4)),
        nodes["v"]: random.integers(0, 2, 5),
    }
    before = {
        state["w"]: random.integers(-(1 << 15), 1 << 15, 4),
        state["table"]: random.integers(-1024, 1024, (3, 4)),
    }
    return lowered, data, before, random.integers(0, 5, (3, 2))
