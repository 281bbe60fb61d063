"""Counters of the state, and the numbers that a step computes from them alone.

A counter is an integer scalar of the state that moves by a constant per step. Its value is public,
so that a learning rate computed from it is a public number, another one at every step: the user's
own schedule is run on the values that the counter will have, in its own precision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from math import isfinite
from typing import Any

import jax
import numpy as np

from zkjax.errors import UserError
from zkjax.frontend.trace import Atom, Constant, Equation, Trace, Variable, live, run
from zkjax.frontend.values import Public

_SAME = {"broadcast_in_dim", "reshape", "squeeze", "copy", "stop_gradient"}


def increment(program: Trace, before: Variable, after: Atom) -> int | None:
    """n where after = before + n, else None."""
    if after is before:
        return 0
    for equation in program.equations:
        if after in equation.outputs:
            if equation.name in ("copy", "stop_gradient", "convert_element_type"):
                (source,) = equation.inputs
                return increment(program, before, source)
            constants = [atom for atom in equation.inputs if isinstance(atom, Constant)]
            others = [atom for atom in equation.inputs if isinstance(atom, Variable)]
            if equation.name == "select_n" and len(constants) == 1:  # optax's increment that stops at the maximum
                maximum = before.dtype.kind in "iu" and constants[0].uniform() == np.iinfo(before.dtype).max
                return increment(program, before, others[-1]) if maximum else None
            if equation.name == "add" and len(constants) == 1 and before.dtype.kind in "iu":
                inner = increment(program, before, others[0])
                value = constants[0].uniform()
                return None if inner is None or value is None else inner + int(value)
    return None


def followed(equation: Equation, read: Sequence[Any]) -> list[Public] | None:
    """The outputs of an equation that reads counters and constants only, else None.

    `read` are the values of its variables.
    """
    if not read or not all(isinstance(value, Public) for value in read):
        return None
    same = read[0].scalar if equation.name in _SAME or equation.name == "convert_element_type" else None
    return [Public(var.shape, same if var.shape else var) for var in equation.outputs]


@dataclass(frozen=True)
class Schedule:
    """The public numbers of a step: `program` computes them from the values of the counters.

    `counters` gives name, increment and type of each input, `inverse` says which numbers are
    reciprocals of what the program computes, `lines` where the step computes them.
    """

    program: Trace
    counters: tuple[tuple[str, int, Any], ...]
    inverse: tuple[bool, ...]
    lines: tuple[str, ...]
    _known: dict[tuple[int, ...], tuple[Fraction, ...]] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def _jitted(self) -> Any:
        return jax.jit(lambda *values: run(self.program, values))

    def start(self, counters: Mapping[str, Any]) -> tuple[int, ...]:
        """The values of the counters that the numbers follow from, before the block."""
        return tuple(int(counters[name]) for name, _, _ in self.counters)

    def named(self, start: Sequence[int]) -> dict[str, int]:
        """The counters that the numbers follow from, by name."""
        return {name: value for (name, _, _), value in zip(self.counters, start, strict=True)}

    def values(self, start: Sequence[int], steps: int) -> tuple[tuple[Fraction, ...], ...]:
        """The numbers at each of `steps` steps. Raises UserError where one is not finite."""
        return tuple(
            self._at(tuple(value + step * move for value, (_, move, _) in zip(start, self.counters, strict=True)))
            for step in range(steps)
        )

    def _at(self, counters: tuple[int, ...]) -> tuple[Fraction, ...]:
        if counters not in self._known:
            for value, (name, _, dtype) in zip(counters, self.counters, strict=True):
                if not np.iinfo(dtype).min <= value <= np.iinfo(dtype).max:
                    raise UserError(f"the counter {name!r} reaches {value}, which {dtype} does not hold")
            given = (np.asarray(value, dtype) for value, (_, _, dtype) in zip(counters, self.counters, strict=True))
            found = [np.asarray(value).item() for value in self._jitted(*given)] if self.inverse else []
            self._known[counters] = tuple(map(self._exact, found, self.inverse, self.lines, [counters] * len(found)))
        return self._known[counters]

    def _exact(self, value: Any, inverse: bool, line: str, counters: tuple[int, ...]) -> Fraction:
        if not isfinite(value) or (inverse and not value):
            names = ", ".join(f"{name} = {at}" for (name, _, _), at in zip(self.counters, counters, strict=True))
            shown = f"1/{value:g}" if inverse else f"{value:g}"
            raise UserError(f"a number that the step computes from its counters is {shown} at {names}\n    at {line}")
        return 1 / Fraction(value) if inverse else Fraction(value)


def schedule(
    program: Trace, inputs: Mapping[str, tuple[Variable, int]], numbers: Sequence[tuple[Variable, bool, str]]
) -> Schedule:
    """The schedule of `numbers` (variable, whether its reciprocal is meant, line) over the counters `inputs`."""
    variables = [variable for variable, _, _ in numbers]
    needed = live(Trace((), (), program.equations), variables)
    read = {*needed.outputs, *(atom for equation in needed.equations for atom in equation.inputs)}
    used = {name: (variable, move) for name, (variable, move) in inputs.items() if variable in read}
    counters = tuple((name, move, variable.dtype) for name, (variable, move) in used.items())
    needed = Trace(tuple(variable for variable, _ in used.values()), needed.outputs, needed.equations)
    return Schedule(
        needed, counters, tuple(inverse for _, inverse, _ in numbers), tuple(line for _, _, line in numbers)
    )
