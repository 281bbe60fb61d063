"""Formats read back from a published circuit, so that a step can be compiled again without its data.

A compiled circuit names its committed tensors and their fraction bits, so the formats that were
calibrated on private data are public and can be found again: by choosing, for every rounded node of
the step, a magnitude that calibration might have seen. Which magnitudes those are does not matter,
since only the circuit that comes out is compared, whole, with the published one. Nothing read here
is trusted: from wrong formats follows another circuit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from zkjax.errors import UserError, VerificationError
from zkjax.fixedpoint.bounds import BoundError
from zkjax.fixedpoint.compile import plan_formats
from zkjax.fixedpoint.evaluate import Calibration
from zkjax.fixedpoint.formats import DEFAULT_BITS, LEAST_BITS, MOST_BITS, DataFormat, TensorFormat, label_format
from zkjax.fixedpoint.numbers import Values
from zkjax.fixedpoint.plan import Plan
from zkjax.fixedpoint.step import Step
from zkjax.statement.circuit import Circuit, Committed

MAX_ROUNDS = 8
MOST_MOVED = 60  # bits; no legal format needs more at once
PRESENT = 20  # the other way round: make it need one, and then see which
ABSENT = -20  # a tensor that the published circuit does not round: make it need no rounding here

_DATA_REMARK = re.compile(r"data (.+): integers in \[(-?\d{1,9}), (\d{1,9})\] times 2\^-(\d{1,3})")
_COUNTER_REMARK = re.compile(r"counter (.+): (-?\d{1,10}) at the start")
_PUBLIC_REMARK = re.compile(r"public (.+): (-?\d{1,10}(?: -?\d{1,10})*) at the start")
_LIMB = re.compile(r"before/(.+)/limb\[\d{1,3}:(\d{1,3})\]")


class OtherFormats(VerificationError):
    """The circuit has other leaves of data or state than the step, or the step does not compile in its formats."""


@dataclass(frozen=True)
class PublishedFormats:
    """What a circuit says: fraction bits by tensor name, formats of the data, bits of the state leaves, counters."""

    tensors: dict[str, int]
    data: dict[str, tuple[int, int, int]]
    state: dict[str, int]
    counters: dict[str, int | tuple[int, ...]]

    @classmethod
    def of(cls, circuit: Circuit) -> PublishedFormats:
        nodes = [circuit.nodes[index] for index in circuit.committed()]
        tensors = {node.name: node.fraction_bits for node in nodes if isinstance(node, Committed)}
        data = {}
        for remark in circuit.remarks:
            if said := _DATA_REMARK.fullmatch(remark):
                data[said[1]] = (int(said[4]), int(said[2]), int(said[3]))
        read = filter(None, map(_COUNTER_REMARK.fullmatch, circuit.remarks))
        counters: dict[str, int | tuple[int, ...]] = {said[1]: int(said[2]) for said in read}
        for said in filter(None, map(_PUBLIC_REMARK.fullmatch, circuit.remarks)):
            counters[said[1]] = tuple(map(int, said[2].split()))
        state: dict[str, int] = {}
        for name in tensors:
            if (said := _LIMB.fullmatch(name)) and said[1] in tensors:
                state[said[1]] = max(state.get(said[1], 0), int(said[2]) - 1)
        for lookup in circuit.lookups:  # of leaves without limbs
            node, table = circuit.nodes[lookup.re], circuit.tables[lookup.table]
            if isinstance(node, Committed) and node.oracle == "before" and table.kind == "range":
                state.setdefault(node.name, table.hi.bit_length())
        return cls(tensors, data, state, counters)


def published_plans(step: Step, numbers: Sequence[Values], circuit: Circuit) -> Iterator[Plan]:
    """Plans of `step` in the formats of `circuit`, one for each number of magnitude bits that it may have.

    `numbers` are the public numbers of each step. If the circuit was compiled from this step, one of them leads to it.

    Raises OtherFormats if the step has a leaf that the circuit lacks, or there is no such plan.
    """
    formats = PublishedFormats.of(circuit)
    for what, needed, known in (("data", step.data, formats.data), ("state", step.state, formats.state)):
        for name in needed:
            if name not in known:
                saying = f"the statement has no {what} leaf {name!r}: it is about another training step or optimiser"
                raise OtherFormats(saying, expected=sorted(known), got=name)
    data = {
        name: DataFormat(*formats.data[name], True, step.nodes[index].shape[1:]) for name, index in step.data.items()
    }
    for name, classes in step.labels.items():
        if data[name] != (proved := label_format(classes, data[name].shape)):
            raise OtherFormats(
                f"the data leaf {name!r} is one of labels, of which nothing but the range proves what they are",
                expected=f"integers in [{proved.lo}, {proved.hi}]",
                got=f"integers in [{data[name].lo}, {data[name].hi}] times 2^-{data[name].fraction_bits}",
            )
    found_any, refused = False, None
    for bits in sorted(range(LEAST_BITS, MOST_BITS + 1), key=lambda bits: abs(bits - DEFAULT_BITS)):
        try:
            found = _approached(step, numbers, formats, data, bits)
        except UserError as error:  # not in these bits
            refused = error
            continue
        yield found
        found_any = True
    if not found_any:
        raise OtherFormats(
            f"the training step does not compile in the formats of the statement: {without_remedy(refused)}"
        )


def without_remedy(error: UserError | None) -> str:
    """What is wrong and where; what to do about it is advice for whoever compiles from data."""
    return "\n".join(str(error).splitlines()[:2])


def _approached(
    step: Step, numbers: Sequence[Values], formats: PublishedFormats, data: dict[str, DataFormat], bits: int
) -> Plan:
    """The plan whose formats are the published ones, as far as the names are the same.

    Formats on the way there may not fit where the published ones do. Then those that were chosen before that are
    moved, on which what does not fit depends.
    """
    nodes, state = [1.0] * len(step.nodes), dict.fromkeys(step.state, 1.0)
    fractions = {name: formats.tensors[name] for name in step.state}
    for _ in range(MAX_ROUNDS):
        calibration = Calibration(tuple(nodes), state, len(numbers), {})
        found: Plan | BoundError
        try:
            found = plan_formats(step, calibration, data, tuple(numbers), bits, fractions, formats.counters)
        except BoundError as error:
            found = error
        moves = _moves(found.tensors, formats)
        for node, move in moves.items():
            nodes[node] = _moved(nodes[node], move)
        for name, weight in found.weights.items() if isinstance(found, Plan) else ():
            moves[-1] = moves.get(-1, 0) or formats.state[name] - weight.bits_before
            state[name] = _moved(state[name], formats.state[name] - weight.bits_before)
        if not any(moves.values()):
            break
    if isinstance(found, BoundError):
        raise found
    return found


def _moves(tensors: Sequence[TensorFormat], formats: PublishedFormats) -> dict[int, int]:
    """By how many bits the magnitude of each node has to grow."""
    moves: dict[int, int] = {}
    for tensor in tensors:
        if not tensor.shift:
            if tensor.name in formats.tensors:
                moves[tensor.node] = PRESENT
            continue
        if tensor.name in formats.tensors:
            moves[tensor.node] = tensor.fraction_bits - formats.tensors[tensor.name]
        else:
            moves.setdefault(tensor.node, ABSENT)
    return moves


def _moved(magnitude: float, bits: int) -> float:
    """One more bit of magnitude is one fraction bit less."""
    moved = magnitude * 2.0 ** max(-MOST_MOVED, min(bits, MOST_MOVED))
    return min(max(moved, 2.0**-1000), 2.0**1000)
