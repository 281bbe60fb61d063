"""A run that outgrows its calibration names layer, step, index, value, bound and the option; with that, it runs."""

from __future__ import annotations

import re
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zkjax
from zkjax.errors import UserError
from zkjax.fixedpoint.evaluate import evaluate
from zkjax.witness import OutOfRangeError

ROWS, INPUTS, HIDDEN, CLASSES, STEPS, LATE = 8, 4, 3, 3, 3, 2


def trained(loss_of: Callable, rate: float = 2.0**-8) -> Callable:
    def train_step(state, batch):
        gradients = jax.grad(loss_of)(state, batch)
        return jax.tree.map(lambda w, g: w - rate * g, state, gradients)

    return train_step


def softmax_loss(state, batch):
    return optax.softmax_cross_entropy_with_integer_labels(batch["x"] @ state["out"], batch["y"]).mean()


def squared(output, batch):
    return jnp.mean((output - batch["t"]) ** 2)


def layered(activation: Callable) -> Callable:
    return lambda state, batch: squared(activation(batch["x"] @ state["hidden"]) @ state["out"], batch)


def dataset(large: float = 1.0, target: float = 1.0) -> dict[str, np.ndarray]:
    """Rows 0 to 3 are ordinary; the last one is `large`, and its target `target` times as large."""
    random = np.random.default_rng(0)
    data = {
        "x": random.uniform(0.5, 1, (ROWS, INPUTS)).astype(np.float32),
        "y": (np.arange(ROWS) % CLASSES).astype(np.int32),
        "t": random.uniform(0.5, 1, (ROWS, CLASSES)).astype(np.float32),
    }
    data["x"][-1] *= large
    data["t"][-1] *= target
    return data


def weights(**scales: float) -> dict[str, np.ndarray]:
    shapes = {"hidden": (INPUTS, HIDDEN), "out": (HIDDEN if "hidden" in scales else INPUTS, CLASSES)}
    random = np.random.default_rng(1)
    return {name: (scale * random.uniform(0.5, 1, shapes[name])).astype(np.float32) for name, scale in scales.items()}


def outgrown(
    step: Callable, data: dict, state: dict, other: dict | None = None
) -> tuple[OutOfRangeError, zkjax.Program]:
    """The error of a block whose last step reads the last row, or of one that starts at `other`; its remedy helps."""
    schedule = np.tile(np.arange(4), (STEPS, 1))
    if other is None:
        schedule[LATE, 1] = ROWS - 1
    batch = jax.tree.map(lambda leaf: leaf[:4], data)
    program = zkjax.compile(step, state, batch, steps=STEPS, dataset=data)
    with pytest.raises(OutOfRangeError) as caught:
        program.run(other or state, data, schedule)
    error = caught.value
    assert not error.bound[0] <= error.value <= error.bound[1]
    if other is None:
        assert (error.step, error.index[0]) == (LATE, 1)
    assert "--headroom" in error.remedy and "calibration=" in error.remedy
    unit = 2.0**-error.fraction_bits
    assert not error.fraction_bits or f"({error.value * unit:.6g}, outside [" in str(error)
    helped(step, data, state, other or state, schedule, error)
    return error, program


def helped(step: Callable, data: dict, state: dict, start: dict, schedule: np.ndarray, error: OutOfRangeError) -> None:
    """With as many bits more as errors ask for the block runs; one value after another may ask for some."""
    batch, headroom = jax.tree.map(lambda leaf: leaf[:4], data), 0
    while True:
        headroom += int(re.search(r"headroom= (\d) higher", error.remedy)[1])
        wider = zkjax.compile(step, state, batch, steps=STEPS, dataset=data, headroom=headroom)
        try:
            wider.run(start, data, schedule)
            return
        except OutOfRangeError as another:
            error = another


def value_in_float32(program, state, data, error, name) -> float:
    """The same entry, in floating point, of a step whose weights hardly moved."""
    tensor = next(tensor for tensor in program.plan.tensors if tensor.name == name)
    schedule = np.tile(np.arange(4), (STEPS, 1))
    schedule[LATE, 1] = ROWS - 1
    batch = jax.tree.map(lambda leaf: leaf[schedule[error.step or 0]], data)
    values, _ = evaluate(program.plan.step, state, batch)
    return float(values[tensor.node][error.index])


def test_activations():
    data, state = dataset(large=256.0), weights(hidden=0.5, out=0.5)
    error, program = outgrown(trained(layered(jax.nn.relu)), data, state)
    assert error.name == "hidden/activation/relu"
    real = value_in_float32(program, state, data, error, "hidden/pre_activation")
    assert error.value * 2.0**-error.fraction_bits == pytest.approx(real, rel=0.05)


def test_the_arguments_of_tables():
    data, state = dataset(large=256.0), weights(hidden=0.5, out=0.5)
    error, program = outgrown(trained(layered(jnp.tanh)), data, state)
    assert error.name == "hidden/function/function"
    real = value_in_float32(program, state, data, error, "hidden/value")
    assert error.value * 2.0**-error.fraction_bits == pytest.approx(real, rel=0.05)


def test_logits():
    data, state = dataset(large=512.0), weights(out=0.5)
    error, program = outgrown(trained(softmax_loss), data, state)
    assert error.name == "out/logits/range"
    real = value_in_float32(program, state, data, error, "out/logits")
    assert error.value * 2.0**-error.fraction_bits == pytest.approx(real, rel=0.05)


def test_gradients_of_the_loss():
    data, state = dataset(target=256.0), weights(hidden=0.5, out=0.5)
    error, _ = outgrown(trained(layered(jax.nn.relu)), data, state)
    assert re.fullmatch(r"out/loss_gradient(/unscaled)?/range", error.name)


def test_gradients_of_a_hidden_layer():
    data = dataset()
    error, _ = outgrown(trained(layered(jax.nn.relu)), data, weights(hidden=2.0**-8, out=2.0**-8),
                        weights(hidden=2.0**-8, out=1.5))  # fmt: skip
    assert error.name == "hidden/gradient/gated"


def test_divisions():
    """One over the sum of 40 exponentials: 1/40 where no class is sure, 1 where one is."""
    data = dataset()
    state, sure = (np.full((INPUTS, 40), value, np.float32) for value in (2.0**-8, -1.9))
    sure[:, 0] = 1.9
    error, _ = outgrown(trained(softmax_loss), data, {"out": state}, {"out": sure})
    assert (error.name, error.step, error.index) == ("out/reciprocal", 0, (0,))
    assert error.value * 2.0**-error.fraction_bits == pytest.approx(1, rel=0.01)


def test_the_state():
    data = dataset()
    step = trained(lambda state, batch: -jnp.mean(batch["x"] @ state["out"]), rate=2.0)
    error, _ = outgrown(step, data, weights(out=1.0), weights(out=3.9))
    assert error.name == "after/out" and error.step is None


def test_headroom_is_a_number_of_bits():
    data, state = dataset(), weights(out=0.5)
    for wrong in (-1, 9, 1.5, True):
        with pytest.raises(UserError, match="headroom must be a whole number of bits"):
            zkjax.compile(trained(softmax_loss), state, data, steps=1, headroom=wrong)
