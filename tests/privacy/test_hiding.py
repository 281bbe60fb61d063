"""What opened columns tell about a commitment: nothing, up to its budget, and one equation beyond it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.privacy.recording import Recorded, record
from tests.soundness.block import OPENINGS, Case, commit
from tests.soundness.test_mutants import interpolated
from zkjax.fields.mersenne61 import K, evaluation_point
from zkjax.fields.vectors import Ext, transform
from zkjax.prover import commit as committing
from zkjax.prover.checkpoint import OpeningsUsedUp

ROLES = ("data", "before", "after")


@pytest.fixture(scope="module")
def proofs(case) -> list[Recorded]:
    """As many proofs from the same commitments as they may serve."""
    commitments = commit(case.plan, case.committed)
    return [record(case, commitments=commitments) for _ in range(OPENINGS)]


def opened(proofs: list[Recorded], role: str) -> dict[int, Ext]:
    """All that was ever opened of a commitment, by position."""
    found: dict[int, Ext] = {}
    for one in proofs:
        for column in one.columns[role]:
            known = found.setdefault(column.position, column.symbols)
            assert known.to_bytes() == column.symbols.to_bytes()
    return found


def test_the_columns_of_all_openings_stay_within_the_masks(case, proofs):
    for role in ROLES:
        seen = opened(proofs, role)
        assert set(seen) == {position for one in proofs for position in one.positions}
        assert len(seen) <= case.plan.code.mask_symbols


def explain(case: Case, role: str, tensors: dict[int, np.ndarray], seen: dict[int, Ext]) -> list[list[K]]:
    """Masks with which other tensors would have shown the same columns, row by row."""
    code, layout = case.plan.code, case.plan.layout.oracle(role)
    message = committing._message(layout, code, tensors)
    positions = sorted(seen)
    points = [evaluation_point(position, code.log_length) for position in positions]
    masks = []
    for row in range(layout.rows):
        word = transform(message[row], code.log_length)
        values = [
            (seen[position][row].item() - word[position].item()) / point**code.message
            for position, point in zip(positions, points, strict=True)
        ]
        masks.append(interpolated(points, values))
    return masks


@pytest.mark.parametrize("role", ROLES)
def test_any_other_secret_explains_all_columns_of_the_whole_budget(case, proofs, role):
    """The masks are as many as the columns, so every secret fits with exactly one choice of masks."""
    seen = opened(proofs, role)
    other = Case.make(seed=5)
    tensors = {node: other.values[node] for node in case.circuit.committed(role)}
    assert any((tensors[node] != case.values[node]).any() for node in tensors)
    for row, masks in enumerate(explain(case, role, tensors, seen)):
        assert len(masks) <= case.plan.code.mask_symbols
        code = case.plan.code
        message = committing._message(case.plan.layout.oracle(role), code, tensors)
        row_of = Ext.from_list([*message[row].to_list(), *masks])
        word = transform(row_of, code.log_length)
        assert all(word[position].item() == symbols[row].item() for position, symbols in seen.items())


def test_one_column_beyond_the_budget_excludes_other_secrets(case, proofs):
    """The distinguisher can fail: with more columns than masks, no masks of the code explain another secret."""
    code = case.plan.code
    oracle = case.commitments.after.oracle
    positions = np.random.default_rng(0).permutation(code.length)[: code.mask_symbols + 1].tolist()
    word = transform(Ext.from_list([*oracle.message[0].to_list(), *oracle.masks[0].to_list()]), code.log_length)
    seen = {position: Ext.from_list([word[position].item()]) for position in positions}
    own = {node: case.values[node] for node in case.circuit.committed("after")}
    other = {node: values + 1 for node, values in own.items()}
    (masks,) = explain(case, "after", own, seen)
    assert not any(masks[code.mask_symbols :])
    (masks,) = explain(case, "after", other, seen)
    assert any(masks[code.mask_symbols :])


def test_one_opening_more_is_refused(case):
    checkpoint = commit(case.plan, case.committed).data
    for number in range(OPENINGS):
        assert checkpoint.reserve() == number + 1
    with pytest.raises(OpeningsUsedUp):
        checkpoint.reserve()


def test_what_is_opened_of_the_advice_is_within_its_masks(case, proofs):
    """Pads and their mask are short codewords with masks of their own; each proof has fresh ones."""
    code = case.plan.code
    for one in proofs:
        assert len(one.positions) <= code.mask_symbols
        assert one.advice.pad_row.size == case.plan.pads + code.mask_symbols
        assert one.advice.masks.shape == (case.plan.layout.oracle("advice").rows, code.mask_symbols)
    first, second = (one.advice for one in proofs)
    assert not set(first.masks.reshape(-1).to_list()) & set(second.masks.reshape(-1).to_list())
