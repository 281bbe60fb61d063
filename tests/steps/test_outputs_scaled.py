"""Loss and accuracy of a cross-entropy of scaled logits: dropout, a temperature; and of smoothed labels."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from math import floor
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zkjax
from tests.statement.decimals import nearest
from tests.steps.digits import BATCH, CLASSES, Network, digits, train_state
from tests.steps.outputs import accuracy, assert_published, assert_published_and_proved, compiled, metric_step
from tests.steps.test_dropout import KeyedState

TEMPERATURE = 0.7


class Dropped(nn.Module):
    rates: tuple[float, ...]

    @nn.compact
    def __call__(self, image, *, train: bool):
        hidden = image
        for rate in self.rates:
            hidden = nn.relu(nn.Dense(16)(hidden))
            hidden = nn.Dropout(rate, deterministic=not train)(hidden)
        return nn.Dense(CLASSES)(hidden)


class Normalised(nn.Module):
    """A mean over twelve features leaves its factor with the logits."""

    @nn.compact
    def __call__(self, image):
        return nn.Dense(CLASSES)(nn.relu(nn.LayerNorm()(nn.Dense(12)(image))))


def integer_labels(logits, batch):
    return optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()


def cooled(logits, batch):
    return integer_labels(logits / TEMPERATURE, batch)


def dropout_step(state: KeyedState, batch: Any) -> tuple[KeyedState, dict]:
    """The usual step: a key in the state, split; loss and accuracy of the batch as it was trained on."""
    key, dropout_key = jax.random.split(state.key)

    def loss_of(params):
        logits = state.apply_fn({"params": params}, batch["image"], train=True, rngs={"dropout": dropout_key})
        return integer_labels(logits, batch), logits

    (loss, logits), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    return state.apply_gradients(grads=gradients).replace(key=key), {"loss": loss, **accuracy(logits, batch)}


def dropped(*rates: float) -> tuple[Callable, KeyedState]:
    model = Dropped(rates)
    params = model.init(jax.random.key(0), digits()[0]["image"][:1], train=False)["params"]
    state = KeyedState.create(apply_fn=model.apply, params=params, tx=optax.sgd(0.25), key=jax.random.key(7))
    return dropout_step, state


def plain(loss: Callable, model: nn.Module | None = None) -> Callable[[], tuple[Callable, Any]]:
    return lambda: (metric_step(loss, accuracy), train_state(model or Network()))


CASES = {
    "dropout of one in four": lambda: dropped(0.25),
    "dropout of a half": lambda: dropped(0.5),
    "dropout of two layers": lambda: dropped(0.1, 0.3),
    "temperature": plain(cooled),
    "temperature, log_softmax": plain(
        lambda z, batch: -jax.nn.log_softmax(z * 1.3)[jnp.arange(BATCH), batch["label"]].mean()
    ),
    "temperature, logsumexp": plain(
        lambda z, batch: (
            jax.nn.logsumexp(z / 3, axis=-1) - (z / 3 * jax.nn.one_hot(batch["label"], CLASSES)).sum(axis=-1)
        ).mean()
    ),
    "smoothed labels": plain(
        lambda z, batch: optax.softmax_cross_entropy(
            z, optax.smooth_labels(jax.nn.one_hot(batch["label"], CLASSES), 0.1)
        ).mean()
    ),
    "smoothed labels, temperature": plain(
        lambda z, batch: optax.softmax_cross_entropy(
            z / TEMPERATURE, optax.smooth_labels(jax.nn.one_hot(batch["label"], CLASSES), 0.1)
        ).mean()
    ),
    "normalised": plain(integer_labels, Normalised()),
}


@pytest.mark.parametrize("name", CASES)
def test_published(name):
    step, state = CASES[name]()
    run = assert_published(step, state, digits()[0], {"loss": 3e-3, "accuracy": 1 / BATCH})
    loss = run.outputs["loss"]
    assert loss[-1] < loss[0] < 4


def test_the_integers_are_those_of_the_documentation():
    """The loss by Python's integers from the rounded logits; the exact cross-entropy of these is within the bound."""
    program, schedule = compiled(metric_step(cooled, accuracy), train_state(Network()), digits()[0], outputs="loss")
    run = program.run(train_state(Network()), digits()[0], schedule[:4])
    circuit = run.lowered.circuit
    (node,) = (n for n in map(circuit.nodes.__getitem__, circuit.committed("advice")) if n.name == "Dense_1/logits")
    logits = run.integers("advice")["Dense_1/logits"].tolist()
    labels = run.integers("data")["label"][run.schedule].tolist()
    (output,) = circuit.outputs
    published = run.witness.values[output.node].tolist()
    scale = Fraction(1) / Fraction(float(np.float32(TEMPERATURE)))
    inverse = f"{scale.denominator * 2}/{scale.numerator}"  # 1.4, which half of multiplies the logarithm
    (said,) = (remark for remark in circuit.remarks if remark.startswith("the factor"))
    multiplier, shift = map(int, re.search(r"is -(\d+)/2\^(\d+) ", said).groups())  # type: ignore[union-attr]
    assert abs(Fraction(multiplier, 1 << shift) / (scale / BATCH) - 1) < Fraction(1, 1 << 16)
    for at, (rows, classes) in enumerate(zip(logits, labels, strict=True)):
        total, exact = 0, 0.0
        for z, label in zip(rows, classes, strict=True):
            largest = max(z)
            powers = f"exp({scale.numerator}/{scale.denominator}*x)"
            summed = sum(nearest(powers, value - largest, node.fraction_bits, 16) for value in z)
            logarithm = nearest(f"{inverse}*log(1 + x)", (summed - (1 << 16) + 8) >> 4, 12, 14)
            total += logarithm + ((largest - z[label]) << (15 - node.fraction_bits))
            real = np.array(z) * 2.0**-node.fraction_bits / TEMPERATURE
            exact += np.log(np.exp(real).sum()) - real[label]
        # from units of 2^-15 to 2^-16
        assert published[at] == floor(Fraction(multiplier, 1 << shift) * 2 * total + Fraction(1, 2))
        assert abs(published[at] * 2.0**-16 - exact / BATCH) <= CLASSES * 2.0**-17 + 2.0**-13 + 2.0**-15 + 2.0**-14


def test_an_audit_compiles_the_same_circuit():
    """Of the case with most roundings for the loss alone."""
    step, state = CASES["smoothed labels, temperature"]()
    program, schedule = compiled(step, state, digits()[0], outputs=True)
    run = program.run(state, digits()[0], schedule[:4])
    statement, proof = zkjax.prove(run, zkjax.commit(run))
    assert zkjax.verify(statement, proof).outputs["loss"] == run.outputs["loss"].tolist()
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(jnp.shape(leaf), jnp.asarray(leaf).dtype), state)
    digest = zkjax.audit(step, shapes, digits()[0], statement)
    assert digest == statement.circuit.digest().hex()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dropout of two layers", "temperature", "smoothed labels"])
def test_proved(name):
    """Two chained blocks; a dropout's key moves on between them."""
    assert_published_and_proved(*CASES[name](), digits()[0])
