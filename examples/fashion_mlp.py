"""Eight dense layers on Fashion-MNIST, written as for any Flax project.

The images come from Debian's package: `sudo apt-get install dataset-fashion-mnist`. Elsewhere, name a
folder with the four original files (`train-images-idx3-ubyte.gz` and so on) in the environment
variable FASHION_MNIST.

`experiment()` without arguments is the network of the headline benchmark with inputs of 784; narrower
and shallower ones are for those who try things out.
"""

import functools
import gzip
import os
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.training.train_state import TrainState

DEBIAN_FOLDER = "/usr/share/datasets/fashion-mnist"
MEAN_PIXEL = 73
CLASSES = 10
BATCH = 64
EPOCHS = 10
LEARNING_RATE = 1 / 16
SEED = 0


class Classifier(nn.Module):
    width: int
    layers: int

    @nn.compact
    def __call__(self, image):
        hidden = image
        for _ in range(self.layers - 1):
            hidden = nn.relu(nn.Dense(self.width)(hidden))
        return nn.Dense(CLASSES)(hidden)


def train_step(state, batch):
    def loss_of(params):
        logits = state.apply_fn({"params": params}, batch["image"])
        return optax.squared_error(logits, batch["label"]).sum(axis=-1).mean()

    loss, gradients = jax.value_and_grad(loss_of)(state.params)
    return state.apply_gradients(grads=gradients), loss


def read(file):
    """The array in a file of the IDX format: type and number of axes, their lengths, then bytes."""
    content = gzip.decompress(file.read_bytes())
    axes = content[3]
    shape = np.frombuffer(content, ">u4", axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


@functools.cache
def load():
    """(training set, test set); pixels less their mean are multiples of 1/256, labels one-hot."""
    folder = Path(os.environ.get("FASHION_MNIST", DEBIAN_FOLDER))
    sets = []
    for part in ("train", "t10k"):
        files = [folder / f"{part}-{name}-ubyte.gz" for name in ("images-idx3", "labels-idx1")]
        for file in files:
            if not file.is_file():
                raise FileNotFoundError(
                    f"{file} is missing. Install the images with\n"
                    "    sudo apt-get install dataset-fashion-mnist\n"
                    "or name a folder that holds them in the environment variable FASHION_MNIST"
                )
        images, labels = map(read, files)
        pixels = (images.reshape(len(images), -1).astype(np.float32) - MEAN_PIXEL) / 256
        sets.append({"image": pixels, "label": np.eye(CLASSES, dtype=np.float32)[labels]})
    return tuple(sets)


def shuffled_batches(rows):
    """Row numbers of every batch; each epoch is a fresh permutation, its remainder dropped."""
    random = np.random.default_rng(SEED)
    steps = rows // BATCH
    epochs = [random.permutation(rows)[: steps * BATCH] for _ in range(EPOCHS)]
    return np.concatenate(epochs).reshape(EPOCHS * steps, BATCH).astype(np.int32)


def experiment(width=1024, layers=8):
    dataset, _ = load()
    model = Classifier(width, layers)
    params = model.init(jax.random.key(SEED), dataset["image"][:1])["params"]
    state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.sgd(LEARNING_RATE))
    return train_step, state, dataset, shuffled_batches(len(dataset["image"]))


def evaluate(state):
    """Share of the test set, which the training never sees, that the network gets right."""
    _, test = load()
    logits = jax.jit(state.apply_fn)({"params": state.params}, test["image"])
    right = jnp.argmax(logits, axis=-1) == jnp.argmax(test["label"], axis=-1)
    return float(right.mean())
