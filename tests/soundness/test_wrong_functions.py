"""Lies about functions, maxima, quotients and labels: each is caught by the relation that is there for it.

As everywhere, `forge` runs the real prover. A lie is carried on through the rest of the run, so that nothing else
is wrong, and `violated` names what the wrong values break before any proof is made.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.softmax import CLASSES, DROPPED, EXP, SHIFT, WIDE, softmax_block, softmax_inputs
from tests.soundness.block import Case, named
from tests.soundness.cheating import forge
from tests.soundness.lies import another_table_is_refused, case_of, lied, rejected, violated

ROW = (1, 2)


def softmax_case(openings: int) -> Case:
    lowered = softmax_block()
    return case_of(lowered, *softmax_inputs(lowered, seed=4), openings)


@pytest.fixture(scope="module")
def softmax() -> Case:
    return softmax_case(openings=2)


def test_the_truth_is_accepted(softmax):
    forged = forge(softmax)
    assert forged.verify().steps == 2
    assert forged.broken() == []


@pytest.mark.parametrize("delta", [1, -1, 5])
def test_a_wrong_exponential(softmax, delta):
    def wrong(value):
        value[(*ROW, 1)] += delta

    rejected(softmax, lied(softmax, exp=wrong), by={"exp/function"})


def test_an_exponential_of_another_argument(softmax):
    """A row of the table, but of the next argument: the pair is looked up, not the value."""
    names = named(softmax.circuit)
    values = softmax.values[names["advice/exp"]]
    at = tuple(np.argwhere((values < 0) & (values > -200))[0])

    def wrong(value):
        column = EXP.rows()[1]
        value[at] = column[list(column).index(value[at]) + 1]

    rejected(softmax, lied(softmax, exp=wrong), by={"exp/function"})


@pytest.mark.parametrize("delta", [1, -1])
def test_a_wrong_quotient(softmax, delta):
    """The remainder leaves [0, 2 divisor) on one side or the other."""

    def wrong(value):
        value[ROW] += delta

    side = "remainder" if delta > 0 else "rest"
    committed = lied(softmax, reciprocal=wrong)
    found = violated(softmax, committed)
    assert found and all(name.startswith(f"reciprocal/{side}") for name in found)
    rejected(softmax, committed, by=found)


def test_a_quotient_far_away(softmax):
    def wrong(value):
        value[ROW] = 1 << 12

    committed = lied(softmax, reciprocal=wrong)
    rejected(softmax, committed, by=violated(softmax, committed))


@pytest.mark.parametrize("limb", ["reciprocal__remainder[8:11]", "reciprocal__rest[8:11]"])
@pytest.mark.parametrize("delta", [1, -1])
def test_a_wrong_limb_of_a_remainder(softmax, limb, delta):
    def wrong(value):
        value[ROW] += delta

    found = violated(softmax, lied(softmax, **{limb: wrong}))
    assert found and all(name.startswith(limb.replace("__", "/")[:-6]) for name in found)
    rejected(softmax, lied(softmax, **{limb: wrong}), by=found)


def test_a_maximum_that_is_not_the_largest(softmax):
    """An entry, but not the largest: its distance to the largest is negative, and so is an exponent positive."""
    logits = softmax.values[named(softmax.circuit)["advice/logits"]]

    def wrong(value):
        value[ROW] = np.arange(CLASSES) == np.argsort(logits[ROW])[-2]

    found = violated(softmax, lied(softmax, maximum__selector=wrong))
    assert {"maximum/distance[0:7]", "exp/function"} <= found
    rejected(softmax, lied(softmax, maximum__selector=wrong), by=found)


def test_a_maximum_above_all_entries(softmax):
    """Twice the largest entry: the selector is 0 or 1 no more, or selects more than one."""
    logits = softmax.values[named(softmax.circuit)["advice/logits"]]
    row = tuple(np.argwhere((logits.max(axis=-1) > 0) & (logits.max(axis=-1) < WIDE // 2))[0])
    largest = np.argmax(logits[row])

    def two(value):
        value[(*row, largest)] = 2

    def another(value):
        value[(*row, np.argsort(logits[row])[-2])] = 1

    for lie, by in ((two, {"maximum/selector", "zero"}), (another, {"zero"})):
        committed = lied(softmax, maximum__selector=lie)
        found = violated(softmax, committed)
        assert by <= found
        rejected(softmax, committed, by=found)


def test_no_entry_selected(softmax):
    """The maximum is then zero: above all logits, where all are negative."""

    def wrong(value):
        value[ROW] = 0

    committed = lied(softmax, maximum__selector=wrong)
    found = violated(softmax, committed)
    assert "zero" in found
    rejected(softmax, committed, by=found)


def test_a_label_that_is_not_its_one_hot_form(softmax):
    """Another class, in perfect one-hot form; or none, or a fraction of two, of the right sum of places."""

    def other(value):
        value[ROW] = np.roll(value[ROW], 1)

    def none(value):
        value[ROW] = 0

    rejected(softmax, lied(softmax, label__one_hot=other), by={"zero"})
    rejected(softmax, lied(softmax, label__one_hot=none), by={"zero"})


def test_a_one_hot_form_of_the_right_place_and_sum(softmax):
    """(1, -1, 1, 0) has sum 1 and place 1: only the range of its entries tells."""

    def wrong(value):
        at = tuple(np.argwhere(value[..., 1] == 1)[0])
        value[at] = [1, -1, 1, 0]

    rejected(softmax, lied(softmax, label__one_hot=wrong), by={"label/one_hot"})


def test_a_changed_gradient(softmax):
    def wrong(value):
        value[(*ROW, 0)] += 1

    found = violated(softmax, lied(softmax, gradient=wrong))
    assert found == {"gradient/remainder[0:8]"}
    rejected(softmax, lied(softmax, gradient=wrong), by=found)
    assert SHIFT > DROPPED


def test_a_row_of_another_function(softmax):
    """exp(x/2) in place of exp(x), by a circuit of the prover's own."""
    another_table_is_refused(softmax, EXP, replace(EXP, formula="exp(x/2)"), *softmax_inputs(softmax.lowered, seed=4))
