"""An NNX module with `nnx.Optimizer`, in its functional form: merged inside of the step, its state handed on."""

from __future__ import annotations

import jax
import optax
import pytest
from flax import nnx

from tests.steps.digits import assert_exact, assert_proved, digits


class Network(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.hidden = nnx.Linear(64, 16, rngs=rngs)
        self.output = nnx.Linear(16, 10, rngs=rngs)

    def __call__(self, image):
        return self.output(nnx.relu(self.hidden(image)))


def loss_of(model, batch):
    logits = model(batch["image"])
    return optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean(), logits


def step_and_state():
    model = Network(nnx.Rngs(0))
    graphdef, state = nnx.split((model, nnx.Optimizer(model, optax.sgd(0.25), wrt=nnx.Param)))

    @jax.jit
    def train_step(state, batch):
        model, optimizer = nnx.merge(graphdef, state)
        (loss, logits), gradients = nnx.value_and_grad(loss_of, has_aux=True)(model, batch)
        optimizer.update(model, gradients)
        accuracy = (logits.argmax(axis=-1) == batch["label"]).mean()
        return nnx.state((model, optimizer)), {"loss": loss, "accuracy": accuracy}

    return train_step, state


def test_exact():
    assert_exact(*step_and_state(), digits()[0])


@pytest.mark.slow
def test_proved():
    program = assert_proved(*step_and_state(), digits()[0])
    assert [leaf.move for leaf in program.reading.public.leaves] == [1]
