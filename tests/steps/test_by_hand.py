"""An optimiser written out on dictionaries: momentum, a rate that falls with the step, averaged weights."""

from __future__ import annotations

from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.steps.optimisers import LinearTraining
from tests.steps.oracle import LEAF
from tests.steps.training import CLASSES, HIDDEN


def rate_at(step):
    return 0.1 / (1.0 + 0.25 * step)


def moved(state, gradients, rate):
    """The state after a step, from its gradients: the same for a network and for one weight."""
    velocity = jax.tree.map(lambda v, g: 0.9 * v + g, state["velocity"], gradients)
    weights = jax.tree.map(lambda w, v: w - rate * v, state["weights"], velocity)
    average = jax.tree.map(lambda a, w: 0.75 * a + 0.25 * w, state["average"], weights)
    return {"weights": weights, "velocity": velocity, "average": average, "step": state["step"] + 1}


def train_step(state, batch):
    def loss_of(weights):
        hidden = jnp.maximum(batch["image"] @ weights["w1"] + weights["b1"][None], 0.0)
        logits = hidden @ weights["w2"] + weights["b2"][None]
        return jnp.mean(jnp.sum((logits - batch["label"]) ** 2, axis=-1))

    return moved(state, jax.grad(loss_of)(state["weights"]), rate_at(state["step"].astype(jnp.float32)))


def first_state():
    random = np.random.default_rng(11)
    weights = {
        "w1": random.normal(size=(64, HIDDEN), scale=0.15),
        "b1": np.zeros(HIDDEN),
        "w2": random.normal(size=(HIDDEN, CLASSES), scale=0.3),
        "b2": np.zeros(CLASSES),
    }
    weights = {name: jnp.asarray(values, jnp.float32) for name, values in weights.items()}
    zeros = jax.tree.map(jnp.zeros_like, weights)
    return {"weights": weights, "velocity": zeros, "average": weights, "step": jnp.int32(0)}


SUFFIX = MappingProxyType({"first/kernel": "w1", "first/bias": "b1", "last/kernel": "w2", "last/bias": "b2"})


class ByHand(LinearTraining):
    suffix = SUFFIX
    layers = MappingProxyType({place: f"weights/{name}" for place, name in SUFFIX.items()})

    def __init__(self, **options):
        super().__init__(train_step, first_state(), **options)
        one = {LEAF: jnp.zeros(())}
        state = {"weights": one, "velocity": one, "average": one, "step": jnp.int32(0)}
        self.one_weight = (lambda s, g: moved(s, {LEAF: g}, rate_at(s["step"].astype(jnp.float64))), state)


@pytest.fixture(scope="module")
def training():
    return ByHand()


def test_integers(training):
    training.is_exact()


def test_close_to_float32(training):
    training.stays_close_to_float32()
    training.keeps_the_users_state()


@pytest.mark.slow
def test_proof(training):
    training.chains_and_proves()
