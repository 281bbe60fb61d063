"""Each gadget leaves a prover no choice: all values of its inputs, each with all values of what it commits to.

The rows of a batch are all combinations of inputs and committed values; which of them satisfy the circuit's lookups and
zeros is compared with what the gadget says it computes. Inputs reach beyond the domain: there, nothing may hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import floor, isqrt, sqrt
from unittest.mock import patch

import numpy as np
import pytest

from tests.soundness.cheating import is_row
from tests.statement.evaluate import evaluate
from tests.witness.naive import integers
from zkjax.circuit import builder
from zkjax.circuit.builder import CircuitBuilder
from zkjax.circuit.functions import divide, look_up, maximum, positive, positive_part, square_root
from zkjax.statement.ranges import check_ranges
from zkjax.statement.tables import Table

Values = Sequence[int]
ROOT = Table("function", -4, 11, 0, "1/sqrt((x - 1/4)*positive(x - 1/4) + 1/4)", 2, 3)


@dataclass(frozen=True)
class Gadget:
    """How it is built of input nodes; all values of inputs and of what it commits to; what those must be, or None.

    `free` are inputs at which what is committed does not matter.
    """

    build: Callable[[CircuitBuilder, list[int]], object]
    inputs: Sequence[Values]
    committed: dict[str, Values]
    expected: Callable[..., tuple[int, ...] | None]
    limb_bits: int | None = None
    free: Callable[..., bool] = lambda *inputs: False


def limbs_of(width: int | None) -> Callable[[int, int], list[int]]:
    """Widths of limbs, lowest first; without a width there is one limb."""
    return lambda bits, entries: [min(width or bits, bits - offset) for offset in range(0, bits, width or bits)]


def rounded(value: Fraction) -> int:
    return floor(value + Fraction(1, 2))


def _rescaled(b: CircuitBuilder, nodes: list[int]) -> None:
    b.signed_range(b.rescale(nodes[0], 4, "q"), 1, "q")


def _clipped_scale(b: CircuitBuilder, nodes: list[int]) -> None:
    """4 / max(norm, 4) in two fraction bits, as clipping by a norm has it."""
    four = b.constant(b.shape(nodes[0]), 4)
    excess = positive_part(b, b.combine((1, nodes[0]), (-1, four)), "excess", bits=5)
    divide(b, four, b.combine((1, excess), (1, four)), 2, "scale", bits=4, divisor_bits=6)


def _root_and_quotient(b: CircuitBuilder, nodes: list[int]) -> None:
    """An update: the mean over the root of the mean of squares, and one unit of epsilon."""
    root = square_root(b, nodes[1], "root", bits=3)
    divide(b, nodes[0], b.combine((1, root), (1, b.constant(b.shape(root), 1))), 1, "update", bits=4, divisor_bits=4)


def _sqrt_of(v: int) -> tuple[int, ...] | None:
    return (isqrt(v),) if 0 <= v < 64 else None


def _quotient_of(n: int, d: int) -> tuple[int, ...] | None:
    if not 0 < d < 16:
        return None
    quotient = rounded(Fraction(n << 2, d))
    return (quotient,) if -32 <= quotient < 32 else None


def _rescaled_to(x: int) -> tuple[int, ...] | None:
    quotient = rounded(Fraction(x, 16))
    return (quotient, (x + 8 - 16 * quotient) >> 2) if -2 <= quotient < 2 else None


def _clipped_to(norm: int) -> tuple[int, ...]:
    return int(norm > 4), rounded(Fraction(4 << 2, max(norm, 4)))


def _update_of(mean: int, squares: int) -> tuple[int, ...] | None:
    if not 0 <= squares < 64:
        return None
    update = rounded(Fraction(mean << 1, isqrt(squares) + 1))
    return (isqrt(squares), update) if -16 <= update < 16 else None


def _root_by_table(x: int) -> tuple[int, ...] | None:
    def value(argument: int) -> int:
        return rounded(Fraction(8 / sqrt(max(argument / 4, 1 / 4))).limit_denominator(1 << 20))

    return (value(x) - value(0),) if -4 <= x <= 11 else None


GADGETS = {
    "square root": Gadget(
        lambda b, x: square_root(b, x[0], "root", bits=3), [range(-20, 90)], {"root": range(-12, 20)}, _sqrt_of
    ),
    "quotient": Gadget(
        lambda b, x: divide(b, x[0], x[1], 2, "quotient", bits=5, divisor_bits=4),
        [range(-12, 13), range(-6, 16)],
        {"quotient": range(-40, 41)},
        _quotient_of,
    ),
    "positive part": Gadget(
        lambda b, x: positive_part(b, x[0], "part", bits=5),
        [range(-31, 32)],
        {"part/sign": range(-3, 5)},
        lambda x: (int(x > 0),),
        free=lambda x: x == 0,  # zero times anything: the part is what counts
    ),
    "sign": Gadget(
        lambda b, x: positive(b, x[0], "sign", bits=5),
        [range(-32, 33)],
        {"sign/positive": range(-3, 5)},
        lambda x: (int(x > 0),),
    ),
    "rounding, limb by limb": Gadget(
        _rescaled,
        [range(-50, 50)],
        {"q": range(-6, 7), "q/remainder[2:4]": range(-2, 6)},
        _rescaled_to,
        limb_bits=2,
    ),
    "scale of clipping": Gadget(
        _clipped_scale,
        [range(30)],
        {"excess/sign": range(-1, 3), "scale": range(-18, 18)},
        _clipped_to,
        free=lambda norm: norm == 4,
    ),
    "update of an adaptive optimiser": Gadget(
        _root_and_quotient,
        [range(-5, 6), range(-3, 40, 2)],
        {"root": range(-4, 9), "update": range(-17, 17)},
        _update_of,
    ),
    "root of a variance by table, with a floor": Gadget(
        lambda b, x: look_up(b, x[0], ROOT, "root"), [range(-9, 16)], {"root": range(-30, 30)}, _root_by_table
    ),
}


@pytest.mark.parametrize("name", GADGETS)
def test_one_value_and_no_other(name):
    gadget = GADGETS[name]
    columns = np.array(list(product(*gadget.inputs, *gadget.committed.values())), dtype=np.int64).T
    count = columns.shape[1]
    b = CircuitBuilder(steps=1, batch=count, rows=count)
    nodes = []
    for place, values in enumerate(gadget.inputs):
        data = b.committed(f"x{place}", (count,), oracle="data")
        b.range_check(data, min(*values, 0), max(values), f"data/x{place}")
        nodes.append(b.rows(data))
    b.state_after("w", b.state_before("w", (1,), fraction_bits=0, bits=1), 0, fraction_bits=0, bits=1)
    with patch.object(builder, "limb_widths", limbs_of(gadget.limb_bits)):
        gadget.build(b, nodes)
    circuit = b.finish().circuit
    check_ranges(circuit)
    given = {f"x{place}": column for place, column in enumerate(columns)}
    given |= dict(zip(gadget.committed, columns[len(gadget.inputs) :], strict=True))
    committed = {}
    for index in circuit.committed():
        node = circuit.nodes[index]
        committed[index] = integers(given.get(node.name, np.zeros(node.shape, int))).reshape(node.shape)
    assert {circuit.nodes[index].name for index in circuit.committed("advice")} == set(gadget.committed)
    holds = satisfied(circuit, evaluate(circuit, committed, np.arange(count).reshape(1, count)), count)

    found: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for row in columns[:, holds].T.tolist():
        found.setdefault(tuple(row[: len(gadget.inputs)]), []).append(tuple(row[len(gadget.inputs) :]))
    defined = 0
    for inputs in product(*gadget.inputs):
        expected, values = gadget.expected(*inputs), found.get(inputs, [])
        if gadget.free(*inputs):
            assert expected in values
        else:
            assert values == ([] if expected is None else [expected]), inputs
        defined += expected is not None
    assert defined > 10


def satisfied(circuit, values, count: int) -> np.ndarray:
    """Which rows satisfy all lookups and zeros that are of rows."""
    holds = np.ones(count, bool)
    for lookup in circuit.lookups:
        entries = [values[node].reshape(-1) for node in lookup.coordinates]
        if entries[0].size == count:
            holds &= is_row(circuit.tables[lookup.table], entries)
    for zero in circuit.zeros:
        if values[zero].size == count:
            holds &= values[zero].reshape(-1) == 0
    return holds


def test_one_selector_and_no_other():
    """The first of the largest entries, for all rows of three entries, with all selectors of small integers."""
    rows = np.array(list(product(product(range(-2, 3), repeat=3), product(range(-1, 3), repeat=3))), np.int64)
    count = len(rows)
    b = CircuitBuilder(steps=1, batch=count, rows=count)
    data = b.committed("x", (count, 3), oracle="data")
    b.range_check(data, -2, 2, "data/x")
    b.state_after("w", b.state_before("w", (1,), fraction_bits=0, bits=1), 0, fraction_bits=0, bits=1)
    maximum(b, b.rows(data), "maximum", spread=4)
    circuit = b.finish().circuit
    check_ranges(circuit)
    given = {"x": rows[:, 0], "maximum/selector": rows[:, 1][None]}
    committed = {}
    for index in circuit.committed():
        node = circuit.nodes[index]
        committed[index] = integers(given.get(node.name, np.zeros(node.shape, int)))
    values = evaluate(circuit, committed, np.arange(count).reshape(1, count))
    holds = np.ones(count, bool)
    for lookup in circuit.lookups:
        if values[lookup.re].size >= count:
            entries = [values[node].reshape(-1) for node in lookup.coordinates]
            holds &= is_row(circuit.tables[lookup.table], entries).reshape(count, -1).all(axis=1)
    for zero in circuit.zeros:
        if values[zero].size >= count:
            holds &= (values[zero].reshape(count, -1) == 0).all(axis=1)
    for row, chosen in rows[holds]:
        np.testing.assert_array_equal(chosen, np.arange(3) == np.argmax(row))
    assert holds.sum() == 5**3
