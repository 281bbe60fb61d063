"""Optimisers as filters: the exact responses, and the integers that stand for them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from zkjax.fixedpoint.filters import (
    MOST_DECAY_BITS,
    Response,
    decay_bits,
    responses,
    rounded,
    tap_bits,
    weight_bits,
    whole,
)
from zkjax.fixedpoint.nodes import Uniform
from zkjax.fixedpoint.numbers import ONE, Number, constant
from zkjax.fixedpoint.step import Change, Step, odd_part

MU, RATE, DECAY = Fraction(9, 10), Fraction(1, 10), Fraction(1, 1000)
PUBLIC = Number.of({(0,): Fraction(1)})


def step_with(kept, changes) -> Step:
    nodes = (Uniform((1,), Fraction(1)),)
    return Step(nodes, ("",), dict.fromkeys(kept, 0), {}, changes, 1, kept)


def by_steps(kept, moves, steps, numbers):
    """The state as a combination of leaves before and gradients, step by step in exact fractions."""
    names = list(kept)
    state = {name: {("leaf", name): Fraction(1)} for name in names}
    seen = [state]
    for at in range(steps):
        after = {}
        for name in names:
            total: dict = {}
            for other, number in kept[name].items():
                for unit, value in state[other].items():
                    total[unit] = total.get(unit, 0) + number.at(numbers[at]) * value
            if name in moves:
                total[("gradient", at)] = moves[name].factor * moves[name].pace.at(numbers[at])
            after[name] = total
        state = after
        seen.append(state)
    return seen


SYSTEMS = {
    "momentum": (
        {"w": {"w": ONE, "m": constant(-RATE * MU)}, "m": {"m": constant(MU)}},
        {"w": Change(-RATE, 0, None), "m": Change(Fraction(1), 0, None)},
    ),
    "decay": ({"w": {"w": constant(1 - DECAY)}}, {"w": Change(-RATE, 0, None)}),
    "schedule": ({"w": {"w": ONE}}, {"w": Change(-RATE, 0, None, PUBLIC)}),
    "momentum on a schedule": (
        {"w": {"w": ONE, "m": PUBLIC.scaled(-RATE * MU)}, "m": {"m": constant(MU)}},
        {"w": Change(-RATE, 0, None, PUBLIC), "m": Change(Fraction(1), 0, None)},
    ),
    "a copy that lags": ({"w": {"w": ONE}, "old": {"w": ONE}}, {"w": Change(-RATE, 0, None)}),
    "an average": (
        {"w": {"w": ONE}, "a": {"a": constant(MU), "w": constant(1 - MU)}},
        {"w": Change(-RATE, 0, None), "a": Change(-RATE * (1 - MU), 0, None)},
    ),
    "the last gradient": ({"w": {"w": ONE}, "g": {}}, {"w": Change(-RATE, 0, None), "g": Change(Fraction(2), 0, None)}),
}


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("steps", [1, 5])
def test_responses_are_the_step_repeated(name, steps):
    kept, changes = SYSTEMS[name]
    numbers = [(Fraction(at + 1, 7),) for at in range(steps)]
    expected = by_steps(kept, changes, steps, numbers)
    for leaf, response in responses(step_with(kept, changes), numbers).items():
        for at, state in enumerate(expected):
            for other in kept:
                row = response.initial.get(other, (Fraction(0),) * (steps + 1))
                assert abs(row[at] - state[leaf].get(("leaf", other), 0)) < Fraction(1, 1 << 80)
            for s in range(at):
                tap = Fraction(1) if response.taps is None else response.taps[at][s]
                got = tap * response.change.factor if response.change else 0
                assert abs(got - state[leaf].get(("gradient", s), 0)) < Fraction(1, 1 << 80)


def test_plain_steps_have_no_taps():
    found = responses(step_with({"w": {"w": ONE}}, {"w": Change(-RATE, 0, None)}), [()] * 3)["w"]
    assert found.taps is None
    assert tap_bits(found) == 0


def response_of(*taps: tuple[float, ...]) -> Response:
    rows = tuple(tuple(map(Fraction, row)) for row in ((), *taps))
    return Response({}, rows, Change(Fraction(1), 0, None))


def test_coefficients_that_few_bits_hold_are_exact():
    assert tap_bits(response_of((1,), (1.5, 1), (1.75, 1.5, 1))) == 2
    assert tap_bits(response_of((1,), (0.125, 1))) == 3
    assert tap_bits(response_of((0,), (0, 0))) == 0


def test_others_have_eight_bits_and_a_guard():
    assert tap_bits(response_of((1,), (0.9, 1))) == 7
    assert tap_bits(response_of((1,), (1.9, 1), (2.71, 1.9, 1))) == 6
    assert tap_bits(response_of((1,), (300.1, 1))) == 4


@pytest.mark.parametrize("lost", [1e-2, 1e-4, 4e-5])
def test_a_decay_is_right_to_one_part_in_sixteen(lost):
    row = (Fraction(1), 1 - Fraction(lost))
    bits = decay_bits(row)
    assert bits < MOST_DECAY_BITS
    (_, kept) = rounded(row, bits)
    assert abs((1 - Fraction(kept, 1 << bits)) / Fraction(lost) - 1) <= Fraction(1, 16)


def test_a_decay_far_below_the_unit_of_weights_is_left_out():
    assert decay_bits((Fraction(1), 1 - Fraction(1, 1 << 20))) == 0
    assert decay_bits((Fraction(1), 1 - Fraction(1, 400_000))) == MOST_DECAY_BITS


def test_taps_that_hardly_differ_count_alike():
    kept = 1 - Fraction(1, 10**7)
    assert tap_bits(response_of((1,), (kept, 1), (kept**2, kept, 1))) == 0
    assert tap_bits(response_of((1,), (1 - Fraction(1, 1 << 11), 1))) == 7


def test_rounded_taps_take_the_rate_up():
    rates = tuple(Fraction(n, 1000) / 7 for n in (1, 2, 3))
    response = response_of(*(tuple(rate / rates[-1] for rate in rates[:count]) for count in (1, 2, 3)))
    assert response.change is not None
    response = replace(response, change=replace(response.change, factor=-rates[-1]))
    merged = whole(response)
    assert merged.change is not None and merged.taps is not None
    factor = merged.change.factor
    assert factor < 0 and odd_part(factor) == 1
    bits = tap_bits(merged)
    for row, exact in zip(merged.taps, response.taps, strict=True):
        for integer, one in zip(rounded(row, bits), exact, strict=True):
            assert abs(integer * factor / (1 << bits) / -rates[-1] - one) <= Fraction(1, 1 << 10)
    exact = response_of((1,), (Fraction(1, 2), 1))
    assert whole(exact) is exact


def test_what_is_kept_whole_needs_no_bits():
    assert decay_bits((Fraction(1),) * 4) == 0
    assert decay_bits((Fraction(1), Fraction(3, 4))) == 2


def test_rounding_is_halves_up():
    row = tuple(Fraction(n, 2) for n in (-3, -2, -1, 0, 1, 2, 3))
    assert rounded(row, 0) == (-1, -1, 0, 0, 1, 1, 2)
    assert rounded((Fraction(5), Fraction(-6)), -2) == (1, -1)


def test_another_leaf_gets_eight_bits_of_its_largest_coefficient():
    for value in (Fraction(3), Fraction(1, 5), Fraction(-4, 1000)):
        (integer,) = rounded((value,), weight_bits((value,)))
        assert 128 <= abs(integer) <= 256
