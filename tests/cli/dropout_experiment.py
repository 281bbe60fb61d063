"""A network with dropout, whose key moves on with every step, and its loss and accuracy, as a user would write it."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.training.train_state import TrainState

outputs = ("loss", "accuracy")


class Network(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
        hidden = nn.Dropout(0.25, deterministic=not train)(nn.relu(nn.Dense(8)(x)))
        return nn.Dense(3)(hidden)


class KeyedState(TrainState):
    key: jax.Array


def train_step(state, batch):
    key, dropout_key = jax.random.split(state.key)

    def loss_of(params):
        logits = state.apply_fn({"params": params}, batch["x"], train=True, rngs={"dropout": dropout_key})
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean(), logits

    (loss, logits), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    accuracy = jnp.mean(jnp.argmax(logits, axis=-1) == batch["label"])
    return state.apply_gradients(grads=gradients).replace(key=key), {"loss": loss, "accuracy": accuracy}


def experiment():
    random = np.random.default_rng(3)
    x = (random.integers(0, 17, (20, 4)) / 16).astype(np.float32)
    model = Network()
    params = model.init(jax.random.key(0), x[:1], train=False)["params"]
    state = KeyedState.create(apply_fn=model.apply, params=params, tx=optax.sgd(0.125), key=jax.random.key(7))
    return train_step, state, {"x": x, "label": random.integers(0, 3, 20)}, random.integers(0, 20, (8, 4))
