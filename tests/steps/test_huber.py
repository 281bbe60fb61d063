"""Huber's loss: `optax.huber_loss`, which needs nothing but gates."""

from __future__ import annotations

import jax
import optax
import pytest

from tests.steps.digits import Network, accuracy_of, assert_exact, assert_proved, assert_trains, digits, train_state


def step_with(delta):
    def train_step(state, batch):
        def loss_of(params):
            logits = state.apply_fn({"params": params}, batch["image"])
            return optax.huber_loss(logits, jax.nn.one_hot(batch["label"], 10), delta=delta).sum(axis=-1).mean()

        loss, gradients = jax.value_and_grad(loss_of)(state.params)
        return state.apply_gradients(grads=gradients), loss

    return train_step


train_step = step_with(0.25)


def test_exact():
    program = assert_exact(train_step, train_state(Network()), digits()[0])
    assert not any(table.kind == "function" for table in program.circuit.tables)


@pytest.mark.slow
def test_proved():
    assert_proved(train_step, train_state(Network()), digits()[0])


@pytest.mark.slow
def test_five_epochs():
    assert_trains(step_with(1.0), train_state(Network(), optax.sgd(0.2)), digits()[0], accuracy_of, least=0.7)
