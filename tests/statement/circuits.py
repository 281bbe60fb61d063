"""Small circuits written by hand, and ways to change them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from zkjax.statement.circuit import (
    Axes,
    Circuit,
    Combine,
    Committed,
    Constant,
    Contract,
    Filter,
    Lookup,
    Node,
    Rows,
)
from zkjax.statement.filters import earlier
from zkjax.statement.statement import Statement
from zkjax.statement.tables import Table

# Names of the nodes of `small`, in order.
DATA, STATE, ROWS, SPREAD, PRODUCT, SUMS, QUOTIENT, GATE, OUTPUT, HALF, REMAINDER, AFTER, CHANGE = range(13)


def small() -> Circuit:
    """Every kind of node, two kinds of table, a zero: two steps of two rows of two numbers."""
    nodes: tuple[Node, ...] = (
        Committed((3, 2), "data", "x", 4),
        Committed((2,), "before", "w", 0),
        Rows((2, 2, 2), DATA),
        Axes((2, 2), STATE, (-1, 0)),
        Contract((2, 2), ROWS, SPREAD, (0, 1, 2), (0, 2), (0, 1)),
        Filter((2, 2), PRODUCT, earlier(2)),
        Committed((2, 2), "advice", "quotient", 0),
        Committed((2, 2), "advice", "gate", 0),
        Committed((2, 2), "advice", "output", 0),
        Constant((2, 2), 8),
        Combine((2, 2), ((1, PRODUCT), (3, SUMS), (1, HALF), (-16, QUOTIENT))),
        Committed((2,), "after", "w", 0),
        Combine((2,), ((1, STATE), (-1, AFTER))),
    )
    tables = (Table("range", 0, 15, 0), Table("range", -128, 127, 0), Table("relu", -512, 511, 63))
    lookups = (
        Lookup(1, ROWS, -1, -1, "data/x"),
        Lookup(1, STATE, -1, -1, "before/w"),
        Lookup(0, REMAINDER, -1, -1, "remainder"),
        Lookup(2, QUOTIENT, GATE, OUTPUT, "relu"),
        Lookup(1, AFTER, -1, -1, "after/w"),
    )
    return Circuit(2, 2, 3, nodes, tables, lookups, (CHANGE,), ("learning rate 1/16",))


def with_node(circuit: Circuit, index: int, **changes: Any) -> Circuit:
    """`circuit` with some fields of one node replaced."""
    nodes = list(circuit.nodes)
    nodes[index] = replace(nodes[index], **changes)
    return replace(circuit, nodes=tuple(nodes))


def with_lookup(circuit: Circuit, index: int, **changes: Any) -> Circuit:
    lookups = list(circuit.lookups)
    lookups[index] = replace(lookups[index], **changes)
    return replace(circuit, lookups=tuple(lookups))


def with_table(circuit: Circuit, index: int, **changes: Any) -> Circuit:
    tables = list(circuit.tables)
    tables[index] = replace(tables[index], **changes)
    return replace(circuit, tables=tuple(tables))


def appended(circuit: Circuit, *nodes: Node, lookups: tuple[Lookup, ...] = ()) -> Circuit:
    """`circuit` with nodes and lookups at the end."""
    return replace(circuit, nodes=circuit.nodes + nodes, lookups=circuit.lookups + lookups)


def small_statement(circuit: Circuit | None = None, openings: int = 8) -> Statement:
    circuit = circuit or small()
    schedule = np.arange(circuit.steps * circuit.batch).reshape(circuit.steps, circuit.batch) % circuit.rows
    return Statement(circuit, schedule, openings, (b"d" * 32, b"b" * 32, b"a" * 32))
