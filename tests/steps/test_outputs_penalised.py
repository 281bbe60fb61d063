"""A loss with a penalty on the weights as an output, and its parts: squares of weights or kernels; magnitudes."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import floor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.training.train_state import TrainState

import zkjax
from tests.steps.digits import BATCH, STEPS, Network, digits, train_state
from tests.steps.outputs import accuracy, assert_published, assert_published_and_proved, compiled
from zkjax.fixedpoint.bounds import BoundError

PENALTIES: dict[str, Callable[[Any], jax.Array]] = {
    "squares": lambda params: 1e-4 * sum(jnp.sum(w**2) for w in jax.tree.leaves(params)),
    "half the squares of kernels": lambda params: (
        0.5 * 1e-3 * sum(jnp.sum(jnp.square(w)) for w in jax.tree.leaves(params) if w.ndim > 1)
    ),
    "l2_loss": lambda params: 1e-3 * sum(optax.l2_loss(w).sum() for w in jax.tree.leaves(params)),
    "magnitudes": lambda params: 1e-4 * sum(jnp.abs(w).sum() for w in jax.tree.leaves(params)),
}


def penalised_step(penalty: Callable) -> Callable:
    """The usual step, which returns loss and data loss apart."""

    def train_step(state: TrainState, batch: dict) -> tuple[TrainState, dict]:
        def loss_of(params):
            logits = state.apply_fn({"params": params}, batch["image"])
            data = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()
            added = penalty(params)
            return data + added, {"data": data, "penalty": added, **accuracy(logits, batch)}

        (loss, parts), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.params)
        return state.apply_gradients(grads=gradients), {"loss": loss, **parts}

    return train_step


@pytest.mark.parametrize("name", PENALTIES)
def test_published(name):
    step, state = penalised_step(PENALTIES[name]), train_state(Network())
    within = {"loss": 2e-3, "data": 2e-3, "penalty": 2e-5, "accuracy": 1 / BATCH}
    run = assert_published(step, state, digits()[0], within)
    outputs = run.outputs
    assert (outputs["penalty"] > 1e-3).all()
    np.testing.assert_allclose(outputs["loss"], outputs["data"] + outputs["penalty"], atol=2.0**-15)


def test_the_penalty_is_that_of_the_rounded_weights():
    """By Python's integers, for every step; the weights are those before it, rounded once."""
    step, state = penalised_step(PENALTIES["squares"]), train_state(Network())
    program, schedule = compiled(step, state, digits()[0], outputs="penalty")
    run = program.run(state, digits()[0], schedule[:STEPS])
    circuit = run.lowered.circuit
    nodes = {node.name: node for node in map(circuit.nodes.__getitem__, circuit.committed("advice"))}
    weights = run.integers("advice")
    reported = [name for name in nodes if name.endswith("/reported")]
    assert {name.removesuffix("/reported") for name in reported} == {
        f"Dense_{layer}/{leaf}" for layer in (0, 1) for leaf in ("bias", "kernel")
    }
    for at in range(STEPS):
        total = Fraction(0)
        for name in reported:
            unit = Fraction(1, 1 << nodes[name].fraction_bits)
            total += sum((int(w) * unit) ** 2 for w in weights[name][at].reshape(-1))
        exact = Fraction(float(np.float32(1e-4))) * total
        # One short factor for the squares, one rounding of each leaf's to 24 fraction bits or more, one of the sum.
        error = abs(Fraction(run.outputs["penalty"][at]) - exact)
        assert error <= Fraction(1, 1 << 17) + exact / 2**15 + Fraction(len(reported), 1 << 24)
    first = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), state.params)
    for name in reported:
        layer, leaf, _ = name.split("/")
        unit = 2.0 ** -nodes[name].fraction_bits
        assert np.abs(weights[name][0] * unit - first[layer][leaf]).max() <= unit * 0.5 + 2.0**-17
    assert floor(run.outputs["penalty"][0] * 2**16) == run.outputs["penalty"][0] * 2**16


def test_an_audit_compiles_the_same_circuit():
    step, state = penalised_step(PENALTIES["squares"]), train_state(Network())
    program, schedule = compiled(step, state, digits()[0], outputs=True)
    run = program.run(state, digits()[0], schedule[:STEPS])
    statement, proof = zkjax.prove(run, zkjax.commit(run))
    assert zkjax.verify(statement, proof).outputs["loss"] == run.outputs["loss"].tolist()
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(jnp.shape(leaf), jnp.asarray(leaf).dtype), state)
    assert zkjax.audit(step, shapes, digits()[0], statement) == statement.circuit.digest().hex()


def test_a_penalty_beyond_the_field_names_itself_and_what_to_ask_for():
    """The training is compiled all the same, and so is the loss of the data."""
    step = penalised_step(
        lambda params: jax.lax.stop_gradient(1e16 * sum(jnp.sum(w**2) for w in jax.tree.leaves(params)))
    )
    huge = (
        r"the field holds 61(.|\n)*test_outputs_penalised.py(.|\n)*the training fits, its outputs do not(.|\n)*outputs="
    )
    with pytest.raises(BoundError, match=huge):
        compiled(step, train_state(Network()), digits()[0], outputs=("loss", "data"))
    compiled(step, train_state(Network()), digits()[0], outputs="data")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["squares", "magnitudes"])
def test_proved(name):
    assert_published_and_proved(penalised_step(PENALTIES[name]), train_state(Network()), digits()[0])
