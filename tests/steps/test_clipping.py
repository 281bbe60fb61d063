"""optax.clip_by_global_norm in front of other optimisers."""

from __future__ import annotations

from math import isqrt

import jax
import numpy as np
import optax
import pytest

from tests.steps.oracle import exact
from tests.steps.training import Training, network_state, train_step

RATE = exact(0.1)
LIMIT = 1.0
# At Adam's rate of 0.01 this network hardly learns, in float32 neither: accuracies would be those of chance.
OPTIMISERS = {
    "sgd": optax.chain(optax.clip_by_global_norm(LIMIT), optax.sgd(RATE)),
    "sgd, never clipped": optax.chain(optax.clip_by_global_norm(1000.0), optax.sgd(RATE)),
    "momentum": optax.chain(optax.clip_by_global_norm(LIMIT), optax.sgd(RATE, momentum=0.75)),
    "adam": optax.chain(optax.clip_by_global_norm(LIMIT), optax.adam(0.003)),
}
SLOW = ("momentum", "adam")


def training_with(name: str) -> Training:
    return Training(train_step, network_state(OPTIMISERS[name]))


@pytest.fixture(
    scope="module", params=[pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in OPTIMISERS]
)
def training(request):
    return training_with(request.param)


def test_close_to_float32(training):
    training.stays_close_to_float32()
    training.keeps_the_users_state()


def test_norm_and_scale_are_those_of_the_rounded_gradients():
    """Root, scale and clipped gradients of every step, from the committed gradients, in Python integers."""
    training = training_with("sgd")
    advice = training.runs[0].integers("advice")
    forms = {tensor.name: tensor.fraction_bits for tensor in training.program.plan.tensors}
    (root,), (scale,) = ([name for name in advice if name.endswith(f"/{kind}")] for kind in ("root", "scale"))
    gradients = {name: advice[name].astype(object) for name in advice if name.endswith("l/gradient")}
    assert len(gradients) == 2
    for at in range(training.steps):
        norm, factor = int(advice[root][at]), int(advice[scale][at])
        limit = 1 << forms[root]
        assert factor == ((limit << (forms[scale] + 1)) + max(norm, limit)) // (2 * max(norm, limit))
        for name, values in gradients.items():
            clipped = name.replace("gradient", "clipped")
            shift = forms[name] + forms[scale] - forms[clipped]
            expected = (values[at] * factor * 2 + (1 << shift)) >> (shift + 1)
            np.testing.assert_array_equal(advice[clipped][at], expected.astype(np.int64))
    assert isqrt(norm**2) == norm


def test_norms_are_those_of_float32():
    training = training_with("sgd")
    advice = training.runs[0].integers("advice")
    (root,) = (name for name in advice if name.endswith("/root"))
    (form,) = (tensor for tensor in training.program.plan.tensors if tensor.name == root)
    state = training.state

    def loss_of(params, batch):
        logits = state.apply_fn({"params": params}, batch["image"])
        return optax.l2_loss(logits, batch["label"]).sum(axis=-1).mean()

    for at, rows in enumerate(training.schedule(1)[0]):
        batch = training.batch(rows)
        norm = float(optax.tree.norm(jax.grad(loss_of)(state.params, batch)))
        got = float(advice[root][at]) * 2.0**-form.fraction_bits
        assert abs(got / norm / 16 - 1) < 0.01 or abs(got / norm - 1) < 0.01
        state = training.train_step(state, batch)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMISERS)
def test_proof(name):
    training_with(name).chains_and_proves()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_five_epochs(name):
    Training(train_step, network_state(OPTIMISERS[name]), steps=48).is_as_accurate_as_float32(blocks=10)
