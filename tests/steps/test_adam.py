"""optax.adam and optax.adamw, with constant and scheduled rates."""

from __future__ import annotations

import numpy as np
import optax
import pytest

from tests.steps.adaptive import AdaptiveTraining, Rule
from tests.steps.oracle import exact

RATE = exact(0.01)
SCHEDULE = optax.cosine_decay_schedule(0.01, 12)


def scheduled(step: int) -> float:
    return float(np.asarray(SCHEDULE(np.int32(step)), np.float32))


def adam(rate, **options) -> Rule:
    return Rule(0.9, 0.999, rate, beside=1e-8, corrected=True, **options)


CASES = {
    "adam": (optax.adam(RATE), adam(lambda step: RATE)),
    "adamw": (optax.adamw(RATE, weight_decay=0.01), adam(lambda step: RATE, decay=0.01)),
    "adam on a schedule": (optax.adam(SCHEDULE), adam(scheduled)),
}


@pytest.fixture(scope="module", params=["adam", *(pytest.param(n, marks=pytest.mark.slow) for n in list(CASES)[1:])])
def training(request):
    return AdaptiveTraining(*CASES[request.param])


def test_integers(training):
    training.is_exact()


def test_close_to_float32(training):
    training.stays_close_to_float32()
    training.keeps_the_users_state()


def test_what_is_public():
    """Epsilon as it became, the means' coefficients, and that the mean of squares is committed by its root."""
    printed = str(AdaptiveTraining(*CASES["adam"]).program)
    assert "committed by its square root: opt_state/0/nu/Dense_0/bias" in printed
    assert "the constant 9.99999994e-09 that is added to a root or beneath, as epsilon is, counts as 1/2^" in printed
    said = [line for line in printed.splitlines() if "as epsilon is" in line]
    assert "Dense_0/kernel" in " ".join(said)
    assert "learning rate" in printed


@pytest.mark.slow
def test_one_step_of_the_twin_is_a_block_of_one_step():
    training = AdaptiveTraining(*CASES["adam"])
    program, batch = training.program, training.batch(training.schedule(1)[0, 0])
    first = program.step(training.state, batch)
    exact = training.train_step(training.state, batch)
    got, expected = (state.opt_state[0].nu["Dense_0"]["kernel"] for state in (first, exact))
    assert abs(got - expected).max() < 0.02 * abs(expected).max()
    assert int(program.step(first, batch).step) == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_proof(name):
    AdaptiveTraining(*CASES[name]).chains_and_proves()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_five_epochs(name):
    optimiser = {"adam": optax.adam, "adamw": optax.adamw}[name]
    AdaptiveTraining(optimiser(0.01), adam(lambda step: 0.01), steps=48).is_as_accurate_as_float32(blocks=10)
