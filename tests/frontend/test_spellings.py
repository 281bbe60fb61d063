"""The translated step does what the user's step does, in every spelling: compared in floating point."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.frontend.steps import ACTIVATIONS, LOSSES, Network, batch_of, plain, step_with, train_state
from zkjax.fixedpoint.evaluate import evaluate
from zkjax.fixedpoint.nodes import Gated, Relu
from zkjax.frontend import Reading, read_step


def named(tree, leaves):
    return {leaf.name: value for leaf, value in zip(tree.leaves, jax.tree.leaves(leaves), strict=True)}


def assert_same_step(train_step, state, batch) -> Reading:
    reading = read_step(train_step, state, batch)
    state = jax.tree.map(np.array, state)  # a step may take its argument's memory, where that is donated
    before, data = named(reading.state, state), named(reading.batch, batch)
    data |= {name: prepared.of(jax.tree.leaves(batch)) for name, prepared in reading.prepared.items()}
    ours = reading.joined(evaluate(reading.step, reading.parted(before), data)[1])
    result = train_step(jax.tree.map(jnp.array, state), batch)
    theirs = named(reading.state, result[0] if reading.has_aux else result)
    moved = 0.0
    for name, value in ours.items():
        np.testing.assert_allclose(value, theirs[name], rtol=1e-4, atol=1e-5, err_msg=name)
        moved = max(moved, float(np.abs(theirs[name] - before[name]).max()))
    assert moved > 1e-3, "the step moves nothing: the comparison would be empty"
    return reading


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name):
    batch = batch_of()
    model = Network(activation=ACTIVATIONS[name], layers=3)
    assert_same_step(step_with(), train_state(model, batch["image"]), batch)


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name):
    batch = batch_of()
    assert_same_step(step_with(LOSSES[name]), train_state(Network(), batch["image"]), batch)


@pytest.mark.parametrize(
    "prepare",
    [
        lambda x: x / 255.0,
        lambda x: (x - 0.1307) / 0.3081,
        lambda x: 2.0 * x - 1.0,
        lambda x: x - x.mean(axis=0, keepdims=True),
        lambda x: jnp.squeeze(x[:, None, :], 1),
        lambda x: x.T.T,
    ],
)
def test_inputs_prepared_by_linear_maps(prepare):
    batch = batch_of()
    reading = assert_same_step(step_with(prepare=prepare), train_state(Network(), batch["image"]), batch)
    assert not reading.prepared


@pytest.mark.parametrize("prepare", [lambda x: x.reshape(len(x), -1), lambda x: (x / 2.0 - 0.25).reshape(len(x), -1)])
def test_images_are_flattened_where_they_are_committed(prepare):
    batch = batch_of(image=(2, 3))
    reading = assert_same_step(step_with(prepare=prepare), train_state(Network(), batch["image"].reshape(4, 6)), batch)
    assert reading.step.nodes[reading.step.data["image"]].shape == (4, 6)


@pytest.mark.parametrize(
    "optimiser",
    [
        optax.sgd(0.1),
        optax.chain(optax.clip(0.5), optax.sgd(0.1)),
        optax.inject_hyperparams(optax.sgd)(learning_rate=0.1),
        optax.chain(optax.scale(3.0), optax.scale_by_learning_rate(0.01)),
    ],
    ids=["sgd", "clipped", "rate in the state", "two factors"],
)
def test_optimisers(optimiser):
    batch = batch_of()
    assert_same_step(step_with(), train_state(Network(), batch["image"], optimiser), batch)


def test_a_step_without_flax_or_optax():
    train_step, state = plain(0.25)
    reading = assert_same_step(train_step, state, batch_of())
    assert not reading.has_aux
    assert {name: float(change.rate) for name, change in reading.step.changes.items()} == {
        "first": 0.25,
        "second": 0.25,
    }


def test_the_gate_of_the_forward_pass_serves_the_backward_pass():
    batch = batch_of()
    nodes = read_step(step_with(), train_state(Network(layers=3), batch["image"]), batch).step.nodes
    rectified = {node.node for node in nodes if isinstance(node, Relu)}
    assert len(rectified) == 2
    assert {node.gate for node in nodes if isinstance(node, Gated)} == rectified


def test_shared_layers_and_residual_connections():
    class Residual(nn.Module):
        @nn.compact
        def __call__(self, x):
            shared = nn.Dense(5)
            x = x + nn.relu(shared(x))
            return nn.Dense(3)(nn.relu(shared(x)) + x)

    batch = batch_of()
    assert_same_step(step_with(), train_state(Residual(), batch["image"]), batch)


def test_vmapped_losses_row_weights_and_leaves_that_stay():
    def train_step(state, batch):
        def loss_of(weights):
            def loss_of_row(x, y):
                return jnp.sum((weights.T @ x - y) ** 2)

            return jnp.mean(batch["keep"] * jax.vmap(loss_of_row)(batch["image"], batch["label"]))

        gradient = jax.grad(loss_of)(state["w"])
        return {**state, "w": state["w"] - 0.125 * gradient, "count": state["count"] + 2}

    state = {"w": np.full((5, 3), 0.5, np.float32), "fixed": np.ones(3, np.float32), "count": np.int32(7), "flag": True}
    batch = batch_of() | {"keep": np.array([1, 0, 1, 1], np.float32), "unused": np.zeros((4, 9))}
    reading = assert_same_step(train_step, state, batch)
    assert {leaf.name: leaf.move for leaf in reading.public.leaves} == {"count": 2, "flag": 0}
    assert set(reading.step.changes) == {"w"}
    assert set(reading.step.data) == {"image", "label", "keep"}


def test_integer_labels_made_one_hot_by_the_step_stay_labels():
    def train_step(state, batch):
        def loss_of(weights):
            return jnp.mean((batch["image"] @ weights - jax.nn.one_hot(batch["label"], 3)) ** 2)

        return {"w": state["w"] - 0.25 * jax.grad(loss_of)(state["w"])}

    batch = {"image": batch_of()["image"], "label": np.array([2, 0, 1, 2])}
    reading = assert_same_step(train_step, {"w": np.full((5, 3), 0.5, np.float32)}, batch)
    assert not reading.prepared
    assert reading.step.labels == {"label": 3}


def test_names_roles_and_public_counters_of_a_train_state():
    batch = batch_of()
    reading = read_step(step_with(), train_state(Network(), batch["image"]), batch)
    assert set(reading.step.state) == {
        "params/Dense_0/bias",
        "params/Dense_0/kernel",
        "params/Dense_1/bias",
        "params/Dense_1/kernel",
    }
    assert {leaf.name: leaf.move for leaf in reading.public.leaves} == {"step": 1}
    assert reading.has_aux
    assert reading.step.batch == 4


def test_reading_changes_no_setting_and_computes_nothing(monkeypatch):
    before = {name: value.value for name, value in jax.config._value_holders.items() if hasattr(value, "value")}
    batch = batch_of()
    state = train_state(Network(), batch["image"])
    step = jax.jit(step_with(), donate_argnums=0)
    read_step(step, state, batch)
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(state.params))
    after = {name: value.value for name, value in jax.config._value_holders.items() if hasattr(value, "value")}
    assert before == after
    assert not jax.config.jax_enable_x64
