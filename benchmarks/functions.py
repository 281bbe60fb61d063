"""Tables of functions: time to derive them, and their largest error against float32.

    python benchmarks/functions.py

Errors are in units of the last place of the table; half a unit is rounding alone.
"""

from __future__ import annotations

import time

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table as Printed

from zkjax.fixedpoint.evaluate import real
from zkjax.statement.formulas import parse, rounded

WIDE = 1 << 15
FUNCTIONS = [
    ("exp(x)", 1 - 2 * WIDE, 0, 9, 16, jnp.exp),
    ("1/(1 + exp(-x))", -WIDE, WIDE - 1, 10, 12, jax.nn.sigmoid),
    ("tanh(x)", -WIDE, WIDE - 1, 10, 12, jnp.tanh),
    ("x/(1 + exp(-x))", -WIDE, WIDE - 1, 10, 10, jax.nn.silu),
    ("x*(1 + erf(x*11863283/16777216))/2", -WIDE, WIDE - 1, 10, 10, lambda x: jax.nn.gelu(x, approximate=False)),
    ("log(1 + exp(x))", -WIDE, WIDE - 1, 10, 10, jax.nn.softplus),
]


def main() -> None:
    printed = Printed("formula", "range", "fraction bits", "seconds", "error, float64", "error, float32")
    for formula, lo, hi, input_fraction, output_fraction, function in FUNCTIONS:
        rounded.cache_clear()
        start = time.process_time()
        values = rounded(formula, lo, hi, input_fraction, output_fraction)
        seconds = time.process_time() - start
        x = np.arange(lo, hi + 1) * 2.0**-input_fraction
        errors = [
            float(np.abs(values - 2.0**output_fraction * np.asarray(reference, np.float64)).max())
            for reference in (real(parse(formula), x), function(x.astype(np.float32)))
        ]
        row = (formula, f"[{lo}, {hi}]", f"{input_fraction} to {output_fraction}")
        printed.add_row(*row, f"{seconds:.3f}", *(f"{error:.3f}" for error in errors))
    Console().print(printed)


if __name__ == "__main__":
    main()
