"""The phases of nodes, and recipes that cannot be carried out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.blocks import DenseShape, dense_block
from tests.witness.cases import named, odd_block
from zkjax.circuit.program import Lowered
from zkjax.circuit.recipes import Quotient
from zkjax.statement.circuit import Axes, Contract, Filter, Rows
from zkjax.witness.plan import Phase, Plan, PlanError


def phases_by_name(lowered: Lowered) -> dict[str, Phase]:
    plan = Plan.of(lowered)
    return {name: plan.phases[node] for name, node in named(lowered, "advice").items()}


def test_a_dense_block_stacks_no_update_and_no_weights():
    lowered = dense_block(DenseShape())
    plan = Plan.of(lowered)
    nodes = lowered.circuit.nodes
    updates = [
        node
        for node in plan.step_order
        if isinstance(nodes[node], Contract) and nodes[node].shape[1:] in ((5, 6), (6, 3))
    ]
    assert len(updates) == 2
    assert set(updates) <= set(plan.carried)
    assert not set(updates) & set(plan.stacked)
    assert not any(nodes[node].shape[1:] in ((5, 6), (6, 3)) for node in plan.stacked)
    assert not any(isinstance(nodes[node], Contract) for node in (*plan.late_order, *plan.static_order))


def test_phases_of_a_dense_block():
    lowered = dense_block(DenseShape())
    found = phases_by_name(lowered)
    assert found["layer0/gate"] is Phase.STEPPED
    assert found["layer0/gradient/remainder[16:28]"] is Phase.STEPPED
    assert found["before/layer0/kernel/limb[16:18]"] is Phase.STATIC
    assert found["after/layer0/kernel/limb[16:18]"] is Phase.LATE
    plan = Plan.of(lowered)
    assert all(plan.phases[node] is Phase.LATE for node in lowered.circuit.committed("after"))


def test_phases_of_an_odd_block():
    found = phases_by_name(odd_block())
    stepped = {name for name, phase in found.items() if phase is Phase.STEPPED}
    late = {name for name, phase in found.items() if phase is Phase.LATE}
    assert {"halved", "dots", "outer", "lonely", "wide", "filtered"} <= stepped
    assert {"moved", "over_steps", "backwards", "turned", "ahead", "last", "two"} <= late


def test_a_tensor_that_needs_itself_is_refused():
    lowered = dense_block(DenseShape())
    nodes = lowered.circuit.nodes
    before = next(i for i, node in enumerate(nodes) if isinstance(node, Filter) and len(node.shape) == 3)
    update = nodes[before].node
    step_free = replace(nodes[before], node=update)
    assert step_free == nodes[before]
    circuit = replace(
        lowered.circuit,
        nodes=tuple(Axes(node.shape, update, (0, 1, 2)) if i == before else node for i, node in enumerate(nodes)),
    )
    with pytest.raises(PlanError, match="depends on itself"):
        plan = Plan.of(Lowered(circuit, lowered.recipes))
        assert plan.step_order


def test_a_missing_recipe_is_refused():
    lowered = dense_block(DenseShape())
    gate = named(lowered, "advice")["layer0/gate"]
    with pytest.raises(PlanError, match="no recipe for the committed tensor 'layer0/gate'"):
        Plan.of(Lowered(lowered.circuit, {k: v for k, v in lowered.recipes.items() if k != gate}))


def test_a_recipe_of_another_shape_is_refused():
    lowered = dense_block(DenseShape())
    gate = named(lowered, "advice")["layer0/gate"]
    rows = next(i for i, node in enumerate(lowered.circuit.nodes) if isinstance(node, Rows))
    with pytest.raises(PlanError, match="another shape"):
        Plan.of(Lowered(lowered.circuit, {**lowered.recipes, gate: Quotient(rows, 1)}))
