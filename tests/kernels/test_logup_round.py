"""Fractional-sum rounds against integers and the reference."""

from __future__ import annotations

import random

import pytest

from pallas_kernels import logup_round, reference
from pallas_kernels.partials import combine_partials
from tests.kernels import integers
from tests.kernels.compilation import compiled
from tests.kernels.integers import EDGES, P

VALUES = pytest.mark.parametrize("values", [None, EDGES, (P - 1,)], ids=["random", "edges", "largest"])


def scalars(rng, values, count):
    return integers.random_table(rng, count, values)


@VALUES
@pytest.mark.parametrize(("length", "block"), [(2, None), (64, 4)])
def test_sums(interpret, length, block, values):
    rng = random.Random(length)
    tables = [integers.random_table(rng, length, values) for _ in range(4)]
    equality = integers.random_table(rng, length // 2, values)
    a, b = scalars(rng, values, 2)
    operands = [*map(integers.to_planes, (*tables, equality)), *map(integers.to_scalar, (a, b))]
    partials = compiled(logup_round.logup_round_sums)(*operands, block=block, interpret=interpret)
    assert partials.shape == (6, length // 2 // (block or min(128, length // 2)))
    got = integers.from_scalars(compiled(combine_partials)(partials))
    assert got == integers.logup_sums(*tables, equality, a, b)
    assert got == integers.from_scalars(compiled(reference.logup_round_sums)(*operands))


@VALUES
@pytest.mark.parametrize(("length", "block"), [(4, None), (64, 4)])
def test_fused_round(interpret, length, block, values):
    rng = random.Random(length)
    tables = [integers.random_table(rng, length, values) for _ in range(4)]
    equality = integers.random_table(rng, length // 4, values)
    a, b, challenge = scalars(rng, values, 3)
    operands = [
        *map(integers.to_planes, (*tables, equality)),
        *map(integers.to_scalar, (a, b, challenge)),
    ]
    *folded, partials = compiled(logup_round.logup_round)(*operands, block=block, interpret=interpret)
    sums = integers.from_scalars(compiled(combine_partials)(partials))
    expected = [integers.fold(table, challenge) for table in tables]
    assert [integers.from_planes(table) for table in folded] == expected
    assert sums == integers.logup_sums(*expected, equality, a, b)
    *folded_reference, sums_reference = compiled(reference.logup_round)(*operands)
    assert [integers.from_planes(table) for table in folded_reference] == expected
    assert integers.from_scalars(sums_reference) == sums


def test_polynomial_through_the_three_sums(interpret):
    """s(X) at a fourth point equals the sum over tables folded at that point."""
    rng = random.Random(3)
    tables = [integers.random_table(rng, 64) for _ in range(4)]
    equality = integers.random_table(rng, 32)
    a, b, point = scalars(rng, None, 3)
    operands = [*map(integers.to_planes, (*tables, equality)), *map(integers.to_scalar, (a, b))]
    partials = compiled(logup_round.logup_round_sums)(*operands, block=4, interpret=interpret)
    at_zero, at_one, leading = integers.from_scalars(compiled(combine_partials)(partials))
    linear = integers.subtract(integers.subtract(at_one, at_zero), leading)
    slope = integers.add(linear, integers.multiply(leading, point))
    value = integers.add(at_zero, integers.multiply(slope, point))

    def term(x, n0, n1, d0, d1):
        numerator = integers.add(integers.multiply(n0, d1), integers.multiply(n1, d0))
        inner = integers.add(integers.multiply(a, numerator), integers.multiply(b, integers.multiply(d0, d1)))
        return integers.multiply(equality[x], inner)

    folded = [integers.fold(table, point) for table in tables]
    assert value == integers.total(term(x, *(table[x] for table in folded)) for x in range(32))
