"""Batch normalisation: flax.linen with running averages in the state, and nnx."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
import pytest
from flax import nnx
from flax.training.train_state import TrainState

from tests.steps.digits import assert_exact, assert_proved, assert_trains, digits


class Network(nn.Module):
    @nn.compact
    def __call__(self, image, *, train: bool):
        hidden = nn.Dense(16)(image)
        hidden = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(hidden))
        return nn.Dense(10)(hidden)


class NormState(TrainState):
    batch_stats: Any


def linen_step(state, batch):
    def loss_of(params):
        logits, updates = state.apply_fn(
            {"params": params, "batch_stats": state.batch_stats}, batch["image"], train=True, mutable=["batch_stats"]
        )
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()
        return loss, updates["batch_stats"]

    gradients, batch_stats = jax.grad(loss_of, has_aux=True)(state.params)
    return state.apply_gradients(grads=gradients).replace(batch_stats=batch_stats)


def linen_state() -> NormState:
    model = Network()
    variables = model.init(jax.random.key(0), digits()[0]["image"][:1], train=False)
    return NormState.create(
        apply_fn=model.apply,
        params=variables["params"],
        batch_stats=variables["batch_stats"],
        tx=optax.sgd(0.25),
    )


class NnxNetwork(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.hidden = nnx.Linear(64, 16, rngs=rngs)
        self.norm = nnx.BatchNorm(16, momentum=0.9, rngs=rngs)
        self.output = nnx.Linear(16, 10, rngs=rngs)

    def __call__(self, image):
        return self.output(nnx.relu(self.norm(self.hidden(image))))


def nnx_step_and_state():
    model = NnxNetwork(nnx.Rngs(0))
    graphdef, state = nnx.split((model, nnx.Optimizer(model, optax.sgd(0.25), wrt=nnx.Param)))

    def loss_of(model, batch):
        return optax.softmax_cross_entropy_with_integer_labels(model(batch["image"]), batch["label"]).mean()

    @jax.jit
    def train_step(state, batch):
        model, optimizer = nnx.merge(graphdef, state)
        optimizer.update(model, nnx.grad(loss_of)(model, batch))
        return nnx.state((model, optimizer))

    return train_step, state


CASES = {"linen": lambda: (linen_step, linen_state()), "nnx": nnx_step_and_state}


@pytest.mark.parametrize("name", CASES)
def test_exact(name):
    assert_exact(*CASES[name](), digits()[0], tolerance=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_proved(name):
    print(assert_proved(*CASES[name](), digits()[0]))


@pytest.mark.slow
def test_five_epochs():
    """Evaluation reads the running averages, which are proved as well."""
    test = digits()[1]

    def accuracy(state):
        variables = {"params": state.params, "batch_stats": state.batch_stats}
        logits = Network().apply(variables, test["image"], train=False)
        return float((jnp.argmax(logits, axis=-1) == test["label"]).mean())

    assert_trains(linen_step, linen_state(), digits()[0], accuracy)
