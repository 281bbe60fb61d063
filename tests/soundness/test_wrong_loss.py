"""Lies about the published cross-entropy of scaled logits, and a penalty: each breaks the relation for it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import floor
from unittest.mock import patch

import numpy as np
import pytest

from tests.softmax import (
    EXP_FRACTION,
    FACTOR,
    FACTOR_SHIFT,
    LOG,
    LOG_FRACTION,
    LOGIT_FRACTION,
    PENALTY_SHIFT,
    SCALED_EXP,
    SUM_FRACTION,
    WEIGHT_SHIFT,
    softmax_block,
    softmax_inputs,
)
from tests.soundness.block import Case, named
from tests.soundness.cheating import forge
from tests.soundness.lies import another_table_is_refused, case_of, lied, rejected, violated
from tests.soundness.test_mutants import VERIFY
from tests.statement.decimals import nearest
from zkjax.statement.ranges import RangeError

ROW = (1, 2)


@pytest.fixture(scope="module")
def case() -> Case:
    lowered = softmax_block(scaled=True)
    return case_of(lowered, *softmax_inputs(lowered, seed=4))


def add(delta: int, at=ROW):
    def change(value):
        value[at] += delta

    return change


def test_the_truth_is_that_of_plain_integers_and_is_accepted(case):
    names = named(case.circuit)
    logits = case.values[names["advice/logits"]].tolist()
    labels = case.values[names["data/label"]][case.schedule].tolist()
    expected, exact = [], []
    for rows, classes in zip(logits, labels, strict=True):
        total, real = 0, 0.0
        for z, label in zip(rows, classes, strict=True):
            powers = [nearest("exp(4/3*x)", value - max(z), LOGIT_FRACTION, EXP_FRACTION) for value in z]
            beyond = Fraction(sum(powers) - (1 << EXP_FRACTION), 1 << (EXP_FRACTION - SUM_FRACTION))
            argument = floor(beyond + Fraction(1, 2))
            logarithm = nearest("3/2*log(1 + x)", argument, SUM_FRACTION, LOG_FRACTION)
            total += 16 * (max(z) - z[label]) + logarithm
            scaled = np.array(z) / 6  # eighths, times 4/3
            real += np.log(np.exp(scaled).sum()) - scaled[label]
        expected.append(floor(Fraction(FACTOR * total, 1 << FACTOR_SHIFT) + Fraction(1, 2)))
        exact.append(real)
    summary = forge(case).verify()
    assert summary.outputs["loss"] == [value / 64 for value in expected]
    np.testing.assert_allclose(summary.outputs["loss"], exact, atol=0.15)


@pytest.mark.parametrize("delta", [1, -1, 40])
def test_another_logarithm(case, delta):
    rejected(case, lied(case, log_sum=add(delta)), by={"log_sum/function"})


def test_the_logarithm_of_another_sum(case):
    """A row of the table, but of the next argument."""
    argument = int(case.values[named(case.circuit)["advice/log_sum/argument"]][ROW])
    column = LOG.rows()[1]

    def wrong(value):
        value[ROW] = column[argument - LOG.lo + 1]

    rejected(case, lied(case, log_sum=wrong), by={"log_sum/function"})


@pytest.mark.parametrize("delta", [1, -1])
def test_another_sum(case, delta):
    """Logarithm and loss follow it: only its own remainder is wrong."""
    committed = lied(case, log_sum__argument=add(delta))
    found = violated(case, committed)
    assert found and all(name.startswith("log_sum/argument/remainder") for name in found)
    rejected(case, committed, by=found)


@pytest.mark.parametrize("delta", [1, -1])
def test_an_exponential_of_the_scaled_logits(case, delta):
    found = violated(case, lied(case, exp=add(delta, (*ROW, 1))))
    assert found == {"exp/function"}
    rejected(case, lied(case, exp=add(delta, (*ROW, 1))), by=found)


@pytest.mark.parametrize("delta", [1, -1])
def test_another_loss(case, delta):
    """The number itself, committed and published alike."""
    committed = lied(case, output__loss=add(delta, 1))
    found = violated(case, committed)
    assert found and all(name.startswith("output/loss/remainder") for name in found)
    rejected(case, committed, by=found)


def test_a_loss_out_of_its_range(case):
    """The verifier does not believe the number; and if it did, the limbs of the committed one would tell."""
    committed = lied(case, output__loss=add(1 << 17, 1))
    found = violated(case, committed)
    assert "output/loss/limb[0:8]" in found
    with pytest.raises(RangeError):
        forge(case, committed=committed, blame=True).verify()
    with patch.object(VERIFY, "check_published", lambda *arguments: None):
        rejected(case, committed, by=found)


def test_the_penalty_is_that_of_plain_integers(case):
    """Of the first step, whose weights are those before the block."""
    weights = case.values[named(case.circuit)["before/w"]].reshape(-1).tolist()
    half = Fraction(1, 2)
    total = sum(floor(Fraction(w, 1 << WEIGHT_SHIFT) + half) ** 2 for w in weights)
    expected = floor(Fraction(total, 1 << PENALTY_SHIFT) + half)
    (output,) = (output for output in case.circuit.outputs if output.name == "penalty")
    assert case.values[output.node][0] == expected


@pytest.mark.parametrize("delta", [1, -1, 1 << 9])
def test_another_rounded_weight(case, delta):
    """The penalty of other weights than those that are trained; far away, they leave their range too."""
    committed = lied(case, w__reported=add(delta, (1, 0, 2)))
    found = violated(case, committed)
    assert found and all(name.startswith("w/reported/") for name in found)
    assert any("limb" in name for name in found) == (delta > 1)
    rejected(case, committed, by=found)


@pytest.mark.parametrize("delta", [1, -1])
def test_another_penalty(case, delta):
    committed = lied(case, output__penalty=add(delta, 1))
    found = violated(case, committed)
    assert found and all(name.startswith("output/penalty/remainder") for name in found)
    rejected(case, committed, by=found)


@pytest.mark.parametrize(
    ("table", "formula"), [(SCALED_EXP, "exp(x)"), (LOG, "log(1 + x)")], ids=["logits as they are", "no factor"]
)
def test_another_scale_of_the_logits(case, table, formula):
    """By a circuit of the prover's own."""
    other = replace(table, formula=formula)
    another_table_is_refused(case, table, other, *softmax_inputs(case.lowered, seed=4))
