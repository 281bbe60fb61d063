"""Small training steps in many spellings, as users write them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.training.train_state import TrainState

BATCH, INPUTS, HIDDEN, CLASSES = 4, 5, 6, 3


@jax.custom_jvp
def bent(x):
    return jnp.maximum(x, 0.0)


bent.defjvp(lambda primals, tangents: (bent(*primals), jnp.where(primals[0] > 0, tangents[0], 0.0)))


@jax.custom_vjp
def passed(x):
    return x * 2.0


passed.defvjp(lambda x: (x * 2.0, None), lambda _, g: (g * 2.0,))

ACTIVATIONS: dict[str, Callable] = {
    "nn.relu": nn.relu,
    "maximum": lambda x: jnp.maximum(x, 0.0),
    "maximum, zero first": lambda x: jnp.maximum(0.0, x),
    "where": lambda x: jnp.where(x > 0, x, 0.0),
    "where, turned round": lambda x: jnp.where(x <= 0, 0.0, x),
    "mask times value": lambda x: x * (x > 0).astype(x.dtype),
    "minus minimum": lambda x: -jnp.minimum(-x, 0.0),
    "leaky": lambda x: nn.leaky_relu(x, 0.25),
    "abs": jnp.abs,
    "maximum with a number": lambda x: jnp.maximum(x, 0.125),
    "half of a relu": lambda x: nn.relu(0.5 * x),
    "relu of the opposite": lambda x: nn.relu(-x),
    "square": jnp.square,
    "cube": lambda x: x**3,
    "identity": lambda x: x,
    "in a jit": jax.jit(nn.relu),
    "rematerialised": jax.checkpoint(nn.relu),
    "custom_jvp": bent,
    "custom_vjp": lambda x: nn.relu(passed(x)),
    "sum of two": lambda x: nn.relu(x) + 0.5 * x,
    "gradient stopped in part": lambda x: nn.relu(x) + jax.lax.stop_gradient(x),
}

LOSSES: dict[str, Callable] = {
    "sum of classes": lambda z, y: optax.squared_error(z, y).sum(axis=-1).mean(),
    "l2_loss": lambda z, y: optax.l2_loss(z, y).mean(),
    "mean of squares": lambda z, y: jnp.mean((z - y) ** 2),
    "jnp.square": lambda z, y: jnp.mean(jnp.square(y - z)),
    "product": lambda z, y: jnp.mean((z - y) * (z - y)),
    "power": lambda z, y: jnp.mean((z - y) ** 2.0),
    "half the sum": lambda z, y: 0.5 * jnp.sum((z - y) ** 2) / z.shape[0],
    "smoothed labels": lambda z, y: jnp.mean((z - (0.9 * y + 0.025)) ** 2),
}


class Network(nn.Module):
    activation: Callable = nn.relu
    layers: int = 2
    bias: bool = True

    @nn.compact
    def __call__(self, x):
        for _ in range(self.layers - 1):
            x = self.activation(nn.Dense(HIDDEN, use_bias=self.bias)(x))
        return nn.Dense(CLASSES, use_bias=self.bias)(x)


def batch_of(rows: int = BATCH, seed: int = 0, **shape: Any) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    images = random.integers(0, 17, (rows, *shape.get("image", (INPUTS,)))) / 16
    labels = np.eye(CLASSES)[random.integers(0, CLASSES, rows)]
    return {"image": images.astype(np.float32), "label": labels.astype(np.float32)}


def train_state(model: nn.Module, sample: Any, optimiser: optax.GradientTransformation | None = None) -> TrainState:
    params = model.init(jax.random.key(1), sample)["params"]
    return TrainState.create(apply_fn=model.apply, params=params, tx=optimiser or optax.sgd(0.125))


def step_with(loss: Callable = LOSSES["sum of classes"], prepare: Callable = lambda x: x) -> Callable:
    """A plain Flax training step that returns (state, metrics)."""

    def train_step(state, batch):
        def loss_of(params):
            logits = state.apply_fn({"params": params}, prepare(batch["image"]))
            return loss(logits, batch["label"]), logits

        (value, logits), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.params)
        right = jnp.argmax(logits, axis=-1) == jnp.argmax(batch["label"], axis=-1)
        metrics = {"loss": jnp.log(value), "accuracy": right.mean()}
        return state.apply_gradients(grads=gradients), metrics

    return train_step


def plain(rate: float = 0.25, activation: Callable = nn.relu) -> tuple[Callable, Any]:
    """A step on a dictionary of arrays without Flax or Optax, and its state."""

    def train_step(state, batch):
        def loss_of(weights):
            hidden = activation(batch["image"] @ weights["first"])
            return jnp.mean((hidden @ weights["second"] - batch["label"]) ** 2)

        gradients = jax.grad(loss_of)(state)
        return jax.tree.map(lambda w, g: w - rate * g, state, gradients)

    random = np.random.default_rng(3)
    shapes = {"first": (INPUTS, HIDDEN), "second": (HIDDEN, CLASSES)}
    state = {name: random.normal(size=shape, scale=0.5).astype(np.float32) for name, shape in shapes.items()}
    return train_step, state
