"""Layer normalisation: flax.linen, nnx, and by hand."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
import pytest
from flax import nnx

import zkjax
from tests.statement.circuits import small_statement
from tests.steps.digits import (
    accuracy_of,
    assert_exact,
    assert_proved,
    assert_trains,
    compiled,
    digits,
    train_state,
)


class Network(nn.Module):
    @nn.compact
    def __call__(self, image):
        hidden = nn.relu(nn.LayerNorm()(nn.Dense(16)(image)))
        return nn.Dense(10)(hidden)


def linen_step(state, batch):
    def loss_of(params):
        logits = state.apply_fn({"params": params}, batch["image"])
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()

    return state.apply_gradients(grads=jax.grad(loss_of)(state.params))


class NnxNetwork(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.hidden = nnx.Linear(64, 16, rngs=rngs)
        self.norm = nnx.LayerNorm(16, rngs=rngs)
        self.output = nnx.Linear(16, 10, rngs=rngs)

    def __call__(self, image):
        return self.output(nnx.relu(self.norm(self.hidden(image))))


def nnx_step_and_state():
    model = NnxNetwork(nnx.Rngs(0))
    graphdef, state = nnx.split((model, nnx.Optimizer(model, optax.sgd(0.25), wrt=nnx.Param)))

    def loss_of(model, batch):
        return optax.softmax_cross_entropy_with_integer_labels(model(batch["image"]), batch["label"]).mean()

    @jax.jit
    def train_step(state, batch):
        model, optimizer = nnx.merge(graphdef, state)
        optimizer.update(model, nnx.grad(loss_of)(model, batch))
        return nnx.state((model, optimizer))

    return train_step, state


def normalised(x, scale, bias):
    mean = x.mean(axis=-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + 1e-5) * scale[None] + bias[None]


def by_hand(params, batch):
    def loss_of(params):
        hidden = jnp.tanh(normalised(batch["image"] @ params["first"], params["scale"], params["bias"]))
        return optax.softmax_cross_entropy_with_integer_labels(hidden @ params["last"], batch["label"]).mean()

    return jax.tree.map(lambda w, g: w - 0.25 * g, params, jax.grad(loss_of)(params))


def hand_params():
    first, last = (jax.random.normal(jax.random.key(i), shape) / 8 for i, shape in enumerate([(64, 16), (16, 10)]))
    return {"first": first, "scale": jnp.ones(16), "bias": jnp.zeros(16), "last": last}


CASES = {
    "linen": lambda: (linen_step, train_state(Network())),
    "nnx": nnx_step_and_state,
    "by hand": lambda: (by_hand, hand_params()),
}


@pytest.mark.parametrize("name", CASES)
def test_exact(name):
    program = assert_exact(*CASES[name](), digits()[0], tolerance=0.02)
    roots = [table for table in program.circuit.tables if "sqrt" in table.formula]
    assert 1 <= len(roots) <= 2


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_proved(name):
    print(assert_proved(*CASES[name](), digits()[0]))


@pytest.mark.slow
def test_five_epochs():
    assert_trains(linen_step, train_state(Network()), digits()[0], accuracy_of)


def test_an_audit_finds_the_formats_again():
    """Means that are rounded, variances, floors of the roots: all of them follow from what the statement says."""
    step, state = CASES["linen"]()
    program, _ = compiled(step, state, digits()[0])
    statement = small_statement(program.circuit_for(len(digits()[0]["image"])))
    assert zkjax.audit(step, state, digits()[0], statement) == statement.circuit.digest().hex()
    assert sum("counts as that of" in remark for remark in statement.circuit.remarks) == 2
