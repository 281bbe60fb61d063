"""Cross-entropy by hand: `jax.nn.log_softmax` indexed by the labels, in both usual ways."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

from tests.steps.digits import (
    BATCH,
    Network,
    accuracy_of,
    assert_exact,
    assert_proved,
    assert_trains,
    digits,
    train_state,
)


def indexed_step(state, batch):
    def loss_of(params):
        log_probabilities = jax.nn.log_softmax(state.apply_fn({"params": params}, batch["image"]))
        return -log_probabilities[jnp.arange(BATCH), batch["label"]].mean()

    loss, gradients = jax.value_and_grad(loss_of)(state.params)
    return state.apply_gradients(grads=gradients), loss


def taken_step(state, batch):
    def loss_of(params):
        log_probabilities = jax.nn.log_softmax(state.apply_fn({"params": params}, batch["image"]))
        return -jnp.take_along_axis(log_probabilities, batch["label"][:, None], axis=-1).mean()

    loss, gradients = jax.value_and_grad(loss_of)(state.params)
    return state.apply_gradients(grads=gradients), loss


def mapped_step(state, batch):
    """One example at a time, under vmap."""

    def loss_of(params, image, label):
        return -jax.nn.log_softmax(state.apply_fn({"params": params}, image))[label]

    def mean_loss(params):
        return jax.vmap(loss_of, in_axes=(None, 0, 0))(params, batch["image"], batch["label"]).mean()

    loss, gradients = jax.value_and_grad(mean_loss)(state.params)
    return state.apply_gradients(grads=gradients), loss


def summed_step(state, batch):
    """By `logsumexp`, the logit of the label picked by its one-hot form."""

    def loss_of(params):
        logits = state.apply_fn({"params": params}, batch["image"])
        labelled = (logits * jax.nn.one_hot(batch["label"], 10)).sum(axis=-1)
        return (jax.nn.logsumexp(logits, axis=-1) - labelled).mean()

    loss, gradients = jax.value_and_grad(loss_of)(state.params)
    return state.apply_gradients(grads=gradients), loss


STEPS = [indexed_step, taken_step, mapped_step, summed_step]


@pytest.mark.parametrize("step", STEPS)
def test_exact(step):
    program = assert_exact(step, train_state(Network()), digits()[0])
    assert program.reading.step.labels == {"label": 10}


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_proved(step):
    assert_proved(step, train_state(Network()), digits()[0])


@pytest.mark.slow
def test_five_epochs():
    assert_trains(indexed_step, train_state(Network()), digits()[0], accuracy_of)
