"""Prepared data depend on single rows. The batch is square, so that shapes do not give rows away."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zkjax.frontend import UnsupportedError, read_step

SIDE = 4
WEIGHTS = np.eye(SIDE, dtype=np.float32)
BATCH = {"x": np.random.default_rng(0).uniform(1, 2, (SIDE, SIDE)).astype(np.float32)}

BY_ROWS = {
    "elementwise": jnp.log1p,
    "reduction of a row": lambda x: x / x.max(axis=1, keepdims=True),
    "softmax of a row": lambda x: jax.nn.softmax(x, axis=1),
    "comparison with positions": lambda x: x * (x.argmax(axis=1)[:, None] == jnp.arange(SIDE)[None]),
    "reshapes within a row": lambda x: jnp.exp(x).reshape(SIDE, 2, 2).transpose(0, 2, 1).reshape(SIDE, SIDE),
}
ACROSS_ROWS = {
    "reduction over rows": lambda x: jnp.exp(x - x.max(axis=0, keepdims=True)),
    "maxima as another row": lambda x: jnp.exp(x.max(axis=0)[:, None]) * x,
    "turned": lambda x: jnp.exp(x.T),
    "rows joined": lambda x: jnp.exp(jnp.concatenate([x[:2], x[:2]], axis=0)),
    "sorted": lambda x: jnp.sort(x, axis=0),
    "a number for each row": lambda x: jnp.exp(x * jnp.arange(1.0, SIDE + 1)[:, None]),
    "an array of the closure": lambda x: jnp.exp(x * BATCH["x"]),
}


def step_of(prepare):
    def train_step(state, batch):
        def loss_of(weights):
            return jnp.mean((prepare(batch["x"]).astype(jnp.float32) @ weights) ** 2)

        return {"w": state["w"] - 0.25 * jax.grad(loss_of)(state["w"])}

    return train_step


@pytest.mark.parametrize("name", BY_ROWS)
def test_what_depends_on_one_row_is_data(name):
    prepare = BY_ROWS[name]
    with jax.numpy_dtype_promotion("standard"):
        reading = read_step(step_of(prepare), {"w": WEIGHTS}, BATCH)
        assert reading.prepared
        assert "computed row by row" in " ".join(reading.step.notes)
        rows = np.random.default_rng(1).uniform(1, 2, (11, SIDE)).astype(np.float32)
        for prepared in reading.prepared.values():
            whole = prepared.of([rows])
            assert len(whole) == 11
            np.testing.assert_array_equal(prepared.of([rows[3:8]]), whole[3:8])


@pytest.mark.parametrize("name", ACROSS_ROWS)
def test_what_mixes_rows_is_refused(name):
    prepare = ACROSS_ROWS[name]
    with jax.numpy_dtype_promotion("standard"), pytest.raises(UnsupportedError):
        read_step(step_of(prepare), {"w": WEIGHTS}, BATCH)
