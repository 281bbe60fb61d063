"""What a proof looks like depends on the circuit: not on data, not on weights, not on luck but for one part."""

from __future__ import annotations

import numpy as np
import pytest

from tests.privacy.recording import Recorded, record
from tests.soundness.block import Case, named, residues
from tests.witness.naive import interpret
from zkjax.fields.mersenne61 import ELEMENT_BYTES
from zkjax.statement.layout import EXTRA_ADVICE_ROWS
from zkjax.statement.parameters import DIGEST_BYTES, SALT_BYTES
from zkjax.verifier import verify


def of(case: Case, data: np.ndarray, labels: np.ndarray, weights: float) -> Case:
    """The same circuit and schedule on other secrets; weights are all alike."""
    nodes = named(case.circuit)
    given = {node: np.full(case.values[node].shape, round(weights)) for node in case.circuit.committed("before")}
    given |= {nodes["data/x"]: data, nodes["data/y"]: labels, nodes["before/counter"]: np.zeros(3, np.int64)}
    values = tuple(residues(value) for value in interpret(case.lowered, given, case.schedule))
    return Case(case.lowered, case.plan, case.schedule, values)


@pytest.fixture(scope="module")
def others(case) -> list[Recorded]:
    """Other seeds, nothing at all, and values at the ends of their ranges."""
    shape = case.values[named(case.circuit)["data/x"]].shape
    labels = np.zeros((16, 3), np.int64)
    secrets = [
        Case.make(seed=5),
        of(case, np.zeros(shape, np.int64), labels, 0),
        of(case, np.full(shape, 8), labels + 1, -9000),
        of(case, np.full(shape, 8), labels, 20000),
    ]
    return [record(secret) for secret in secrets]


def test_every_one_is_a_proof(recorded, others):
    assert all(verify(one.statement, one.proof) for one in (recorded, *others))


def test_the_transcripts_have_one_census(recorded, others):
    """Every absorb and every draw, with label and length, in order."""
    for other in others:
        assert other.census == recorded.census
    assert len(recorded.census) > 300


def test_the_messages_have_one_shape(recorded, others):
    for other in others:
        assert {label: len(values) for label, values in other.sent.items()} == {
            label: len(values) for label, values in recorded.sent.items()
        }
        assert other.pad_numbers == recorded.pad_numbers
        assert other.mask_numbers == recorded.mask_numbers
        same = {section for section in recorded.sections if section != "columns"}
        assert {s: other.sections[s] for s in same} == {s: recorded.sections[s] for s in same}


def siblings(positions: list[int], height: int) -> int:
    """How many digests a multi-proof needs: in each level, of those with one known child, the other."""
    known, count = set(positions), 0
    for _ in range(height):
        count += sum(position ^ 1 not in known for position in known)
        known = {position >> 1 for position in known}
    return count


def test_only_the_multi_proof_varies_and_it_depends_on_public_positions_alone(case, recorded, others):
    code = case.plan.code
    for one in (recorded, *others):
        length = 0
        for oracle in case.plan.layout.oracles:
            rows = oracle.rows + (EXTRA_ADVICE_ROWS if oracle.name == "advice" else 0)
            length += len(one.positions) * (SALT_BYTES + rows * ELEMENT_BYTES)
            length += siblings(one.positions, code.log_length) * DIGEST_BYTES
        assert length == one.sections["columns"]
        fixed = sum(size for section, size in one.sections.items() if section != "columns")
        assert fixed + length == len(one.proof.data)
        assert len(one.positions) <= code.queries
    assert len({one.sections["columns"] for one in (recorded, *others)}) > 1


def test_what_is_public_of_two_statements_differs_in_roots_alone(recorded, others):
    for other in others[1:]:
        assert other.statement.circuit.to_bytes() == recorded.statement.circuit.to_bytes()
        assert (other.statement.schedule == recorded.statement.schedule).all()
        assert other.statement.openings == recorded.statement.openings
        assert not set(other.statement.roots) & set(recorded.statement.roots)


def test_equal_secrets_have_different_commitments(case, recorded):
    """Nobody can test a guess of the data against a root."""
    again = record(Case(case.lowered, case.plan, case.schedule, case.values))
    assert not set(again.statement.roots) & set(recorded.statement.roots)
