"""A circuit as text, one line per node, lookup, zero and output: what an auditor reads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from zkjax.statement.circuit import (
    Axes,
    Circuit,
    Combine,
    Committed,
    Constant,
    Contract,
    Filter,
    Node,
    Positions,
    Public,
    Rows,
)
from zkjax.statement.filters import Row, earlier

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def describe_circuit(circuit: Circuit) -> Iterator[str]:
    """Lines for people: nodes as `n7 = ...` in order, then lookups, zeros, outputs and remarks."""
    yield f"{circuit.steps} steps of batch {circuit.batch} on {circuit.rows} rows; digest {circuit.digest().hex()}"
    for index, node in enumerate(circuit.nodes):
        yield f"n{index} {list(node.shape)} = {_definition(node)}"
    for lookup in circuit.lookups:
        columns = ", ".join(f"n{index}" for index in lookup.coordinates)
        yield f"lookup {lookup.name}: ({columns}) in {circuit.tables[lookup.table].describe()}"
    for index in circuit.zeros:
        yield f"zero: n{index}"
    for output in circuit.outputs:
        yield f"output {output.name}: n{output.node}, {output.fraction_bits} fraction bits"
    yield from circuit.remarks


def _definition(node: Node) -> str:
    match node:
        case Committed(oracle=oracle, name=name, fraction_bits=bits):
            return f"committed {oracle} {name!r}, {bits} fraction bits"
        case Constant(value=value):
            return f"constant {value}"
        case Positions(axis=axis):
            return f"place along axis {axis}"
        case Public(low=low, bits=bits, entries=entries):
            digest = hashlib.sha256(entries.encode()).hexdigest()[:16]
            return f"public entries in [{low}, {low + (1 << bits) - 1}], digest {digest}"
        case Combine(terms=terms):
            return " + ".join(f"{coefficient} n{operand}" for coefficient, operand in terms).replace("+ -", "- ")
        case Axes(node=operand, source=source):
            axes = ", ".join("new" if axis == -1 else str(axis) for axis in source)
            return f"axes ({axes}) of n{operand}, others summed"
        case Rows(node=operand):
            return f"scheduled rows of n{operand}"
        case Filter(node=operand, rows=rows):
            if rows == earlier(len(rows)):
                return f"sum of n{operand} over earlier steps"
            return f"filter of the leading axis of n{operand} by " + "; ".join(map(_row, rows))
        case Contract():
            left, right, out = (_letters(x) for x in (node.left_labels, node.right_labels, node.out_labels))
            return f"contract {left},{right}->{out} of n{node.left}, n{node.right}"
    raise TypeError(f"no node: {node!r}")


def _row(runs: Row) -> str:
    """A row of a filter: its coefficients, each with the number of columns where that is not one."""
    return "[" + ", ".join(f"{value} x{count}" if count > 1 else str(value) for count, value in runs) + "]"


def _letters(labels: tuple[int, ...]) -> str:
    return "".join(_LETTERS[label] if 0 <= label < len(_LETTERS) else f"<{label}>" for label in labels)
