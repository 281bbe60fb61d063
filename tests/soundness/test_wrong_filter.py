"""A momentum that is not the published one: every filter of a block lied about, and both ends of the state."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.blocks import TRACE_BITS
from tests.soundness.block import SHAPE, Case, named
from tests.soundness.cheating import by_the_circuit, carried_on, forge, is_legal
from tests.soundness.lies import begun, rejected, violated
from zkjax.circuit.program import Lowered
from zkjax.statement.circuit import Filter
from zkjax.statement.filters import dense, matrix
from zkjax.verifier.opening import ConsistencyError

MOMENTUM = replace(SHAPE, momentum=True)


@pytest.fixture(scope="module")
def case() -> Case:
    return Case.make(seed=1, shape=MOMENTUM)


def filters(case: Case) -> list[int]:
    return [index for index, node in enumerate(case.circuit.nodes) if isinstance(node, Filter)]


def with_coefficients(case: Case, node: int, change: int) -> Lowered:
    """The block with the last coefficient of a filter that is not zero changed by `change`."""
    nodes = list(case.circuit.nodes)
    full = dense(nodes[node].rows, case.circuit.nodes[nodes[node].node].shape[0])
    row, column = max((t, s) for t, values in enumerate(full) for s, value in enumerate(values) if value)
    full[row][column] += change
    nodes[node] = replace(nodes[node], rows=matrix(full))
    return Lowered(replace(case.circuit, nodes=tuple(nodes)), case.lowered.recipes)


def run_by(case: Case, lowered: Lowered) -> list[np.ndarray]:
    """The block as another program runs it."""
    return carried_on(Case(lowered, case.plan, case.schedule, case.values), {})


def test_the_block_has_filters_of_every_use_and_proves(case):
    kinds = {(len(case.circuit.nodes[node].rows), len(case.circuit.nodes[node].shape)) for node in filters(case)}
    assert {(3, 3), (1, 3), (3, 2), (1, 2)} <= kinds
    assert len(filters(case)) == 16
    honest = forge(case)
    assert honest.verify().steps == 3
    assert honest.broken() == []


@pytest.mark.parametrize("number", range(16))
def test_another_coefficient_is_rejected(case, number):
    """The cheat trains with it, all else by the circuit: what it commits to is legal for its own program."""
    node = filters(case)[number]
    for change in (1, -1, 1 << 10, -(1 << 10)):
        lowered = with_coefficients(case, node, change)
        values = run_by(case, lowered)
        committed = {i: values[i] for i in case.circuit.committed()}
        truth = by_the_circuit(case.lowered, committed, case.schedule)
        if is_legal(lowered.circuit, values) and not is_legal(case.circuit, truth):
            break
    else:
        pytest.fail("no change of the coefficient matters")
    forged = forge(case, committed=committed)
    with pytest.raises(ConsistencyError):
        forged.verify()
    assert forged.broken() == ["lookup sum"]
    forged = forge(case, committed=committed, leaves=values)
    with pytest.raises(ConsistencyError):
        forged.verify()
    assert forged.broken() == ["committed tensors"]


def test_another_program_proves_another_statement(case):
    """The prover computes with its own filter throughout; only the transcript begins with the published one."""
    lowered = with_coefficients(case, filters(case)[0], 1)
    values = run_by(case, lowered)
    committed = {i: values[i] for i in case.circuit.committed()}
    forged = forge(case, committed=committed, lowered=lowered, hurried=False)
    with pytest.raises(ConsistencyError):
        forge(
            case,
            committed=committed,
            lowered=lowered,
            claimed=lambda statement: replace(statement, circuit=case.circuit),
        ).verify()
    assert forged.statement.circuit != case.circuit
    forged.verify()


@pytest.mark.parametrize("name", ["layer0/kernel/trace", "layer1/bias/trace"])
@pytest.mark.parametrize("role", ["before", "after"])
def test_another_momentum_is_rejected(case, name, role):
    """After the block it must be the one that the gradients give; before it, the one that the weights took up."""
    node = named(case.circuit)[f"{role}/{name}"]

    def off(value):
        value = value.copy()
        value.reshape(-1)[0] += 1 if role == "after" else 1 << 8
        return value

    if role == "after":
        values = carried_on(case, {node: off})
        committed = {i: values[i] for i in case.circuit.committed()}
    else:
        committed = {**case.committed, node: off(case.values[node])}
    assert not is_legal(case.circuit, by_the_circuit(case.lowered, committed, case.schedule))
    forged = forge(case, committed=committed, blame=True)
    with pytest.raises(ConsistencyError):
        forged.verify()
    assert forged.broken() == ["lookup sum"]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_momentum_that_leaves_its_range(case, sign):
    """An honest run from a momentum that is one too large: only its limbs tell, wherever else it leads."""
    name = "layer1/bias/trace"

    def beyond(value):
        value[0] = 1 << TRACE_BITS if sign > 0 else -(1 << TRACE_BITS) - 1

    committed = begun(case, **{name.replace("/", "__"): beyond})
    found = violated(case, committed)
    assert any(entry.startswith(f"before/{name}/") for entry in found)
    rejected(case, committed, by=found)

    def largest(value):
        value[0] = (1 << TRACE_BITS) - 1 if sign > 0 else -(1 << TRACE_BITS)

    allowed = violated(case, begun(case, **{name.replace("/", "__"): largest}))
    assert not any(entry.startswith(f"before/{name}/") for entry in allowed)
