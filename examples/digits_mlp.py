"""A small network on scikit-learn's handwritten digits, written as for any Flax project.

Nothing here knows of proofs. An experiment file is plain Python with a function
`experiment()` that returns four things:

    train_step   the training step, `(state, batch) -> state` or `(state, metrics)`
    state        the state to start from, here Flax's own `TrainState`
    dataset      a pytree of arrays whose leading axis counts rows
    schedule     an integer array [steps, batch]: which rows make up which batch

A function `evaluate(state)` may stand beside it; it returns the accuracy, and the command
line uses it to compare the proved run with the same run in float32.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.training.train_state import TrainState
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

CLASSES = 10
BATCH = 64
EPOCHS = 20
LEARNING_RATE = 0.125
SEED = 0


class Classifier(nn.Module):
    @nn.compact
    def __call__(self, image):
        hidden = nn.relu(nn.Dense(128)(image))
        hidden = nn.relu(nn.Dense(128)(hidden))
        return nn.Dense(CLASSES)(hidden)


def train_step(state, batch):
    def loss_of(params):
        logits = state.apply_fn({"params": params}, batch["image"])
        return optax.squared_error(logits, batch["label"]).sum(axis=-1).mean()

    loss, gradients = jax.value_and_grad(loss_of)(state.params)
    return state.apply_gradients(grads=gradients), loss


@functools.cache
def load():
    """The digits as (training set, test set); pixels are sixteenths, labels one-hot."""
    digits = load_digits()
    images = (digits.data / 16).astype(np.float32)
    labels = np.eye(CLASSES, dtype=np.float32)[digits.target]
    train_images, test_images, train_labels, test_labels = train_test_split(
        images, labels, test_size=0.2, random_state=SEED, stratify=digits.target
    )
    return (
        {"image": train_images, "label": train_labels},
        {"image": test_images, "label": test_labels},
    )


def shuffled_batches(rows):
    """Row numbers of every batch; each epoch is a fresh permutation, its remainder dropped."""
    random = np.random.default_rng(SEED)
    steps = rows // BATCH
    epochs = [random.permutation(rows)[: steps * BATCH] for _ in range(EPOCHS)]
    return np.concatenate(epochs).reshape(EPOCHS * steps, BATCH).astype(np.int32)


def experiment():
    dataset, _ = load()
    model = Classifier()
    params = model.init(jax.random.key(SEED), dataset["image"][:1])["params"]
    state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.sgd(LEARNING_RATE))
    return train_step, state, dataset, shuffled_batches(len(dataset["image"]))


def evaluate(state):
    """Share of the test set, which the training never sees, that the network gets right."""
    _, test = load()
    logits = state.apply_fn({"params": state.params}, test["image"])
    right = jnp.argmax(logits, axis=-1) == jnp.argmax(test["label"], axis=-1)
    return float(right.mean())
