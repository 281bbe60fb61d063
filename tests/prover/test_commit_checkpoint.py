"""Checkpoints: one commitment over several proofs, in memory, in a file, and only as often as it may be."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from tests.prover.opening_case import OpeningCase, small_circuit
from zkjax.files import BudgetUsedUp, DamagedFile, Ledger
from zkjax.prover.checkpoint import (
    Checkpoint,
    DamagedCheckpoint,
    OpeningsUncounted,
    OpeningsUsedUp,
    OtherCommitment,
)
from zkjax.statement.plan import Plan
from zkjax.statement.statement import Statement


@pytest.fixture(scope="module")
def case() -> OpeningCase:
    return OpeningCase(Plan(small_circuit(), openings=2))


@pytest.fixture
def after(case: OpeningCase) -> Checkpoint:
    return Checkpoint.commit(case.plan, "after", case.tensors)


@pytest.fixture(scope="module")
def written(case: OpeningCase) -> tuple[bytes, Checkpoint]:
    checkpoint = Checkpoint.commit(case.plan, "after", case.tensors)
    return checkpoint.to_bytes(), checkpoint


def test_the_state_after_a_block_is_the_state_before_the_next(case, after):
    as_after, as_before = (after.in_role(case.plan, role) for role in ("after", "before"))
    assert as_after.root == as_before.root == after.root
    assert as_before.layout == case.plan.layout.oracle("before")
    assert as_before.open_columns([1, 2]) == as_after.open_columns([1, 2])


def test_the_digest_is_the_statements(case, after):
    statement = Statement(case.plan.circuit, np.zeros((2, 2), np.int64), 2, (bytes(32), after.root, after.root))
    assert after.digest == statement.object_digest("before") == statement.object_digest("after")
    assert after.digest != statement.object_digest("data")


def test_a_commitment_of_another_type_is_refused(case, after):
    with pytest.raises(OtherCommitment, match="kind"):
        after.in_role(case.plan, "data")
    with pytest.raises(OtherCommitment, match="code"):
        after.in_role(Plan(case.plan.circuit, openings=3), "before")
    nodes = tuple(
        replace(node, fraction_bits=node.fraction_bits + 1) if getattr(node, "oracle", "") == "before" else node
        for node in case.plan.circuit.nodes
    )
    with pytest.raises(OtherCommitment, match="tensors"):
        after.in_role(Plan(replace(case.plan.circuit, nodes=nodes), openings=2), "before")


def test_the_tensors_come_back(case, written):
    content, checkpoint = written
    for source in (checkpoint, Checkpoint.from_bytes(content)):
        names = {case.plan.circuit.nodes[index].name: index for index in case.plan.circuit.committed("after")}
        assert source.tensors.keys() == names.keys()
        for name, index in names.items():
            assert source.tensors[name].dtype == np.int64
            assert (source.tensors[name] == case.tensors[index]).all()


def test_a_reopened_checkpoint_is_the_same_commitment(case, written):
    content, checkpoint = written
    again = Checkpoint.from_bytes(content)
    assert (again.root, again.digest, again.type) == (checkpoint.root, checkpoint.digest, checkpoint.type)
    positions = [0, 9, 1000]
    assert again.oracle.open_columns(positions) == checkpoint.oracle.open_columns(positions)
    assert again.to_bytes() == content
    assert again.in_role(case.plan, "before").root == checkpoint.root


def test_a_changed_file_is_refused(written):
    content, _ = written
    for position in (-1, len(content) // 2):
        changed = bytearray(content)
        changed[position] ^= 1
        with pytest.raises(DamagedCheckpoint, match="lead to root"):
            Checkpoint.from_bytes(bytes(changed))
    with pytest.raises(DamagedFile):
        Checkpoint.from_bytes(content[:-1])
    for before, now in ((b'"used":0', b'"used":x'), (b'"lane":', b'"line":'), (b'"kind":"state"', b'"kind":"stats"')):
        if before in content:
            with pytest.raises((DamagedFile, DamagedCheckpoint)):
                Checkpoint.from_bytes(content.replace(before, now, 1))


def test_without_a_ledger_the_object_counts(after):
    assert [after.reserve(), after.reserve()] == [1, 2]
    with pytest.raises(OpeningsUsedUp, match="afresh"):
        after.reserve()


def test_a_ledger_counts_over_all_copies(written, tmp_path):
    content, _ = written
    ledger = Ledger(tmp_path / "ledger")
    assert Checkpoint.from_bytes(content).reserve(ledger) == 1
    assert Checkpoint.from_bytes(content).reserve(ledger) == 2
    with pytest.raises(BudgetUsedUp):
        Checkpoint.from_bytes(content).reserve(ledger)


def test_openings_before_there_was_a_ledger_count(after, tmp_path):
    after.reserve()
    content = after.to_bytes()
    ledger = Ledger(tmp_path / "ledger")
    assert Checkpoint.from_bytes(content).reserve(ledger) == 2
    with pytest.raises(BudgetUsedUp):
        after.reserve(ledger)


def test_what_is_in_a_file_is_counted_by_its_ledger_only(written, tmp_path):
    content, checkpoint = written
    for copy in (checkpoint, Checkpoint.from_bytes(content)):
        with pytest.raises(OpeningsUncounted, match="ledger"):
            copy.reserve()


def test_secrets_are_neither_printed_nor_pickled(after):
    assert len(repr(after)) < 60
    with pytest.raises(TypeError):
        pickle.dumps(after)
