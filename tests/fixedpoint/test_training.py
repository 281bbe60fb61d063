"""Compiled circuits train: in plain integers, every lookup checked, close to the user's float32."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.fixedpoint.training import distance, float_run, integer_run
from tests.frontend.steps import ACTIVATIONS, BATCH, LOSSES, Network, batch_of, plain, step_with, train_state
from zkjax.program import compile

STEPS = 2


def trained(train_step, state, dataset, *, steps=STEPS, calibrated=True, **options):
    """(program, integer result, float result)."""
    rows = len(jax.tree.leaves(dataset)[0])
    schedule = np.random.default_rng(7).integers(0, rows, (steps, BATCH))
    batches = [jax.tree.map(lambda leaf, chosen=chosen: leaf[chosen], dataset) for chosen in schedule]
    calibration = batches if calibrated else None
    program = compile(train_step, state, batches[0], steps=steps, calibration=calibration, **options)
    return (
        program,
        integer_run(program, state, dataset, schedule),
        float_run(train_step, state, dataset, schedule, program.has_aux),
    )


def assert_close(train_step, state, dataset, tolerance=0.01, **options):
    program, ours, theirs = trained(train_step, state, dataset, **options)
    assert distance(ours, theirs) < tolerance * distance(state, theirs)
    return program


@pytest.mark.parametrize("name", ["nn.relu", "leaky", "maximum with a number", "relu of the opposite", "square"])
def test_activations(name):
    dataset = batch_of(12)
    model = Network(activation=ACTIVATIONS[name])
    assert_close(step_with(), train_state(model, dataset["image"], optax.sgd(0.03125)), dataset)


@pytest.mark.parametrize("name", ["mean of squares", "smoothed labels"])
def test_losses(name):
    dataset = batch_of(12)
    assert_close(step_with(LOSSES[name]), train_state(Network(), dataset["image"]), dataset)


@pytest.mark.parametrize(
    "prepare", [lambda x: x / 255.0, lambda x: (x / 255.0 - 0.1307) / 0.3081], ids=["pixels", "normal"]
)
def test_scaled_inputs(prepare):
    dataset = batch_of(12)
    dataset["image"] = dataset["image"] * 240
    assert_close(step_with(prepare=prepare), train_state(Network(), dataset["image"], optax.sgd(0.03125)), dataset)


def test_without_biases_flax_or_optax():
    train_step, state = plain(0.1)
    assert_close(train_step, state, batch_of(12))


def test_linear_networks_and_headroom_for_uncalibrated_steps():
    dataset = batch_of(12)
    model = Network(activation=lambda x: x, layers=3)
    program = assert_close(step_with(), train_state(model, dataset["image"]), dataset, calibrated=False)
    assert program.plan.precision.forward_headroom == 3


def test_shared_layers_and_residual_connections():
    class Residual(nn.Module):
        @nn.compact
        def __call__(self, x):
            shared = nn.Dense(5)
            x = x + nn.relu(shared(x))
            return nn.Dense(3)(nn.relu(shared(x)) + x)

    dataset = batch_of(12)
    assert_close(step_with(), train_state(Residual(), dataset["image"]), dataset)


def test_one_weight_vector_and_nothing_else():
    def train_step(state, batch):
        return state - 0.25 * jax.grad(lambda bias: jnp.mean((batch["label"] - bias[None]) ** 2))(state)

    program = assert_close(train_step, np.full(3, 0.75, np.float32), batch_of(12), steps=3)
    assert list(program.plan.weights) == ["state"]
    assert list(program.plan.data) == ["label"]


def test_leaves_that_do_not_move_stay_equal():
    def train_step(state, batch):
        def loss_of(w):
            return jnp.mean((batch["image"] @ w * state["scale"][None] + state["offset"] - batch["label"]) ** 2)

        return {**state, "w": state["w"] - 0.25 * jax.grad(loss_of)(state["w"])}

    state = {
        "w": np.full((5, 3), 0.25, np.float32),
        "scale": np.array([0.5, 1.0, -0.25], np.float32),
        "offset": np.float32(0.125),
        "idle": np.ones((2, 2), np.float32),
    }
    _, ours, theirs = trained(train_step, state, batch_of(12))
    for name in ("scale", "offset", "idle"):
        np.testing.assert_array_equal(ours[name], state[name])
    assert distance(ours["w"], theirs["w"]) < 0.01 * distance(state["w"], theirs["w"])


def test_values_beyond_calibration_have_room_before_a_lookup_fails():
    """Four times the calibrated inputs pass: three bits of headroom, two in gradients."""
    train_step, state = plain(2.0**-8)
    batch = {name: leaf / 4 for name, leaf in batch_of(BATCH).items()}
    dataset = {name: leaf * 4 for name, leaf in batch.items()}
    program = compile(train_step, state, batch, dataset=dataset, steps=2)
    schedule = np.tile(np.arange(BATCH), (2, 1))
    ours = integer_run(program, state, dataset, schedule)
    theirs = float_run(train_step, state, dataset, schedule, program.has_aux)
    assert distance(ours, theirs) < 0.02 * distance(state, theirs)
