"""The same small network in the shapes that users give a training step."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from tests.frontend.steps import CLASSES, HIDDEN, INPUTS, Network, batch_of, train_state

LAYERS = 3


def squared(logits, label):
    return jnp.mean((logits - label) ** 2)


def arrays(seed: int = 0) -> dict[str, Any]:
    random = np.random.default_rng(seed)

    def normal(*shape: int) -> jax.Array:
        return jnp.asarray(random.normal(size=shape, scale=0.5), jnp.float32)

    return {
        "first": {"w": normal(INPUTS, HIDDEN), "b": normal(HIDDEN)},
        "layers": {"w": normal(LAYERS, HIDDEN, HIDDEN), "b": normal(LAYERS, HIDDEN)},
        "last": {"w": normal(HIDDEN, CLASSES), "b": normal(CLASSES)},
    }


def dense(layer, x):
    return x @ layer["w"] + layer["b"]


def scanned(weights, image, layer=lambda x, layer: (jax.nn.relu(dense(layer, x)), None)):
    hidden, _ = jax.lax.scan(layer, jax.nn.relu(dense(weights["first"], image)), weights["layers"])
    return dense(weights["last"], hidden)


def indexed(weights, image):
    hidden = jax.nn.relu(dense(weights["first"], image))
    for place in range(LAYERS):
        hidden = jax.nn.relu(dense(jax.tree.map(lambda leaf, i=place: leaf[i], weights["layers"]), hidden))
    return dense(weights["last"], hidden)


def without_layers(weights, image):
    return dense(weights["last"], jax.nn.relu(dense(weights["first"], image)))


def descended(loss_of, state, rate=0.125):
    return jax.tree.map(lambda w, g: w - rate * g, state, jax.grad(loss_of)(state))


def linen():
    def train_step(state, batch):
        def loss_of(params):
            logits = state.apply_fn({"params": params}, batch["image"])
            return squared(logits, batch["label"]), logits

        (loss, logits), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.params)
        accuracy = (logits.argmax(-1) == batch["label"].argmax(-1)).mean()
        return state.apply_gradients(grads=gradients), {"loss": loss, "accuracy": accuracy}

    return train_step, train_state(Network(), batch_of()["image"])


class Layers(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.first, self.last = nnx.Linear(INPUTS, HIDDEN, rngs=rngs), nnx.Linear(HIDDEN, CLASSES, rngs=rngs)

    def __call__(self, x):
        return self.last(nnx.relu(self.first(x)))


def nnx_functional():
    model = Layers(nnx.Rngs(0))
    graphdef, state = nnx.split((model, nnx.Optimizer(model, optax.sgd(0.125), wrt=nnx.Param)))

    def train_step(state, batch):
        model, optimizer = nnx.merge(graphdef, state)

        def loss_of(model):
            return squared(model(batch["image"]), batch["label"])

        loss, gradients = nnx.value_and_grad(loss_of)(model)
        optimizer.update(model, gradients)
        return nnx.state((model, optimizer)), loss

    return train_step, state


def nnx_dictionary():
    """The pure dictionary of the state, as checkpoints hold it."""
    step, state = nnx_functional()

    def train_step(pure, batch):
        inner = jax.tree.map(lambda x: x, state)
        nnx.replace_by_pure_dict(inner, pure)
        after, loss = step(inner, batch)
        return nnx.to_pure_dict(after), loss

    return train_step, nnx.to_pure_dict(state)


def dictionary():
    def train_step(weights, batch):
        return descended(lambda w: squared(without_layers(w, batch["image"]), batch["label"]), weights)

    weights = arrays()
    del weights["layers"]
    return train_step, weights


@partial(jax.tree_util.register_dataclass, data_fields=["weight", "bias"], meta_fields=["activation"])
@dataclass
class Linear:
    weight: jax.Array
    bias: jax.Array
    activation: Any = jax.nn.relu

    def __call__(self, x):
        return self.activation(self.weight @ x + self.bias)


@partial(jax.tree_util.register_dataclass, data_fields=["layers"], meta_fields=[])
@dataclass
class Model:
    layers: list[Linear]

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


def dataclass_pytree():
    """As in Equinox: the model is the pytree, it sees one row, and `vmap` makes the batch."""
    weights = arrays()
    first = Linear(weights["first"]["w"].T, weights["first"]["b"])
    model = Model([first, Linear(weights["last"]["w"].T, weights["last"]["b"], lambda x: x)])
    optimiser = optax.sgd(0.125)

    def train_step(state, batch):
        model, opt_state = state

        def loss_of(model):
            return squared(jax.vmap(model)(batch["image"]), batch["label"])

        loss, gradients = jax.value_and_grad(loss_of)(model)
        updates, opt_state = optimiser.update(gradients, opt_state, model)
        return (optax.apply_updates(model, updates), opt_state), loss

    return train_step, (model, optimiser.init(model))


def nested_jit():
    step, weights = dictionary()
    return jax.jit(lambda state, batch: jax.jit(step)(state, batch)), weights


def donated():
    step, weights = dictionary()
    return jax.jit(step, donate_argnums=(0,)), weights


def named_arguments():
    step, weights = dictionary()
    return jax.jit(step, donate_argnames=("weights",)), weights


def remat(**options):
    def forward(weights, image):
        hidden = jax.checkpoint(lambda layer, x: jax.nn.relu(dense(layer, x)), **options)(weights["first"], image)
        return dense(weights["last"], hidden)

    def train_step(weights, batch):
        return descended(lambda w: squared(forward(w, batch["image"]), batch["label"]), weights)

    return train_step, dictionary()[1]


def remat_with_policy():
    return remat(policy=jax.checkpoint_policies.dots_saveable)


def scan(forward=scanned):
    def train_step(weights, batch):
        return descended(lambda w: squared(forward(w, batch["image"]), batch["label"]), weights)

    return train_step, arrays()


def scan_of_remat():
    return scan(partial(scanned, layer=jax.checkpoint(lambda x, layer: (jax.nn.relu(dense(layer, x)), None))))


def scan_unrolled():
    def forward(weights, image):
        hidden, _ = jax.lax.scan(
            lambda x, layer: (x + jax.nn.relu(dense(layer, x)), None),
            dense(weights["first"], image),
            weights["layers"],
            unroll=2,
        )
        return dense(weights["last"], hidden)

    return scan(forward)


def scan_with_optax():
    optimiser = optax.chain(optax.clip(0.5), optax.sgd(0.25))

    def train_step(state, batch):
        def loss_of(weights):
            return squared(scanned(weights, batch["image"]), batch["label"])

        gradients = jax.grad(loss_of)(state["params"])
        updates, opt_state = optimiser.update(gradients, state["opt"])
        return {"params": optax.apply_updates(state["params"], updates), "opt": opt_state}

    weights = arrays()
    return train_step, {"params": weights, "opt": optimiser.init(weights)}


def stacked_by_index():
    return scan(indexed)


def fori_loop():
    """A loop of static length whose index is not used: every layer is the same."""

    def forward(weights, image):
        hidden = jax.nn.relu(dense(weights["first"], image))
        shared = jax.tree.map(lambda leaf: leaf[0], weights["layers"])
        hidden = jax.lax.fori_loop(0, 2, lambda _, x: jax.nn.relu(dense(shared, x)), hidden)
        return dense(weights["last"], hidden)

    return scan(forward)


def counters():
    """A weakly typed counter, an int32 counter and one that stays."""
    step, weights = dictionary()

    def train_step(state, batch):
        return {
            "weights": step(state["weights"], batch),
            "weak": state["weak"] + 1,
            "step": optax.safe_increment(state["step"]),
            "epoch": state["epoch"],
        }

    return train_step, {"weights": weights, "weak": 0, "step": jnp.zeros((), jnp.int32), "epoch": np.uint8(3)}


def closed_over_numbers():
    """Numbers and uniform arrays of the closure are public constants."""
    rate, scale = jnp.float32(0.125), np.full((INPUTS,), 0.5, np.float32)

    def train_step(weights, batch):
        def loss_of(w):
            return squared(without_layers(w, batch["image"] * scale), batch["label"])

        return descended(loss_of, weights, rate)

    return train_step, dictionary()[1]


SHAPES = {
    maker.__name__: maker
    for maker in (
        *(linen, nnx_functional, nnx_dictionary, dictionary, dataclass_pytree, nested_jit, donated, named_arguments),
        *(remat, remat_with_policy, scan, scan_of_remat, scan_unrolled, scan_with_optax, stacked_by_index, fori_loop),
        *(counters, closed_over_numbers),
    )
}
