"""The training steps whose costs `steps.py` measures: one network on digits, one thing changed at a time.

The network is 64-128-128-10, the data are scikit-learn's digits, rows of 64 a batch. Each entry is the plainest
spelling of its library; tests/steps holds the same kinds of steps to exactness, proofs and accuracy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from flax.training.train_state import TrainState
from sklearn.datasets import load_digits

INPUTS, WIDTH, CLASSES, BATCH = 64, 128, 10, 64
BASE = "softmax cross-entropy, ReLU, SGD"


@dataclass(frozen=True)
class Example:
    """A training step, a state that it starts from, and further options of `zkjax.compile`."""

    train_step: Callable
    state: Any
    options: dict[str, Any]


@cache
def digits() -> dict[str, np.ndarray]:
    bunch = load_digits()
    return {"image": (bunch.data / 16).astype(np.float32), "label": bunch.target.astype(np.int32)}


class Network(nn.Module):
    activation: Callable = nn.relu

    @nn.compact
    def __call__(self, image):
        hidden = self.activation(nn.Dense(WIDTH)(image))
        hidden = self.activation(nn.Dense(WIDTH)(hidden))
        return nn.Dense(CLASSES)(hidden)


def softmax(logits, labels):
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def one_hot_softmax(logits, labels):
    return optax.softmax_cross_entropy(logits, jax.nn.one_hot(labels, CLASSES)).mean()


def log_softmax(logits, labels):
    return -jax.nn.log_softmax(logits)[jnp.arange(BATCH), labels].mean()


def sigmoid(logits, labels):
    return optax.sigmoid_binary_cross_entropy(logits, jax.nn.one_hot(labels, CLASSES)).sum(axis=-1).mean()


def squared(logits, labels):
    return optax.l2_loss(logits, jax.nn.one_hot(labels, CLASSES)).sum(axis=-1).mean()


def huber(logits, labels):
    return optax.huber_loss(logits, jax.nn.one_hot(labels, CLASSES), delta=0.25).sum(axis=-1).mean()


def linen(model: nn.Module | None = None, loss: Callable = softmax, optimiser: Any = None, **options: Any) -> Example:
    """A Flax module with an Optax optimiser in a `TrainState`."""
    model, optimiser = model or Network(), optimiser or optax.sgd(0.125)

    def train_step(state, batch):
        def loss_of(params):
            return loss(state.apply_fn({"params": params}, batch["image"]), batch["label"])

        return state.apply_gradients(grads=jax.grad(loss_of)(state.params))

    params = model.init(jax.random.key(0), digits()["image"][:1])["params"]
    return Example(train_step, TrainState.create(apply_fn=model.apply, params=params, tx=optimiser), options)


def with_nnx() -> Example:
    """An NNX module with `nnx.Optimizer`, merged inside of the step."""

    class Layers(nnx.Module):
        def __init__(self, rngs: nnx.Rngs):
            self.first = nnx.Linear(INPUTS, WIDTH, rngs=rngs)
            self.second = nnx.Linear(WIDTH, WIDTH, rngs=rngs)
            self.last = nnx.Linear(WIDTH, CLASSES, rngs=rngs)

        def __call__(self, image):
            return self.last(nnx.relu(self.second(nnx.relu(self.first(image)))))

    model = Layers(nnx.Rngs(0))
    graph, state = nnx.split((model, nnx.Optimizer(model, optax.sgd(0.125), wrt=nnx.Param)))

    def train_step(state, batch):
        model, optimiser = nnx.merge(graph, state)
        gradients = nnx.grad(lambda model: softmax(model(batch["image"]), batch["label"]))(model)
        optimiser.update(model, gradients)
        return nnx.state((model, optimiser))

    return Example(train_step, state, {})


def dense(layer, x):
    return x @ layer["w"] + layer["b"]


def dictionaries(logits_of: Callable | None = None, stacked: int = 0) -> Example:
    """Plain dictionaries and an update by hand; `stacked` hidden layers along a leading axis of their parameters."""
    random = np.random.default_rng(0)

    def layer(*shape: int) -> dict[str, jax.Array]:
        w = random.normal(0, shape[-2] ** -0.5, shape).astype(np.float32)
        return {"w": jnp.asarray(w), "b": jnp.zeros((*shape[:-2], shape[-1]), jnp.float32)}

    hidden = layer(stacked, WIDTH, WIDTH) if stacked else layer(WIDTH, WIDTH)
    weights = {"first": layer(INPUTS, WIDTH), "hidden": hidden, "last": layer(WIDTH, CLASSES)}

    def plain(weights, image):
        hidden = jax.nn.relu(dense(weights["first"], image))
        return dense(weights["last"], jax.nn.relu(dense(weights["hidden"], hidden)))

    def train_step(weights, batch):
        loss_of = lambda weights: softmax((logits_of or plain)(weights, batch["image"]), batch["label"])  # noqa: E731
        return jax.tree.map(lambda w, g: w - 0.125 * g, weights, jax.grad(loss_of)(weights))

    return Example(train_step, weights, {})


def scanned(weights, image):
    hidden = jax.nn.relu(dense(weights["first"], image))
    hidden, _ = jax.lax.scan(lambda x, layer: (jax.nn.relu(dense(layer, x)), None), hidden, weights["hidden"])
    return dense(weights["last"], hidden)


def rematerialised(weights, image):
    hidden = jax.checkpoint(lambda w, x: jax.nn.relu(dense(w["hidden"], jax.nn.relu(dense(w["first"], x)))))
    return dense(weights["last"], hidden(weights, image))


def with_metrics() -> Example:
    """Loss and accuracy of every step as public outputs."""
    plain = linen()

    def train_step(state, batch):
        def loss_of(params):
            logits = state.apply_fn({"params": params}, batch["image"])
            return softmax(logits, batch["label"]), logits

        (loss, logits), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.params)
        accuracy = (logits.argmax(axis=-1) == batch["label"]).mean()
        return state.apply_gradients(grads=gradients), {"loss": loss, "accuracy": accuracy}

    return Example(train_step, plain.state, {"outputs": ("loss", "accuracy")})


class WithDropout(nn.Module):
    @nn.compact
    def __call__(self, image, *, train: bool):
        hidden = nn.Dropout(0.25, deterministic=not train)(nn.relu(nn.Dense(WIDTH)(image)))
        hidden = nn.Dropout(0.25, deterministic=not train)(nn.relu(nn.Dense(WIDTH)(hidden)))
        return nn.Dense(CLASSES)(hidden)


class KeyedState(TrainState):
    key: jax.Array


def dropout() -> Example:
    """Dropout by a key in the state, folded with the step: the masks are public."""

    def train_step(state, batch):
        key = jax.random.fold_in(state.key, state.step)

        def loss_of(params):
            logits = state.apply_fn({"params": params}, batch["image"], train=True, rngs={"dropout": key})
            return softmax(logits, batch["label"])

        return state.apply_gradients(grads=jax.grad(loss_of)(state.params))

    model = WithDropout()
    params = model.init(jax.random.key(0), digits()["image"][:1], train=False)["params"]
    state = KeyedState.create(apply_fn=model.apply, params=params, tx=optax.sgd(0.125), key=jax.random.key(1))
    return Example(train_step, state, {})


class WithLayerNorm(nn.Module):
    @nn.compact
    def __call__(self, image):
        hidden = nn.relu(nn.LayerNorm()(nn.Dense(WIDTH)(image)))
        hidden = nn.relu(nn.LayerNorm()(nn.Dense(WIDTH)(hidden)))
        return nn.Dense(CLASSES)(hidden)


class WithBatchNorm(nn.Module):
    @nn.compact
    def __call__(self, image, *, train: bool):
        hidden = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(nn.Dense(WIDTH)(image)))
        hidden = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(nn.Dense(WIDTH)(hidden)))
        return nn.Dense(CLASSES)(hidden)


class NormState(TrainState):
    batch_stats: Any


def batch_norm() -> Example:
    """Batch statistics, and running averages of them in the state."""

    def train_step(state, batch):
        def loss_of(params):
            variables = {"params": params, "batch_stats": state.batch_stats}
            logits, updates = state.apply_fn(variables, batch["image"], train=True, mutable=["batch_stats"])
            return softmax(logits, batch["label"]), updates["batch_stats"]

        gradients, batch_stats = jax.grad(loss_of, has_aux=True)(state.params)
        return state.apply_gradients(grads=gradients).replace(batch_stats=batch_stats)

    model = WithBatchNorm()
    variables = model.init(jax.random.key(0), digits()["image"][:1], train=False)
    state = NormState.create(apply_fn=model.apply, tx=optax.sgd(0.125), **variables)
    return Example(train_step, state, {})


ACTIVATIONS: dict[str, Callable] = {
    "leaky ReLU": lambda x: nn.leaky_relu(x, 0.25),
    "tanh": jnp.tanh,
    "sigmoid": nn.sigmoid,
    "SiLU": nn.silu,
    "GELU, by tanh": nn.gelu,
    "GELU, by erf": lambda x: nn.gelu(x, approximate=False),
    "ELU": nn.elu,
    "SELU": nn.selu,
    "softplus": nn.softplus,
}
OPTIMISERS: dict[str, Callable[[], optax.GradientTransformation]] = {
    "momentum": lambda: optax.sgd(0.125, momentum=0.9),
    "Nesterov": lambda: optax.sgd(0.125, momentum=0.9, nesterov=True),
    "weight decay": lambda: optax.chain(optax.add_decayed_weights(0.01), optax.sgd(0.125)),
    "cosine schedule": lambda: optax.sgd(optax.cosine_decay_schedule(0.125, 100)),
    "warm-up, momentum": lambda: optax.sgd(optax.warmup_cosine_decay_schedule(0.0, 0.1, 8, 100), momentum=0.9),
    "Adam": lambda: optax.adam(1e-3),
    "AdamW, cosine schedule": lambda: optax.adamw(optax.cosine_decay_schedule(1e-3, 100)),
    "RMSProp": lambda: optax.rmsprop(1e-3),
    "clipping by norm": lambda: optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.125)),
    "clipping by value": lambda: optax.chain(optax.clip(0.125), optax.sgd(0.125)),
}

# By group and name; to add a step is to add an entry.
STEPS: dict[str, dict[str, Callable[[], Example]]] = {
    "losses": {
        BASE: linen,
        "softmax cross-entropy, one-hot labels": lambda: linen(loss=one_hot_softmax),
        "log_softmax by hand": lambda: linen(loss=log_softmax),
        "sigmoid cross-entropy": lambda: linen(loss=sigmoid),
        "squared loss": lambda: linen(loss=squared),
        "Huber's loss": lambda: linen(loss=huber),
    },
    "activations": {
        name: lambda activation=activation: linen(Network(activation)) for name, activation in ACTIVATIONS.items()
    },
    "optimisers": {name: lambda make=make: linen(optimiser=make()) for name, make in OPTIMISERS.items()},
    "normalisation": {"LayerNorm": lambda: linen(WithLayerNorm()), "BatchNorm": batch_norm},
    "public outputs": {"loss and accuracy": with_metrics},
    "random bits": {"dropout of two layers": dropout},
    "shapes of code": {
        "NNX, nnx.Optimizer": with_nnx,
        "dictionaries, by hand": dictionaries,
        "lax.scan over two hidden layers": lambda: dictionaries(scanned, stacked=2),
        "jax.checkpoint": lambda: dictionaries(rematerialised),
    },
}
