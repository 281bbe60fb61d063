"""No wrap-around, tried out: small moduli by enumeration, the real one by a search for values that are too large.

With a modulus so small that all residues of all committed entries can be tried, what `check_ranges` accepts must
mean the same modulo p and over the integers. With the real one, nothing that the tables allow may come
near an overflow, however hard a search tries; and where the rule is taken away, it finds one.
"""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest

from tests.statement.evaluate import evaluate
from tests.statement.random_circuits import random_circuit, random_schedule
from zkjax.fields.mersenne61 import P
from zkjax.statement import ranges
from zkjax.statement.circuit import Circuit, Combine, Committed, Constant, Contract, Lookup, Node
from zkjax.statement.ranges import RangeError, check_ranges
from zkjax.statement.tables import Table

MODULI = (5, 7, 13, 31, 61)
TABLES = (Table("range", 0, 1, 0), Table("range", -1, 1, 0), Table("range", 0, 3, 0), Table("relu", -2, 2, 1))


def scalars(seed: int) -> Circuit:
    """Four committed scalars, some virtual ones, and lookups: enough in number to bound things, or nearly so."""
    rng = np.random.default_rng(seed)
    names = (("data", "x"), ("before", "w"), ("after", "w"), ("advice", "a"))
    nodes: list[Node] = [Committed((1,) if oracle == "data" else (), oracle, name, 0) for oracle, name in names]
    committed = [1, 2, 3]
    for _ in range(int(rng.integers(1, 5))):
        pick = [int(i) for i in rng.integers(1, len(nodes), 3)]
        match int(rng.integers(4)):
            case 0:
                nodes.append(Constant((), int(rng.integers(-6, 7))))
            case 1:
                nodes.append(Contract((), pick[0], pick[1], (), (), ()))
            case _:
                terms = tuple((int(rng.choice([1, 1, -1, -2, 3])), index) for index in pick[: int(rng.integers(2, 4))])
                nodes.append(Combine((), terms))
    lookups = [Lookup(int(rng.integers(3)), index, -1, -1, f"of {index}") for index in committed if rng.random() < 0.8]
    lookups += [Lookup(int(rng.integers(3)), len(nodes) - 1, -1, -1, "last")]
    if rng.random() < 0.3:
        lookups.append(Lookup(3, *(int(i) for i in rng.integers(1, len(nodes), 3)), "tuple"))
    zeros = (len(nodes) - 1,) if rng.random() < 0.2 else ()
    return Circuit(1, 1, 1, tuple(nodes), TABLES, tuple(lookups), zeros, ())


def values_of(circuit: Circuit, committed: dict[int, np.ndarray]) -> list[np.ndarray]:
    """All nodes over the integers, entry by entry of the grid; the data node is zero."""
    values: list[np.ndarray] = []
    for index, node in enumerate(circuit.nodes):
        match node:
            case Committed():
                values.append(committed.get(index, np.zeros_like(committed[1])))
            case Constant(value=value):
                values.append(np.full_like(committed[1], value))
            case Combine(terms=terms):
                values.append(sum(coefficient * values[operand] for coefficient, operand in terms))
            case Contract(left=left, right=right):
                values.append(values[left] * values[right])
    return values


def holds(circuit: Circuit, values: list[np.ndarray], modulus: int | None) -> np.ndarray:
    """Where all lookups and zeros hold, over the integers or modulo something."""

    def same(value: np.ndarray, other: int) -> np.ndarray:
        return value == other if modulus is None else (value - other) % modulus == 0

    kept = np.ones(values[1].shape, bool)
    for lookup in circuit.lookups:
        rows = set(zip(*(column.tolist() for column in circuit.tables[lookup.table].rows()), strict=True))
        found = np.zeros_like(kept)
        for row in rows:
            found |= np.logical_and.reduce(
                [same(values[index], entry) for index, entry in zip(lookup.coordinates, row, strict=False)]
            )
        kept &= found
    for index in circuit.zeros:
        kept &= same(values[index], 0)
    return kept


def lifted(circuit: Circuit, residues: dict[int, np.ndarray], intervals: list, modulus: int) -> dict[int, np.ndarray]:
    """The integers that docs/soundness.md defines for committed nodes: each the one in its interval, if it is alone."""
    found = {}
    for index, value in residues.items():
        low, high = intervals[index]
        found[index] = low + (value - low) % modulus
        assert high - low < modulus or (found[index] > high).sum() == 0
    return found


def compare(circuit: Circuit, modulus: int) -> int | None:
    """How many assignments satisfy the circuit; None if its ranges are refused. Fails where integers do not follow."""
    with patch.object(ranges, "P", modulus):
        try:
            intervals = check_ranges(circuit)
        except RangeError:
            return None
    if any(intervals[index][1] - intervals[index][0] >= modulus for index in (1, 2, 3)):
        return 0  # a tensor that no one residue tells: legal, and said of any integers in the interval
    grid = np.stack(np.meshgrid(*[np.arange(modulus)] * 3, indexing="ij")).reshape(3, -1)
    residues = {index: grid[index - 1] for index in (1, 2, 3)}
    satisfied = holds(circuit, values_of(circuit, residues), modulus)
    residues = {index: value[satisfied] for index, value in residues.items()}
    integers = lifted(circuit, residues, intervals, modulus)
    values = values_of(circuit, integers)
    assert holds(circuit, values, None).all()
    for value, (low, high) in zip(values[1:], intervals[1:], strict=True):
        assert (value >= low).all() and (value <= high).all()
    return int(satisfied.sum())


@pytest.mark.parametrize("modulus", MODULI)
def test_what_is_accepted_means_the_same_over_the_integers(modulus):
    """Every residue of every committed scalar, for circuits at random."""
    counts = [compare(scalars(seed), modulus) for seed in range(150)]
    accepted = [count for count in counts if count is not None]
    assert len(accepted) >= 10
    assert sum(count > 1 for count in accepted) >= 5
    assert len(accepted) < len(counts)


def test_without_the_rule_some_circuits_mean_something_else():
    """The enumeration can fail: with a rule that believes in a larger modulus, it finds a wrap-around."""
    caught = 0
    for seed in range(150):
        circuit = scalars(seed)
        try:
            intervals = check_ranges(circuit)  # with the real modulus, but everything else counts mod 7
        except RangeError:
            continue
        grid = np.stack(np.meshgrid(*[np.arange(7)] * 3, indexing="ij")).reshape(3, -1)
        residues = {index: grid[index - 1] for index in (1, 2, 3)}
        satisfied = holds(circuit, values_of(circuit, residues), 7)
        residues = {index: value[satisfied] for index, value in residues.items()}
        integers = {index: intervals[index][0] + (v - intervals[index][0]) % 7 for index, v in residues.items()}
        caught += not holds(circuit, values_of(circuit, integers), None).all()
    assert caught > 5


# The real modulus


def climbed(circuit: Circuit, seed: int, rounds: int = 40) -> list[int]:
    """By node, the largest absolute value that a climb over committed values in their ranges reaches."""
    rng = np.random.default_rng(seed)
    intervals = check_ranges(circuit)
    schedule = random_schedule(circuit, seed)
    leaves = sorted({index for lookup in circuit.lookups for index in lookup.coordinates})

    def drawn(index: int) -> np.ndarray:
        low, high = intervals[index] if intervals[index][1] < P else (-3, 3)
        return rng.choice(np.array([low, high, 0], object), circuit.nodes[index].shape)

    best = {index: drawn(index) for index in circuit.committed()}
    reached = [0] * len(circuit.nodes)
    score = -1
    target = leaves[int(rng.integers(len(leaves)))]
    for _ in range(rounds):
        other = {index: value.copy() for index, value in best.items()}
        moved = circuit.committed()[int(rng.integers(len(best)))]
        fresh, mask = drawn(moved), rng.random(circuit.nodes[moved].shape) < 0.5
        other[moved] = np.where(mask, fresh, other[moved])
        values = evaluate(circuit, other, schedule)
        sizes = [max((abs(int(entry)) for entry in value.reshape(-1)), default=0) for value in values]
        reached = [max(a, b) for a, b in zip(reached, sizes, strict=True)]
        if sizes[target] >= score:
            best, score = other, sizes[target]
    return reached


@pytest.mark.parametrize("seed", range(16))
def test_no_climb_leaves_what_is_proved(seed):
    """Committed values at the ends of their ranges, moved towards the largest leaf: still within, far from p."""
    circuit = random_circuit(seed, bound=7)
    intervals = check_ranges(circuit)
    for reached, (low, high) in zip(climbed(circuit, seed), intervals, strict=True):
        assert reached <= max(-low, high)
    leaves = {index for lookup in circuit.lookups for index in lookup.coordinates}
    assert all(max(-intervals[i][0], intervals[i][1]) < P for i in leaves)


@pytest.mark.parametrize("bits", [15, 16, 17, 18])
def test_the_climb_reaches_the_bound_and_one_factor_more_is_refused(bits):
    """A product that the ends of the ranges make as large as its interval: accepted just as long as it is below p."""
    limit = (1 << bits) - 1
    table = Table("range", 0, limit, 0)
    nodes: list[Node] = [Committed((1,), "data", "x", 0)]
    nodes += [Committed((), oracle, "w", 0) for oracle in ("before", "after", "advice")]
    product, size = 1, limit
    while True:
        nodes.append(Contract((), product, 1, (), (), ()))
        product, size = len(nodes) - 1, size * limit
        named = tuple(Lookup(0, index, -1, -1, f"of {index}") for index in (1, 2, 3, product))
        circuit = Circuit(1, 1, 1, tuple(nodes), (table,), named, (), ())
        if size >= P:
            break
        assert check_ranges(circuit)[product] == (0, size)
        values = {index: np.full(circuit.nodes[index].shape, limit, object) for index in circuit.committed()}
        assert evaluate(circuit, values, np.zeros((1, 1), int))[product] == size
    with pytest.raises(RangeError, match="may wrap around"):
        check_ranges(circuit)
