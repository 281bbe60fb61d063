"""Layers stacked along an axis of their parameters, and a scan over them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.steps.digits import assert_exact, assert_proved, digits

LAYERS, WIDTH = 2, 16


def dense(layer, x):
    return x @ layer["w"] + layer["b"][None, :]


def logits_of(weights, image):
    hidden = jax.nn.relu(dense(weights["first"], image))
    hidden, _ = jax.lax.scan(lambda x, layer: (jax.nn.relu(dense(layer, x)), None), hidden, weights["layers"])
    return dense(weights["last"], hidden)


def weights():
    random = np.random.default_rng(0)

    def layer(*shape):
        w = random.normal(0, 1 / np.sqrt(shape[-2]), shape).astype(np.float32)
        return {"w": jnp.asarray(w), "b": jnp.zeros((*shape[:-2], shape[-1]), jnp.float32)}

    return {"first": layer(64, WIDTH), "layers": layer(LAYERS, WIDTH, WIDTH), "last": layer(WIDTH, 10)}


def train_step(weights, batch):
    def loss_of(weights):
        logits = logits_of(weights, batch["image"])
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()

    gradients = jax.grad(loss_of)(weights)
    return jax.tree.map(lambda w, g: w - 0.25 * g, weights, gradients)


def test_exact():
    # Gradients of the narrow layers are small beside the largest, which the format holds: the same layers written out
    # one by one are as far from float32, to the last bit.
    assert_exact(train_step, weights(), digits()[0], tolerance=0.1)


@pytest.mark.slow
def test_proved():
    program = assert_proved(train_step, weights(), digits()[0])
    assert {"layers[0]/w", "layers[1]/w"} <= set(program.plan.weights)
