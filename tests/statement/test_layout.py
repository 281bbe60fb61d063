"""Where tensors lie: aligned, apart, inside their oracle, and the same for equal states."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np
import pytest

from tests.blocks import DenseShape, dense_block
from tests.statement.circuits import small
from tests.statement.random_circuits import random_circuit
from tests.witness.cases import odd_block
from zkjax.statement.circuit import Circuit, Committed
from zkjax.statement.layout import MASK_COUNT, Layout, _place, axis_bits, choose_log_message, lay_out, tensor_bits
from zkjax.statement.parameters import MAX_LOG_MESSAGE, MIN_LOG_MESSAGE
from zkjax.statement.statement import Statement

CIRCUITS = {
    "small": small(),
    "odd": odd_block().circuit,
    "dense": dense_block().circuit,
    "digits": dense_block(DenseShape(widths=(64, 128, 128, 10), batch=64, steps=16, rows=1797)).circuit,
    **{f"random {seed}": random_circuit(seed) for seed in range(8)},
}


def check_layout(circuit: Circuit, layout: Layout) -> None:
    columns = 1 << layout.log_message
    seen = dict.fromkeys(circuit.committed(), 0) | {-1 - table: 0 for table in range(len(circuit.tables))}
    taken: set[tuple[int, int]] = set()
    for oracle in layout.oracles:
        used = oracle.masks + MASK_COUNT if oracle.masks >= 0 else 0
        free = {0: set(), 1: set()}
        for block in oracle.blocks:
            seen[block.node] += 1
            size = 1 << block.bits
            assert block.lane in (0, 1)
            assert block.offset % size == 0, "aligned within the oracle"
            assert ((oracle.first_row << layout.log_message) + block.offset) % size == 0, "and within the matrix"
            symbols = range(block.offset, block.offset + size)
            assert not free[block.lane] & set(symbols), "two tensors share a symbol"
            free[block.lane] |= set(symbols)
            used = max(used, block.offset + size)
            if block.node >= 0:
                node = circuit.nodes[block.node]
                assert isinstance(node, Committed)
                assert (node.oracle, node.shape) == (oracle.name, block.shape)
            else:
                assert oracle.name == "advice"
                assert block.shape == (1 << circuit.tables[-1 - block.node].bits,)
        if oracle.name == "advice":
            masks = set(range(oracle.masks, oracle.masks + MASK_COUNT))
            assert not masks & (free[0] | free[1])
        else:
            assert oracle.masks == -1
        assert 0 < used <= oracle.rows * columns < used + columns, "inside, without a row too many"
        rows = range(oracle.first_row, oracle.first_row + oracle.rows)
        assert oracle.first_row % (1 << axis_bits(oracle.rows)) == 0
        assert not taken & set(rows), "two oracles share a row"
        taken |= set(rows)
    assert max(taken) < 1 << layout.row_variables
    assert set(seen.values()) == {1}


@pytest.mark.parametrize("circuit", CIRCUITS.values(), ids=CIRCUITS)
@pytest.mark.parametrize("log_message", [0, 1, 3, 6, 11])
def test_tensors_lie_apart(circuit, log_message):
    if circuit.committed_elements >> log_message > 1 << 12:
        pytest.skip("as many rows test nothing more")
    check_layout(circuit, lay_out(circuit, log_message))


def shuffled(circuit: Circuit, seed: int) -> Circuit:
    """The same circuit with its committed tensors in another order, as lists of committed tensors alone."""
    nodes = [circuit.nodes[index] for index in circuit.committed()]
    order = np.random.default_rng(seed).permutation(len(nodes))
    return replace(circuit, nodes=tuple(nodes[index] for index in order), lookups=(), zeros=())


@pytest.mark.parametrize("circuit", CIRCUITS.values(), ids=CIRCUITS)
@pytest.mark.parametrize("seed", range(3))
def test_states_before_and_after_have_one_layout_whatever_the_order_of_nodes(circuit, seed):
    reference = lay_out(circuit, 11)
    for variant in (circuit, shuffled(circuit, seed)):
        layout = lay_out(variant, 11)
        described = {}
        for name in ("data", "before", "after", "advice"):
            oracle = layout.oracle(name)
            described[name] = [
                (variant.nodes[b.node].name if b.node >= 0 else b.node, b.shape, b.lane, b.offset)
                for b in oracle.blocks
            ]
            assert (oracle.rows, oracle.first_row) == (
                reference.oracle(name).rows,
                reference.oracle(name).first_row,
            )
        assert described["before"] == described["after"]
        assert described["data"] == [
            (circuit.nodes[b.node].name, b.shape, b.lane, b.offset) for b in reference.oracle("data").blocks
        ]


@pytest.mark.parametrize("name", ["small", "odd", "dense"])
def test_equal_roots_of_the_states_are_equal_objects(name):
    circuit = CIRCUITS[name]
    schedule = np.zeros((circuit.steps, circuit.batch), int)
    statement = Statement(circuit, schedule, 8, (b"d" * 32, b"s" * 32, b"s" * 32))
    assert statement.object_digest("before") == statement.object_digest("after")


@pytest.mark.parametrize("circuit", CIRCUITS.values(), ids=CIRCUITS)
def test_the_two_lanes_are_filled_alike(circuit):
    """No embedding overhead beyond the padding of axes and one largest tensor."""
    for oracle in lay_out(circuit, 11).oracles:
        padded = sum(1 << block.bits for block in oracle.blocks)
        largest = max(1 << block.bits for block in oracle.blocks)
        ends = [max((b.offset + (1 << b.bits) for b in oracle.blocks if b.lane == lane), default=0) for lane in (0, 1)]
        assert max(ends) <= (padded + largest) // 2 + 1


@pytest.mark.parametrize("circuit", CIRCUITS.values(), ids=CIRCUITS)
@pytest.mark.parametrize("pads", [1, 2048, 2049, 5000, 1 << 18])
def test_a_row_holds_the_pads(circuit, pads):
    log_message = choose_log_message(circuit, pads)
    assert MIN_LOG_MESSAGE <= log_message <= MAX_LOG_MESSAGE
    assert pads <= 1 << log_message


def test_bits():
    assert [axis_bits(size) for size in (1, 2, 3, 4, 5, 8, 9)] == [0, 1, 2, 2, 3, 3, 4]
    for shape in ((), (1,), (5,), (3, 4, 1), (10, 7)):
        assert 1 << tensor_bits(shape) == prod(1 << axis_bits(size) for size in shape)


def test_the_masks_of_the_split_lie_in_one_row():
    """Behind an odd number of symbols one is left out, so that the pair does not straddle two rows."""
    for tensors, masks in (([("a", 0, ())], 2), ([("a", 0, ()), ("b", 1, (4,)), ("c", 2, (5,))], 8)):
        assert _place(tensors, MASK_COUNT)[1:] == (masks, masks + MASK_COUNT)
    assert _place([("a", 0, ())], 0)[1:] == (1, 1)


@pytest.mark.parametrize(
    ("bits", "expected"), [(10, 11), (17, 11), (18, 12), (22, 14), (23, 15), (24, 15), (25, 16), (30, 18), (32, 18)]
)
def test_the_matrix_is_near_a_square(bits, expected):
    """2^bits symbols in all: longer rows by 2^3 than a square, by 2^3.5 where the code is short; at most 2^18."""
    one = dense_block().circuit
    circuit = replace(one, nodes=(Committed((1 << bits,), "advice", "x", 0),), tables=(), lookups=(), zeros=())
    assert choose_log_message(circuit, 1) == expected
