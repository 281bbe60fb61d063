"""A circuit prints one line per node, lookup and zero, each with what it reads."""

from __future__ import annotations

from tests.blocks import dense_block
from zkjax.statement.circuit import operands


def test_every_node_and_lookup_has_its_line():
    circuit = dense_block().circuit
    lines = str(circuit).splitlines()
    assert circuit.digest().hex() in lines[0]
    for index, node in enumerate(circuit.nodes):
        line = lines[1 + index]
        assert line.startswith(f"n{index} {list(node.shape)} = ")
        assert all(f"n{operand}" in line for operand in operands(node))
    lookups = lines[1 + len(circuit.nodes) :]
    assert len(lookups) == len(circuit.lookups) + len(circuit.zeros) + len(circuit.remarks)
    for lookup, line in zip(circuit.lookups, lookups, strict=False):
        assert line.startswith(f"lookup {lookup.name}: ") and circuit.tables[lookup.table].describe() in line
