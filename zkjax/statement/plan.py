"""The shape of a proof: lookup classes, sumcheck phases, pads. A pure function of the circuit.

Neither the prover nor the verifier decides anything at run time: what is sent, how long it is and
in which order follows from the circuit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from math import prod
from operator import mul

from zkjax.statement.circuit import Circuit, CircuitError, Contract, Filter, Public, Rows, operands
from zkjax.statement.filters import run_count
from zkjax.statement.layout import Layout, axis_bits, choose_log_message, lay_out, tensor_bits
from zkjax.statement.parameters import MAX_LOG_MESSAGE, MIN_LOOKUP_ROW_BITS, Code

MAX_CLAIM_WORK = 1 << 25
# What a claim costs for itself and for each axis, whatever its length, in entries of a vector.
CLAIM_OVERHEAD = 1 << 8
# What the messages of a contraction cost, in axes.
CONTRACTION_AXES = 4
# What a round of a sumcheck costs, in axes.
ROUND_AXES = 2
# How many entries of a public tensor cost as much as one of a vector.
PUBLIC_ENTRIES = 1 << 6


@dataclass(frozen=True)
class LookupClass:
    """Columns of one length in the LogUp argument: some lookups, then some tables.

    Column j < len(lookups) is lookup `lookups[j]`, the next ones are `tables`, the rest up to
    2**column_bits is padding with numerator 0 and denominator 1. Every column has 2**row_bits rows;
    a shorter tensor occupies the first ones and is followed by zero tuples. A leaf's index is
    (column bits, row bits), most significant first.
    """

    row_bits: int
    lookups: tuple[int, ...]
    tables: tuple[int, ...]

    @property
    def columns(self) -> int:
        return len(self.lookups) + len(self.tables)

    @property
    def column_bits(self) -> int:
        return axis_bits(self.columns)

    @property
    def depth(self) -> int:
        return self.row_bits + self.column_bits


@dataclass(frozen=True)
class Phase:
    """Bilinear nodes whose claims are reduced by one batched sumcheck.

    `instances` is the number of (node, incoming claim) pairs, `variables` the number of rounds.
    """

    nodes: tuple[int, ...]
    instances: int
    variables: int


def shared_bits(circuit: Circuit, node: int) -> int:
    """Number of sumcheck variables of a contraction: the axes that both factors have."""
    contract = circuit.nodes[node]
    assert isinstance(contract, Contract)
    sizes = dict(zip(contract.left_labels, circuit.nodes[contract.left].shape, strict=True))
    return sum(axis_bits(sizes[label]) for label in contract.left_labels if label in contract.right_labels)


@dataclass(frozen=True)
class Plan:
    """Everything public about the course of a proof of `circuit` under `openings` per commitment.

    `log_message` fixes the number of columns of the committed matrix, so that a commitment made
    for another circuit can be opened here; by default it is the one that suits the circuit.
    """

    circuit: Circuit
    openings: int
    log_message: int | None = None

    @cached_property
    def classes(self) -> tuple[LookupClass, ...]:
        """Lookup classes by rising length."""
        lookups: dict[int, list[int]] = {}
        tables: dict[int, list[int]] = {}
        for index, lookup in enumerate(self.circuit.lookups):
            bits = max(MIN_LOOKUP_ROW_BITS, tensor_bits(self.circuit.nodes[lookup.re].shape))
            lookups.setdefault(bits, []).append(index)
        for index, table in enumerate(self.circuit.tables):
            tables.setdefault(max(MIN_LOOKUP_ROW_BITS, table.bits), []).append(index)
        return tuple(
            LookupClass(bits, tuple(lookups.get(bits, ())), tuple(tables.get(bits, ())))
            for bits in sorted(lookups.keys() | tables.keys())
        )

    @cached_property
    def levels(self) -> tuple[int, ...]:
        """Per node, how many sumcheck phases its claims wait for.

        A contraction of level n is reduced in phase n - 1; a linear node of level n is rewritten
        just after phase n - 1. Nodes that no claim reaches hold nothing up.
        """
        levels = [0] * len(self.circuit.nodes)
        for index in reversed(range(len(self.circuit.nodes))):
            node = self.circuit.nodes[index]
            if self.claim_counts[index]:
                levels[index] += isinstance(node, Contract)
                for operand in operands(node):
                    levels[operand] = max(levels[operand], levels[index])
        return tuple(levels)

    @cached_property
    def claim_counts(self) -> tuple[int, ...]:
        """Per node, how many claims reach it."""
        counts = [0] * len(self.circuit.nodes)
        for lookup in self.circuit.lookups:
            for index in lookup.coordinates:
                counts[index] += 1
        for index in self.circuit.zeros:
            counts[index] += 1
        for output in self.circuit.outputs:
            counts[output.node] += 1
        for index in reversed(range(len(self.circuit.nodes))):
            for operand in operands(self.circuit.nodes[index]):
                counts[operand] = min(counts[operand] + counts[index], MAX_CLAIM_WORK + 1)
        return tuple(counts)

    def check_work(self) -> None:
        """Raise CircuitError if verifying would take more than a bounded time and memory.

        The work of the verifier is that of its axis vectors; a circuit can make exponentially many.
        A claim on scheduled rows costs one pass over the schedule as well, one on a filter one over its
        matrix, one on a contraction its messages and the axes of its factors, one on a public tensor its entries,
        PUBLIC_ENTRIES of them as much as one of a vector, and what is left of it after each axis, the last one first.
        Rounds cost as well, of which a phase has one for each variable.
        """
        schedule = self.circuit.steps * self.circuit.batch
        work = CLAIM_OVERHEAD * ROUND_AXES * sum(phase.variables for phase in self.phases)
        for count, node in zip(self.claim_counts, self.circuit.nodes, strict=True):
            axes, own = len(node.shape), 0
            match node:
                case Rows():
                    own = schedule
                case Filter(rows=rows):
                    own = run_count(rows)
                case Public(shape=shape):
                    own = prod(shape) // PUBLIC_ENTRIES + sum(accumulate(shape[:-1], mul))
                case Contract(left_labels=left, right_labels=right):
                    axes += CONTRACTION_AXES + len(left) + len(right)
            work += count * (CLAIM_OVERHEAD * (1 + axes) + sum(node.shape) + own)
        if work > MAX_CLAIM_WORK:
            raise CircuitError(
                "claims of the circuit are too many to verify", expected=f"<= {MAX_CLAIM_WORK}", got=work
            )

    @cached_property
    def phases(self) -> tuple[Phase, ...]:
        by_level: dict[int, list[int]] = {}
        for index, node in enumerate(self.circuit.nodes):
            if isinstance(node, Contract) and self.claim_counts[index]:
                by_level.setdefault(self.levels[index], []).append(index)
        phases = []
        for _, nodes in sorted(by_level.items()):
            instances = sum(self.claim_counts[index] for index in nodes)
            variables = max(shared_bits(self.circuit, index) for index in nodes)
            phases.append(Phase(tuple(nodes), instances, variables))
        return tuple(phases)

    @cached_property
    def products(self) -> int:
        """Number of products of two hidden values in the whole proof."""
        layers = sum(2 * cls.depth for cls in self.classes)
        joins = 3 * (len(self.classes) - 1) + 1
        return layers + joins + sum(phase.instances for phase in self.phases)

    @cached_property
    def hidden_before_opening(self) -> int:
        """Number of pads that everything before the final opening uses."""
        depth = max(cls.depth for cls in self.classes)
        roots = 2 * len(self.classes) + 2 * (len(self.classes) - 1) + 1
        layers = depth * (depth - 1) + sum(4 * cls.depth for cls in self.classes)
        phases = sum(1 + 2 * phase.variables + 2 * phase.instances for phase in self.phases)
        return roots + layers + phases + 2 * self.products + 2

    @cached_property
    def code(self) -> Code:
        """The given code, or that of the balanced matrix, or the shortest longer one with room for all openings."""
        if self.log_message is not None:
            return Code(self.log_message, self.openings)
        code = Code(choose_log_message(self.circuit, self.hidden_before_opening + 128), self.openings)
        while not code.is_legal() and code.log_message < MAX_LOG_MESSAGE:
            code = Code(code.log_message + 1, self.openings)
        return code

    @cached_property
    def layout(self) -> Layout:
        return lay_out(self.circuit, self.code.log_message)

    @property
    def pads(self) -> int:
        """Number of pads in all."""
        return self.hidden_before_opening + 2 * self.layout.variables
