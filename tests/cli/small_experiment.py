"""A network that proves in seconds, as a user would write it."""

import flax.linen as nn
import jax
import numpy as np
import optax
from flax.training.train_state import TrainState


class Network(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(nn.relu(nn.Dense(8)(x)))


def train_step(state, batch):
    def loss_of(params):
        return optax.squared_error(state.apply_fn({"params": params}, batch["x"]), batch["y"]).sum(-1).mean()

    loss, gradients = jax.value_and_grad(loss_of)(state.params)
    return state.apply_gradients(grads=gradients), {"loss": loss, "hidden": loss}


outputs = ("loss",)


def experiment():
    random = np.random.default_rng(0)
    x = (random.integers(0, 17, (20, 4)) / 16).astype(np.float32)
    x[0] = 7.25  # a row unlike the others, which the first block does not read
    y = np.eye(3, dtype=np.float32)[random.integers(0, 3, 20)]
    model = Network()
    params = model.init(jax.random.key(0), x[:1])["params"]
    state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.sgd(0.125))
    return train_step, state, {"x": x, "y": y}, random.integers(1, 20, (8, 4))


def evaluate(state):
    return float(np.mean(state.params["Dense_0"]["bias"]))
