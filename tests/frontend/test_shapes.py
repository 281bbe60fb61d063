"""Training steps in the shapes that users write: what the step does is translated, and the state keeps its pytree."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import zkjax
from tests.frontend.shapes import SHAPES, counters
from tests.frontend.steps import batch_of
from tests.frontend.test_spellings import assert_same_step


@pytest.fixture(autouse=True)
def _biases_as_users_add_them():
    with jax.numpy_rank_promotion("allow"):
        yield


@pytest.mark.parametrize("name", SHAPES)
def test_translated(name):
    train_step, state = SHAPES[name]()
    assert_same_step(train_step, state, batch_of())


@pytest.mark.parametrize("name", ["nnx_functional", "dataclass_pytree"])
def test_a_run_returns_the_users_own_pytree(name):
    train_step, state = SHAPES[name]()
    dataset = batch_of(8)
    batches = [jax.tree.map(lambda leaf, part=part: leaf[part], dataset) for part in (slice(0, 4), slice(4, 8))]
    program = zkjax.compile(train_step, state, batches[0], steps=2, calibration=batches, dataset=dataset)
    run = program.run(state, dataset, np.arange(8).reshape(2, 4))
    assert jax.tree.structure(run.state) == jax.tree.structure(state)
    expected = state
    for batch in batches:
        expected, _ = train_step(expected, batch)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-3), run.state, expected)


def test_counters_advance_in_their_own_type():
    train_step, state = counters()
    dataset = batch_of(12)
    program = zkjax.compile(train_step, state, batch_of(), steps=3)
    after = program.run(state, dataset, np.arange(12).reshape(3, 4)).state
    moves = {leaf.name: leaf.move for leaf in program.reading.public.leaves}
    assert moves == {"weak": 1, "step": 1, "epoch": 0}
    assert (after["weak"], int(after["step"]), int(after["epoch"])) == (3, 3, 3)
    assert isinstance(after["weak"], int)
    assert (after["step"].dtype, after["epoch"].dtype) == (np.int32, np.uint8)
