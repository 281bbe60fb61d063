"""Dropout, softmax cross-entropy and Adam on handwritten digits; loss and accuracy of every step become public.

As `digits_mlp.py`, whose first lines say what an experiment file is. Two things are new: the random key is a leaf of
the state, so that it goes on from block to block, and `outputs` names what is published and proved of what the step
returns beside the state.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.training.train_state import TrainState
from sklearn.datasets import load_digits

BATCH = 64
STEPS = 256

outputs = ("loss", "accuracy")


class Classifier(nn.Module):
    @nn.compact
    def __call__(self, image, *, train):
        hidden = nn.relu(nn.Dense(64)(image))
        hidden = nn.Dropout(0.2, deterministic=not train)(hidden)
        return nn.Dense(10)(hidden)


class KeyedState(TrainState):
    key: jax.Array


def train_step(state, batch):
    key, dropout_key = jax.random.split(state.key)

    def loss_of(params):
        logits = state.apply_fn({"params": params}, batch["image"], train=True, rngs={"dropout": dropout_key})
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean(), logits

    (loss, logits), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    accuracy = jnp.mean(jnp.argmax(logits, axis=-1) == batch["label"])
    return state.apply_gradients(grads=gradients).replace(key=key), {"loss": loss, "accuracy": accuracy}


def experiment():
    digits = load_digits()
    dataset = {"image": (digits.data / 16).astype(np.float32), "label": digits.target.astype(np.int32)}
    model = Classifier()
    params = model.init(jax.random.key(0), dataset["image"][:1], train=False)["params"]
    state = KeyedState.create(apply_fn=model.apply, params=params, tx=optax.adam(1e-3), key=jax.random.key(1))
    random = np.random.default_rng(0)
    schedule = np.stack([random.choice(len(dataset["label"]), BATCH, replace=False) for _ in range(STEPS)])
    return train_step, state, dataset, schedule
