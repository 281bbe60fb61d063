"""Proven integer ranges: no value wraps around, derived from the circuit alone.

A committed node gets its range from a lookup that names it directly (rank 0), or from a lookup of
a *limb leaf*, `node + constant - sum of coefficient * limb` with directly ranged limbs (rank 1):
then node = leaf - constant + sum is an integer in the resulting interval. A data tensor may be
bounded through the rows that the schedule uses; of the others nothing is then proved, and nothing
may read them (they count as unbounded). Every virtual node is an
integer polynomial in committed nodes, so interval arithmetic bounds it. A lookup coordinate with
value in [l, u] against a table range [a, b] means equality over the integers, not only modulo p,
iff max(u - a, b - l) < p.

The verifier calls `check_ranges` itself: a bound in a circuit would be a claim, not a fact. A published output is
equal to its node over the integers if both lie in the node's interval, and that is shorter than p.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from zkjax.errors import VerificationError
from zkjax.fields.mersenne61 import P
from zkjax.statement.circuit import (
    Axes,
    Circuit,
    Combine,
    Committed,
    Constant,
    Contract,
    Filter,
    Positions,
    Public,
    Rows,
)
from zkjax.statement.filters import Row

Interval = tuple[int, int]
# Every interval contains zero, so an end that has reached this size never comes back below it.
UNBOUNDED: Interval = (-(1 << 256), 1 << 256)


class RangeError(VerificationError):
    """A value may leave its range or wrap around the field."""


def check_ranges(circuit: Circuit) -> list[Interval]:
    """Inclusive integer interval of every node.

    Raises RangeError naming the node or lookup whose range cannot be proved.
    """
    facts = _committed_ranges(circuit)
    intervals: list[Interval] = []
    for index, node in enumerate(circuit.nodes):
        match node:
            case Committed(name=name, oracle=oracle):
                if index not in facts and oracle != "data":
                    raise RangeError(f"no lookup bounds the committed tensor {name!r}")
                interval = facts.get(index, UNBOUNDED)
            case Constant(value=value):
                interval = (min(value, 0), max(value, 0))
            case Positions(shape=shape, axis=axis):
                interval = (0, shape[axis] - 1)
            case Public(low=low, bits=bits):
                interval = (min(low, 0), max(low + (1 << bits) - 1, 0))
            case Combine(terms=terms):
                interval = (0, 0)
                for coefficient, operand in terms:
                    interval = _plus(interval, _times((coefficient, coefficient), intervals[operand]))
            case Axes(node=operand, source=source):
                shape = circuit.nodes[operand].shape
                summed = prod(size for axis, size in enumerate(shape) if axis not in source)
                interval = _sum_of(summed, intervals[operand])
            case Rows(node=operand):
                # A bounded data tensor is one integer tensor, also where its rows are read.
                interval = intervals[operand] if operand in facts else facts.get(index, UNBOUNDED)
            case Filter(node=operand, rows=rows):
                sums = [_weighted(runs, intervals[operand]) for runs in rows]
                interval = (min(0, *(low for low, _ in sums)), max(0, *(high for _, high in sums)))
            case Contract():
                sizes = dict(zip(node.left_labels, circuit.nodes[node.left].shape, strict=True))
                sizes |= dict(zip(node.right_labels, circuit.nodes[node.right].shape, strict=True))
                summed = prod(size for label, size in sizes.items() if label not in node.out_labels)
                interval = _sum_of(summed, _times(intervals[node.left], intervals[node.right]))
        intervals.append((max(interval[0], UNBOUNDED[0]), min(interval[1], UNBOUNDED[1])))
    for lookup in circuit.lookups:
        table = circuit.tables[lookup.table]
        for index, (low, high) in zip(lookup.coordinates, table.coordinate_ranges(), strict=True):
            _check_leaf(f"lookup {lookup.name!r}", intervals[index], (low, high))
    for index in circuit.zeros:
        _check_leaf(f"zero node {index}", intervals[index], (0, 0))
    for output in circuit.outputs:
        _check_leaf(f"output {output.name!r}", intervals[output.node], intervals[output.node])
    return intervals


def check_published(circuit: Circuit, values: Sequence[np.ndarray], intervals: Sequence[Interval]) -> None:
    """Raise RangeError for a published number that its node cannot have, be it congruent to one that it can."""
    for output, published in zip(circuit.outputs, values, strict=True):
        low, high = intervals[output.node]
        least, greatest = int(published.min()), int(published.max())
        if least < low or greatest > high:
            raise RangeError(
                f"output {output.name!r} holds a number that it cannot have",
                expected=f"{low}..{high}",
                got=least if least < low else greatest,
            )


def _check_leaf(where: str, interval: Interval, table: Interval) -> None:
    spread = max(interval[1] - table[0], table[1] - interval[0])
    if spread >= P:
        raise RangeError(
            f"{where} may wrap around the field: its value lies within 2^{spread.bit_length()} only",
            expected=f"spread < {P}",
            got=spread,
        )


def _committed_ranges(circuit: Circuit) -> dict[int, Interval]:
    facts: dict[int, Interval] = {}
    for lookup in circuit.lookups:
        for index, interval in zip(lookup.coordinates, circuit.tables[lookup.table].coordinate_ranges(), strict=True):
            if isinstance(circuit.nodes[index], Committed | Rows):
                known = facts.get(index, interval)
                facts[index] = (max(known[0], interval[0]), min(known[1], interval[1]))
    direct = dict(facts)
    for lookup in circuit.lookups:
        leaf = circuit.nodes[lookup.re]
        if circuit.tables[lookup.table].arity == 1 and isinstance(leaf, Combine):
            derived = _limb_range(circuit, leaf, circuit.tables[lookup.table].coordinate_ranges()[0], direct)
            if derived is not None:
                facts.setdefault(*derived)
    return facts


def _limb_range(
    circuit: Circuit, leaf: Combine, table: Interval, direct: dict[int, Interval]
) -> tuple[int, Interval] | None:
    """The one unranged committed node of a limb leaf, and the range that the leaf gives it."""
    unknown, interval = None, table
    for coefficient, operand in leaf.terms:
        node = circuit.nodes[operand]
        if isinstance(node, Constant):
            interval = _plus(interval, (-max(coefficient * node.value, 0), -min(coefficient * node.value, 0)))
        elif operand in direct:
            interval = _plus(interval, _times((-coefficient, -coefficient), direct[operand]))
        elif isinstance(node, Committed) and coefficient == 1 and unknown is None:
            unknown = operand
        else:
            return None
    return None if unknown is None else (unknown, interval)


def _plus(a: Interval, b: Interval) -> Interval:
    return (a[0] + b[0], a[1] + b[1])


def _times(a: Interval, b: Interval) -> Interval:
    corners = [x * y for x in a for y in b]
    return (min(corners), max(corners))


def _weighted(runs: Row, interval: Interval) -> Interval:
    """Range of a row of a filter: its positive and its negative coefficients pull apart."""
    up = sum(count * coefficient for count, coefficient in runs if coefficient > 0)
    down = sum(count * coefficient for count, coefficient in runs if coefficient < 0)
    return (up * interval[0] + down * interval[1], up * interval[1] + down * interval[0])


def _sum_of(count: int, interval: Interval) -> Interval:
    return (count * interval[0], count * interval[1])
