"""The names a user calls: what they refuse before an opening is used up."""

from __future__ import annotations

import numpy as np
import pytest

import zkjax
from tests.frontend.steps import batch_of, plain
from zkjax.errors import UsageError
from zkjax.prover.checkpoint import OtherCommitment

SCHEDULE = np.arange(8).reshape(2, 4)


@pytest.fixture(scope="module")
def runs() -> tuple[zkjax.Run, zkjax.Run]:
    """Two blocks in a row."""
    train_step, state = plain(0.25)
    dataset = batch_of(8)
    program = zkjax.compile(train_step, state, batch_of(4), steps=2, dataset=dataset)
    first = program.run(state, dataset, SCHEDULE)
    return first, program.run(first.state, dataset, SCHEDULE)


def test_only_a_run_is_proved():
    with pytest.raises(zkjax.UserError, match=r"prove takes a Run, what program.run returns, not a dict"):
        zkjax.prove({})


def test_commitments_to_another_run_are_refused_and_stay_unopened(runs):
    first, second = runs
    commitments = zkjax.commit(first)
    with pytest.raises(OtherCommitment, match="is not a commitment to this run's before: 'first' differs"):
        zkjax.prove(second, commitments)
    assert commitments.data.reserve() == 1


def test_a_block_starts_only_where_its_commitment_says(runs):
    first, second = runs
    made = zkjax.commit(first)
    following = zkjax.commit(second, data=made.data, before=made.after)
    assert following.before is made.after
    with pytest.raises(OtherCommitment, match="this run's before"):
        zkjax.commit(second, data=made.data, before=made.before)


@pytest.mark.parametrize("openings", [0, -1, 1025, 2.0, True, "8"])
def test_a_commitment_that_no_proof_could_open_is_not_made(runs, openings):
    with pytest.raises(UsageError, match="openings must be a whole number from 1 to 1024, not"):
        zkjax.commit(runs[0], openings=openings)


def test_what_belongs_elsewhere_is_refused_by_name(runs):
    made = zkjax.commit(runs[0])
    with pytest.raises(UsageError, match=r"commit takes a Run, what program.run returns, not a dict"):
        zkjax.commit({})
    with pytest.raises(UsageError, match=r"commit takes as data a Checkpoint, .*, not a Commitments"):
        zkjax.commit(runs[1], data=made)
    with pytest.raises(
        UsageError, match="prove takes as commitments Commitments, what commit returns, not a Checkpoint"
    ):
        zkjax.prove(runs[0], made.data)
    with pytest.raises(UsageError, match="verify takes a Statement and a Proof, not bytes and NoneType"):
        zkjax.verify(b"", None)
    assert made.data.reserve() == 1
