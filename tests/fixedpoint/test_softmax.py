"""Probabilities of the integer softmax, against the real softmax of the same logits: the stated bound holds."""

from __future__ import annotations

import jax
import numpy as np
import optax
import pytest

from zkjax.program import compile


def train_step(state, batch):
    def loss_of(weights):
        return optax.softmax_cross_entropy_with_integer_labels(batch["x"] @ weights, batch["y"]).mean()

    return {"w": state["w"] - 0.25 * jax.grad(loss_of)(state["w"])}


@pytest.mark.parametrize("size", [0.1, 1.0, 8.0])
@pytest.mark.parametrize("classes", [2, 10, 33])
def test_the_error_of_a_probability(classes, size):
    random = np.random.default_rng(0)
    x = random.normal(size=(64, 5)).astype(np.float32)
    batch = {"x": x, "y": random.integers(0, classes, 64)}
    state = {"w": (size * random.normal(size=(5, classes))).astype(np.float32)}
    program = compile(train_step, state, batch, steps=1)
    advice = program.run(state, batch, np.arange(64)[None]).integers("advice")
    formats = {tensor.name: tensor for tensor in program.plan.tensors}
    logits = advice["w/logits"][0] * 2.0 ** -formats["w/logits"].fraction_bits
    reciprocal = advice["w/reciprocal"][0] * 2.0 ** -formats["w/reciprocal"].fraction_bits
    exponentials = (advice["w/exp"][0] + (1 << 16)) * 2.0**-16
    exact = np.exp(logits - logits.max(axis=1, keepdims=True))
    exact /= exact.sum(axis=1, keepdims=True)
    error = np.abs(exponentials * reciprocal[:, None] - exact)
    assert (error <= (1 + classes * exact) * 2.0**-17 + exact * 2.0**-20).all()
    assert error.max() > 2.0**-20


def test_logits_have_room_for_64_or_eight_times_their_calibrated_size():
    random = np.random.default_rng(0)
    batch = {"x": random.normal(size=(64, 5)).astype(np.float32), "y": random.integers(0, 3, 64)}
    for size, room in ((0.01, 64), (1.0, 64), (30.0, 512)):
        state = {"w": np.full((5, 3), size, np.float32)}
        (logits,) = (t for t in compile(train_step, state, batch, steps=1).plan.tensors if t.name == "w/logits")
        largest = np.abs(batch["x"] @ state["w"]).max()
        assert logits.hi * 2.0**-logits.fraction_bits >= max(64, 8 * largest) * 0.99
        assert logits.hi * 2.0**-logits.fraction_bits <= max(room, 16 * largest)


def test_a_last_layer_that_starts_at_zero():
    batch = {"x": np.eye(5, dtype=np.float32), "y": np.arange(5) % 3}
    program = compile(train_step, {"w": np.zeros((5, 3), np.float32)}, batch, steps=2)
    after = program.run({"w": np.zeros((5, 3), np.float32)}, batch, np.tile(np.arange(5), (2, 1))).state
    assert np.abs(after["w"]).max() > 0.01
