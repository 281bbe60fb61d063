"""The dense network that several benchmarks prove, and how a proof of it is timed.

The network is plain Flax (ReLU, biases, squared loss on one-hot labels, SGD). Its data are synthetic:
integers of 4 fraction bits and random labels, since only shapes matter here.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import optax
from flax.training.train_state import TrainState

import zkjax
from zkjax.cli.compiling import CompileClock
from zkjax.cli.progress import Stages

SEED = 0


@dataclass(frozen=True)
class Shape:
    """`layers` counts dense layers, the last one to the classes; `rows` those of the data set.

    A block has `steps` steps; the schedule is as long as `blocks` of them.
    """

    inputs: int
    width: int
    layers: int
    classes: int
    batch: int
    steps: int
    rows: int
    learning_rate: float = 1 / 32
    blocks: int = 1

    @property
    def sizes(self) -> str:
        return "-".join(map(str, [self.inputs, *[self.width] * (self.layers - 1), self.classes]))

    def report(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Training:
    """A training step with all that it needs, as a Flax user would write it."""

    step: Any
    state: TrainState
    dataset: dict[str, np.ndarray]
    schedule: np.ndarray
    steps: int

    def compile(self) -> zkjax.Program:
        """The program of a block, with formats for all blocks of the schedule."""
        batches = [jax.tree.map(lambda leaf, rows=rows: leaf[rows], self.dataset) for rows in self.schedule]
        return zkjax.compile(
            self.step, self.state, batches[0], steps=self.steps, calibration=batches, dataset=self.dataset
        )


def dense_network(shape: Shape) -> Training:
    class Network(nn.Module):
        @nn.compact
        def __call__(self, x):
            for _ in range(shape.layers - 1):
                x = nn.relu(nn.Dense(shape.width)(x))
            return nn.Dense(shape.classes)(x)

    def train_step(state, batch):
        def loss(params):
            output = state.apply_fn({"params": params}, batch["x"])
            return optax.squared_error(output, batch["y"]).sum(axis=-1).mean()

        return state.apply_gradients(grads=jax.grad(loss)(state.params))

    random = np.random.default_rng(SEED)
    rows = max(shape.rows, shape.batch)
    x = (random.integers(0, 17, (rows, shape.inputs)) / 16).astype(np.float32)
    y = np.eye(shape.classes, dtype=np.float32)[random.integers(0, shape.classes, rows)]
    model = Network()
    params = model.init(jax.random.key(SEED), x[:1])["params"]
    state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.sgd(shape.learning_rate))
    schedule = np.stack([random.permutation(rows)[: shape.batch] for _ in range(shape.blocks * shape.steps)])
    return Training(train_step, state, {"x": x, "y": y}, schedule, shape.steps)


@dataclass(frozen=True)
class Timed:
    """A proof with seconds by stage, compiling left out, and processor seconds by stage, all included."""

    stages: dict[str, float]
    processor: dict[str, float]
    compiling: float
    statement: Any
    proof: Any


def timed_proof(run: Any, clock: CompileClock, commitments: Any = None) -> Timed:
    marks: list[tuple[str, float]] = []
    with Stages({}) as stages:

        def progress(stage: str) -> None:
            stages.enter(stage)
            marks.append((stage, time.process_time()))

        statement, proof = zkjax.prove(run, commitments, progress=progress)
        stages.finish()
        marks.append(("", time.process_time()))
    took: dict[str, float] = {}
    compiling = 0.0
    for stage, begin, end in stages.spans:
        compiled = clock.between(begin, end)
        compiling += compiled
        took[stage] = took.get(stage, 0.0) + end - begin - compiled
    processor: dict[str, float] = {}
    for (stage, begin), (_, end) in pairwise(marks):
        processor[stage] = processor.get(stage, 0.0) + end - begin
    return Timed(took, processor, compiling, statement, proof)
