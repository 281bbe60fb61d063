"""Data prepared row by row before anything is committed: one-hot labels, logarithms of inputs.

Where a step computes from the batch alone what has no rule, and each row of the result depends on
the same row of the batch only, the result itself can be committed as data. The statement then
begins after the preparation, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import numpy as np

from zkjax.frontend.trace import ELEMENTWISE, Constant, Equation, Trace, Variable, live, run

FURTHER_ELEMENTWISE = {
    *("log1p", "expm1", "tanh", "logistic", "sin", "cos", "floor", "ceil", "round", "rem", "clamp"),
    *("is_finite", "erf", "xor", "cbrt", "exp2", "nextafter"),
}
REDUCTIONS = {"reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or", "argmax", "argmin"}


@dataclass(frozen=True)
class Prepared:
    """A data leaf that `program` computes from the leaves of the batch, `rows` rows at a time."""

    program: Trace
    rows: int

    @cached_property
    def _jitted(self) -> Any:
        return jax.jit(lambda *leaves: run(self.program, leaves)[0])

    def of(self, leaves: list[np.ndarray]) -> np.ndarray:
        """The prepared rows of any number of rows of the batch's leaves."""
        count = len(leaves[0])
        parts = []
        for start in range(0, count, self.rows):
            chosen = np.minimum(np.arange(start, start + self.rows), count - 1)
            parts.append(np.asarray(self._jitted(*(leaf[chosen] for leaf in leaves))))
        return np.concatenate(parts)[:count]


@dataclass
class Preparation:
    """Follows which variables are computed row by row from the batch alone."""

    batch: Mapping[Variable, str]
    rows: int
    sources: dict[Variable, frozenset[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sources = {variable: frozenset([name]) for variable, name in self.batch.items()}

    def follow(self, equation: Equation) -> None:
        """Note the outputs of `equation` if it works row by row on such variables."""
        variables = [atom for atom in equation.inputs if isinstance(atom, Variable)]
        if not variables or not all(variable in self.sources for variable in variables):
            return
        if _by_rows(equation, self.rows):
            names = frozenset(name for variable in variables for name in self.sources[variable])
            self.sources.update(dict.fromkeys(equation.outputs, names))

    def prepared(self, program: Trace, variable: Variable) -> Prepared:
        """How to compute `variable` from the leaves of the batch."""
        return Prepared(live(Trace(tuple(self.batch), (), program.equations), [variable]), self.rows)


def _by_rows(equation: Equation, rows: int) -> bool:
    """Whether row i of the output depends on row i of the inputs and on constants only."""
    (first, *_), out = equation.inputs, equation.outputs[0]
    if out.shape[:1] != (rows,):
        return False
    if equation.name in ELEMENTWISE | FURTHER_ELEMENTWISE:
        return all(_same_in_all_rows(a) if isinstance(a, Constant) else a.shape[:1] == (rows,) for a in equation.inputs)
    if equation.name == "broadcast_in_dim":
        return tuple(equation.params["broadcast_dimensions"])[:1] == (0,)
    if equation.name == "reshape":
        return first.shape[:1] == (rows,) and equation.params["dimensions"] is None
    if equation.name == "squeeze":
        return 0 not in equation.params["dimensions"]
    if equation.name == "transpose":
        return equation.params["permutation"][0] == 0
    if equation.name in REDUCTIONS:
        return 0 not in equation.params["axes"]
    if equation.name == "concatenate":
        return equation.params["dimension"] != 0 and all(isinstance(atom, Variable) for atom in equation.inputs)
    return False


def _same_in_all_rows(constant: Constant) -> bool:
    """Whether a constant of the program itself, broadcast against rows, is the same in each."""
    if constant.uniform() is not None:
        return True
    return not constant.closed_over and constant.shape[:1] == (1,)
