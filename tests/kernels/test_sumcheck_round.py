"""Product rounds against integers and the reference, and a whole sumcheck made of them."""

from __future__ import annotations

import random

import pytest

from pallas_kernels import fold, reference, sumcheck_round
from pallas_kernels.partials import combine_partials
from tests.kernels import integers
from tests.kernels.compilation import compiled
from tests.kernels.integers import EDGES, P


@pytest.mark.parametrize(("length", "block"), [(2, None), (64, 4), (64, 32), (1024, None)])
@pytest.mark.parametrize("values", [None, EDGES, (P - 1,)], ids=["random", "edges", "largest"])
def test_sums(interpret, length, block, values):
    rng = random.Random(length)
    f, g = (integers.random_table(rng, length, values) for _ in range(2))
    planes = integers.to_planes(f), integers.to_planes(g)
    partials = compiled(sumcheck_round.product_round_sums)(*planes, block=block, interpret=interpret)
    assert partials.shape == (4, length // 2 // (block or min(256, length // 2)))
    got = integers.from_scalars(compiled(combine_partials)(partials))
    assert got == integers.product_sums(f, g)
    assert got == integers.from_scalars(compiled(reference.product_round_sums)(*planes))


@pytest.mark.parametrize(("length", "block"), [(4, None), (16, 1), (64, 4), (2048, None)])
@pytest.mark.parametrize("values", [None, EDGES, (P - 1,)], ids=["random", "edges", "largest"])
def test_fused_round(interpret, length, block, values):
    rng = random.Random(length)
    f, g = (integers.random_table(rng, length, values) for _ in range(2))
    challenge = (P - 1, P - 1) if values else (rng.randrange(P), rng.randrange(P))
    operands = integers.to_planes(f), integers.to_planes(g), integers.to_scalar(challenge)
    f_folded, g_folded, partials = compiled(sumcheck_round.product_round)(*operands, block=block, interpret=interpret)
    sums = integers.from_scalars(compiled(combine_partials)(partials))
    assert integers.from_planes(f_folded) == integers.fold(f, challenge)
    assert integers.from_planes(g_folded) == integers.fold(g, challenge)
    assert sums == integers.product_sums(integers.fold(f, challenge), integers.fold(g, challenge))
    f_reference, g_reference, sums_reference = compiled(reference.product_round)(*operands)
    assert integers.from_planes(f_reference) == integers.from_planes(f_folded)
    assert integers.from_planes(g_reference) == integers.from_planes(g_folded)
    assert integers.from_scalars(sums_reference) == sums


def test_every_partial_is_the_sum_of_its_own_block(interpret):
    rng = random.Random(5)
    f, g = (integers.random_table(rng, 32) for _ in range(2))
    partials = compiled(sumcheck_round.product_round_sums)(
        integers.to_planes(f), integers.to_planes(g), block=4, interpret=interpret
    )
    for program in range(4):
        at_zero = [integers.multiply(f[x], g[x]) for x in range(4 * program, 4 * program + 4)]
        assert tuple(partials[:2, program].tolist()) == integers.total(at_zero)


def test_rounds_make_a_sumcheck(interpret):
    """Running a sumcheck to its end reduces the sum of products to one product."""
    rng = random.Random(9)
    f, g = (integers.random_table(rng, 8) for _ in range(2))
    claim = integers.total(integers.multiply(a, b) for a, b in zip(f, g, strict=True))
    f_planes, g_planes = integers.to_planes(f), integers.to_planes(g)
    partials = compiled(sumcheck_round.product_round_sums)(f_planes, g_planes, interpret=interpret)
    while f_planes[0].size > 1:
        at_zero, leading = integers.from_scalars(compiled(combine_partials)(partials))
        at_one = integers.subtract(claim, at_zero)
        linear = integers.subtract(integers.subtract(at_one, at_zero), leading)
        challenge = (rng.randrange(P), rng.randrange(P))
        slope = integers.add(linear, integers.multiply(leading, challenge))
        claim = integers.add(at_zero, integers.multiply(slope, challenge))
        scalar = integers.to_scalar(challenge)
        if f_planes[0].size > 2:
            f_planes, g_planes, partials = compiled(sumcheck_round.product_round)(
                f_planes, g_planes, scalar, interpret=interpret
            )
        else:
            f_planes, g_planes = (compiled(fold.fold)(t, scalar, interpret=interpret) for t in (f_planes, g_planes))
    assert claim == integers.multiply(integers.from_planes(f_planes)[0], integers.from_planes(g_planes)[0])
