"""A step that computes in a shorter type than float32: proved without that rounding, and said so."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from zkjax import compile

STATE = {"w": np.linspace(-0.5, 0.5, 12, dtype=np.float32).reshape(4, 3)}
BATCH = {"x": np.linspace(-1, 1, 20, dtype=np.float32).reshape(5, 4), "y": np.full((5, 3), 0.25, np.float32)}


def step_with(product):
    def train_step(state, batch):
        def loss_of(w):
            return jnp.mean((product(batch["x"], w).astype(jnp.float32) - batch["y"]) ** 2)

        return {"w": state["w"] - 0.25 * jax.grad(loss_of)(state["w"])}

    return train_step


def dense_in(dtype):
    return lambda x, w: nn.Dense(3, use_bias=False, dtype=dtype).apply({"params": {"kernel": w}}, x)


def notes(program):
    return [remark for remark in program.circuit.remarks if "as written rounds to" in remark]


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_the_statement_says_what_the_step_rounds_to(dtype):
    program = compile(step_with(dense_in(dtype)), STATE, BATCH, steps=2)
    (said,) = notes(program)
    assert f"rounds to {jnp.dtype(dtype)}, the proved one does not" in said
    assert ".py" not in said  # the circuit is the same wherever files lie
    (line,) = (
        line for line in str(program).splitlines() if line.startswith(f"rounded to {jnp.dtype(dtype)} first at ")
    )
    assert "test_shortened.py" in line


def test_reduced_precision_is_a_rounding():
    program = compile(step_with(lambda x, w: jax.lax.reduce_precision(x @ w, 8, 7)), STATE, BATCH, steps=2)
    assert "rounds to 7 mantissa bits" in notes(program)[0]


@pytest.mark.parametrize(
    "product", [dense_in(jnp.float32), lambda x, w: jax.lax.reduce_precision(x @ w, 8, 23)], ids=["float32", "23 bits"]
)
def test_float32_is_not_mentioned(product):
    program = compile(step_with(product), STATE, BATCH, steps=2)
    assert not notes(program)
    assert "rounded to" not in str(program)


def test_data_in_a_shorter_type_is_not_rounded():
    batch = BATCH | {"x": BATCH["x"].astype(jnp.bfloat16)}
    program = compile(step_with(lambda x, w: x.reshape(-1, 4).astype(jnp.float32) @ w), STATE, batch, steps=2)
    assert not notes(program)
