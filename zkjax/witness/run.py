"""A run: the exact integer training of one block, between the user's pytrees and the witness.

This is the program that gets proved, so its result is what the proof is about, also where it
differs from the same training in floating point.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from zkjax.circuit.program import Lowered
from zkjax.witness.check import check_lookups, saturations
from zkjax.witness.execute import Witness, checked_schedule, execute


class Runnable(Protocol):
    """What a run needs of a compiled program (see `zkjax.Program`)."""

    @property
    def steps(self) -> int: ...

    @property
    def batch(self) -> int: ...

    def at(self, state: Any) -> Runnable: ...

    def lowered_for(self, rows: int) -> Lowered: ...

    def quantize_state(self, state: Any) -> dict[str, np.ndarray]: ...

    def quantize_dataset(self, dataset: Any) -> dict[str, np.ndarray]: ...

    def restore_state(self, integers: Mapping[str, np.ndarray], template: Any) -> Any: ...

    def train_in_float(self, state: Any, dataset: Any, schedule: Any) -> tuple[Any, dict[str, np.ndarray]]: ...


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """One block, trained exactly and within its proven ranges; what `zkjax.prove` takes.

    `before` is the user's state that it began with, `dataset` the data. Data, witness and states are secret: they
    are not printed.
    """

    program: Runnable
    lowered: Lowered
    witness: Witness
    before: Any
    dataset: Any

    @property
    def schedule(self) -> np.ndarray:
        """Row numbers, int32 [steps, batch]."""
        return self.witness.schedule

    @cached_property
    def state(self) -> Any:
        """The state after the block, a pytree like the one before.

        Weights are multiples of 2**-16. float32 holds them exactly up to a magnitude of 256, and
        then the next block that starts from this state starts exactly where this one ended.
        """
        return self.program.restore_state(self.integers("after"), self.before)

    def integers(self, oracle: str) -> dict[str, np.ndarray]:
        """The committed tensors of an oracle by name, int64: 'data', 'before', 'after' or 'advice'."""
        nodes = self.lowered.circuit.nodes
        return {
            nodes[index].name: self.witness.values[index]  # type: ignore[union-attr]
            for index in self.lowered.circuit.committed(oracle)
        }

    @cached_property
    def outputs(self) -> dict[str, np.ndarray]:
        """What a proof of this run publishes, [steps, ...] by name: the exact numbers that were asked for."""
        return {
            output.name: np.ldexp(self.witness.values[output.node].astype(np.float64), -output.fraction_bits)
            for output in self.lowered.circuit.outputs
        }

    @cached_property
    def float_outputs(self) -> dict[str, np.ndarray]:
        """The same outputs of the same steps in the training step's own arithmetic, for comparison."""
        return self.program.train_in_float(self.before, self.dataset, self.schedule)[1]

    @property
    def saturations(self) -> dict[str, int]:
        """How many values each rectifier or gradient clipped to its limit, by tensor."""
        return saturations(self.lowered, self.witness)

    def __repr__(self) -> str:
        steps, batch = self.schedule.shape
        return f"<run of {steps} steps of batch {batch} on {self.lowered.circuit.rows} rows>"


def run_program(program: Runnable, state: Any, dataset: Any, schedule: Any) -> Run:
    """Train one block exactly: what `Program.run` does.

    `dataset` has a leading axis of rows, `schedule` [steps, batch] holds row numbers. Raises
    UserError for input that does not fit the program (naming the leaf or the entry) and
    OutOfRangeError where the run leaves its proven ranges: layer, step, index, value, bound.
    """
    program = program.at(state)
    data = program.quantize_dataset(dataset)
    before = program.quantize_state(state)
    rows = len(next(iter(data.values())))
    schedule = checked_schedule(schedule, steps=program.steps, batch=program.batch, rows=rows)
    lowered = program.lowered_for(rows)
    witness = execute(lowered, _by_node(lowered, "data", data), _by_node(lowered, "before", before), schedule)
    check_lookups(lowered, witness)
    return Run(program, lowered, witness, state, dataset)


def _by_node(lowered: Lowered, oracle: str, tensors: Mapping[str, np.ndarray]) -> dict[int, np.ndarray]:
    nodes = lowered.circuit.nodes
    return {index: tensors[nodes[index].name] for index in lowered.circuit.committed(oracle)}  # type: ignore[union-attr]
