"""Lies about mean, variance and root of a normalisation: each breaks the relation that is there for it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.normalised import ROOT, normalised_block, normalised_inputs, normalised_trainer
from tests.soundness.block import Case, named, residues
from tests.soundness.cheating import forge, is_legal
from tests.soundness.test_wrong_functions import lied, rejected, violated
from tests.witness.naive import interpret
from zkjax.statement.plan import Plan

ROW = (1, 2)


@pytest.fixture(scope="module")
def normalised() -> Case:
    lowered = normalised_block()
    given, schedule = normalised_inputs(lowered, seed=4)
    values = tuple(residues(value) for value in interpret(lowered, given, schedule))
    assert is_legal(lowered.circuit, values)
    return Case(lowered, Plan(lowered.circuit, 2), schedule, values)


def test_the_truth_is_the_trainers_and_is_accepted(normalised):
    names = named(normalised.circuit)
    x, w = normalised.values[names["data/x"]], normalised.values[names["before/w"]]
    expected = normalised_trainer(x, w, normalised.schedule)
    np.testing.assert_array_equal(normalised.values[names["after/w"]], expected.astype(np.int64))
    forged = forge(normalised)
    assert forged.verify().steps == 2
    assert forged.broken() == []


@pytest.mark.parametrize("delta", [1, -1])
def test_another_variance(normalised, delta):
    """Root and output follow it: only its own remainder is wrong."""

    def wrong(value):
        value[ROW] += delta

    committed = lied(normalised, variance=wrong)
    found = violated(normalised, committed)
    assert found and all(name.startswith("variance/remainder") for name in found)
    rejected(normalised, committed, by=found)


@pytest.mark.parametrize("delta", [1, -1, 40])
def test_another_root(normalised, delta):
    def wrong(value):
        value[ROW] += delta

    rejected(normalised, lied(normalised, root=wrong), by={"root/function"})


def test_the_root_of_another_variance(normalised):
    """A row of the table, but of the next argument."""
    names = named(normalised.circuit)
    argument = int(normalised.values[names["advice/variance"]][ROW])

    def wrong(value):
        column = ROOT.rows()[1]
        others = [entry for entry in column[argument - ROOT.lo :] if entry != value[ROW]]
        value[ROW] = others[0]

    rejected(normalised, lied(normalised, root=wrong), by={"root/function"})


@pytest.mark.parametrize("delta", [1, -1])
def test_another_output(normalised, delta):
    def wrong(value):
        value[(*ROW, 0)] += delta

    committed = lied(normalised, output=wrong)
    found = violated(normalised, committed)
    assert found and all(name.startswith("output/remainder") for name in found)
    rejected(normalised, committed, by=found)
