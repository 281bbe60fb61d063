"""optax.clip_by_global_norm in front of other optimisers."""

from __future__ import annotations

from fractions import Fraction
from math import floor, isqrt

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.steps.oracle import exact
from tests.steps.training import Training, network_state, train_step
from zkjax.fixedpoint import norms
from zkjax.fixedpoint.bounds import BoundError
from zkjax.statement.circuit import Committed

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


def penalised(state, batch):
    """A step whose loss adds 1e-4 times the squares of the kernels, which is no power of two."""

    def loss_of(params):
        logits = state.apply_fn({"params": params}, batch["image"])
        kernels = [leaf for leaf in jax.tree.leaves(params) if leaf.ndim > 1]
        return optax.l2_loss(logits, batch["label"]).sum(axis=-1).mean() + 1e-4 * sum(jnp.sum(w**2) for w in kernels)

    return state.apply_gradients(grads=jax.grad(loss_of)(state.params))


def test_the_square_of_a_norm_is_rounded_where_it_would_not_fit():
    """With the multipliers of a penalty the exact sum does not fit the field; what is committed, in Python integers."""
    training = Training(penalised, network_state(OPTIMISERS["sgd"]))
    training.stays_close_to_float32()
    run, circuit = training.runs[0], training.program.circuit
    advice = {name: values.astype(object) for name, values in run.integers("advice").items()}
    units = {node.name: Fraction(1, 2) ** node.fraction_bits for node in circuit.nodes if isinstance(node, Committed)}
    first, second = (f"Dense_1/norm_square{number}" for number in ("", "#2"))
    one, other = (Fraction(2749, 1 << 28), Fraction(763 << 7))  # 12 bits of (2e-4 * 16)**2 and of (1 / (2e-4 * 16))**2

    def squares(values, name):
        return Fraction(int((values**2).sum())) * units[name] ** 2

    for at in range(training.steps):
        kernels = [squares(advice[name][at], name) for name in ("Dense_0/kernel/gradient", "Dense_1/kernel/gradient")]
        biases = squares(advice["Dense_0/bias/gradient"][at], "Dense_0/bias/gradient")
        biases += squares(advice["Dense_1/gradient/gated"][at].sum(axis=0), "Dense_1/gradient")
        summed = biases + one * kernels[0]
        assert advice[first][at] == floor(summed / units[first] + Fraction(1, 2))
        summed = kernels[1] + other * advice[first][at] * units[first]
        assert advice[second][at] == floor(summed / units[second] + Fraction(1, 2))
        squared = Fraction(2749, 1 << 36) * advice[second][at] * units[second]
        radicand = floor(squared / units["Dense_1/root/square"] + Fraction(1, 2))
        assert advice["Dense_1/root/square"][at] == radicand
        assert advice["Dense_1/root"][at] == isqrt(radicand)
        assert min(advice[first][at], advice[second][at]) > 1 << 24


def test_a_norm_that_does_not_fit_is_refused_with_what_to_change(monkeypatch):
    monkeypatch.setattr(norms, "fitting", lambda lowering, index, parts, multipliers: parts)
    named = r"at least 62 bits; the field holds 61(.|\n)*test_clipping.py(.|\n)*clipped(.|\n)*factor of a penalty"
    with pytest.raises(BoundError, match=named):
        _ = Training(penalised, network_state(OPTIMISERS["sgd"])).program


@pytest.mark.slow
def test_proof_with_a_penalty():
    Training(penalised, network_state(OPTIMISERS["sgd"])).chains_and_proves()


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMISERS)
def test_proof(name):
    training_with(name).chains_and_proves()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_five_epochs(name):
    Training(train_step, network_state(OPTIMISERS[name]), steps=48).is_as_accurate_as_float32(blocks=10)
