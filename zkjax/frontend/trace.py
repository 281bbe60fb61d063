"""Training step -> flat list of equations: trace, inline, drop what is dead, fold constants."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax._src import source_info_util
from jax.extend import core

from zkjax.errors import UserError

PACKAGE = Path(__file__).resolve().parents[1]
MAX_FOLDED_ELEMENTS = 1 << 20
MAX_UNROLLED = 64
INLINED = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
    "remat": "jaxpr",
    "remat2": "jaxpr",
    "checkpoint": "jaxpr",
    "custom_lin": "call_jaxpr",
}


class StepError(UserError):
    """The user's own step cannot be traced on the given state and batch: it raised."""

    def __init__(self, error: Exception):
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame.filename)]
        where = f"\n    at {_shown(frames[-1].filename, frames[-1].lineno, frames[-1].name)}" if frames else ""
        saying = (str(error).splitlines() or [""])[0]
        super().__init__(f"the training step fails on this state and batch: {type(error).__name__}: {saying}{where}")


@dataclass(frozen=True, eq=False)
class Variable:
    """A value that depends on state or batch; compared by identity."""

    shape: tuple[int, ...]
    dtype: np.dtype


@dataclass(frozen=True, eq=False)
class Constant:
    """A value known at compile time; `closed_over` if it is an array of the user's closure."""

    value: np.ndarray
    closed_over: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def dtype(self) -> np.dtype:
        return self.value.dtype

    def uniform(self) -> np.generic | None:
        """The one value of all entries, or None."""
        if self.value.size == 0 or is_key(self.dtype):
            return None
        first = self.value[(0,) * self.value.ndim]
        if not any(self.value.strides) or bool((self.value == first).all()):
            return first
        return None


Atom = Variable | Constant


@dataclass(frozen=True)
class Equation:
    """One primitive applied to atoms; `line` is where the user's program calls it."""

    primitive: core.Primitive
    params: Mapping[str, Any]
    inputs: tuple[Atom, ...]
    outputs: tuple[Variable, ...]
    line: str

    @property
    def name(self) -> str:
        return self.primitive.name


@dataclass(frozen=True)
class Trace:
    """A flat program: `outputs` in terms of `inputs` through `equations`, in order."""

    inputs: tuple[Variable, ...]
    outputs: tuple[Atom, ...]
    equations: tuple[Equation, ...]


def trace(function: Callable, *arguments: Any) -> tuple[Trace, Any]:
    """(flat program, pytree of output shapes) of `function(*arguments)`.

    Inputs and outputs follow the order of the flattened pytrees. Nothing is computed. Raises
    StepError where the function raises.
    """
    try:
        closed, shapes = jax.make_jaxpr(function, return_shape=True)(*arguments)
    except Exception as error:
        raise StepError(error) from error
    inputs = tuple(_variable(var.aval) for var in closed.jaxpr.invars)
    flat = _Flattener()
    outputs = flat.inline(closed.jaxpr, closed.consts, inputs)
    return Trace(inputs, tuple(outputs), tuple(flat.equations)), shapes


def live(program: Trace, outputs: Sequence[Atom]) -> Trace:
    """The part of `program` that `outputs` need, constants folded."""
    needed = {atom for atom in outputs if isinstance(atom, Variable)}
    kept = []
    for equation in reversed(program.equations):
        if needed & set(equation.outputs):
            kept.append(equation)
            needed |= {atom for atom in equation.inputs if isinstance(atom, Variable)}
    return _folded(Trace(program.inputs, tuple(outputs), tuple(reversed(kept))))


@dataclass
class _Flattener:
    equations: list[Equation] = field(default_factory=list)

    def inline(self, jaxpr: core.Jaxpr, consts: Sequence[Any], inputs: Sequence[Atom], line: str = "") -> list[Atom]:
        """Outputs of `jaxpr`; `line` is where it is called, for equations that know none."""
        known: dict[Any, Atom] = dict(zip(jaxpr.invars, inputs, strict=True))
        for var, value in zip(jaxpr.constvars, consts, strict=True):
            known[var] = _closed_over(value)

        def read(atom: Any) -> Atom:
            if isinstance(atom, core.Literal):
                dtype = atom.aval.dtype  # type: ignore[attr-defined]
                return Constant(np.asarray(atom.val, dtype=dtype))
            return known[atom]

        for equation in jaxpr.eqns:
            arguments = [read(atom) for atom in equation.invars]
            here = source_line(equation.source_info) or line
            inner = equation.params.get(INLINED.get(equation.primitive.name, ""))
            if inner is not None:
                open_jaxpr = getattr(inner, "jaxpr", inner)
                results = self.inline(open_jaxpr, getattr(inner, "consts", ()), arguments, here)
            elif equation.primitive.name == "scan" and equation.params["length"] <= MAX_UNROLLED:
                results = self._unrolled(equation.params, arguments, here)
            else:
                made = tuple(_variable(var.aval) for var in equation.outvars)
                results = list(made)
                self.equations.append(
                    Equation(
                        equation.primitive,
                        equation.params,
                        tuple(arguments),
                        made,
                        here or "a line that JAX does not know",
                    )
                )
            known.update(zip(equation.outvars, results, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def _unrolled(self, params: Mapping[str, Any], arguments: list[Atom], line: str) -> list[Atom]:
        """A scan, one turn after another: slices of what it runs over, results put together at the end."""
        body, length, first = params["jaxpr"], params["length"], params["num_consts"]
        fixed, carry = arguments[:first], arguments[first : first + params["num_carry"]]
        over = arguments[first + params["num_carry"] :]
        places = range(length)[::-1] if params["reverse"] else range(length)
        turns: dict[int, list[Atom]] = {}
        for place in places:
            slices = [self._slot(atom, place, line) for atom in over]
            results = self.inline(body.jaxpr, body.consts, [*fixed, *carry, *slices], line)
            carry, turns[place] = results[: len(carry)], results[len(carry) :]
        columns = zip(*(turns[place] for place in range(length)), strict=True)
        return [*carry, *(self._joined(column, line) for column in columns)]

    def _slot(self, atom: Atom, place: int, line: str) -> Atom:
        """atom[place]"""
        start, limit = (place, *[0] * len(atom.shape[1:])), (place + 1, *atom.shape[1:])
        params = {"start_indices": start, "limit_indices": limit, "strides": None}
        wide = self._emit(jax.lax.slice_p, params, [atom], (1, *atom.shape[1:]), line)
        return self._emit(jax.lax.squeeze_p, {"dimensions": (0,)}, [wide], atom.shape[1:], line)

    def _joined(self, atoms: Sequence[Atom], line: str) -> Atom:
        """The atoms along a new leading axis."""
        shape = atoms[0].shape
        params = {
            "shape": (1, *shape),
            "broadcast_dimensions": tuple(range(1, len(shape) + 1)),
            "sharding": None,
        }
        wide = [self._emit(jax.lax.broadcast_in_dim_p, params, [atom], (1, *shape), line) for atom in atoms]
        return self._emit(jax.lax.concatenate_p, {"dimension": 0}, wide, (len(atoms), *shape), line)

    def _emit(
        self, primitive: Any, params: Mapping[str, Any], inputs: Sequence[Atom], shape: tuple[int, ...], line: str
    ) -> Variable:
        made = Variable(tuple(shape), inputs[0].dtype)
        self.equations.append(Equation(primitive, params, tuple(inputs), (made,), line))
        return made


def run(program: Trace, inputs: Sequence[Any]) -> list[Any]:
    """The outputs of `program` on arrays, by the primitives themselves."""
    values: dict[Atom, Any] = dict(zip(program.inputs, inputs, strict=True))

    def read(atom: Atom) -> Any:
        return atom.value if isinstance(atom, Constant) else values[atom]

    for equation in program.equations:
        results = equation.primitive.bind(*map(read, equation.inputs), **equation.params)
        several = results if equation.primitive.multiple_results else [results]
        values.update(zip(equation.outputs, several, strict=True))
    return [read(atom) for atom in program.outputs]


def _variable(aval: Any) -> Variable:
    return Variable(tuple(aval.shape), aval.dtype)


def _closed_over(value: Any) -> Constant:
    try:
        return Constant(np.asarray(value), closed_over=True)
    except TypeError:  # a typed random key
        return Constant(value, closed_over=True)


def is_key(dtype: Any) -> bool:
    """Whether it is the type of random keys."""
    return dtype is not None and bool(jax.numpy.issubdtype(dtype, jax.dtypes.prng_key))


def source_line(info: Any) -> str:
    """'file:line (function)' of the innermost frame of the user's own code, libraries apart.

    Empty where JAX kept no trace, as inside of cached library functions.
    """
    frames = list(source_info_util.user_frames(info.traceback))
    own = [frame for frame in frames if "site-packages" not in frame.file_name]
    if not (own or frames):
        return ""

    def shown(frame: Any) -> str:
        return _shown(frame.file_name, frame.start_line, frame.function_name)

    if not own or own[0] is frames[0]:
        return shown(frames[0])
    return f"{shown(own[0])}, in {shown(frames[0])}"


def _is_users(file: str) -> bool:
    """Whether `file` is neither a library's nor of this package."""
    path = Path(file)
    return "site-packages" not in path.parts and PACKAGE not in path.parents and path.is_file()


def _shown(file: str, line: int | None, function: str) -> str:
    name = file.rpartition("site-packages/")[2].removeprefix(f"{Path.cwd()}/")
    return f"{name}:{line} ({function})"


def _folded(program: Trace) -> Trace:
    constants: dict[Variable, Constant] = {}

    def read(atom: Atom) -> Atom:
        return constants.get(atom, atom) if isinstance(atom, Variable) else atom

    equations = []
    for equation in program.equations:
        inputs = tuple(read(atom) for atom in equation.inputs)
        equation = Equation(equation.primitive, equation.params, inputs, equation.outputs, equation.line)
        values = _evaluated(equation)
        if values is None:
            equations.append(equation)
        else:
            closed = any(atom.closed_over for atom in inputs)  # type: ignore[union-attr]
            for var, value in zip(equation.outputs, values, strict=True):
                constants[var] = Constant(value, closed)
    outputs = tuple(read(atom) for atom in program.outputs)
    return Trace(program.inputs, outputs, tuple(equations))


_RESHAPING = {"broadcast_in_dim", "reshape", "transpose", "squeeze", "copy"}
ELEMENTWISE = {
    *("add", "sub", "mul", "div", "neg", "max", "min", "abs", "sign", "square", "integer_pow"),
    *("pow", "sqrt", "rsqrt", "exp", "log", "eq", "ne", "gt", "ge", "lt", "le", "and", "or", "not"),
    *("select_n", "convert_element_type", "add_any", "stop_gradient", "copy"),
}


def _evaluated(equation: Equation) -> list[np.ndarray] | None:
    """Values of an equation whose inputs are all constant, in the user's own precision."""
    if not all(isinstance(atom, Constant) for atom in equation.inputs):
        return None
    if any(is_key(atom.dtype) for atom in (*equation.inputs, *equation.outputs)):
        return None
    shape = equation.outputs[0].shape
    found = [atom.uniform() for atom in equation.inputs]  # type: ignore[union-attr]
    uniform = [value for value in found if value is not None]
    if uniform and len(uniform) == len(found):
        if equation.name in _RESHAPING:
            return [np.broadcast_to(uniform[0], shape)]
        if equation.name in ELEMENTWISE:
            result = np.asarray(equation.primitive.bind(*uniform, **equation.params))
            return [np.broadcast_to(result, shape)]
    if max(prod(atom.shape) for atom in (*equation.inputs, *equation.outputs)) > MAX_FOLDED_ELEMENTS:
        return None
    if equation.name.startswith(("random_", "threefry")):
        return None
    values = equation.primitive.bind(*(atom.value for atom in equation.inputs), **equation.params)  # type: ignore[union-attr]
    return [np.asarray(v) for v in (values if equation.primitive.multiple_results else [values])]
