"""Lies about roots, quotients, norms and means of squares: each is caught by the relation that is there for it."""

from __future__ import annotations

from dataclasses import replace
from math import isqrt

import numpy as np
import pytest

from tests.adaptive import LIMIT, OUTPUTS, ROOT_SHIFT, adaptive_block, adaptive_inputs
from tests.soundness.block import Case, named, residues
from tests.soundness.cheating import forge, is_legal
from tests.soundness.lies import begun, case_of, lied, rejected, violated
from tests.witness.naive import interpret
from zkjax.statement.circuit import Filter
from zkjax.statement.filters import matrix
from zkjax.statement.statement import Statement
from zkjax.verifier.opening import ConsistencyError

ENTRY = (1, 0, OUTPUTS - 1)


@pytest.fixture(scope="module")
def case() -> Case:
    lowered = adaptive_block()
    return case_of(lowered, *adaptive_inputs(lowered, seed=3))


def add(delta: int, at=ENTRY):
    def change(value):
        value[at] += delta

    return change


def caught(case: Case, by: str, **lies) -> None:
    """The lies break relations of the gadget `by` and nothing else."""
    committed = lied(case, **lies)
    found = violated(case, committed)
    assert found and all(name.startswith(by) for name in found), found
    rejected(case, committed, by=found)


def test_the_truth_is_accepted(case):
    forged = forge(case)
    assert forged.verify().steps == 2
    assert forged.broken() == []


@pytest.mark.parametrize(("delta", "side"), [(1, "remainder"), (-1, "rest")])
def test_a_wrong_root(case, delta, side):
    """One more, and the square is above the value; one less, and the remainder is above twice the root."""
    caught(case, f"deviation/{side}", deviation=add(delta))


@pytest.mark.parametrize(("delta", "side"), [(1, "remainder"), (-1, "rest")])
def test_a_wrong_norm(case, delta, side):
    caught(case, f"norm/{side}", norm=add(delta, (1,)))


def test_the_negative_root(case):
    """Its square is right: only its range tells."""

    def negate(value):
        value[ENTRY] = -value[ENTRY]

    committed = lied(case, deviation=negate)
    found = violated(case, committed)
    assert "deviation/range[0:8]" in found
    assert not any(name.startswith("deviation/remainder") for name in found)
    rejected(case, committed, by=found)


def test_a_root_that_leaves_its_range(case):
    """An honest run from a mean of squares whose root is one too large: only its limbs tell."""

    def beyond(value):
        value[0, 0] = 1 << 10

    def largest(value):
        value[0, 0] = (1 << 10) - 1

    committed = begun(case, root=beyond)
    found = violated(case, committed)
    assert found and all(name.startswith("before/root/") for name in found)
    rejected(case, committed, by=found)
    assert not violated(case, begun(case, root=largest))


@pytest.mark.parametrize(("delta", "side"), [(1, "remainder"), (-1, "rest"), (40, "remainder")])
def test_a_wrong_update(case, delta, side):
    caught(case, f"update/{side}", update=add(delta))


@pytest.mark.parametrize("limb", ["update__rest[8:15]", "deviation__remainder[8:14]", "norm__rest[8:16]"])
@pytest.mark.parametrize("delta", [1, -1])
def test_a_wrong_limb(case, limb, delta):
    at = (1,) if limb.startswith("norm") else ENTRY
    caught(case, limb.replace("__", "/").partition("[")[0], **{limb: add(delta, at)})


def test_a_norm_that_is_not_clipped(case):
    """Above the limit, and said to be below: what exceeds it would be nothing."""
    values = case.values[named(case.circuit)["advice/norm"]]
    (step, *_) = np.flatnonzero(values > LIMIT)

    def unclipped(value):
        value[step] = 0

    caught(case, "excess/rest", excess__sign=unclipped)


def test_a_sign_that_is_none(case):
    def two(value):
        value[1] = 2

    assert "excess/sign" in violated(case, lied(case, excess__sign=two))
    caught(case, "excess/", excess__sign=two)


def test_a_gradient_that_is_not_scaled(case):
    caught(case, "clipped/", clipped=add(1))


def test_another_state_after(case):
    """The mean of squares is committed by its root: another root is not the nearest."""
    names = named(case.circuit)
    committed = {i: case.values[i].copy() for i in case.circuit.committed()}
    committed[names["after/root"]][0, 0] += 1
    found = violated(case, committed)
    assert found and all(name.startswith("after/root/remainder") for name in found)
    rejected(case, committed, by=found)
    assert ROOT_SHIFT


def test_the_root_of_another_mean(case):
    """Root, limbs and state after are right for a mean that is larger by one square: nothing but the filter tells."""
    names = named(case.circuit)
    committed = {i: case.values[i].copy() for i in case.circuit.committed()}
    root = names["advice/deviation"]
    committed[root][ENTRY] = isqrt(int(committed[root][ENTRY]) ** 2 * 2)
    found = violated(case, committed)
    assert any(name.startswith("deviation/") for name in found)
    rejected(case, committed, by=found)


def test_another_decay(case):
    """A circuit of the prover's own, whose mean forgets faster: the verifier's filter is another."""
    circuit, (given, schedule) = case.circuit, adaptive_inputs(case.lowered, seed=3)
    other = matrix(((4,), (0, 4)))
    nodes = tuple(
        replace(node, rows=other) if isinstance(node, Filter) and node.rows == matrix(((4,), (3, 4))) else node
        for node in circuit.nodes
    )
    assert nodes != circuit.nodes
    lowered = replace(case.lowered, circuit=replace(circuit, nodes=nodes))
    values = [residues(value) for value in interpret(lowered, given, schedule)]
    assert is_legal(lowered.circuit, values)
    forged = forge(
        case,
        committed={i: values[i] for i in circuit.committed()},
        leaves=values,
        lowered=lowered,
        claimed=lambda own: Statement(circuit, schedule, own.openings, own.roots),
    )
    with pytest.raises(ConsistencyError):
        forged.verify()
