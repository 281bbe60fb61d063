"""Real digits, a small network, and what every step with a linear optimiser is put to.

A step is trained in integers for two blocks and must equal the oracle's trainer bit for bit, stay
close to float32, and prove and verify.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.training.train_state import TrainState
from sklearn.datasets import load_digits

import zkjax

STEPS, BATCH, HIDDEN, CLASSES, TRAINING = 4, 16, 12, 10, 1500


def digits() -> dict[str, np.ndarray]:
    images, labels = load_digits(return_X_y=True)
    return {"image": (images / 16).astype(np.float32), "label": np.eye(CLASSES, dtype=np.float32)[labels]}


class Network(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(CLASSES)(nn.relu(nn.Dense(HIDDEN)(x)))


def network_state(optimiser: optax.GradientTransformation) -> TrainState:
    model = Network()
    params = model.init(jax.random.key(0), jnp.zeros((1, 64)))["params"]
    return TrainState.create(apply_fn=model.apply, params=params, tx=optimiser)


def train_step(state: TrainState, batch: dict) -> TrainState:
    """One step of squared loss, as Flax's examples write it."""

    def loss_of(params):
        logits = state.apply_fn({"params": params}, batch["image"])
        return optax.l2_loss(logits, batch["label"]).sum(axis=-1).mean()

    return state.apply_gradients(grads=jax.grad(loss_of)(state.params))


def accuracy(params: Any, test: dict) -> float:
    logits = Network().apply({"params": params}, test["image"])
    return float((jnp.argmax(logits, -1) == jnp.argmax(test["label"], -1)).mean())


def loss(params: Any, test: dict) -> float:
    """The squared loss on all of `test`."""
    return float(optax.l2_loss(Network().apply({"params": params}, test["image"]), test["label"]).sum(axis=-1).mean())


@dataclass
class Training:
    """A step on digits. `params` finds the network's weights in the state."""

    train_step: Callable
    state: Any
    params: Callable[[Any], Any] = lambda state: state.params
    steps: int = STEPS
    data: dict[str, np.ndarray] = field(default_factory=digits)

    def schedule(self, blocks: int) -> np.ndarray:
        """[blocks, steps, batch]: row numbers of the first TRAINING rows, epoch by epoch."""
        random, count = np.random.default_rng(7), blocks * self.steps * BATCH
        rows = np.concatenate([random.permutation(TRAINING) for _ in range(-(-count // TRAINING))])
        return rows[:count].reshape(blocks, self.steps, BATCH)

    def batch(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        return {name: values[rows] for name, values in self.data.items()}

    @cached_property
    def program(self) -> zkjax.Program:
        calibration = [self.batch(rows) for rows in self.schedule(1)[0]]
        return zkjax.compile(
            self.train_step,
            self.state,
            calibration[0],
            steps=self.steps,
            calibration=calibration,
            dataset=self.data,
        )

    @cached_property
    def runs(self) -> list[zkjax.Run]:
        """Two blocks, the second from the state that the first ends in."""
        first, second = self.schedule(2)
        run = self.program.run(self.state, self.data, first)
        return [run, self.program.run(run.state, self.data, second)]

    def floating(self, blocks: int) -> Any:
        """The state after as many blocks in float32."""
        state, step = self.state, jax.jit(self.train_step)
        for rows in self.schedule(blocks).reshape(-1, BATCH):
            state = step(state, self.batch(rows))
        return state

    # What every step is put to

    def stays_close_to_float32(self) -> None:
        """After two blocks weights have moved as in float32 to one part in fifty, momentum to one in twenty.

        Apart from a seventh of the entries: a unit whose sign flips on one image moves its weights otherwise.
        """
        names = [leaf.name for leaf in self.program.reading.state.leaves]
        states = (self.runs[1].state, self.floating(2), self.state)
        for name, *leaves in zip(names, *map(jax.tree.leaves, states), strict=True):
            got, exact, start = (np.asarray(leaf, np.float64) for leaf in leaves)
            plan = self.program.plan
            part = 0.05 if name in plan.weights and plan.is_memory(name) else 0.02
            assert np.quantile(np.abs(got - exact), 6 / 7) <= part * np.abs(exact - start).max() + 2.0**-13, name

    def keeps_the_users_state(self) -> None:
        """The state after a block has the structure, types and counters of the user's own."""
        after, floating = self.runs[1].state, self.floating(2)
        assert jax.tree.structure(after) == jax.tree.structure(self.state)
        for got, before, exact in zip(
            jax.tree.leaves(after), jax.tree.leaves(self.state), jax.tree.leaves(floating), strict=True
        ):
            assert np.shape(got) == np.shape(before)
            assert getattr(got, "dtype", type(got)) == getattr(before, "dtype", type(before))
            if jnp.asarray(got).dtype.kind == "i":
                assert int(got) == int(exact)

    def chains_and_proves(self) -> None:
        """Two blocks prove and verify, and the second starts where the first one ends."""
        first, second = self.runs
        commitments = zkjax.commit(first)
        following = zkjax.commit(second, data=commitments.data, before=commitments.after)
        one = zkjax.verify(*zkjax.prove(first, commitments))
        two = zkjax.verify(*zkjax.prove(second, following))
        assert (two.data, two.before) == (one.data, one.after)

    def is_as_accurate_as_float32(self, blocks: int) -> None:
        """Over `blocks` blocks: test accuracy within one point (two of the 297 images)."""
        test = {name: values[TRAINING:] for name, values in self.data.items()}
        state = floating = self.state
        step = jax.jit(self.train_step)
        for number, rows in enumerate(self.schedule(blocks), start=1):
            state = self.program.run(state, self.data, rows).state
            for batch in rows:
                floating = step(floating, self.batch(batch))
            if number % 5 == 0:
                ours, theirs = loss(self.params(state), test), loss(self.params(floating), test)
                print(f"loss after {number * self.steps} steps {ours:.4f}, float32 {theirs:.4f}")
        got = accuracy(self.params(state), test)
        exact = accuracy(self.params(floating), test)
        assert exact > 0.4  # a small network and few steps; guessing is 0.1
        assert abs(got - exact) <= 0.0101
