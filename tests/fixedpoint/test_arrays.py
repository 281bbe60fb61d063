"""Public arrays as integers: exact where few bits hold them, shared along axes, common factors outside."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zkjax
from zkjax.fixedpoint.arrays import EXACT_BITS, ROUNDED_BITS, in_integers
from zkjax.statement.circuit import Constant, Public

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.uniform(-1, 1, (24, 5)).round(3).astype(np.float32)
LABELS = RANDOM.integers(0, 3, 24).astype(np.int32)
WEIGHTS = RANDOM.normal(size=(5, 3)).astype(np.float32) / 4
STEPS, BATCH = 3, 8


def restored(found) -> np.ndarray:
    return found.factor * found.entries * 2.0**-found.fraction


@pytest.mark.parametrize(
    "array",
    [
        RANDOM.integers(0, 2, (4, 3)).astype(float),
        RANDOM.integers(-7, 300, (4, 3)) / 8,
        np.zeros((2, 2)),
        np.full((3,), -0.375),
        np.array([0.0, 5.125]),
    ],
)
def test_short_numbers_are_exact(array):
    found = in_integers([array] * 3)
    assert found.error == 0
    np.testing.assert_array_equal(np.broadcast_to(restored(found), (3, *array.shape)), [array] * 3)
    assert np.abs(found.entries).max() < 1 << EXACT_BITS


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e5])
def test_others_are_rounded_once(scale):
    arrays = [RANDOM.normal(size=(6, 2)) * scale for _ in range(3)]
    found = in_integers(arrays)
    error = np.abs(restored(found) - np.stack(arrays)).max()
    assert found.error == error
    assert 0 < error <= np.abs(arrays).max() * 2.0**-ROUNDED_BITS
    assert found.entries.shape == (3, 6, 2)


def test_a_mask_times_a_number_is_a_mask():
    bits = RANDOM.integers(0, 2, (3, 40))
    found = in_integers(list(bits / float(np.float32(0.7))))
    assert set(np.unique(found.entries)) == {0, 1}
    assert abs(found.factor * 2.0**-found.fraction * 0.7 - 1) < 2.0**-ROUNDED_BITS


def test_equal_slices_are_written_once():
    row = RANDOM.integers(0, 9, 7).astype(float)
    assert in_integers([np.broadcast_to(row, (5, 7))] * 4).entries.shape == (1, 1, 7)
    assert in_integers([np.full((5, 7), float(step)) for step in range(4)]).entries.shape == (4, 1, 1)


# Whole programs


def batch(rows):
    return {"image": IMAGES[rows], "label": LABELS[rows]}


SCHEDULE = np.arange(24).reshape(STEPS, BATCH)
DATA = batch(np.arange(24))


def compiled(loss_of, state=None, **options) -> zkjax.Program:
    def train_step(state, batch):
        return {"w": state["w"] - 0.25 * jax.grad(loss_of)(state["w"], batch)}

    batches = [batch(rows) for rows in SCHEDULE]
    options = {"public_constants": True, **options}
    return zkjax.compile(train_step, {"w": WEIGHTS}, batches[0], steps=STEPS, calibration=batches, **options)


def publics(program) -> list[np.ndarray]:
    return [node.values for node in program.circuit.nodes if isinstance(node, Public)]


CLASS_WEIGHTS = np.array([0.5, 1.0, 2.25], np.float32)
PROJECTION = RANDOM.normal(size=(5, 5)).astype(np.float32)
MEAN, SCALE = IMAGES.mean(axis=0), IMAGES.std(axis=0)


def weighted(w, b):
    hot = jax.nn.one_hot(b["label"], 3)
    return jnp.mean(jnp.sum(hot * CLASS_WEIGHTS[None], axis=-1) * jnp.sum((b["image"] @ w - hot) ** 2, axis=-1))


def normalised(w, b):
    return jnp.mean((((b["image"] - MEAN[None]) / SCALE[None]) @ w - jax.nn.one_hot(b["label"], 3)) ** 2)


def projected(w, b):
    return jnp.mean(((b["image"] @ PROJECTION) @ w - jax.nn.one_hot(b["label"], 3)) ** 2)


def pruned(w, b):
    kept = jnp.asarray(np.indices((5, 3)).sum(axis=0) % 2, bool)
    return jnp.mean((b["image"] @ jnp.where(kept, w, 0) - jax.nn.one_hot(b["label"], 3)) ** 2)


def numbered(w, b):
    return jnp.mean((b["image"] @ w + jnp.arange(3.0)[None] - jax.nn.one_hot(b["label"], 3)) ** 2)


@pytest.mark.parametrize("loss_of", [weighted, normalised, projected, pruned, numbered])
def test_closed_over_arrays(loss_of):
    """The integer run is near float32's; every public tensor is one that the step names."""
    program = compiled(loss_of)
    run = program.run({"w": WEIGHTS}, DATA, SCHEDULE)
    state = {"w": jnp.asarray(WEIGHTS)}
    for rows in SCHEDULE:
        state = {"w": state["w"] - 0.25 * jax.grad(loss_of)(state["w"], batch(rows))}
    moved = np.abs(np.asarray(state["w"]) - WEIGHTS).max()
    assert np.abs(run.state["w"] - state["w"]).max() < 0.01 * moved
    assert publics(program)
    assert "public: " in str(program) and "bytes of the statement" in str(program)


def test_a_rounded_array_is_remarked():
    assert any("counts in units of" in remark for remark in compiled(normalised).circuit.remarks)
    assert not any("counts in units of" in remark for remark in compiled(weighted).circuit.remarks)


def test_a_uniform_array_is_a_constant():
    program = compiled(lambda w, b: jnp.mean((b["image"] @ w - jnp.full((8, 3), 0.5)) ** 2))
    assert not publics(program)
    assert any(isinstance(node, Constant) for node in program.circuit.nodes)


def test_an_audit_reads_the_arrays_of_the_auditors_own_step():
    program = compiled(normalised, dataset=DATA)
    run = program.run({"w": WEIGHTS}, DATA, SCHEDULE)
    statement, _ = zkjax.prove(run, zkjax.commit(run))
    digest = zkjax.audit(program.train_step, {"w": WEIGHTS}, DATA, statement)
    assert digest == statement.circuit.digest().hex()

    def other(state, batch):
        gradient = jax.grad(
            lambda w: jnp.mean(
                (((batch["image"] - MEAN[None]) / SCALE[::-1][None]) @ w - jax.nn.one_hot(batch["label"], 3)) ** 2
            )
        )
        return {"w": state["w"] - 0.25 * gradient(state["w"])}

    with pytest.raises(zkjax.VerificationError, match="another circuit"):
        zkjax.audit(other, {"w": WEIGHTS}, DATA, statement)


def test_masks_that_do_not_fit_are_refused_with_line_and_remedy():
    def train_step(state, batch):
        def loss_of(w):
            kept = jax.random.bernoulli(jax.random.fold_in(jax.random.key(0), state["i"]), 0.5, (8, 1, 2_000_000))
            return jnp.mean(jnp.where(kept, (batch["image"] @ w)[:, :, None], 0.0) ** 2)

        return {"w": state["w"] - 0.25 * jax.grad(loss_of)(state["w"]), "i": state["i"] + 1}

    with pytest.raises(zkjax.UserError, match=r"take .* bytes of the statement") as caught:
        zkjax.compile(train_step, {"w": WEIGHTS[:, :1], "i": 0}, batch(np.arange(8)), steps=2)
    assert "test_arrays.py:" in str(caught.value)
    assert "fewer steps per block" in str(caught.value)
