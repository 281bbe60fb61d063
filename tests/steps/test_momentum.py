"""optax.sgd with momentum, and with Nesterov's."""

from __future__ import annotations

import optax
import pytest

import zkjax
from tests.steps.optimisers import OptaxTraining
from tests.steps.oracle import exact

OPTIMISERS = {
    "momentum": optax.sgd(exact(0.1), momentum=exact(0.9)),
    "dyadic momentum": optax.sgd(0.125, momentum=0.75),
    "heavy momentum": optax.sgd(exact(0.01), momentum=exact(0.99)),
    "nesterov": optax.sgd(exact(0.1), momentum=exact(0.9), nesterov=True),
}


@pytest.fixture(scope="module", params=OPTIMISERS)
def training(request):
    return OptaxTraining(OPTIMISERS[request.param])


def test_integers(training):
    training.is_exact()


def test_close_to_float32(training):
    training.stays_close_to_float32()
    training.keeps_the_users_state()


def test_the_filter_is_public():
    printed = str(OptaxTraining(OPTIMISERS["momentum"]).program)
    assert "gradients count [64, 122, 173, 220] by steps since, in units of 2^-6" in printed
    assert "learning rate 3277/2^15 = 0.100006104, in the training step 0.100000001" in printed
    assert "of opt_state/0/trace/Dense_0/kernel from before the block, exactly -0.309509" in printed


def test_one_step_of_the_twin_is_a_block_of_one_step():
    training = OptaxTraining(OPTIMISERS["momentum"])
    program, batch = training.program, training.batch(training.schedule(1)[0, 0])
    first = program.step(training.state, batch)
    trace = first.opt_state[0].trace["Dense_0"]["kernel"]
    exact = training.train_step(training.state, batch).opt_state[0].trace["Dense_0"]["kernel"]
    assert abs(trace - exact).max() < 0.02 * abs(exact).max()
    again = program.step(first, batch)
    assert int(again.step) == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["momentum", "nesterov"])
def test_proof(name):
    OptaxTraining(OPTIMISERS[name]).chains_and_proves()


@pytest.mark.slow
@pytest.mark.parametrize("nesterov", [False, True])
def test_five_epochs(nesterov):
    optimiser = optax.sgd(0.02, momentum=0.9, nesterov=nesterov)
    OptaxTraining(optimiser, steps=16).is_as_accurate_as_float32(blocks=30)


@pytest.mark.slow
def test_a_chain_compiled_block_by_block():
    """The formats of the momentum are those of the commitment, whatever the later block calibrates."""
    training = OptaxTraining(OPTIMISERS["momentum"])
    first = training.runs[0]
    commitments = zkjax.commit(first)
    batches = [training.batch(rows) for rows in training.schedule(3)[2]]
    later = zkjax.compile(
        training.train_step,
        first.state,
        batches[0],
        steps=4,
        calibration=batches,
        dataset=training.data,
        before=commitments.after,
    )
    second = later.run(first.state, training.data, training.schedule(3)[2])
    zkjax.commit(second, data=commitments.data, before=commitments.after)
