"""What every step that publishes outputs is put to.

The usual idiom, `return state, {"loss": loss, "accuracy": accuracy}` with `value_and_grad(has_aux=True)`; asked for
with `outputs=True`. Nothing of the training may depend on the asking, the numbers must be near those of float32,
and two chained blocks prove and verify with them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.training.train_state import TrainState

import zkjax
from tests.steps.digits import STEPS, batches_of, schedules


def metric_step(loss: Callable, metrics: Callable = lambda logits, batch: {}) -> Callable:
    """The step of a loss of (logits, batch) that returns it with other metrics."""

    def train_step(state: TrainState, batch: dict) -> tuple[TrainState, dict]:
        def loss_of(params):
            logits = state.apply_fn({"params": params}, batch["image"])
            return loss(logits, batch), logits

        (value, logits), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.params)
        return state.apply_gradients(grads=gradients), {"loss": value, **metrics(logits, batch)}

    return train_step


def accuracy(logits: jax.Array, batch: dict) -> dict:
    return {"accuracy": jnp.mean(jnp.argmax(logits, -1) == batch["label"])}


def one_hot_accuracy(logits: jax.Array, batch: dict) -> dict:
    right = jnp.argmax(logits, axis=-1) == jnp.argmax(batch["label"], axis=-1)
    return {"accuracy": right.astype(jnp.float32).mean(), "right": right.sum()}


def compiled(step: Callable, state: Any, dataset: Any, **options: Any) -> tuple[zkjax.Program, np.ndarray]:
    schedule = schedules(len(dataset["image"]), 1)[0][: 2 * STEPS]
    batches = batches_of(dataset, schedule[:STEPS])
    return zkjax.compile(
        step, state, batches[0], steps=STEPS, calibration=batches, dataset=dataset, **options
    ), schedule


def assert_published(step: Callable, state: Any, dataset: Any, within: Mapping[str, float]) -> zkjax.Run:
    """Outputs near float32's, and nothing else that depends on them; `within` bounds the errors by name."""
    silent, schedule = compiled(step, state, dataset)
    program, _ = compiled(step, state, dataset, outputs=True)
    assert not silent.circuit.outputs
    run, other = (each.run(state, dataset, schedule[:STEPS]) for each in (program, silent))
    for role in ("data", "before", "after", "advice"):
        ours, theirs = run.integers(role), other.integers(role)
        assert (ours.keys() == theirs.keys()) or (role == "advice" and ours.keys() > theirs.keys())
        for name, values in theirs.items():
            np.testing.assert_array_equal(ours[name], values)
    assert run.outputs.keys() == run.float_outputs.keys() == within.keys()
    for name, bound in within.items():
        assert np.abs(run.outputs[name] - run.float_outputs[name]).max() <= bound, name
    return run


def assert_published_and_proved(step: Callable, state: Any, dataset: Any) -> None:
    """Two blocks, the second from where the first one ends; each verifier is told the numbers of its steps."""
    program, schedule = compiled(step, state, dataset, outputs=True)
    first = program.run(state, dataset, schedule[:STEPS])
    second = program.run(first.state, dataset, schedule[STEPS:])
    made = zkjax.commit(first)
    following = zkjax.commit(second, data=made.data, before=made.after)
    summaries = []
    for run, commitments in ((first, made), (second, following)):
        statement, proof = zkjax.prove(run, commitments)
        decoded = type(statement).from_bytes(statement.to_bytes())
        summary = zkjax.verify(decoded, proof)
        assert summary.outputs == {name: values.tolist() for name, values in run.outputs.items()}
        assert all(len(values) == STEPS for values in summary.outputs.values())
        assert summary.soundness_bits > 100
        summaries.append(summary)
    assert summaries[0].after == summaries[1].before
    assert summaries[0].outputs != summaries[1].outputs
