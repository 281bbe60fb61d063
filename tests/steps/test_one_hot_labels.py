"""Cross-entropy on one-hot labels: `optax.softmax_cross_entropy`, with labels made in the step or given."""

from __future__ import annotations

import jax
import numpy as np
import optax
import pytest

from tests.steps.digits import Network, accuracy_of, assert_exact, assert_proved, assert_trains, digits, train_state


def train_step(state, batch):
    def loss_of(params):
        logits = state.apply_fn({"params": params}, batch["image"])
        return optax.softmax_cross_entropy(logits, jax.nn.one_hot(batch["label"], 10)).mean()

    loss, gradients = jax.value_and_grad(loss_of)(state.params)
    return state.apply_gradients(grads=gradients), loss


def given_step(state, batch):
    def loss_of(params):
        logits = state.apply_fn({"params": params}, batch["image"])
        return optax.softmax_cross_entropy(logits, batch["label"]).mean()

    loss, gradients = jax.value_and_grad(loss_of)(state.params)
    return state.apply_gradients(grads=gradients), loss


def smoothed_step(state, batch):
    def loss_of(params):
        logits = state.apply_fn({"params": params}, batch["image"])
        labels = optax.smooth_labels(jax.nn.one_hot(batch["label"], 10), 0.1)
        return optax.softmax_cross_entropy(logits, labels).mean()

    loss, gradients = jax.value_and_grad(loss_of)(state.params)
    return state.apply_gradients(grads=gradients), loss


def one_hot_digits():
    dataset = digits()[0]
    return {"image": dataset["image"], "label": np.eye(10, dtype=np.float32)[dataset["label"]]}


def test_exact():
    program = assert_exact(train_step, train_state(Network()), digits()[0])
    assert program.reading.step.labels == {"label": 10}


def test_given_labels():
    program = assert_exact(given_step, train_state(Network()), one_hot_digits())
    assert not program.reading.step.labels


def test_smoothed_labels():
    assert_exact(smoothed_step, train_state(Network()), digits()[0])


@pytest.mark.slow
@pytest.mark.parametrize("step", [train_step, smoothed_step])
def test_proved(step):
    assert_proved(step, train_state(Network()), digits()[0])


@pytest.mark.slow
def test_given_labels_proved():
    assert_proved(given_step, train_state(Network()), one_hot_digits())


@pytest.mark.slow
def test_five_epochs():
    assert_trains(given_step, train_state(Network()), one_hot_digits(), accuracy_of)
