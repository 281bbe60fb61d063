"""Where a training step rounds to fewer bits than float32 has, as a step in bfloat16 does.

A proof is of exact fixed-point numbers in any case: there the step as written and the proved one are different
programs, which the statement says. Operations that move entries round nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

import jax.numpy as jnp

from zkjax.frontend.trace import Equation

FLOAT32_MANTISSA = 23
SHORT_NOTE = "the training step as written rounds to {}, the proved one does not (it is in fixed-point numbers)"
MOVES = frozenset(
    {
        *("broadcast_in_dim", "concatenate", "copy", "dynamic_slice", "gather", "neg", "reshape", "rev", "select_n"),
        *("slice", "squeeze", "stop_gradient", "transpose"),
    }
)


def shortened(equations: Iterable[Equation]) -> dict[str, str]:
    """{what is rounded to, as 'bfloat16': the first source line that rounds to it}."""
    found: dict[str, str] = {}
    for equation in equations:
        if (kind := _rounds_to(equation)) is not None:
            found.setdefault(kind, equation.line)
    return found


def _rounds_to(equation: Equation) -> str | None:
    if equation.name == "reduce_precision" and equation.params["mantissa_bits"] < FLOAT32_MANTISSA:
        return f"{equation.params['mantissa_bits']} mantissa bits"
    dtype = equation.outputs[0].dtype if equation.outputs else None
    if equation.name in MOVES or dtype is None or not jnp.issubdtype(dtype, jnp.floating):
        return None
    return str(dtype) if dtype.itemsize < jnp.dtype(jnp.float32).itemsize else None
