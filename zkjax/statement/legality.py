"""Legality rules of a circuit: what makes its meaning well defined, whoever wrote it.

The rules cover types, sizes, shapes and the padding rule (all-zero inputs are a row of every
table, which `Table.is_legal` guarantees). That no value wraps around is checked in `ranges.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from math import prod

from zkjax.statement.circuit import (
    MAX_AXES,
    MAX_COEFFICIENT,
    MAX_COMMITTED_ELEMENTS,
    MAX_DIMENSION,
    MAX_ELEMENTS,
    MAX_LOOKUP_ENTRIES,
    MAX_NODES,
    MAX_OUTPUT_ENTRIES,
    MAX_OUTPUTS,
    MAX_SCHEDULE,
    MAX_STEPS,
    ORACLES,
    Axes,
    Circuit,
    CircuitError,
    Combine,
    Committed,
    Constant,
    Contract,
    Filter,
    Lookup,
    Node,
    Output,
    Positions,
    Public,
    Rows,
    operands,
)
from zkjax.statement.filters import is_canonical, width
from zkjax.statement.public import PublicTensorError
from zkjax.statement.tables import MAX_TABLE_WORK, Table


def check_circuit(circuit: Circuit) -> None:
    """Raise CircuitError naming the first rule that `circuit` breaks."""
    _require(_is_int(circuit.steps) and 1 <= circuit.steps <= MAX_STEPS, "steps out of range", circuit.steps)
    batch = circuit.batch
    _require(_is_int(batch) and batch >= 1 and circuit.steps * batch <= MAX_SCHEDULE, "batch out of range", batch)
    _require(_is_int(circuit.rows) and 1 <= circuit.rows <= MAX_DIMENSION, "rows out of range", circuit.rows)
    _require(len(circuit.nodes) <= MAX_NODES, "too many nodes", len(circuit.nodes))
    for index, node in enumerate(circuit.nodes):
        _check_node(circuit, index, node)
    elements = sum(_padded_size(circuit.nodes[index].shape) for index in circuit.committed())
    _require(elements <= MAX_COMMITTED_ELEMENTS, "too many committed elements", elements)
    names = [(circuit.nodes[index].oracle, circuit.nodes[index].name) for index in circuit.committed()]  # type: ignore[union-attr]
    _require(len(set(names)) == len(names), "two committed tensors share a name", names)
    _require(len(circuit.committed("advice")) >= 1, "no advice tensor", 0)
    _check_state(circuit)
    _require(1 <= len(circuit.tables) <= 64, "number of tables out of range", len(circuit.tables))
    for table in circuit.tables:
        _check_types("a table", table)
        _require(table.is_small(), "illegal table", table)
    work = sum(table.work for table in circuit.tables)
    _require(work <= MAX_TABLE_WORK, "tables that take too long to derive", work)
    for table in circuit.tables:
        _require(table.is_legal(), "a table of a function without values", table)
    _require(len(set(circuit.tables)) == len(circuit.tables), "a table occurs twice", len(circuit.tables))
    _require(1 <= len(circuit.lookups) <= MAX_NODES, "number of lookups out of range", len(circuit.lookups))
    for lookup in circuit.lookups:
        _check_lookup(circuit, lookup)
    entries = sum(_padded_size(circuit.nodes[lookup.re].shape) for lookup in circuit.lookups)
    _require(entries <= MAX_LOOKUP_ENTRIES, "too many lookups", entries)
    for index in circuit.zeros:
        _require(_is_int(index) and 0 <= index < len(circuit.nodes), "zero names no node", index)
    for remark in circuit.remarks:
        _require(isinstance(remark, str) and remark.isprintable(), "a remark is no printable text", remark)
    _check_outputs(circuit)


def _require(condition: bool, rule: str, got: object) -> None:
    if not condition:
        text = repr(got)
        raise CircuitError(f"illegal circuit: {rule}: {text if len(text) < 200 else text[:200] + '...'}")


def _padded_size(shape: tuple[int, ...]) -> int:
    return prod(1 << (size - 1).bit_length() for size in shape)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_int_tuple(value: object) -> bool:
    return isinstance(value, tuple) and all(_is_int(entry) for entry in value)


def _are_pairs(value: object) -> bool:
    return isinstance(value, tuple) and all(_is_int_tuple(entry) and len(entry) == 2 for entry in value)


def _is_name(text: str) -> bool:
    """Short and printable: names are shown to people, whoever chose them."""
    return 0 < len(text) <= 256 and text.isprintable()


# What the annotations of the circuit's dataclasses mean.
_TYPES: dict[str, Callable[[object], bool]] = {
    "int": _is_int,
    "str": lambda value: isinstance(value, str),
    "tuple[int, ...]": _is_int_tuple,
    "tuple[tuple[int, int], ...]": _are_pairs,
    "Matrix": lambda value: isinstance(value, tuple) and all(map(_are_pairs, value)),
}


def _check_types(where: str, value: Node | Table | Lookup | Output) -> None:
    """Every field holds what its annotation says, so that no later rule can stumble."""
    for field in fields(value):
        content = getattr(value, field.name)
        _require(_TYPES[str(field.type)](content), f"{where} has a {field.name} of another type", content)


def _check_shape(where: str, shape: tuple[int, ...]) -> None:
    legal = len(shape) <= MAX_AXES and all(1 <= size <= MAX_DIMENSION for size in shape) and prod(shape) <= MAX_ELEMENTS
    _require(legal, f"{where} has an illegal shape", shape)


def _check_node(circuit: Circuit, index: int, node: Node) -> None:
    where = f"node {index} ({type(node).__name__})"
    _check_types(where, node)
    _check_shape(where, node.shape)
    for operand in operands(node):
        _require(0 <= operand < index, f"{where} reads a later node", operand)
    shapes = [circuit.nodes[operand].shape for operand in operands(node)]
    match node:
        case Committed(shape=shape, oracle=oracle, name=name, fraction_bits=bits):
            _require(oracle in ORACLES, f"{where} names no oracle", oracle)
            _require(_is_name(name), f"{where} has no name", name)
            _require(-64 <= bits <= 64, f"{where} has illegal fraction bits", bits)
            if oracle == "data":
                _require(shape[:1] == (circuit.rows,), f"{where} has another number of rows", shape)
        case Constant(value=value):
            _require(abs(value) < MAX_COEFFICIENT, f"{where} is too large", value)
        case Positions(shape=shape, axis=axis):
            _require(0 <= axis < len(shape), f"{where} names no axis", axis)
        case Public(low=low):
            _require(abs(low) < MAX_COEFFICIENT, f"{where} is too large", low)
            problem = _misspelling(node)
            _require(not problem, f"{where} is not written as public tensors are", problem)
        case Combine(shape=shape, terms=terms):
            _require(len(terms) >= 1, f"{where} has no terms", terms)
            coefficients = [coefficient for coefficient, _ in terms]
            legal = all(0 < abs(c) < MAX_COEFFICIENT for c in coefficients)
            _require(legal, f"{where} has an illegal coefficient", coefficients)
            _require(all(other == shape for other in shapes), f"{where} mixes shapes", (shape, *shapes))
        case Axes(shape=shape, source=source):
            _require(len(source) == len(shape), f"{where} maps another number of axes", source)
            used = [axis for axis in source if axis != -1]
            legal = all(0 <= axis < len(shapes[0]) for axis in used) and len(set(used)) == len(used)
            _require(legal, f"{where} has an illegal axis map", source)
            kept = all(axis == -1 or shapes[0][axis] == size for axis, size in zip(source, shape, strict=True))
            _require(kept, f"{where} changes the size of an axis", (shape, shapes[0], source))
        case Rows(shape=shape, node=data):
            read = circuit.nodes[data]
            _require(isinstance(read, Committed) and read.oracle == "data", f"{where} reads no data tensor", data)
            expected = (circuit.steps, circuit.batch, *shapes[0][1:])
            _require(shape == expected, f"{where} has another shape than {expected}", shape)
        case Filter(shape=shape, rows=rows):
            _require(len(shapes[0]) >= 1, f"{where} reads a tensor without axes", shapes[0])
            legal = shape == (len(rows), *shapes[0][1:])
            _require(legal, f"{where} has another shape than its matrix gives", (shape, shapes[0], len(rows)))
            _require(all(map(is_canonical, rows)), f"{where} has a row that is not in canonical form", rows)
            _require(
                max(map(width, rows), default=0) <= prod(shapes[0][:1]), f"{where} reads columns out of nowhere", rows
            )
            large = [c for runs in rows for _, c in runs if abs(c) >= MAX_COEFFICIENT]
            _require(not large, f"{where} has an illegal coefficient", large)
        case Contract():
            _check_contract(where, node, *shapes)


def _misspelling(node: Public) -> str:
    """What distinguishes the text of a public tensor from what `public.encoded` writes; this decodes it."""
    try:
        _ = node.above
    except PublicTensorError as error:
        return str(error)
    return ""


def _check_contract(where: str, node: Contract, left_shape: tuple[int, ...], right_shape: tuple[int, ...]) -> None:
    sizes: dict[int, int] = {}
    groups = (
        (node.left_labels, left_shape),
        (node.right_labels, right_shape),
        (node.out_labels, node.shape),
    )
    for labels, shape in groups:
        legal = len(labels) == len(shape) and len(set(labels)) == len(labels)
        _require(legal, f"{where} labels its axes wrongly", (labels, shape))
        for label, size in zip(labels, shape, strict=True):
            _require(sizes.setdefault(label, size) == size, f"{where} gives one label two sizes", (labels, shape))
    inputs = set(node.left_labels) | set(node.right_labels)
    _require(set(node.out_labels) <= inputs, f"{where} has a label out of nowhere", node.out_labels)


def _check_state(circuit: Circuit) -> None:
    """The state before and after are the same leaves: names, shapes, fraction bits."""
    before, after = (
        sorted((n.name, n.shape, n.fraction_bits) for n in map(circuit.nodes.__getitem__, circuit.committed(oracle)))  # type: ignore[union-attr]
        for oracle in ("before", "after")
    )
    _require(before == after, "state before and after differ in names, shapes or formats", (before, after))
    _require(len(before) >= 1, "no state", before)
    _require(len(circuit.committed("data")) >= 1, "no data", circuit.committed("data"))


def _check_outputs(circuit: Circuit) -> None:
    """Published tensors have an axis of steps and a name each; together they are few numbers."""
    _require(len(circuit.outputs) <= MAX_OUTPUTS, "too many outputs", len(circuit.outputs))
    for output in circuit.outputs:
        _check_types("an output", output)
        where = f"output {output.name!r}"
        _require(_is_name(output.name), "output without a name", output.name)
        _require(0 <= output.node < len(circuit.nodes), f"{where} names no node", output.node)
        shape = circuit.output_shape(output)
        _require(shape[:1] == (circuit.steps,), f"{where} has no axis of steps", shape)
        _require(-64 <= output.fraction_bits <= 64, f"{where} has illegal fraction bits", output.fraction_bits)
    names = [output.name for output in circuit.outputs]
    _require(len(set(names)) == len(names), "two outputs share a name", names)
    entries = sum(prod(circuit.output_shape(output)) for output in circuit.outputs)
    _require(entries <= MAX_OUTPUT_ENTRIES, "too many published numbers", entries)


def _check_lookup(circuit: Circuit, lookup: Lookup) -> None:
    _check_types("a lookup", lookup)
    where = f"lookup {lookup.name!r}"
    _require(_is_name(lookup.name), "lookup without a name", lookup.name)
    _require(0 <= lookup.table < len(circuit.tables), f"{where} names no table", lookup.table)
    named = (lookup.re, lookup.im, lookup.second)
    legal = all(-1 <= x < len(circuit.nodes) for x in named)
    _require(legal, f"{where} names no node", named)
    expected = circuit.tables[lookup.table].arity
    present = tuple(index for index in named if index >= 0)
    legal = len(present) == expected and all(index >= 0 for index in named[:expected])
    _require(legal, f"{where} has another arity than its table", named)
    shapes = {circuit.nodes[index].shape for index in present}
    _require(len(shapes) == 1, f"{where} mixes shapes", shapes)
