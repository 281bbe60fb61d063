"""Optimisers of Optax beyond Adam, RMSProp and SGD: those that prove as they are, and those that are refused."""

from __future__ import annotations

import numpy as np
import optax
import pytest
from flax.training.train_state import TrainState

from tests.steps.digits import Network, assert_exact, assert_proved, compiled, digits, train_state
from tests.steps.outputs import metric_step
from tests.steps.test_outputs_scaled import integer_labels
from zkjax.errors import UserError

PROVED = {"nadam": optax.nadam(1e-3), "nadamw": optax.nadamw(1e-3)}
REFUSED = {
    "lion": (optax.lion(1e-3), r"moves by the sign of a gradient(.|\n)*use Adam, momentum or SGD"),
    "sign_sgd": (optax.sign_sgd(1e-3), r"moves by the sign of a gradient(.|\n)*use Adam, momentum or SGD"),
    "adabelief": (optax.adabelief(1e-3), r"under a root(.|\n)*scale_by_belief(.|\n)*use Adam or RMSProp"),
    "centred rmsprop": (optax.rmsprop(1e-3, centered=True), r"under a root(.|\n)*use Adam or RMSProp"),
    "adadelta": (optax.adadelta(0.1), r"under a root(.|\n)*use Adam or RMSProp"),
    "adagrad": (optax.adagrad(0.05), r"the field holds 61(.|\n)*scale the data"),
    "adamax": (optax.adamax(1e-3), "a division by a value that may be zero"),
    "amsgrad": (optax.amsgrad(1e-3), "takes up several gradients"),
}


@pytest.mark.parametrize("name", PROVED)
def test_exact(name):
    assert_exact(metric_step(integer_labels), train_state(Network(), PROVED[name]), digits()[0], tolerance=0.02)


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    """With a reason, before any work; never compiled to something else than the optimiser does."""
    optimiser, saying = REFUSED[name]
    with pytest.raises(UserError, match=saying):
        compiled(metric_step(integer_labels), train_state(Network(), optimiser), digits()[0])


@pytest.mark.parametrize("optimiser", [optax.adam(1e-3), optax.adamw(1e-3), optax.nadam(1e-3)])
def test_parameters_that_the_loss_does_not_use(optimiser):
    """Refused by their names under an optimiser that divides: no calibration helps."""
    network, data = Network(), digits()[0]
    unused = {"scale": np.ones(4, np.float32), "bias": np.zeros(4, np.float32)}

    params = dict(train_state(network, optimiser).params) | {"norm": unused}
    state = TrainState.create(apply_fn=network.apply, params=params, tx=optimiser)
    with pytest.raises(UserError, match=r"no gradient for 'params/norm/bias', 'params/norm/scale'(.|\n)*optax.masked"):
        compiled(metric_step(integer_labels), state, data)


@pytest.mark.slow
@pytest.mark.parametrize("name", PROVED)
def test_proved(name):
    assert_proved(metric_step(integer_labels), train_state(Network(), PROVED[name]), digits()[0])
