"""Binary cross-entropy: `optax.sigmoid_binary_cross_entropy`, one network output or one for each class."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.steps.digits import Network, accuracy_of, assert_exact, assert_proved, assert_trains, digits, train_state


def train_step(state, batch):
    def loss_of(params):
        logits = state.apply_fn({"params": params}, batch["image"])
        labels = jax.nn.one_hot(batch["label"], 10)
        return optax.sigmoid_binary_cross_entropy(logits, labels).sum(axis=-1).mean()

    loss, gradients = jax.value_and_grad(loss_of)(state.params)
    return state.apply_gradients(grads=gradients), loss


def binary_step(state, batch):
    def loss_of(params):
        logits = state.apply_fn({"params": params}, batch["image"]).squeeze(-1)
        return optax.sigmoid_binary_cross_entropy(logits, batch["label"]).mean()

    loss, gradients = jax.value_and_grad(loss_of)(state.params)
    return state.apply_gradients(grads=gradients), loss


def odd_digits(dataset):
    return {"image": dataset["image"], "label": (dataset["label"] % 2).astype(np.float32)}


def test_exact():
    assert_exact(train_step, train_state(Network()), digits()[0])


def test_exact_with_one_output():
    assert_exact(binary_step, train_state(Network(outputs=1)), odd_digits(digits()[0]))


@pytest.mark.slow
def test_proved():
    assert_proved(train_step, train_state(Network()), digits()[0])


@pytest.mark.slow
def test_proved_with_one_output():
    assert_proved(binary_step, train_state(Network(outputs=1)), odd_digits(digits()[0]))


@pytest.mark.slow
def test_five_epochs():
    assert_trains(train_step, train_state(Network(), optax.sgd(0.125)), digits()[0], accuracy_of)


@pytest.mark.slow
def test_five_epochs_with_one_output():
    test = odd_digits(digits()[1])

    def accuracy(state):
        logits = state.apply_fn({"params": state.params}, test["image"])
        return float(((jnp.squeeze(logits, -1) > 0) == (test["label"] > 0.5)).mean())

    assert_trains(binary_step, train_state(Network(outputs=1)), odd_digits(digits()[0]), accuracy)
