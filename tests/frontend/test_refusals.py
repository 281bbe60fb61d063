"""Everything that cannot be proved is named at once, with its line and what to do instead."""

from __future__ import annotations

from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.frontend.steps import Network, batch_of, step_with, train_state
from zkjax.errors import UserError
from zkjax.frontend import UnsupportedError, read_step

WEIGHTS = np.arange(15, dtype=np.float32).reshape(5, 3)


def refused(train_step, state, batch) -> UnsupportedError:
    with pytest.raises(UnsupportedError) as caught:
        read_step(train_step, state, batch)
    for problem in caught.value.problems:
        assert problem.remedy
        assert str(problem) in str(caught.value)
    return caught.value


def refused_model(model, loss=None, optimiser=None) -> UnsupportedError:
    batch = batch_of()
    step = step_with(loss) if loss else step_with()
    return refused(step, train_state(model, batch["image"], optimiser), batch)


def linear_step(loss_of, rate=0.125):
    """A step on one matrix, `loss_of(weights, batch)`."""

    def train_step(state, batch):
        return {"w": state["w"] - rate * jax.grad(loss_of)(state["w"], batch)}

    return train_step


def squared(weights, batch):
    return jnp.mean((batch["image"] @ weights - batch["label"]) ** 2)


def test_several_operations_are_reported_at_once_with_their_lines():
    class Fancy(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = jnp.cbrt(nn.Dense(4)(x))
            x = jnp.cumsum(nn.LayerNorm()(x), axis=-1)
            return nn.Dense(3)(jnp.sort(x, axis=-1))

    error = refused_model(Fancy())
    found = {problem.what: problem for problem in error.problems}
    assert {"the operation 'cbrt'", "the operation 'cumsum'", "the operation 'sort'"} <= set(found)
    assert "3 things" in str(error) or len(found) > 3
    for problem in found.values():
        assert "test_refusals.py:" in problem.line or "steps.py:" in problem.line
    assert "relu" in found["the operation 'cbrt'"].remedy


def test_what_only_follows_from_a_problem_is_not_reported():
    def loss_of(weights, batch):
        z = jnp.cbrt(batch["image"] @ weights)
        return jnp.mean((z[:, :2].reshape(8) - 1.0) ** 2)

    error = refused(linear_step(loss_of), {"w": WEIGHTS}, batch_of())
    whats = {problem.what for problem in error.problems}
    assert "the operation 'cbrt'" in whats
    assert not any("reshape" in what for what in whats)


class Convolutional(nn.Module):
    @nn.compact
    def __call__(self, image):
        image = nn.relu(nn.Conv(4, (3, 3))(image))
        image = nn.max_pool(image, (2, 2), strides=(2, 2))
        image = nn.avg_pool(nn.relu(nn.Conv(8, (3, 3))(image)), (2, 2))
        return nn.Dense(3)(image.reshape((len(image), -1)))


class Attention(nn.Module):
    @nn.compact
    def __call__(self, tokens):
        return nn.Dense(3)(nn.MultiHeadDotProductAttention(2, qkv_features=8)(tokens, tokens).mean(axis=1))


class AttentionByHand(nn.Module):
    @nn.compact
    def __call__(self, tokens):
        query, key, value = (nn.Dense(8, name=name)(tokens) for name in ("query", "key", "value"))
        weights = nn.softmax(jnp.einsum("bqd,bkd->bqk", query, key) / 4.0)
        return nn.Dense(3)(jnp.einsum("bqk,bkd->bqd", weights, value).mean(axis=1))


class Recurrent(nn.Module):
    cell: nn.RNNCellBase

    @nn.compact
    def __call__(self, tokens):
        return nn.Dense(3)(nn.RNN(self.cell)(tokens)[:, -1])


class Embedded(nn.Module):
    @nn.compact
    def __call__(self, tokens):
        return nn.Dense(3)(nn.Embed(7, 8)(tokens).mean(axis=1))


def tokens(length=5):
    return np.random.default_rng(0).integers(0, 7, (4, length, 6)).astype(np.float32)


@pytest.mark.parametrize(
    ("model", "inputs", "found"),
    [
        (
            Convolutional(),
            np.ones((4, 8, 8, 1), np.float32),
            {
                "the operation 'conv_general_dilated'": "dense layers",
                "the operation 'reduce_window_max'": "remove pooling",
                "the operation 'select_and_scatter_add'": "remove pooling",
            },
        ),
        (Attention(), tokens(), {"a power with exponent -2": "as attention has it"}),
        (AttentionByHand(), tokens(), {"a power with exponent -2": "as attention has it"}),
        (Recurrent(nn.LSTMCell(8)), tokens(), {"a slice, or a turn of a loop": "recurrent layers over time"}),
        (Recurrent(nn.GRUCell(8)), tokens(), {"a slice, or a turn of a loop": "recurrent layers over time"}),
        (Recurrent(nn.LSTMCell(8)), tokens(65), {"the operation 'scan'": "at most 64 turns"}),
        (Embedded(), tokens()[..., 0].astype(np.int32), {"'gather' of slices": "labels of the batch"}),
    ],
    ids=["convolutions", "attention", "attention by hand", "LSTM", "GRU", "long LSTM", "embedding"],
)
def test_what_is_beyond_dense_networks(model, inputs, found):
    """Refused before any work: everything at once, with the lines of the user and a pointer to the page."""
    batch = {"image": inputs, "label": np.eye(3, dtype=np.float32)[np.arange(4) % 3]}
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # as users run Flax
        error = refused(step_with(), train_state(model, inputs), batch)
    for what, remedy in found.items():
        problem = next(problem for problem in error.problems if what in problem.what)
        assert remedy in problem.remedy
        assert "test_refusals.py:" in problem.line
    assert len(error.problems) >= len(found)
    assert str(error).splitlines()[-1].startswith("docs/coverage.md lists what can be proved")


def test_dead_code_is_not_reported():
    def train_step(state, batch):
        weights = state["w"]
        metrics = {"norm": jnp.sqrt(jnp.sum(weights**2)), "sorted": jnp.sort(batch["image"])}
        return {"w": weights - 0.125 * jax.grad(squared)(weights, batch)}, metrics

    assert read_step(train_step, {"w": WEIGHTS}, batch_of()).has_aux


def test_an_optimiser_that_remembers_a_maximum():
    with jax.numpy_dtype_promotion("standard"):  # optax's own
        error = refused_model(Network(), optimiser=optax.amsgrad(1e-3))
    assert "nu_max" in str(error)
    assert "takes up several gradients" in str(error)


def test_a_norm_without_a_guard():
    def train_step(state, batch):
        gradient = jax.grad(squared)(state["w"], batch)
        return {"w": state["w"] - 0.125 * gradient / jnp.sqrt(jnp.sum(gradient**2))}

    with jax.numpy_rank_promotion("allow"):
        error = refused(train_step, {"w": WEIGHTS}, batch_of())
    assert "a division by a value that may be zero" in str(error)
    assert "optax.clip_by_global_norm" in str(error)


def test_leaves_with_one_problem_are_one_entry():
    centred = optax.stateless(lambda updates, params: jax.tree.map(lambda g, w: g + w.sum(), updates, params))
    error = refused_model(Network(layers=4), optimiser=optax.chain(centred, optax.sgd(0.1)))
    (problem,) = error.problems
    assert "with its axes summed" in problem.what
    assert len(problem.leaves) == 8
    assert "and 5 more" in str(error)


def test_gradients_that_each_take_a_way_of_their_own():
    def train_step(state, batch):
        one = jax.grad(squared)(state["w"], batch)
        two = jax.grad(lambda w: jnp.mean((batch["image"] @ w) ** 2))(state["w"])
        trace = 0.5 * state["trace"] + one
        return {"w": state["w"] - 0.125 * (trace + two), "trace": trace}

    error = refused(train_step, {"w": WEIGHTS, "trace": 0 * WEIGHTS}, batch_of())
    assert "several gradients" in str(error)
    assert "add its parts up" in str(error)


def test_arrays_of_the_closure_that_a_counter_selects_from():
    """Which entry is read when is public, and so would the entries be."""
    table = jnp.asarray(np.random.default_rng(0).normal(size=(7, 3)), jnp.float32)

    def train_step(state, batch):
        gradient = jax.grad(squared)(state["w"], batch)
        return {"w": state["w"] - table[state["step"]][None] * gradient, "step": state["step"] + 1}

    error = refused(train_step, {"w": WEIGHTS, "step": 0}, batch_of())
    assert "an array of shape (1, 3) closed over by the step" in str(error)
    assert "public_constants=True" in str(error)


def test_arrays_closed_over_would_become_public():
    hidden = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)

    def loss_of(weights, batch):
        return jnp.mean((batch["image"] @ weights + batch["image"] @ hidden - batch["label"]) ** 2)

    for step in (linear_step(loss_of), jax.jit(linear_step(loss_of))):
        error = refused(step, {"w": WEIGHTS}, batch_of())
        assert "shape (5, 3) closed over" in str(error)
        assert "become public" in str(error)
        assert "public_constants=True" in str(error)
        assert "test_refusals.py:" in error.problems[0].line


def test_scalars_closed_over_are_constants():
    rate = jnp.float32(0.25)
    offsets = jnp.full((4, 3), 0.5)

    def loss_of(weights, batch):
        return jnp.mean((batch["image"] @ weights + offsets - batch["label"]) ** 2)

    step = read_step(linear_step(loss_of, rate), {"w": WEIGHTS}, batch_of()).step
    assert step.changes["w"].rate == 0.25


def test_a_key_drawn_from_the_weights():
    """A mask that depends on what is hidden is none that everybody may see."""

    def train_step(state, batch):
        seed = (state["w"][0, 0] > 0).astype(jnp.int32)
        kept = jax.random.bernoulli(jax.random.key(seed), 0.5, batch["image"].shape).astype(jnp.float32)

        def loss_of(weights):
            return jnp.mean(((batch["image"] * kept) @ weights - batch["label"]) ** 2)

        return {"w": state["w"] - 0.1 * jax.grad(loss_of)(state["w"])}

    error = refused(train_step, {"w": WEIGHTS}, batch_of())
    assert "'random_seed'" in str(error)
    assert "keys and counters of the state" in str(error)


def test_a_key_in_the_state_that_the_batch_moves():
    def train_step(state, batch):
        key = jax.random.fold_in(state["key"], (batch["image"].sum() > 0).astype(jnp.uint32))
        return {"w": state["w"] - 0.1 * jax.grad(squared)(state["w"], batch), "key": key}

    error = refused(train_step, {"w": WEIGHTS, "key": jax.random.key(0)}, batch_of())
    assert "'key'" in str(error)
    assert "random keys of the state" in str(error)


@pytest.mark.parametrize(
    ("loss_of", "saying"),
    [
        (lambda w, b: jnp.mean(b["image"] @ w / (1.0 + jnp.sum(w))), "a division by a value that may be zero"),
        (lambda w, b: jnp.mean((b["image"] @ w) ** 0.5), "exponent -1/2"),
        (lambda w, b: jnp.mean((b["image"] @ w).reshape(2, 6) ** 2), "a reshape of a computed value"),
        (lambda w, b: jnp.mean(b["image"] @ w * (1.0 + jnp.inf)), "the constant inf"),
        (
            lambda w, b: jnp.mean((b["image"] @ w)[jnp.arange(4), jnp.argmax(b["image"] @ w, axis=-1)]),
            "a computation with indices",
        ),
        (
            lambda w, b: jnp.mean(jax.lax.scan(lambda c, x: (c + x @ w, 0.0), jnp.zeros(3), b["image"])[0]),
            "a turn of a loop",
        ),
        (lambda w, b: jnp.mean(jnp.where(b["image"] @ w == 0.5, 1.0, b["image"] @ w)), "a test for equality"),
        (lambda w, b: jnp.mean(b["image"] @ w / b["image"].max(axis=0).sum()), "'reduce_max'"),
        (lambda w, b: jnp.mean((b["image"] @ w)[:, :2] ** 2), "leaves of their own"),
    ],
    ids=["division", "power", "reshape", "infinity", "index", "scan", "equality", "across rows", "slice"],
)
def test_operations(loss_of, saying):
    error = refused(linear_step(loss_of), {"w": WEIGHTS}, batch_of())
    assert saying in str(error)


@pytest.mark.parametrize(
    ("train_step", "state", "batch", "saying"),
    [
        (lambda s, b: (1, s), {"w": WEIGHTS}, batch_of(), "must return.* of 2 with the state at place 1"),
        (lambda s, b: {"v": s["w"]}, {"w": WEIGHTS}, batch_of(), "must return.*lacks 'w' and has in addition 'v'"),
        (lambda s, b: list(s), (WEIGHTS,), batch_of(), "must return.*the same leaves in other containers"),
        (None, {"w": WEIGHTS}, batch_of(), "train_step is a NoneType, not a function"),
        (linear_step(squared), {"w": WEIGHTS}, batch_of() | {"n": np.array(list("abcd"))}, "'n' holds values of"),
        (lambda s, b: {"w": s["w"][:2]}, {"w": WEIGHTS}, batch_of(), "changes the shape of state leaf 'w'"),
        (lambda s, b: s, {"w": WEIGHTS}, batch_of(), "no leaf of the batch influences"),
        (lambda s, b: s, {"i": 3}, batch_of(), "no floating-point leaf"),
        (linear_step(squared), {"w": jnp.asarray(WEIGHTS, jnp.bfloat16)}, batch_of(), "is of type bfloat16"),
        (linear_step(squared), {"w": WEIGHTS[:, :0]}, batch_of(), "'w' is empty"),
        (linear_step(squared), {"w": WEIGHTS}, {}, "the batch has no arrays"),
        (linear_step(squared), {"w": WEIGHTS}, batch_of() | {"n": 3}, "'n' has no axis of rows"),
        (linear_step(squared), {"w": WEIGHTS}, batch_of() | {"n": np.ones(5)}, "differ in their number of rows"),
        (linear_step(squared), {"w": WEIGHTS}, batch_of() | {"n": np.ones((4, 0))}, "'n' is empty"),
        (linear_step(squared), {"w": WEIGHTS, "s": "text"}, batch_of(), "'s' is a str"),
        (lambda s, b: {"w": s["w"] - b["x"].sum() - b["x"].reshape(4, 4).sum()}, {"w": WEIGHTS},
         {"x": np.ones((4, 2, 2), np.float32)}, "used in two shapes"),
    ],
)  # fmt: skip
def test_pytrees_that_no_training_step_has(train_step, state, batch, saying):
    with pytest.raises(UserError, match=saying):
        read_step(train_step, state, batch)


def test_a_step_that_fails_is_the_users_error_with_its_line():
    def loss_of(weights, batch):
        return squared(weights, {**batch, "image": batch["image"][:, :2]})

    with pytest.raises(UserError, match="fails on this state and batch: TypeError: dot_general requires") as caught:
        read_step(linear_step(loss_of), {"w": WEIGHTS}, batch_of())
    assert "at tests/frontend/test_refusals.py:" in str(caught.value).replace(f"{Path(__file__).parents[2]}/", "")
    assert str(caught.value).endswith("(squared)")
    assert isinstance(caught.value.__cause__, TypeError)
