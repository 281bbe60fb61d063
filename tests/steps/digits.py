"""Handwritten digits, a small network, and what is asked of every training step here.

Each file of this folder has one kind of step in the plainest idiom of its library. `assert_proved` trains four
steps exactly, proves and verifies them; `assert_trains` compares epochs of the integer program with float32.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.training.train_state import TrainState
from sklearn.datasets import load_digits

import zkjax
from tests.fixedpoint.training import differences, float_run, integer_run

STEPS, BATCH, CLASSES = 4, 32, 10


class Network(nn.Module):
    activation: Callable = nn.relu
    outputs: int = CLASSES

    @nn.compact
    def __call__(self, image):
        hidden = self.activation(nn.Dense(16)(image))
        return nn.Dense(self.outputs)(hidden)


@cache
def digits() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """(training set, test set): pixels in sixteenths, labels as integers."""
    bunch = load_digits()
    order = np.random.default_rng(0).permutation(len(bunch.target))
    images, labels = (bunch.data / 16).astype(np.float32)[order], bunch.target.astype(np.int32)[order]
    return {"image": images[:1408], "label": labels[:1408]}, {"image": images[1408:], "label": labels[1408:]}


def train_state(model: nn.Module, optimiser: optax.GradientTransformation | None = None) -> TrainState:
    params = model.init(jax.random.key(0), digits()[0]["image"][:1])["params"]
    return TrainState.create(apply_fn=model.apply, params=params, tx=optimiser or optax.sgd(0.25))


def schedules(rows: int, epochs: int) -> np.ndarray:
    """Row numbers [epochs, steps, batch], every row once in each epoch."""
    random = np.random.default_rng(1)
    return np.stack([random.permutation(rows).reshape(-1, BATCH) for _ in range(epochs)])


def batches_of(dataset: Any, schedule: np.ndarray) -> list[Any]:
    return [jax.tree.map(lambda leaf, rows=rows: leaf[rows], dataset) for rows in schedule]


def compiled(train_step: Callable, state: Any, dataset: Any) -> tuple[zkjax.Program, np.ndarray]:
    schedule = schedules(len(dataset["image"]), 1)[0][:STEPS]
    batches = batches_of(dataset, schedule)
    program = zkjax.compile(train_step, state, batches[0], steps=STEPS, calibration=batches, dataset=dataset)
    return program, schedule


def assert_exact(train_step: Callable, state: Any, dataset: Any, tolerance: float = 0.01) -> zkjax.Program:
    """The run, the same in plain Python integers; most weights are near float32's, in parts of a usual change."""
    program, schedule = compiled(train_step, state, dataset)
    run = program.run(state, dataset, schedule)
    plain = integer_run(program, state, dataset, schedule)
    jax.tree.map(assert_same, run.state, plain)
    theirs = float_run(train_step, state, dataset, schedule, program.has_aux)
    # A rectifier at zero may open in one arithmetic and not in the other, which moves the weights of one unit.
    jax.tree.map(lambda own, other: is_weight(own) or assert_same(own, other), run.state, theirs)
    errors, moves = differences(run.state, theirs), differences(state, theirs)
    assert np.quantile(errors, 0.8) < tolerance * np.sqrt(np.mean(moves**2))
    return program


def assert_same(own: Any, other: Any) -> None:
    own, other = (jax.random.key_data(leaf) if is_key(leaf) else leaf for leaf in (own, other))
    np.testing.assert_array_equal(own, other)


def is_key(leaf: Any) -> bool:
    return jnp.issubdtype(jnp.asarray(leaf).dtype, jax.dtypes.prng_key)


def is_weight(leaf: Any) -> bool:
    return jnp.issubdtype(jnp.asarray(leaf).dtype, jnp.floating)


def assert_proved(train_step: Callable, state: Any, dataset: Any) -> zkjax.Program:
    program, schedule = compiled(train_step, state, dataset)
    run = program.run(state, dataset, schedule)
    summary = zkjax.verify(*zkjax.prove(run, zkjax.commit(run)))
    assert (summary.steps, summary.rows) == (STEPS, len(dataset["image"]))
    assert summary.soundness_bits > 100
    return program


def assert_trains(
    train_step: Callable,
    state: Any,
    dataset: Any,
    accuracy: Callable[[Any], float],
    epochs: int = 5,
    least: float = 0.85,
) -> tuple[float, float]:
    """Five epochs, each a block calibrated where it begins: the accuracy is within a point of float32's.

    Prints the curves of accuracy and, if the step has an auxiliary output, of that as its loss over the batches of
    each epoch.
    """
    ours = theirs = state
    step = jax.jit(train_step)

    def loss(state: Any, batches: list[Any]) -> float:
        return float(np.mean([step(state, batch)[1] for batch in batches]))

    for schedule in schedules(len(dataset["image"]), epochs):
        batches = batches_of(dataset, schedule)
        program = zkjax.compile(train_step, ours, batches[0], steps=len(schedule), calibration=batches, dataset=dataset)
        ours = program.run(ours, dataset, schedule).state
        theirs = float_run(step, theirs, dataset, schedule, program.has_aux)
        losses = f"; loss {loss(ours, batches):.4f}, float32 {loss(theirs, batches):.4f}" if program.has_aux else ""
        print(f"accuracy {accuracy(ours):.4f}, float32 {accuracy(theirs):.4f}{losses}")
    assert abs(accuracy(ours) - accuracy(theirs)) <= 0.01
    assert accuracy(theirs) > least
    return accuracy(ours), accuracy(theirs)


def accuracy_of(state: TrainState) -> float:
    """Share of the test set that the network classifies right."""
    test = digits()[1]
    logits = state.apply_fn({"params": state.params}, test["image"])
    return float((jnp.argmax(logits, axis=-1) == test["label"]).mean())
