"""Folding a table against integers and against the reference."""

from __future__ import annotations

import random

import pytest

from pallas_kernels import fold, reference
from tests.kernels import integers
from tests.kernels.compilation import compiled
from tests.kernels.integers import EDGES, P


@pytest.mark.parametrize(("length", "block"), [(2, None), (4, 1), (64, 4), (1024, None)])
@pytest.mark.parametrize("values", [None, EDGES])
def test_fold(interpret, length, block, values):
    rng = random.Random(length)
    table = integers.random_table(rng, length, values)
    for challenge in ((0, 0), (1, 0), (P - 1, P - 1), (rng.randrange(P), rng.randrange(P))):
        operands = integers.to_planes(table), integers.to_scalar(challenge)
        got = compiled(fold.fold)(*operands, block=block, interpret=interpret)
        assert integers.from_planes(got) == integers.fold(table, challenge)
        assert integers.from_planes(compiled(reference.fold)(*operands)) == integers.from_planes(got)


def test_challenges_zero_and_one_select_the_halves(interpret):
    table = integers.random_table(random.Random(0), 32)
    planes = integers.to_planes(table)
    for challenge, half in (((0, 0), table[:16]), ((1, 0), table[16:])):
        got = compiled(fold.fold)(planes, integers.to_scalar(challenge), interpret=interpret)
        assert integers.from_planes(got) == half
