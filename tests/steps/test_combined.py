"""What is usually combined: dropout, Adam and a warm-up; layer norm, GELU and AdamW; loss and accuracy as outputs."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from flax.training import train_state

import zkjax
from tests.steps.digits import digits

STEPS, BATCH, HIDDEN = 4, 64, 64


class KeyedState(train_state.TrainState):
    key: jax.Array


class Dropped(nn.Module):
    @nn.compact
    def __call__(self, x, train: bool):
        for _ in range(2):
            x = nn.relu(nn.Dense(HIDDEN)(x))
            x = nn.Dropout(0.2, deterministic=not train)(x)
        return nn.Dense(10)(x)


class Normalised(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.hidden = nnx.Linear(64, HIDDEN, rngs=rngs)
        self.norm = nnx.LayerNorm(HIDDEN, rngs=rngs)
        self.output = nnx.Linear(HIDDEN, 10, rngs=rngs)

    def __call__(self, x):
        return self.output(nnx.gelu(self.norm(self.hidden(x))))


def linen_step():
    @jax.jit
    def train_step(state, batch):
        key = jax.random.fold_in(state.key, state.step)

        def loss_of(params):
            logits = state.apply_fn({"params": params}, batch["image"], train=True, rngs={"dropout": key})
            return optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean(), logits

        (loss, logits), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.params)
        accuracy = jnp.mean(jnp.argmax(logits, -1) == batch["label"])
        return state.apply_gradients(grads=gradients), {"loss": loss, "accuracy": accuracy}

    model = Dropped()
    params = model.init(jax.random.key(0), jnp.zeros((1, 64)), train=False)["params"]
    schedule = optax.warmup_cosine_decay_schedule(0.0, 1e-3, warmup_steps=20, decay_steps=220)
    optimiser = optax.adam(schedule)
    return train_step, KeyedState.create(apply_fn=model.apply, params=params, tx=optimiser, key=jax.random.key(1))


def nnx_step():
    model = Normalised(nnx.Rngs(0))
    graphdef, state = nnx.split((model, nnx.Optimizer(model, optax.adamw(1e-3), wrt=nnx.Param)))

    @jax.jit
    def train_step(state, batch):
        model, optimizer = nnx.merge(graphdef, state)

        def loss_of(model):
            logits = model(batch["image"])
            return optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean(), logits

        (loss, logits), gradients = nnx.value_and_grad(loss_of, has_aux=True)(model)
        optimizer.update(model, gradients)
        return nnx.state((model, optimizer)), {"loss": loss, "accuracy": (logits.argmax(-1) == batch["label"]).mean()}

    return train_step, state


@pytest.fixture(scope="module", params=[linen_step, nnx_step])
def trained(request):
    train_step, state = request.param()
    dataset = digits()[0]
    rows = np.random.default_rng(0).permutation(len(dataset["label"]))[: STEPS * BATCH].reshape(STEPS, BATCH)
    batches = [jax.tree.map(lambda leaf, batch=batch: leaf[batch], dataset) for batch in rows]
    outputs = ("loss", "accuracy")
    program = zkjax.compile(
        train_step, state, batches[0], steps=STEPS, calibration=batches, dataset=dataset, outputs=outputs
    )
    return train_step, state, batches, program, program.run(state, dataset, rows)


def test_close_to_float32(trained):
    train_step, state, batches, _, run = trained
    floating, losses = state, []
    for batch in batches:
        floating, outputs = train_step(floating, batch)
        losses.append(float(outputs["loss"]))
    assert np.abs(np.array(run.outputs["loss"], float) - losses).max() < 0.01
    moved = 0
    for ours, exact, start in zip(*map(jax.tree.leaves, (run.state, floating, state)), strict=True):
        if jnp.issubdtype(exact.dtype, jnp.floating):
            distance = np.abs(np.asarray(exact) - np.asarray(start))
            moved += distance.max() > 0
            # Adam moves a weight by a full step however small its gradient is: most, not all, are alike.
            error = np.abs(np.asarray(ours) - np.asarray(exact))
            assert np.quantile(error, 6 / 7) <= 0.06 * distance.max() + 2.0**-13
    assert moved >= 12


@pytest.mark.slow
def test_proved_and_audited(trained):
    train_step, state, batches, _, run = trained
    statement, proof = zkjax.prove(run)
    assert zkjax.verify(statement, proof).steps == STEPS
    assert zkjax.audit(train_step, state, batches[0], statement) == statement.circuit.digest().hex()
