"""Cross-entropy on integer labels: `optax.softmax_cross_entropy_with_integer_labels`."""

from __future__ import annotations

import jax
import optax
import pytest

from tests.steps.digits import Network, accuracy_of, assert_exact, assert_proved, assert_trains, digits, train_state


def train_step(state, batch):
    def loss_of(params):
        logits = state.apply_fn({"params": params}, batch["image"])
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()

    loss, gradients = jax.value_and_grad(loss_of)(state.params)
    return state.apply_gradients(grads=gradients), loss


def test_exact():
    program = assert_exact(train_step, train_state(Network()), digits()[0])
    assert program.reading.step.labels == {"label": 10}
    assert program.plan.data["label"].hi == 9


@pytest.mark.slow
def test_proved():
    assert_proved(train_step, train_state(Network()), digits()[0])


@pytest.mark.slow
def test_five_epochs():
    assert_trains(train_step, train_state(Network()), digits()[0], accuracy_of)
