"""The plan of a block: everything that decides its circuit but the number of rows of the data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from zkjax.fixedpoint.analysis import Roles
from zkjax.fixedpoint.evaluate import Calibration
from zkjax.fixedpoint.filters import Response
from zkjax.fixedpoint.formats import DataFormat, Precision, TensorFormat, WeightFormat
from zkjax.fixedpoint.nodes import operands
from zkjax.fixedpoint.numbers import Values
from zkjax.fixedpoint.rates import Fold
from zkjax.fixedpoint.step import Step


@dataclass(frozen=True)
class Plan:
    """One step, its formats, and the filter that makes the state of the gradients.

    `numbers` are the public numbers of each step of the block; the changes of `step` are those of
    `responses`. `fractions` gives the fraction bits of state leaves whose format is settled already,
    because an earlier block committed to them, `moments` what the moments of the step are made of, `counters` the
    values of counters and keys from which the numbers follow.
    """

    step: Step
    numbers: tuple[Values, ...]
    responses: dict[str, Response]
    moments: dict[int, Response]
    roles: Roles
    calibration: Calibration
    precision: Precision
    data: dict[str, DataFormat]
    weights: dict[str, WeightFormat]
    fold: Fold | None
    steps: int
    fractions: Mapping[str, int]
    counters: Mapping[str, int | tuple[int, ...]]
    tensors: tuple[TensorFormat, ...] = ()
    remarks: tuple[str, ...] = ()

    def shortened(self, steps: int) -> Plan:
        """The first `steps` steps, in the same formats."""
        weights = {
            name: replace(
                form,
                initial={other: row[: steps + 1] for other, row in form.initial.items()},
                taps=form.taps and form.taps[: steps + 1],
            )
            for name, form in self.weights.items()
        }
        moments = {
            index: replace(
                response,
                initial={other: row[:steps] for other, row in response.initial.items()},
                taps=response.taps and response.taps[:steps],
            )
            for index, response in self.moments.items()
        }
        return replace(self, steps=steps, numbers=self.numbers[:steps], weights=weights, moments=moments)

    def is_read(self, name: str) -> bool:
        """Whether the step computes with a state leaf, beyond what it keeps of it."""
        trained = (node for index, node in enumerate(self.step.nodes) if index not in self.step.reporting)
        return self.step.state[name] in {operand for node in trained for operand in operands(node)}

    def is_memory(self, name: str) -> bool:
        """Whether only the optimiser reads a state leaf, and takes it up into others."""
        taken = any(name in response.initial for other, response in self.responses.items() if other != name)
        return not self.is_read(name) and (taken or any(name in found.initial for found in self.moments.values()))
