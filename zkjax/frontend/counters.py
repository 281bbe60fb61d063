"""Counters and random keys of the state, and what a step computes from them alone.

Every leaf of the state that is no weight is public, and so is its value at every step: it moves by what the step
computes from such leaves and from constants. What the step computes from them alone (a learning rate, the mask of a
dropout) is then public as well, another one at every step: the user's own program is run on the values that the
leaves will have, in its own precision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from math import isfinite, prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from zkjax.errors import UserError
from zkjax.fixedpoint.numbers import Value
from zkjax.frontend.roles import Leaf
from zkjax.frontend.trace import Atom, Constant, Equation, Trace, Variable, is_key, live, run
from zkjax.frontend.values import Public

_SAME = {"broadcast_in_dim", "reshape", "squeeze", "copy", "stop_gradient"}
_SAME_VALUES = _SAME | {"convert_element_type", "transpose", "slice"}

Raw = int | tuple[int, ...]


def increment(program: Trace, before: Variable, after: Atom) -> int | None:
    """n where after = before + n, else None."""
    if after is before:
        return 0
    if is_key(before.dtype):
        return None
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
    """The outputs of an equation that reads public values and constants only, else None.

    `read` are the values of its variables. What random bits come from does not show in them.
    """
    if not all(isinstance(value, Public) for value in read):
        return None
    same = read[0].scalar if read and equation.name in _SAME | {"convert_element_type"} else None
    binary = bool(read) and equation.name in _SAME_VALUES and read[0].binary
    constants = [atom for atom in equation.inputs if isinstance(atom, Constant)]
    shows = any(value.closed_over for value in read) or any(atom.closed_over for atom in constants)
    shows &= not equation.name.startswith("random_")
    return [
        Public(var.shape, same if var.shape else var, var, binary or var.dtype == bool, shows)
        for var in equation.outputs
    ]


@dataclass(frozen=True)
class PublicLeaf:
    """A leaf of the state that is no weight; `move` is what a step adds to it, None where it does something else."""

    name: str
    shape: tuple[int, ...]
    dtype: Any
    move: int | None

    def raw(self, value: Any) -> Raw:
        """A value as plain integers: those of a key are its data."""
        if isinstance(value, tuple | int) and not isinstance(value, bool):
            array = np.asarray(value, object)
        else:
            array = np.asarray(jax.random.key_data(value) if is_key(getattr(value, "dtype", None)) else value)
        shape = self.raw_shape
        if array.size != prod(shape):
            raise UserError(f"the state leaf {self.name!r} takes {prod(shape)} integers, not {array.size}")
        numbers = tuple(int(entry) for entry in array.reshape(-1))
        return numbers if shape else numbers[0]

    def value(self, raw: Raw) -> Any:
        """The array or key of plain integers; UserError where its type does not hold them."""
        numbers = np.asarray(raw, object).reshape(self.raw_shape)
        dtype = np.dtype(np.uint32) if is_key(self.dtype) else np.dtype(self.dtype)
        if dtype.kind in "iu":
            info = np.iinfo(dtype)
            for number in numbers.reshape(-1):
                if not info.min <= number <= info.max:
                    raise UserError(f"the counter {self.name!r} reaches {number}, which {dtype} does not hold")
        array = numbers.astype(dtype)
        return jax.random.wrap_key_data(jnp.asarray(array), impl=self.dtype._impl.name) if is_key(self.dtype) else array

    @property
    def raw_shape(self) -> tuple[int, ...]:
        return (*self.shape, *self.dtype._impl.key_shape) if is_key(self.dtype) else self.shape


@dataclass(frozen=True)
class PublicState:
    """All leaves of the state that are no weights. `moves` makes the new values of those that no constant moves."""

    leaves: tuple[PublicLeaf, ...]
    moves: Trace

    @classmethod
    def of(
        cls, program: Trace, leaves: Sequence[Leaf], before: Sequence[Variable], after: Sequence[Atom]
    ) -> tuple[PublicState, list[Leaf]]:
        """(the leaves that move by public values alone, the others)."""
        found: list[tuple[PublicLeaf, Variable, Atom]] = []
        others: list[Leaf] = []
        known = set(before)
        for leaf, old, new in zip(leaves, before, after, strict=True):
            move = increment(program, old, new)
            needed = live(program, [new])
            read = {*needed.outputs, *(atom for equation in needed.equations for atom in equation.inputs)}
            if move is None and (read & set(program.inputs)) - known:
                others.append(leaf)
            else:
                found.append((PublicLeaf(leaf.name, leaf.shape, leaf.dtype, move), old, new))
        moves = live(program, [new for leaf, _, new in found if leaf.move is None])
        inputs = tuple(old for _, old, _ in found)
        return cls(tuple(leaf for leaf, _, _ in found), Trace(inputs, moves.outputs, moves.equations)), others

    @cached_property
    def _jitted(self) -> Any:
        def moved(*values: Any) -> list[Any]:
            return [jax.random.key_data(new) if is_key(new.dtype) else new for new in run(self.moves, values)]

        return jax.jit(moved)

    def start(self, leaves: Mapping[str, Any]) -> tuple[Raw, ...]:
        return tuple(leaf.raw(leaves[leaf.name]) for leaf in self.leaves)

    def values(self, raw: Sequence[Raw]) -> list[Any]:
        return [leaf.value(own) for leaf, own in zip(self.leaves, raw, strict=True)]

    def after(self, raw: tuple[Raw, ...]) -> tuple[Raw, ...]:
        """The leaves after one step."""
        new = iter(self._jitted(*self.values(raw)) if self.moves.outputs else ())
        return tuple(
            leaf.raw(next(new)) if leaf.move is None else _plus(own, leaf.move)
            for leaf, own in zip(self.leaves, raw, strict=True)
        )

    def needed_by(self, variables: set[Atom]) -> PublicState:
        """The leaves among `variables`, and those that move them."""
        pairs = list(zip(self.leaves, self.moves.inputs, strict=True))
        while True:
            chosen = [pair for pair in pairs if pair[1] in variables]
            new = dict(zip([leaf.name for leaf in self.leaves if leaf.move is None], self.moves.outputs, strict=True))
            moves = live(self.moves, [new[leaf.name] for leaf, _ in chosen if leaf.move is None])
            read = {*moves.outputs, *(atom for equation in moves.equations for atom in equation.inputs)}
            more = (read & set(self.moves.inputs)) - variables
            if not more:
                inputs = tuple(variable for _, variable in chosen)
                return PublicState(tuple(leaf for leaf, _ in chosen), Trace(inputs, moves.outputs, moves.equations))
            variables = variables | more


def _plus(raw: Raw, move: int) -> Raw:
    if isinstance(raw, int):
        return raw + move
    return tuple(entry + move for entry in raw)


@dataclass(frozen=True)
class Schedule:
    """The public values of a step, numbers and arrays: `program` computes them from the leaves of `state`.

    `inverse` says which are reciprocals of what the program computes, `lines` where the step computes them.
    """

    program: Trace
    state: PublicState
    inverse: tuple[bool, ...]
    lines: tuple[str, ...]
    _known: dict[tuple[Raw, ...], tuple[Value, ...]] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def _jitted(self) -> Any:
        return jax.jit(lambda *values: run(self.program, values))

    def start(self, leaves: Mapping[str, Any]) -> tuple[Raw, ...]:
        """The leaves that the numbers follow from, before the block, as plain integers."""
        return self.state.start(leaves)

    def named(self, start: Sequence[Raw]) -> dict[str, Raw]:
        """The leaves that the numbers follow from, by name."""
        return {leaf.name: value for leaf, value in zip(self.state.leaves, start, strict=True)}

    def values(self, start: Sequence[Raw], steps: int) -> tuple[tuple[Value, ...], ...]:
        """The numbers and arrays at each of `steps` steps. Raises UserError where one is not finite."""
        found, state = [], tuple(start)
        for step in range(steps):
            found.append(self._at(state))
            state = self.state.after(state) if step + 1 < steps else state
        return tuple(found)

    def _at(self, state: tuple[Raw, ...]) -> tuple[Value, ...]:
        if state not in self._known:
            given = self.state.values(state)
            found = [np.asarray(value) for value in self._jitted(*given)] if self.inverse else []
            places = zip(found, self.inverse, self.lines, strict=True)
            self._known[state] = tuple(self._exact(*place, state) for place in places)
        return self._known[state]

    def _exact(self, value: np.ndarray, inverse: bool, line: str, state: tuple[Raw, ...]) -> Value:
        if value.ndim:
            entries = value.astype(np.float64)
            if np.isfinite(entries).all() and not (inverse and (entries == 0).any()):
                return 1 / entries if inverse else entries
            wrong = entries[~np.isfinite(entries) | ((entries == 0) & inverse)][0]
        else:
            number = value.item()
            if isfinite(number) and not (inverse and not number):
                return 1 / Fraction(number) if inverse else Fraction(number)
            wrong = number
        names = ", ".join(f"{leaf.name} = {at}" for leaf, at in zip(self.state.leaves, state, strict=True))
        shown = f"1/{wrong:g}" if inverse else f"{wrong:g}"
        what = "a number that the step computes from its counters"
        raise UserError(f"{what} is {shown}{f' at {names}' if names else ''}\n    at {line}")


def schedule(program: Trace, state: PublicState, numbers: Sequence[tuple[Atom, bool, str]]) -> Schedule:
    """The schedule of `numbers` (what is computed, whether its reciprocal is meant, line)."""
    needed = live(Trace((), (), program.equations), [atom for atom, _, _ in numbers])
    read = {*needed.outputs, *(atom for equation in needed.equations for atom in equation.inputs)}
    used = state.needed_by(read & set(state.moves.inputs))
    needed = Trace(used.moves.inputs, needed.outputs, needed.equations)
    return Schedule(needed, used, tuple(inverse for _, inverse, _ in numbers), tuple(line for _, _, line in numbers))
