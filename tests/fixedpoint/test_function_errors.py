"""Tables of functions against JAX in float32: half a unit of the last place, and what float32 itself is off."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zkjax.fixedpoint.evaluate import real
from zkjax.statement.formulas import parse, rounded

WIDE = 1 << 15
FUNCTIONS = {
    "exp(x)": (1 - 2 * WIDE, 0, 9, 16, jnp.exp),
    "1/(1 + exp(-x))": (-WIDE, WIDE - 1, 10, 12, jax.nn.sigmoid),
    "tanh(x)": (-WIDE, WIDE - 1, 10, 12, jnp.tanh),
    "x/(1 + exp(-x))": (-WIDE, WIDE - 1, 10, 10, jax.nn.silu),
    "x*(1 + erf(x*11863283/16777216))/2": (-WIDE, WIDE - 1, 10, 10, lambda x: jax.nn.gelu(x, approximate=False)),
    "log(1 + exp(x))": (-WIDE, WIDE - 1, 10, 10, jax.nn.softplus),
    "positive(x)*x + positive(-x)*(exp(x - positive(x)*x) - 1)": (-WIDE, WIDE - 1, 10, 10, jax.nn.elu),
}


@pytest.mark.parametrize("formula", FUNCTIONS)
def test_errors(formula):
    lo, hi, input_fraction, output_fraction, function = FUNCTIONS[formula]
    values = rounded(formula, lo, hi, input_fraction, output_fraction)
    x = np.arange(lo, hi + 1) * 2.0**-input_fraction
    exact = real(parse(formula), x) * 2.0**output_fraction
    assert np.abs(values - exact).max() <= 0.5 + 1e-6
    theirs = np.asarray(function(x.astype(np.float32)), np.float64) * 2.0**output_fraction
    slack = 2.0**-20 * np.abs(exact) + 2.0**-20 * 2.0**output_fraction
    assert (np.abs(values - theirs) <= 0.5 + slack).all()
