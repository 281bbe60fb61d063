"""The block that the attacks are made on: a small network, small tables, every kind of relation.

A dense block with two classes of lookups, two phases of sumchecks, remainders and values in limbs,
and a counter that grows by one a step, which is tied by a node that must vanish.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from unittest.mock import patch

import numpy as np

from tests.blocks import DenseShape, dense_block
from tests.witness.naive import interpret
from zkjax.circuit import builder
from zkjax.circuit.program import Lowered
from zkjax.circuit.recipes import Quotient
from zkjax.fields.mersenne61 import to_signed
from zkjax.prover.checkpoint import Checkpoint
from zkjax.prover.prove import Commitments
from zkjax.statement.circuit import Circuit, Combine, Committed, Constant, Lookup
from zkjax.statement.plan import Plan
from zkjax.statement.tables import Table
from zkjax.witness.execute import Values, Witness

Tensors = dict[int, np.ndarray]

SHAPE = DenseShape(bits=7, activation_fraction=5, weight_fraction=19, input_fraction=3)
LIMB_BITS = 8
OPENINGS = 2


def small_block(shape: DenseShape = SHAPE) -> Lowered:
    """A dense block with limbs of 8 bits, so that no table is large, and a counter of its steps."""
    with patch.multiple(builder, LIMB_BITS=LIMB_BITS):
        lowered = dense_block(shape)
    circuit, first = lowered.circuit, len(lowered.circuit.nodes)
    before, after, steps, total, difference = range(first, first + 5)
    nodes = (
        Committed((3,), "before", "counter", 0),
        Committed((3,), "after", "counter", 0),
        Constant((3,), shape.steps),
        Combine((3,), ((1, before), (1, steps))),
        Combine((3,), ((1, before), (-1, after), (1, steps))),
    )
    table = Table("range", -15, 15, 0)
    lookups = tuple(
        Lookup(len(circuit.tables), node, -1, -1, f"{name}/counter")
        for node, name in ((before, "before"), (after, "after"))
    )
    circuit = replace(
        circuit,
        nodes=circuit.nodes + nodes,
        tables=(*circuit.tables, table),
        lookups=circuit.lookups + lookups,
        zeros=(difference,),
    )
    circuit.check()
    return Lowered(circuit, {**lowered.recipes, after: Quotient(total, 0)})


def named(circuit: Circuit) -> dict[str, int]:
    """Nodes of all committed tensors, as "oracle/name"."""
    return {f"{circuit.nodes[i].oracle}/{circuit.nodes[i].name}": i for i in circuit.committed()}


def residues(values: object) -> np.ndarray:
    """Any integers as int64 of least magnitude mod p."""
    array = np.asarray(values, dtype=object)
    return np.array([to_signed(int(value)) for value in array.reshape(-1)], np.int64).reshape(array.shape)


@dataclass(frozen=True, eq=False)
class Case:
    """A true statement and all that its prover knows. `values` has every node, virtual ones included."""

    lowered: Lowered
    plan: Plan
    schedule: np.ndarray
    values: tuple[np.ndarray, ...]

    @classmethod
    def make(cls, seed: int = 0, shape: DenseShape = SHAPE, openings: int = OPENINGS) -> Case:
        lowered = small_block(shape)
        given, schedule = inputs(lowered.circuit, shape, seed)
        values = tuple(residues(value) for value in interpret(lowered, given, schedule))
        return cls(lowered, Plan(lowered.circuit, openings), schedule, values)

    @property
    def circuit(self) -> Circuit:
        return self.lowered.circuit

    @cached_property
    def committed(self) -> Tensors:
        return {node: self.values[node] for node in self.circuit.committed()}

    @cached_property
    def commitments(self) -> Commitments:
        return commit(self.plan, self.committed)

    @cached_property
    def witness(self) -> Witness:
        return Witness(Values(required(self.circuit, self.values)), self.schedule)


def inputs(circuit: Circuit, shape: DenseShape, seed: int) -> tuple[Tensors, np.ndarray]:
    """Data and state before, with weights of about 0.6 / sqrt(inputs), and a schedule."""
    random = np.random.default_rng(seed)
    nodes, given = named(circuit), {}
    given[nodes["data/x"]] = random.integers(0, (1 << shape.input_fraction) + 1, (shape.rows, shape.widths[0]))
    labels = random.integers(0, shape.widths[-1], shape.rows)
    given[nodes["data/y"]] = np.eye(shape.widths[-1], dtype=np.int64)[labels]
    for node in circuit.committed("before"):
        size = circuit.nodes[node].shape
        drawn = random.normal(size=size) * (0.6 * 2**16 / np.sqrt(size[0]))
        given[node] = np.clip(drawn, -(1 << 17), (1 << 17) - 1).astype(np.int64)
    given[nodes["before/counter"]] = random.integers(-12, 12, 3)
    return given, random.integers(0, shape.rows, (shape.steps, shape.batch))


def required(circuit: Circuit, values: object) -> Tensors:
    """What a witness holds: committed tensors, leaves, zeros and outputs."""
    leaves = {node for lookup in circuit.lookups for node in lookup.coordinates}
    outputs = {output.node for output in circuit.outputs}
    return {node: values[node] for node in sorted({*circuit.committed(), *leaves, *outputs, *circuit.zeros})}


def commit(plan: Plan, tensors: Tensors) -> Commitments:
    """Fresh commitments to data and states."""

    def one(role: str) -> Checkpoint:
        return Checkpoint.commit(plan, role, {node: tensors[node] for node in plan.circuit.committed(role)})

    return Commitments(one("data"), one("before"), one("after"))
