"""Dropout: flax.linen with a key in the state, split each step or folded with the step; nnx; by hand; raw keys."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from flax.training.train_state import TrainState

import zkjax
from tests.steps.digits import assert_exact, assert_proved, assert_trains, digits, is_weight
from zkjax.statement.circuit import Public

RATE = 0.25


class Network(nn.Module):
    @nn.compact
    def __call__(self, image, *, train: bool):
        hidden = nn.relu(nn.Dense(16)(image))
        hidden = nn.Dropout(RATE, deterministic=not train)(hidden)
        return nn.Dense(10)(hidden)


class KeyedState(TrainState):
    key: jax.Array


def state_with(key: jax.Array) -> KeyedState:
    model = Network()
    params = model.init(jax.random.key(0), digits()[0]["image"][:1], train=False)["params"]
    return KeyedState.create(apply_fn=model.apply, params=params, tx=optax.sgd(0.25), key=key)


def updated(state: KeyedState, batch: Any, dropout_key: jax.Array) -> KeyedState:
    def loss_of(params):
        logits = state.apply_fn({"params": params}, batch["image"], train=True, rngs={"dropout": dropout_key})
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()

    return state.apply_gradients(grads=jax.grad(loss_of)(state.params))


def folded(state, batch):
    """The key stays; it is folded with the number of the step."""
    return updated(state, batch, jax.random.fold_in(state.key, state.step))


def split(state, batch):
    """The key moves on: one half of it is kept."""
    key, dropout_key = jax.random.split(state.key)
    return updated(state, batch, dropout_key).replace(key=key)


def closed_over(state, batch):
    """The key is the program's."""
    return updated(state, batch, jax.random.fold_in(jax.random.key(3), state.step))


def by_hand(state, batch):
    key, dropout_key = jax.random.split(state["key"])

    def loss_of(params):
        hidden = jnp.tanh(batch["image"] @ params["first"])
        keep = jax.random.bernoulli(dropout_key, 1 - RATE, hidden.shape)
        logits = jnp.where(keep, hidden / (1 - RATE), 0) @ params["last"]
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()

    gradients = jax.grad(loss_of)(state["params"])
    params = jax.tree.map(lambda w, g: w - 0.25 * g, state["params"], gradients)
    return {"params": params, "key": key}


def hand_state() -> dict[str, Any]:
    first, last = (jax.random.normal(jax.random.key(i), shape) / 8 for i, shape in enumerate([(64, 16), (16, 10)]))
    return {"params": {"first": first, "last": last}, "key": jax.random.PRNGKey(5)}


class NnxNetwork(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.hidden = nnx.Linear(64, 16, rngs=rngs)
        self.dropout = nnx.Dropout(RATE, rngs=rngs)
        self.output = nnx.Linear(16, 10, rngs=rngs)

    def __call__(self, image):
        return self.output(self.dropout(nnx.relu(self.hidden(image))))


def nnx_step_and_state():
    model = NnxNetwork(nnx.Rngs(0, dropout=1))
    graphdef, state = nnx.split((model, nnx.Optimizer(model, optax.sgd(0.25), wrt=nnx.Param)))

    def loss_of(model, batch):
        return optax.softmax_cross_entropy_with_integer_labels(model(batch["image"]), batch["label"]).mean()

    @jax.jit
    def train_step(state, batch):
        model, optimizer = nnx.merge(graphdef, state)
        optimizer.update(model, nnx.grad(loss_of)(model, batch))
        return nnx.state((model, optimizer))

    return train_step, state


CASES = {
    "folded": lambda: (folded, state_with(jax.random.key(7))),
    "folded, raw key": lambda: (folded, state_with(jax.random.PRNGKey(7))),
    "split": lambda: (split, state_with(jax.random.key(7))),
    "split, raw key": lambda: (split, state_with(jax.random.PRNGKey(7))),
    "closed over": lambda: (closed_over, state_with(jax.random.key(7))),
    "by hand": lambda: (by_hand, hand_state()),
    "nnx": nnx_step_and_state,
}


def masks(program: zkjax.Program) -> list[np.ndarray]:
    return [node.values for node in program.circuit.nodes if isinstance(node, Public) and node.bits == 1]


@pytest.mark.parametrize("name", CASES)
def test_exact(name):
    program = assert_exact(*CASES[name](), digits()[0], tolerance=0.02)
    (mask,) = masks(program)
    assert mask.shape == (4, 32, 16)
    assert set(np.unique(mask)) == {0, 1}
    assert abs(mask.mean() - (1 - RATE)) < 0.05
    assert len({step.tobytes() for step in mask}) == 4


def test_the_key_and_the_mask_of_a_later_block():
    """A block that continues has the masks that training on would have: those of the moved key."""
    state, data = state_with(jax.random.key(7)), digits()[0]
    schedule = np.arange(4 * 32).reshape(4, 32)
    batches = [jax.tree.map(lambda leaf, rows=rows: leaf[rows], data) for rows in schedule]
    whole = zkjax.compile(split, state, batches[0], steps=4, calibration=batches)
    first = zkjax.compile(split, state, batches[0], steps=2, calibration=batches)
    second = first.at(first.run(state, data, schedule[:2]).state)
    np.testing.assert_array_equal(masks(whole)[0][:2], masks(first)[0])
    np.testing.assert_array_equal(masks(whole)[0][2:], masks(second)[0])
    assert "public: key, moved by each step, (0, 7) at the start" in str(first)
    assert "public key: 0 7 at the start" in first.circuit.remarks


def test_an_audit_draws_the_masks_again():
    state, data = state_with(jax.random.key(7)), digits()[0]
    schedule = np.arange(2 * 32).reshape(2, 32)
    batches = [jax.tree.map(lambda leaf, rows=rows: leaf[rows], data) for rows in schedule]
    program = zkjax.compile(split, state, batches[0], steps=2, calibration=batches, dataset=data)
    run = program.run(state, data, schedule)
    statement, proof = zkjax.prove(run, zkjax.commit(run))
    zkjax.verify(statement, proof)
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(jnp.shape(leaf), jnp.asarray(leaf).dtype), state)
    assert zkjax.audit(split, shapes, data, statement) == statement.circuit.digest().hex()
    with pytest.raises(zkjax.VerificationError, match=r"another circuit|does not say where"):
        zkjax.audit(folded, shapes, data, statement)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["split", "nnx"])
def test_two_blocks_proved(name):
    """The key goes on from block to block, and the commitments chain; a proof of one block is none of the other."""
    (step, state), data = CASES[name](), digits()[0]
    schedule = np.random.default_rng(2).permutation(len(data["image"]))[: 4 * 32].reshape(4, 32)
    batches = [jax.tree.map(lambda leaf, rows=rows: leaf[rows], data) for rows in schedule]
    program = zkjax.compile(step, state, batches[0], steps=2, calibration=batches, dataset=data)
    first = program.run(state, data, schedule[:2])
    second = program.run(first.state, data, schedule[2:])
    made = zkjax.commit(first)
    following = zkjax.commit(second, data=made.data, before=made.after)
    (statement, proof), (later, next_proof) = zkjax.prove(first, made), zkjax.prove(second, following)
    one, two = zkjax.verify(statement, proof), zkjax.verify(later, next_proof)
    assert (one.data, one.after) == (two.data, two.before)
    drawn = [bits for each in (first, second) for bits in masks(each.program)[0]]
    assert len({mask.tobytes() for mask in drawn}) == 4
    assert statement.circuit.digest() != later.circuit.digest()
    keys = [{remark for remark in each.circuit.remarks if remark.startswith("public ")} for each in (statement, later)]
    assert all(keys) and (keys[0] != keys[1] or name == "nnx")
    for swapped in ((statement, next_proof), (later, proof)):
        with pytest.raises(zkjax.VerificationError):
            zkjax.verify(*swapped)
    float_state = state
    for batch in batches:
        float_state = step(float_state, batch)
    ours, theirs = (jax.tree.leaves(jax.tree.map(weights_of, each)) for each in (second.state, float_state))
    assert max(float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True)) < 0.01


def weights_of(leaf: Any) -> np.ndarray:
    return np.asarray(leaf) if is_weight(leaf) else np.zeros(())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["folded", "nnx", "by hand"])
def test_proved(name):
    program = assert_proved(*CASES[name](), digits()[0])
    print(f"{name}: {len(program.circuit.to_bytes()):,} bytes of circuit")


@pytest.mark.slow
def test_five_epochs():
    """Both arithmetics draw the same masks; evaluation is without dropout, as usual."""
    test = digits()[1]

    def accuracy(state):
        logits = Network().apply({"params": state.params}, test["image"], train=False)
        return float((jnp.argmax(logits, axis=-1) == test["label"]).mean())

    assert_trains(split, state_with(jax.random.key(7)), digits()[0], accuracy)
