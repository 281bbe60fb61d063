"""Commitments that are not what a commitment should be: garbage beside the tensors, rows off the code.

Slots that no tensor occupies mean nothing: garbage in them changes neither what is true nor what is
accepted. A row of too high a degree is no codeword, and is found at the opened columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest

from tests.soundness.block import Case, commit, named
from tests.soundness.cheating import by_the_circuit, forge, is_legal
from zkjax.fields.mersenne61 import K, P
from zkjax.fields.vectors import Ext, ext_add, transform
from zkjax.prover import commit as committing
from zkjax.prover.checkpoint import Checkpoint
from zkjax.prover.commit import AdviceOracle, Oracle, commit_advice, commit_oracle
from zkjax.prover.prove import Commitments
from zkjax.prover.randomness import Randomness
from zkjax.statement.layout import MASK_COUNT, OracleLayout, axis_bits
from zkjax.statement.plan import Plan
from zkjax.verifier.opening import ConsistencyError, PadProximityError, ProximityError

# Garbage in padded slots


def occupied(layout: OracleLayout, size: int) -> np.ndarray:
    """bool [2 lanes, symbols]: the real slots of all tensors, and the masks, real and imaginary."""
    used = np.zeros((2, size), bool)
    for block in layout.blocks:
        padded = tuple(1 << axis_bits(length) for length in block.shape)
        slots = np.zeros(padded, bool)
        slots[tuple(slice(length) for length in block.shape)] = True
        used[block.lane, block.offset : block.offset + slots.size] = slots.reshape(-1)
    if layout.masks >= 0:
        used[:, layout.masks : layout.masks + MASK_COUNT] = True
    return used


def with_garbage(values: Callable[[int], np.ndarray]):
    """Fill every slot that nothing should read with `values(count)`."""
    honest = committing._message

    def message(layout, code, tensors):
        planes = honest(layout, code, tensors)
        for plane, used in zip(planes, occupied(layout, planes.re.size), strict=True):
            plane.reshape(-1)[~used] = values(int((~used).sum()))
        return planes

    return patch.object(committing, "_message", message)


def random_garbage(count: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, P, count, dtype=np.uint64)


def test_there_are_slots_for_garbage(case):
    layouts = case.plan.layout.oracles
    free = {o.name: int((~occupied(o, o.rows << case.plan.layout.log_message)).sum()) for o in layouts}
    assert all(free.values())
    within = {
        block.node
        for layout in layouts
        for block in layout.blocks
        if int(np.prod(block.shape)) < 1 << sum(axis_bits(size) for size in block.shape)
    }
    assert {named(case.circuit)[name] for name in ("data/x", "advice/layer0/gate", "after/layer1/kernel")} <= within


def test_garbage_in_padded_slots_does_not_matter(case):
    with with_garbage(random_garbage):
        commitments = commit(case.plan, case.committed)
        forged = forge(case, commitments=commitments)
    assert commitments.data.root != case.commitments.data.root
    forged.verify()


@pytest.mark.parametrize("garbage", [random_garbage, lambda count: np.ones(count, np.uint64)], ids=["random", "ones"])
@pytest.mark.parametrize("name", ["advice/layer0/gated", "advice/layer1/pre_activation", "after/layer0/bias", "data/y"])
def test_garbage_does_not_save_a_lie(case, name, garbage):
    node = named(case.circuit)[name]
    values = case.values[node].copy()
    values[(case.schedule[0, 0], 0) if name == "data/y" else (0,) * values.ndim] += 1
    committed = {**case.committed, node: values}
    assert not is_legal(case.circuit, by_the_circuit(case.lowered, committed, case.schedule))
    with with_garbage(garbage):
        for leaves in (None, case.values):
            forged = forge(case, committed=committed, leaves=leaves, commitments=commit(case.plan, committed))
            with pytest.raises(ConsistencyError):
                forged.verify()


# Masks


@pytest.mark.parametrize("position", range(MASK_COUNT))
def test_a_mask_symbol_outside_the_base_field_is_rejected(case, position):
    def advice(plan: Plan, tensors) -> AdviceOracle:
        layout = plan.layout.oracle("advice")
        message = committing._message(layout, plan.code, tensors)
        message.re.reshape(-1)[layout.masks : layout.masks + MASK_COUNT] = (5, 7)
        message.im.reshape(-1)[layout.masks + position] = 1
        return AdviceOracle(plan, message, Randomness())

    with pytest.raises(ConsistencyError):
        forge(case, advice=advice, hurried=True).verify()


# Degrees


def add_monomial(oracle: Oracle, row: int, degree: int) -> None:
    """Add X^degree to a committed row, as a word: every leaf changes, and the tree with them."""
    coefficients = Ext.from_list([K.ZERO] * degree + [K.ONE])
    word = transform(coefficients, oracle.code.log_length)
    at = committing._HEADER_WORDS + 2 * row
    symbols = Ext(*(np.ascontiguousarray(oracle._leaves[:, at + lane]) for lane in range(2)))
    for lane, plane in enumerate(ext_add(symbols, word)):
        oracle._leaves[:, at + lane] = plane
    oracle._levels = committing._tree(oracle._leaves)


def own_rows(plan: Plan) -> int:
    return plan.layout.oracle("advice").rows


def row_dimension(plan: Plan) -> int:
    return plan.code.dimension


def pads_dimension(plan: Plan) -> int:
    return plan.pads + plan.code.mask_symbols


@pytest.mark.parametrize(
    ("row", "degree", "error"),
    [
        (lambda plan: 0, row_dimension, ProximityError),
        (lambda plan: own_rows(plan) - 1, row_dimension, ProximityError),
        (own_rows, row_dimension, ProximityError),
        (lambda plan: own_rows(plan) + 1, pads_dimension, PadProximityError),
        (lambda plan: own_rows(plan) + 1, row_dimension, PadProximityError),
        (lambda plan: own_rows(plan) + 2, pads_dimension, PadProximityError),
    ],
    ids=["first row", "last row", "mask row", "pads", "pads of a row's degree", "mask of pads"],
)
def test_a_row_of_too_high_a_degree_is_rejected(case, row, degree, error):
    def advice(plan: Plan, tensors) -> AdviceOracle:
        oracle = commit_advice(plan, tensors)
        add_monomial(oracle, row(plan), degree(plan))
        return oracle

    with pytest.raises(error):
        forge(case, advice=advice).verify()


def in_role(case: Case, role: str, checkpoint: Checkpoint) -> Commitments:
    """The case's commitments, but for one."""
    return replace(case.commitments, **{role: checkpoint})


@pytest.mark.parametrize("role", ["data", "before", "after"])
def test_a_reused_commitment_of_too_high_a_degree_is_rejected(case, role):
    """The commitment was made long before; whoever made it, its rows have to be codewords."""
    checkpoint = getattr(commit(case.plan, case.committed), role)
    add_monomial(checkpoint.oracle, 0, case.plan.code.dimension)
    with pytest.raises(ProximityError):
        forge(case, commitments=in_role(case, role, checkpoint)).verify()


# Words between two codewords


@pytest.mark.parametrize("share", [0.5, 0.3])
def test_a_word_between_two_codewords_cannot_be_opened_as_one(case, share):
    """A share of the columns belongs to another state: more than unique decoding could correct."""
    plan, node = case.plan, named(case.circuit)["after/layer1/bias"]
    tensors = {i: case.values[i] for i in case.circuit.committed("after")}
    checkpoint = commit(plan, case.committed).after
    other = commit_oracle(plan.layout.oracle("after"), plan.code, {**tensors, node: case.values[node] + 1})
    columns = np.random.default_rng(1).random(plan.code.length) < share
    checkpoint.oracle._leaves[columns] = other._leaves[columns]
    checkpoint.oracle._levels = committing._tree(checkpoint.oracle._leaves)
    with pytest.raises(ProximityError):
        forge(case, commitments=in_role(case, "after", checkpoint)).verify()


def test_a_wrong_column_of_a_reused_commitment_is_found_where_it_is_opened(case):
    """Within unique decoding the commitment still means one state, and a proof may miss the damage."""
    checkpoint = commit(case.plan, case.committed).after
    checkpoint.oracle._leaves[17, -1] ^= 1
    checkpoint.oracle._levels = committing._tree(checkpoint.oracle._leaves)
    forged = forge(case, commitments=in_role(case, "after", checkpoint))
    try:
        forged.verify()
    except ProximityError as error:
        assert "column 17" in str(error)
