"""Smooth activations in Flax's spellings: value and derivative are one table each."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
import pytest

from tests.steps.digits import Network, accuracy_of, assert_exact, assert_proved, assert_trains, digits, train_state
from zkjax.fixedpoint.nodes import Function

ACTIVATIONS = {
    "tanh": jnp.tanh,
    "sigmoid": nn.sigmoid,
    "silu": nn.silu,
    "gelu": nn.gelu,
    "exact gelu": lambda x: nn.gelu(x, approximate=False),
    "elu": nn.elu,
    "selu": nn.selu,
    "softplus": nn.softplus,
    "mish": lambda x: x * jnp.tanh(nn.softplus(x)),
}
FAST = ("tanh", "gelu")


def train_step(state, batch):
    def loss_of(params):
        logits = state.apply_fn({"params": params}, batch["image"])
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()

    loss, gradients = jax.value_and_grad(loss_of)(state.params)
    return state.apply_gradients(grads=gradients), loss


def marked(names):
    return [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", marked(ACTIVATIONS))
def test_exact(name):
    """One table for the value and one for the derivative, besides that of the softmax."""
    program = assert_exact(train_step, train_state(Network(ACTIVATIONS[name])), digits()[0])
    assert sum(isinstance(node, Function) for node in program.plan.step.nodes) == 3
    assert sum(table.kind == "function" for table in program.circuit.tables) == 3


@pytest.mark.slow
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_proved(name):
    assert_proved(train_step, train_state(Network(ACTIVATIONS[name])), digits()[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_five_epochs(name):
    rate = 1.0 if name == "sigmoid" else 0.25
    assert_trains(train_step, train_state(Network(ACTIVATIONS[name]), optax.sgd(rate)), digits()[0], accuracy_of)


def test_leaky_relu():
    """Its slope is no power of two; it takes gates, and no table of its own."""
    program = assert_exact(train_step, train_state(Network(nn.leaky_relu)), digits()[0])
    assert sum(table.kind == "function" for table in program.circuit.tables) == 1


@pytest.mark.slow
def test_leaky_relu_for_five_epochs():
    assert_trains(train_step, train_state(Network(nn.leaky_relu)), digits()[0], accuracy_of)


def test_layers_share_tables():
    class Deep(nn.Module):
        @nn.compact
        def __call__(self, image):
            hidden = nn.tanh(nn.Dense(16)(image))
            hidden = nn.tanh(nn.Dense(12)(hidden))
            hidden = nn.tanh(nn.Dense(8)(hidden))
            return nn.Dense(10)(hidden)

    program = assert_exact(train_step, train_state(Deep()), digits()[0])
    assert sum(table.kind == "function" for table in program.circuit.tables) == 3
