"""Runs in the user's own pytrees: equal to float training but for rounding, chained exactly, refused clearly."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zkjax
from zkjax.errors import UserError
from zkjax.witness import OutOfRangeError

INPUTS, HIDDEN, CLASSES, BATCH, STEPS, ROWS = 8, 6, 3, 4, 3, 20


def loss_of(params, batch):
    hidden = jnp.maximum(batch["image"] @ params["first"] + params["bias"][None, :], 0.0)
    return jnp.mean(jnp.sum((hidden @ params["second"] - batch["label"]) ** 2, axis=-1))


def train_step(state, batch):
    loss, gradients = jax.value_and_grad(loss_of)(state["params"], batch)
    params = jax.tree.map(lambda w, g: w - 0.125 * g, state["params"], gradients)
    return {"params": params, "count": state["count"] + 1}, {"loss": loss}


def inputs(seed=0):
    random = np.random.default_rng(seed)
    state = {
        "params": {
            "first": jnp.asarray(random.normal(size=(INPUTS, HIDDEN)) * 0.4, np.float32),
            "bias": jnp.zeros(HIDDEN, np.float32),
            "second": jnp.asarray(random.normal(size=(HIDDEN, CLASSES)) * 0.4, np.float32),
        },
        "count": jnp.asarray(0, np.int32),
    }
    dataset = {
        "image": (random.integers(0, 17, (ROWS, INPUTS)) / 16).astype(np.float32),
        "label": np.eye(CLASSES, dtype=np.float32)[random.integers(0, CLASSES, ROWS)],
    }
    return state, dataset, random.integers(0, ROWS, (3 * STEPS, BATCH))


def batch_of(dataset, rows):
    return {name: value[rows] for name, value in dataset.items()}


@functools.cache
def program():
    state, dataset, schedule = inputs()
    return zkjax.compile(train_step, state, batch_of(dataset, schedule[0]), steps=STEPS)


def largest_difference(left, right):
    pairs = zip(jax.tree.leaves(left["params"]), jax.tree.leaves(right["params"]), strict=True)
    return max(float(np.abs(np.asarray(a) - np.asarray(b)).max()) for a, b in pairs)


def test_a_run_is_close_to_float_training():
    state, dataset, schedule = inputs()
    run = program().run(state, dataset, schedule[:STEPS])
    expected = state
    for rows in schedule[:STEPS]:
        expected, _ = train_step(expected, batch_of(dataset, rows))
    assert jax.tree.structure(run.state) == jax.tree.structure(state)
    assert [leaf.dtype for leaf in jax.tree.leaves(run.state)] == [leaf.dtype for leaf in jax.tree.leaves(state)]
    assert int(run.state["count"]) == STEPS
    assert largest_difference(run.state, expected) < 2e-3 < largest_difference(run.state, state)
    assert np.array_equal(run.schedule, schedule[:STEPS])
    assert set(run.saturations.values()) == {0}
    assert repr(run) == "<run of 3 steps of batch 4 on 20 rows>"


def test_blocks_chain_exactly():
    state, dataset, schedule = inputs()
    ended = None
    for block in schedule.reshape(3, STEPS, BATCH):
        run = program().run(state, dataset, block)
        if ended is not None:
            assert all(np.array_equal(ended[name], value) for name, value in run.integers("before").items())
        state, ended = run.state, run.integers("after")
    assert int(state["count"]) == 3 * STEPS


def test_a_step_is_a_drop_in_for_the_training_step():
    state, dataset, schedule = inputs()
    batch = batch_of(dataset, schedule[0])
    expected, metrics = train_step(state, batch)
    found, found_metrics = program().step(state, batch)
    assert jax.tree.structure((found, found_metrics)) == jax.tree.structure((expected, metrics))
    assert float(found_metrics["loss"]) == pytest.approx(float(metrics["loss"]), rel=1e-5)
    assert int(found["count"]) == 1
    assert largest_difference(found, expected) < 1e-3


def test_steps_and_blocks_differ_by_rounding_only():
    state, dataset, schedule = inputs()
    block = program().run(state, dataset, schedule[:STEPS]).state
    for rows in schedule[:STEPS]:
        state, _ = program().step(state, batch_of(dataset, rows))
    assert 0 < largest_difference(state, block) < 1e-3


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (np.zeros((STEPS, BATCH)), "must hold integers"),
        (np.zeros((STEPS + 1, BATCH), int), r"shape \(4, 4\).*expected \(3, 4\)"),
        (np.full((STEPS, BATCH), ROWS), "row 20 at step 0, position 0.*rows 0 to 19"),
        (np.array([[0] * BATCH, [0, 0, -5, 0], [99] * BATCH]), "row -5 at step 1, position 2"),
    ],
)
def test_wrong_schedules_are_refused(schedule, message):
    state, dataset, _ = inputs()
    with pytest.raises(UserError, match=message):
        program().run(state, dataset, schedule)


def test_data_that_are_no_numbers_are_refused():
    state, dataset, schedule = inputs()
    dataset["image"][7, 2] = np.nan
    with pytest.raises(UserError, match="image"):
        program().run(state, dataset, schedule[:STEPS])


def test_values_beyond_calibration_are_located():
    """Calibrated on one bright pixel per image, run on an image of 512 bright ones at step 2."""
    state, dataset, schedule = inputs()
    state["params"]["first"] = jnp.full((512, HIDDEN), 0.25, np.float32)
    dataset["image"] = np.eye(ROWS, 512, dtype=np.float32)
    program = zkjax.compile(train_step, state, batch_of(dataset, schedule[0]), steps=STEPS)
    schedule = schedule[:STEPS] % (ROWS - 1)
    program.run(state, dataset, schedule)
    schedule[2, 1] = ROWS - 1
    dataset["image"][ROWS - 1] = 1.0
    with pytest.raises(OutOfRangeError, match="calibrate on more batches") as caught:
        program.run(state, dataset, schedule)
    error = caught.value
    assert (error.step, error.index[0]) == (2, 1)
    assert not error.bound[0] <= error.value <= error.bound[1]
