"""Learning rates by the step number: cosine, warm-up and steps, exponential; with momentum and without."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zkjax
from tests.steps.optimisers import OptaxTraining

COSINE = optax.cosine_decay_schedule(0.2, 12)
WARM_UP = optax.join_schedules(
    [optax.linear_schedule(0.0, 0.25, 3), optax.piecewise_constant_schedule(0.25, {2: 0.5, 4: 0.5})], [3]
)
EXPONENTIAL = optax.exponential_decay(0.2, 4, 0.5)
OPTIMISERS = {
    "cosine": optax.sgd(COSINE),
    "warm-up and steps": optax.sgd(WARM_UP),
    "exponential, momentum": optax.sgd(EXPONENTIAL, momentum=0.9),
    "warm-up, nesterov": optax.sgd(WARM_UP, momentum=0.9, nesterov=True),
    "cosine, decay": optax.chain(optax.add_decayed_weights(0.01), optax.sgd(COSINE)),
}


@pytest.fixture(scope="module", params=OPTIMISERS)
def training(request):
    return OptaxTraining(OPTIMISERS[request.param])


def test_integers(training):
    training.is_exact()


def test_close_to_float32(training):
    training.stays_close_to_float32()
    training.keeps_the_users_state()


def test_each_block_has_the_circuit_of_its_counters(training):
    first, second = (run.lowered.circuit for run in training.runs)
    assert first.digest() != second.digest()
    assert training.runs[1].program.start == (4,)
    assert training.program.at(training.state) is training.program
    assert training.program.at(training.runs[0].state) is training.runs[1].program
    formats = [{name: form.state_fraction for name, form in run.program.plan.weights.items()} for run in training.runs]
    assert formats[0] == formats[1]


def test_the_rates_are_public():
    program = OptaxTraining(OPTIMISERS["cosine"]).program
    printed = str(program)
    assert "public: opt_state/1/count, plus 1 a step, 0 at the start" in printed
    rates = [float(COSINE(jnp.int32(step))) / float(COSINE(jnp.int32(0))) for step in range(4)]
    expected = [round(rate * 128) for rate in rates]
    assert f"gradients count {expected} by their step, in units of 2^-7" in printed


def test_a_recompiled_block_is_the_continued_one():
    """An auditor who compiles from the state between two blocks, in the same formats, gets the same circuit."""
    training = OptaxTraining(OPTIMISERS["cosine"])
    again = training.program.at(training.runs[0].state)
    assert again.circuit_for(len(training.data["image"])).digest() == training.runs[1].lowered.circuit.digest()


def test_a_schedule_that_is_not_finite_names_the_counter():
    schedule = lambda count: 1.0 / (count - 2.0)  # noqa: E731
    training = OptaxTraining(optax.sgd(schedule))
    with pytest.raises(zkjax.UserError, match="is -inf at opt_state/1/count = 2"):
        _ = training.program


def test_warm_up_from_zero_moves_nothing_at_first():
    training = OptaxTraining(OPTIMISERS["warm-up and steps"])
    after = training.program.step(training.state, training.batch(training.schedule(1)[0, 0]))
    kernel, before = after.params["Dense_0"]["kernel"], training.state.params["Dense_0"]["kernel"]
    assert np.abs(np.asarray(kernel) - np.asarray(before)).max() <= 2.0**-17


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cosine", "warm-up, nesterov"])
def test_proof(name):
    OptaxTraining(OPTIMISERS[name]).chains_and_proves()


@pytest.mark.slow
def test_five_epochs():
    schedule = optax.warmup_cosine_decay_schedule(0.0, 0.03, 50, 480)
    training = OptaxTraining(optax.sgd(schedule, momentum=0.9), steps=16)
    training.is_as_accurate_as_float32(blocks=30)
