"""Lies about public tensors: another mask, another mean, in every place where a cheat may put them.

The verifier evaluates claims on public tensors itself, from the circuit that the transcript begins with. A prover
who computes with others is caught wherever it does so: in the witness, in the leaves, or throughout.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.masked import mask, masked_block, masked_inputs, masked_trainer
from tests.soundness.block import Case, named, residues
from tests.soundness.cheating import by_the_circuit, carried_on, forge, is_legal
from tests.witness.naive import interpret
from zkjax.circuit.program import Lowered
from zkjax.statement.circuit import Public
from zkjax.statement.plan import Plan
from zkjax.verifier.opening import ConsistencyError


def masked_case(openings: int, seed: int = 0) -> Case:
    lowered = masked_block(seed)
    given, schedule = masked_inputs(lowered, seed=4)
    values = tuple(residues(value) for value in interpret(lowered, given, schedule))
    assert is_legal(lowered.circuit, values)
    return Case(lowered, Plan(lowered.circuit, openings), schedule, values)


@pytest.fixture(scope="module")
def masked() -> Case:
    return masked_case(openings=2)


def publics(case: Case) -> list[int]:
    return [index for index, node in enumerate(case.circuit.nodes) if isinstance(node, Public)]


def with_entry(case: Case, node: int) -> Lowered:
    """The block with one entry of a public tensor changed."""
    nodes = list(case.circuit.nodes)
    values = nodes[node].values.copy()
    values.reshape(-1)[0] ^= 1
    nodes[node] = Public.of(values)
    return Lowered(replace(case.circuit, nodes=tuple(nodes)), case.lowered.recipes)


def test_the_truth_is_the_trainers_and_is_accepted(masked):
    names = named(masked.circuit)
    x, w = masked.values[names["data/x"]], masked.values[names["before/w"]]
    expected = masked_trainer(x, w, masked.schedule, mask())
    assert (masked.values[names["after/w"]] == expected).all()
    assert (expected != masked_trainer(x, w, masked.schedule, mask() * 0)).any()
    forged = forge(masked)
    assert forged.verify().steps == 2
    assert forged.broken() == []


@pytest.mark.parametrize("number", [0, 1], ids=["mean", "mask"])
def test_another_entry_is_rejected(masked, number):
    """The cheat trains with it, all else by the circuit: what it commits to is legal for its own program."""
    lowered = with_entry(masked, publics(masked)[number])
    values = carried_on(Case(lowered, masked.plan, masked.schedule, masked.values), {})
    committed = {i: values[i] for i in masked.circuit.committed()}
    assert is_legal(lowered.circuit, values)
    truth = by_the_circuit(masked.lowered, committed, masked.schedule)
    assert not is_legal(masked.circuit, truth)
    forged = forge(masked, committed=committed, blame=True)
    with pytest.raises(ConsistencyError):
        forged.verify()
    assert "lookup sum" in forged.broken() or "committed tensors" in forged.broken()
    forged = forge(masked, committed=committed, leaves=values)
    with pytest.raises(ConsistencyError):
        forged.verify()
    assert forged.broken() == ["committed tensors"]


@pytest.mark.parametrize("number", [0, 1], ids=["mean", "mask"])
def test_another_tensor_proves_another_statement(masked, number):
    """The prover computes with its own tensor throughout; only the transcript begins with the published one."""
    lowered = with_entry(masked, publics(masked)[number])
    values = carried_on(Case(lowered, masked.plan, masked.schedule, masked.values), {})
    committed = {i: values[i] for i in masked.circuit.committed()}
    forged = forge(masked, committed=committed, lowered=lowered, hurried=False)
    with pytest.raises(ConsistencyError):
        forge(
            masked,
            committed=committed,
            lowered=lowered,
            claimed=lambda statement: replace(statement, circuit=masked.circuit),
        ).verify()
    assert forged.statement.circuit != masked.circuit
    forged.verify()


def test_the_masks_are_those_of_their_steps(masked):
    """Masks of two steps exchanged: the same bits, in another order."""
    node = publics(masked)[1]
    assert not np.array_equal(*masked.circuit.nodes[node].values)
    nodes = list(masked.circuit.nodes)
    nodes[node] = Public.of(nodes[node].values[::-1])
    lowered = Lowered(replace(masked.circuit, nodes=tuple(nodes)), masked.lowered.recipes)
    values = carried_on(Case(lowered, masked.plan, masked.schedule, masked.values), {})
    committed = {i: values[i] for i in masked.circuit.committed()}
    with pytest.raises(ConsistencyError):
        forge(masked, committed=committed, leaves=values).verify()
