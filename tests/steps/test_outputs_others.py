"""Squared, Huber and sigmoid losses as public outputs, with the accuracy of what they train; and what is refused."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.steps.digits import BATCH, Network, digits, train_state
from tests.steps.outputs import (
    accuracy,
    assert_published,
    assert_published_and_proved,
    compiled,
    metric_step,
    one_hot_accuracy,
)
from tests.steps.test_one_hot_labels import one_hot_digits
from tests.steps.test_sigmoid_cross_entropy import odd_digits
from zkjax.errors import UserError
from zkjax.frontend.outputs import UnknownOutput
from zkjax.frontend.unsupported import UnsupportedError

RIGHT = {"accuracy": 1 / BATCH, "right": 1}


def squared(logits, batch):
    return optax.squared_error(logits, batch["label"]).sum(axis=-1).mean()


def huber(logits, batch):
    return optax.huber_loss(logits, batch["label"]).sum(axis=-1).mean()


def binary(logits, batch):
    return optax.sigmoid_binary_cross_entropy(logits.squeeze(-1), batch["label"]).mean()


def binary_accuracy(logits, batch):
    return {"accuracy": jnp.mean((logits.squeeze(-1) > 0) == batch["label"])}


def test_squared():
    step = metric_step(squared, one_hot_accuracy)
    assert_published(step, train_state(Network()), one_hot_digits(), {"loss": 2e-3, **RIGHT})


def test_squared_at_a_rate_that_is_folded_into_the_gradient():
    """The residual that the loss squares carries a part of the rate, which is taken off again."""
    step = metric_step(lambda logits, batch: optax.l2_loss(logits, batch["label"]).mean(), one_hot_accuracy)
    state = train_state(Network(), optax.sgd(0.3))
    run = assert_published(step, state, one_hot_digits(), {"loss": 5e-4, **RIGHT})
    assert run.program.plan.fold is not None


def test_huber():
    assert_published(
        metric_step(huber, one_hot_accuracy), train_state(Network()), one_hot_digits(), {"loss": 1e-3, **RIGHT}
    )


def test_sigmoid():
    step = metric_step(
        lambda logits, batch: (
            optax.sigmoid_binary_cross_entropy(logits, jax.nn.one_hot(batch["label"], 10)).sum(axis=-1).mean()
        ),
        accuracy,
    )
    assert_published(step, train_state(Network()), digits()[0], {"loss": 5e-3, "accuracy": 1 / BATCH})


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_binary(kind):
    dataset = odd_digits(digits()[0])
    dataset = {**dataset, "label": dataset["label"].astype(kind)}
    step = metric_step(binary, binary_accuracy)
    run = assert_published(step, train_state(Network(outputs=1)), dataset, {"loss": 1e-3, "accuracy": 1 / BATCH})
    assert run.program.plan.data["label"].hi == 1


def test_outputs_that_are_no_scalars():
    """A loss for each row: 32 numbers a step."""
    step = metric_step(squared, lambda logits, batch: {"rows": optax.squared_error(logits, batch["label"]).sum(-1)})
    run = assert_published(step, train_state(Network()), one_hot_digits(), {"loss": 2e-3, "rows": 0.02})
    assert run.outputs["rows"].shape == (4, BATCH)
    np.testing.assert_allclose(run.outputs["rows"].mean(axis=1), run.outputs["loss"], atol=2.0**-16)


def test_one_of_several():
    program, _ = compiled(
        metric_step(squared, one_hot_accuracy), train_state(Network()), one_hot_digits(), outputs="loss"
    )
    assert [output.name for output in program.circuit.outputs] == ["loss"]
    assert "output loss (scalar) of every step" in str(program)


def test_what_the_step_does_not_return():
    step = metric_step(squared)
    with pytest.raises(UnknownOutput, match="no output 'accuracy'; it returns 'loss'"):
        compiled(step, train_state(Network()), one_hot_digits(), outputs=("loss", "accuracy"))
    with pytest.raises(UnknownOutput, match="it returns the state alone"):
        compiled(lambda s, b: step(s, b)[0], train_state(Network()), one_hot_digits(), outputs=True)
    with pytest.raises(UserError, match="takes names"):
        compiled(step, train_state(Network()), one_hot_digits(), outputs=(1,))


def test_what_is_public_anyway():
    def step(state, batch):
        after, aux = metric_step(squared)(state, batch)
        return after, {**aux, "rate": 0.5 / (1 + state.step), "version": 3.0}

    with pytest.raises(UnsupportedError) as caught:
        compiled(step, train_state(Network()), one_hot_digits(), outputs=True)
    assert "follows from counters alone, which are public" in str(caught.value)
    assert "the same number at every step" in str(caught.value)
    compiled(step, train_state(Network()), one_hot_digits(), outputs="loss")


def test_what_cannot_be_proved_is_not_asked_for():
    """Only with the asking does an operation without a rule matter."""
    step = metric_step(squared, lambda logits, batch: {"norm": jnp.sort(logits, axis=-1)[:, 0].mean()})
    compiled(step, train_state(Network()), one_hot_digits(), outputs="loss")
    with pytest.raises(UnsupportedError, match="sort"):
        compiled(step, train_state(Network()), one_hot_digits(), outputs=True)


@pytest.mark.slow
def test_squared_proved():
    assert_published_and_proved(metric_step(squared, one_hot_accuracy), train_state(Network()), one_hot_digits())


@pytest.mark.slow
def test_binary_proved():
    step = metric_step(binary, binary_accuracy)
    assert_published_and_proved(step, train_state(Network(outputs=1)), odd_digits(digits()[0]))


@pytest.mark.slow
def test_huber_proved():
    assert_published_and_proved(metric_step(huber, one_hot_accuracy), train_state(Network()), one_hot_digits())
