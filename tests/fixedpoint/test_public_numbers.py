"""Numbers that a step computes from its counters, wherever it uses them."""

from __future__ import annotations

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zkjax
from tests.fixedpoint.training import integer_run
from tests.frontend.steps import batch_of
from zkjax.fixedpoint.nodes import Paced, Public
from zkjax.frontend import read_step

BATCH = 4
SHAPES = {"first": (5, 6), "second": (6, 3)}


def first_state(**others):
    random = np.random.default_rng(3)
    weights = {name: random.normal(size=shape, scale=0.5).astype(np.float32) for name, shape in SHAPES.items()}
    return {"weights": weights, "step": jnp.int32(0), **others}


def as_float(step):
    return step.astype(jnp.float32)


def logits_of(weights, batch):
    return jnp.maximum(batch["image"] @ weights["first"], 0.0) @ weights["second"]


def squared(z):
    return jnp.mean(jnp.sum(z**2, axis=-1))


LOSSES = {
    "a term that fades in": lambda w, b, t: (
        squared(logits_of(w, b) - b["label"]) + 0.25 * as_float(t) * squared(b["image"] @ w["first"])
    ),
    "divided by the step": lambda w, b, t: squared(logits_of(w, b) - b["label"]) / (1.0 + as_float(t)),
    "targets that move": lambda w, b, t: squared(logits_of(w, b) - b["label"] * (1.0 + 0.125 * as_float(t))),
    "a bias from the step": lambda w, b, t: squared(logits_of(w, b) - b["label"] + 0.1 * as_float(t)),
    "chosen by the step": lambda w, b, t: jnp.where(
        t < 2, squared(logits_of(w, b) - b["label"]), squared(0.5 * logits_of(w, b) - b["label"])
    ),
    "by a branch": lambda w, b, t: (
        squared(logits_of(w, b) - b["label"]) * jax.lax.cond(t > 1, lambda s: 0.5 * s, lambda s: s + 1.0, as_float(t))
    ),
}


def step_of(loss):
    def train_step(state, batch):
        gradients = jax.grad(loss)(state["weights"], batch, state["step"])
        weights = jax.tree.map(lambda w, g: w - 0.125 * g, state["weights"], gradients)
        return {"weights": weights, "step": state["step"] + 1}

    return train_step


@pytest.mark.parametrize("loss", LOSSES)
def test_exact_and_near_float32(loss):
    train_step, state, rows = step_of(LOSSES[loss]), first_state(), np.arange(16).reshape(4, BATCH)
    data = batch_of(16)
    batches = [jax.tree.map(lambda leaf, at=at: leaf[at], data) for at in rows]
    program = zkjax.compile(train_step, state, batches[0], steps=4, calibration=batches, dataset=data)
    run = program.run(state, data, rows)
    jax.tree.map(np.testing.assert_array_equal, run.state, integer_run(program, state, data, rows))
    floating = state
    for batch in batches:
        floating = train_step(floating, batch)
    for name in SHAPES:
        moved = np.abs(floating["weights"][name] - state["weights"][name]).max()
        assert np.abs(run.state["weights"][name] - floating["weights"][name]).max() < 0.03 * moved
    assert int(run.state["step"]) == 4


def test_numbers_in_the_loss_are_nodes_of_the_step():
    reading = read_step(step_of(LOSSES["a term that fades in"]), first_state(), batch_of())
    assert any(isinstance(node, Public | Paced) for node in reading.step.nodes)
    three, four = reading.schedule.values((3,), 2)
    assert [b / a for a, b in zip(three, four, strict=True)] == [Fraction(4, 3)] * len(three)


def test_numbers_are_the_floats_of_the_step():
    """The mean's quarter, divided by the step in float32."""
    reading = read_step(step_of(LOSSES["divided by the step"]), first_state(), batch_of())
    (number,) = set(reading.schedule.values((2,), 1)[0])
    assert number == Fraction(float(np.float32(0.25) / np.float32(3)))


def test_a_program_without_such_numbers_is_the_same_at_every_step():
    train_step = step_of(lambda w, b, t: squared(logits_of(w, b) - b["label"]))
    program = zkjax.compile(train_step, first_state(), batch_of(), steps=2)
    assert program.start == ()
    assert program.at(first_state() | {"step": jnp.int32(7)}) is program


def test_masks_from_the_step_are_public():
    """A key that the program makes, folded with the counter: another mask at every step, the same for everybody."""

    def masked(weights, batch, step):
        mask = jax.random.bernoulli(jax.random.fold_in(jax.random.key(0), step), 0.5, (BATCH, 3))
        return squared(mask.astype(jnp.float32) * (logits_of(weights, batch) - batch["label"]))

    reading = read_step(step_of(masked), first_state(), batch_of())
    found = [value for (value,) in reading.schedule.values((3,), 4)]
    assert len({value.tobytes() for value in found}) == 4
    for step, value in enumerate(found, start=3):
        key = jax.random.fold_in(jax.random.key(0), step)
        np.testing.assert_array_equal(value, np.asarray(jax.random.bernoulli(key, 0.5, (BATCH, 3)), np.float64))
