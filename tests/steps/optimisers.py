"""Training with an optimiser that is linear in the gradients, held against the oracle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import jax
import numpy as np
import optax

from tests.steps.oracle import LEAF, Impulses, Trainer, impulses, optax_step
from tests.steps.training import Training, network_state, train_step

SUFFIX = MappingProxyType(
    {
        f"{layer}/{kind}": f"{module}/{kind}"
        for layer, module in (("first", "Dense_1"), ("last", "Dense_0"))
        for kind in ("kernel", "bias")
    }
)


class LinearTraining(Training):
    """A step whose optimiser is known by `one_weight`: (step of one weight and its gradient, its state).

    `layers` maps the places of the network ("first/kernel" and so on) to leaves of the state, `suffix`
    the same places to the ends of the names of all leaves that belong to them.
    """

    one_weight: tuple[Callable, Any]
    layers: Mapping[str, str]
    suffix: Mapping[str, str]

    def of(self, name: str) -> tuple[str, str]:
        """(leaf of one weight, place in the network) of a leaf such as opt_state/0/trace/Dense_0/bias."""
        for place, suffix in self.suffix.items():
            if name.endswith(f"/{suffix}"):
                return f"{name.removesuffix(suffix)}{LEAF}", place
        raise KeyError(name)

    def impulses(self, block: int) -> Impulses:
        """Of the optimiser from the counters with which a block begins."""
        step, state = self.one_weight
        moved = jax.tree.map(
            lambda leaf: leaf + block * self.steps if np.asarray(leaf).dtype.kind == "i" else leaf, state
        )
        return impulses(step, moved, self.steps)

    def is_exact(self) -> None:
        """Both blocks end in the integers of the oracle's trainer."""
        for block, run in enumerate(self.runs):
            trainer = Trainer(self, run.program, self.impulses(block), self.of, self.layers)
            after = trainer.train(run.integers("before"), run.schedule)
            for name, values in run.integers("after").items():
                np.testing.assert_array_equal(values, after[name].astype(np.int64), err_msg=f"block {block}: {name}")


class OptaxTraining(LinearTraining):
    """The digits network under an Optax optimiser."""

    suffix = SUFFIX
    layers = MappingProxyType({place: f"params/{end}" for place, end in SUFFIX.items()})

    def __init__(self, optimiser: optax.GradientTransformation, step: Callable = train_step, **options: Any):
        super().__init__(step, network_state(optimiser), **options)
        self.one_weight = optax_step(optimiser)
