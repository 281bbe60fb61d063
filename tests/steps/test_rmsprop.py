"""optax.rmsprop, plain and with momentum."""

from __future__ import annotations

import optax
import pytest

from tests.steps.adaptive import AdaptiveTraining, Rule
from tests.steps.oracle import exact

RATE = exact(0.01)
CASES = {
    "rmsprop": (
        optax.rmsprop(RATE),
        Rule(None, 0.9, lambda step: RATE, under=1e-8, names=("", "opt_state/0/nu")),
    ),
    "eps beside the root": (
        optax.rmsprop(RATE, decay=0.95, eps=1e-5, eps_in_sqrt=False),
        Rule(None, 0.95, lambda step: RATE, beside=1e-5, names=("", "opt_state/0/nu")),
    ),
}


@pytest.fixture(scope="module", params=CASES)
def training(request):
    return AdaptiveTraining(*CASES[request.param])


def test_integers(training):
    training.is_exact()


def test_close_to_float32(training):
    training.stays_close_to_float32()
    training.keeps_the_users_state()


@pytest.mark.slow
def test_proof():
    AdaptiveTraining(*CASES["rmsprop"]).chains_and_proves()


@pytest.mark.slow
def test_proof_with_momentum():
    """The momentum is a filter of the updates, as that of plain steps is one of the gradients."""
    training = AdaptiveTraining(optax.rmsprop(RATE, momentum=0.75), CASES["rmsprop"][1])
    training.stays_close_to_float32()
    training.chains_and_proves()


@pytest.mark.slow
def test_five_epochs():
    AdaptiveTraining(optax.rmsprop(0.003), CASES["rmsprop"][1], steps=48).is_as_accurate_as_float32(blocks=10)
