"""Weight decay: before the momentum (L2), after it (decoupled), and as a term of the loss."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
import pytest

from tests.steps.optimisers import OptaxTraining
from tests.steps.oracle import exact
from tests.steps.training import train_step

DECAY = exact(0.01)


def with_l2(state, batch):
    """A step whose loss has the squares of all weights."""

    def loss_of(params):
        logits = state.apply_fn({"params": params}, batch["image"])
        squares = sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params))
        return optax.l2_loss(logits, batch["label"]).sum(axis=-1).mean() + 0.5 * DECAY * squares

    return state.apply_gradients(grads=jax.grad(loss_of)(state.params))


L2 = optax.chain(optax.add_decayed_weights(DECAY), optax.sgd(exact(0.1)))
MOMENTUM = optax.chain(optax.add_decayed_weights(DECAY), optax.sgd(exact(0.1), momentum=exact(0.9)))
DECOUPLED = optax.chain(optax.trace(exact(0.9)), optax.add_decayed_weights(DECAY), optax.scale(exact(-0.1)))
# The optimiser, the optimiser with what the loss has of it, the step.
OPTIMISERS = {
    "l2": (L2, L2, train_step),
    "l2 and momentum": (MOMENTUM, MOMENTUM, train_step),
    "decoupled": (DECOUPLED, DECOUPLED, train_step),
    "in the loss": (optax.sgd(exact(0.1)), L2, with_l2),
}


def made(name: str, **options) -> OptaxTraining:
    """The training, its optimiser known to the oracle with the decay where the loss has it."""
    optimiser, whole, step = OPTIMISERS[name]
    training = OptaxTraining(optimiser, step, **options)
    training.one_weight = OptaxTraining(whole).one_weight
    return training


@pytest.fixture(scope="module", params=OPTIMISERS)
def training(request):
    return made(request.param)


def test_integers(training):
    training.is_exact()


def test_close_to_float32(training):
    training.stays_close_to_float32()
    training.keeps_the_users_state()


def test_a_small_decay_is_not_lost():
    """What a block of four steps takes off, 4e-5 of a weight, is right to one part in sixteen."""
    training = OptaxTraining(optax.chain(optax.add_decayed_weights(1e-4), optax.sgd(exact(0.1))))
    for form in training.program.plan.weights.values():
        ((row),) = form.initial.values()
        kept = row[-1] / 2 ** (form.fraction_bits - form.state_fraction)
        assert abs((1 - kept) / (1 - (1 - 1e-5) ** 4) - 1) < 1 / 16
    assert "takes over 524267/2^19 of itself from before the block" in str(training.program)


@pytest.mark.slow
def test_proof():
    made("l2 and momentum").chains_and_proves()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["l2", "in the loss"])
def test_five_epochs(name):
    made(name, steps=16).is_as_accurate_as_float32(blocks=30)
