"""Factors that are no power of two, as SELU's 1.0507, go into tables where they would cost bits outside."""

from __future__ import annotations

import flax.linen as nn
import jax
import numpy as np
import optax

from tests.frontend.steps import batch_of, step_with, train_state
from zkjax.fixedpoint.evaluate import real
from zkjax.fixedpoint.nodes import Function, Linear
from zkjax.frontend import read_step
from zkjax.statement.formulas import parse


class Selu(nn.Module):
    @nn.compact
    def __call__(self, x):
        for _ in range(3):
            x = nn.selu(nn.Dense(4)(x))
        return nn.Dense(3)(x)


def softmax(logits, labels):
    return optax.softmax_cross_entropy(logits, labels).mean()


def test_selu_in_several_layers():
    """No bias has the inverse factor, all leaves move by one factor, and the tables are those of the true functions."""
    batch = batch_of()
    batch["label"] = np.eye(3, dtype=np.float32)[np.arange(4) % 3]
    step = read_step(step_with(softmax), train_state(Selu(), batch["image"]), batch).step
    sums = [node for node in step.nodes if isinstance(node, Linear)]
    assert {abs(factor) for node in sums for factor, _ in node.terms} == {1}
    assert len({change.factor for change in step.changes.values()}) == 1
    x = np.linspace(-3, 3, 101)[np.arange(101) != 50].astype(np.float32)
    found = [real(parse(node.formula), x.astype(np.float64)) for node in step.nodes if isinstance(node, Function)]
    expected = [*[nn.selu(x)] * 3, np.exp(x), *[jax.vmap(jax.grad(nn.selu))(x)] * 3]
    np.testing.assert_allclose(found, np.stack(expected), rtol=1e-5, atol=1e-6)
