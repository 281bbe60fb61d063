"""Loss and accuracy of softmax cross-entropy as public outputs, in its usual spellings."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.statement.decimals import nearest
from tests.steps.digits import BATCH, Network, digits, train_state
from tests.steps.outputs import (
    accuracy,
    assert_published,
    assert_published_and_proved,
    metric_step,
    one_hot_accuracy,
)
from tests.steps.test_one_hot_labels import one_hot_digits

CLASSES = 10
# Against the exact cross-entropy of the rounded logits: each exponential, the rounding of their sum, the logarithm's
# table, the rounding of what is published (docs/protocol.md).
BOUND = CLASSES * 2.0**-17 + 2.0**-13 + 2.0**-15 + 2.0**-17


def log_probabilities(logits):
    return jax.nn.log_softmax(logits)


LOSSES = {
    "integer labels": lambda logits, batch: optax.softmax_cross_entropy_with_integer_labels(
        logits, batch["label"]
    ).mean(),
    "one-hot": lambda logits, batch: optax.softmax_cross_entropy(logits, jax.nn.one_hot(batch["label"], 10)).mean(),
    "indexed": lambda logits, batch: -log_probabilities(logits)[jnp.arange(BATCH), batch["label"]].mean(),
    "logsumexp": lambda logits, batch: (
        jax.nn.logsumexp(logits, axis=-1) - (logits * jax.nn.one_hot(batch["label"], 10)).sum(axis=-1)
    ).mean(),
}


@pytest.mark.parametrize("name", LOSSES)
def test_published(name):
    assert_published(
        metric_step(LOSSES[name], accuracy), train_state(Network()), digits()[0], {"loss": 1e-3, "accuracy": 1 / BATCH}
    )


def test_published_with_given_one_hot_labels():
    """The labels' argmax is exact too; a sum of matches comes along as a whole number."""
    step = metric_step(
        lambda logits, batch: optax.softmax_cross_entropy(logits, batch["label"]).mean(), one_hot_accuracy
    )
    within = {"loss": 1e-3, "accuracy": 1 / BATCH, "right": 1}
    run = assert_published(step, train_state(Network()), one_hot_digits(), within)
    assert (run.outputs["right"] == BATCH * run.outputs["accuracy"]).all()


def test_the_integers_are_those_of_the_documentation():
    """Loss and accuracy by Python's integers from the rounded logits and the labels, and the bound on the loss."""
    step = metric_step(LOSSES["integer labels"], accuracy)
    run = assert_published(step, train_state(Network()), digits()[0], {"loss": 1e-3, "accuracy": 1 / BATCH})
    circuit = run.lowered.circuit
    (node,) = (n for n in map(circuit.nodes.__getitem__, circuit.committed("advice")) if n.name == "Dense_1/logits")
    logits = run.integers("advice")["Dense_1/logits"].tolist()
    labels = run.integers("data")["label"][run.schedule].tolist()
    published = {output.name: run.witness.values[output.node].tolist() for output in circuit.outputs}
    for at, (rows, classes) in enumerate(zip(logits, labels, strict=True)):
        total, right, exact = 0, 0, 0.0
        for z, label in zip(rows, classes, strict=True):
            largest = max(z)
            summed = sum(nearest("exp(x)", value - largest, node.fraction_bits, 16) for value in z)
            quotient = (summed - (1 << 16) + 8) >> 4
            logarithm = nearest("log(1 + x)", quotient, 12, 14)
            total += logarithm + ((largest - z[label]) << (14 - node.fraction_bits))
            right += z.index(largest) == label
            real = np.array(z) * 2.0**-node.fraction_bits
            exact += np.log(np.exp(real).sum()) - real[label]
        assert published["loss"][at] == (total + 4) >> 3  # a mean of 32 rows, from 14 to 16 fraction bits
        assert published["accuracy"][at] == right
        assert abs(published["loss"][at] * 2.0**-16 - exact / BATCH) <= BOUND


@pytest.mark.slow
def test_proved():
    assert_published_and_proved(metric_step(LOSSES["integer labels"], accuracy), train_state(Network()), digits()[0])


@pytest.mark.slow
def test_one_hot_proved():
    assert_published_and_proved(metric_step(LOSSES["one-hot"], accuracy), train_state(Network()), digits()[0])
