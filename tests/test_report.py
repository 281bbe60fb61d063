"""The report of a block: errors beside float32, room in bits, clipped values, tables, the length of the proof."""

from __future__ import annotations

import json
from functools import cache
from math import log2

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zkjax
from tests.fixedpoint.training import float_run
from tests.frontend.steps import batch_of, step_with, train_state
from zkjax.report import Report
from zkjax.statement.size import expected_bytes, message_bytes

ROWS, STEPS = 20, 3


class Network(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Dense(6)(x))
        x = nn.tanh(nn.Dense(6)(x))
        return nn.Dense(3)(x)


def softmax(logits, labels):
    return optax.softmax_cross_entropy(logits, labels).mean()


@cache
def block(headroom: int = 0, rate: float = 0.1):
    """(program, state, data, schedule, step) of a step whose rate is no power of two, so that a factor is folded."""
    data = batch_of(ROWS)
    data["label"] = np.eye(3, dtype=np.float32)[np.arange(ROWS) % 3]
    schedule = np.arange(STEPS * 4).reshape(STEPS, 4)
    step, state = step_with(softmax), train_state(Network(), data["image"], optax.sgd(rate, momentum=0.5))
    batches = [jax.tree.map(lambda leaf, rows=rows: leaf[rows], data) for rows in schedule]
    program = zkjax.compile(step, state, batches[0], steps=STEPS, calibration=batches, dataset=data, headroom=headroom)
    return program, state, data, schedule, step


@cache
def report(headroom: int = 0) -> Report:
    program, state, data, schedule, _ = block(headroom)
    return program.report(state, data, schedule)


def test_errors_of_tensors_are_small_and_real():
    found = {row.name: row for row in report().tensors}
    kinds = ("pre_activation", "function", "logits", "exp", "reciprocal", "loss_gradient", "gradient")
    assert all(any(name.endswith(kind) for name in found) for kind in kinds)
    for row in report().tensors:
        assert 0 < row.error < 0.05 or row.largest_error <= 2.0**-row.fraction_bits, row
        assert row.largest_error < 0.02 * max(row.largest, 1), row
        assert row.line
    coarse = {row.name: row for row in report(5).tensors}
    assert coarse["Dense_0/pre_activation"].error > 8 * found["Dense_0/pre_activation"].error


def test_errors_of_the_state():
    program, state, data, schedule, step = block()
    ours, theirs = program.run(state, data, schedule).state, float_run(step, state, data, schedule, program.has_aux)
    for row in report().state:
        if row.name.startswith("params/"):
            layer, kind = row.name.split("/")[1:]
            mine, exact, first = (np.asarray(s.params[layer][kind], np.float64) for s in (ours, theirs, state))
            error = np.sqrt(np.mean((mine - exact) ** 2) / np.mean((exact - first) ** 2))
            assert row.error == pytest.approx(error, rel=0.05)
            assert row.largest_error == pytest.approx(np.abs(mine - exact).max(), rel=0.05)
            assert row.largest == pytest.approx(np.abs(mine).max())


def test_the_room_of_a_tensor():
    program, state, data, schedule, _ = block()
    (row,) = (row for row in report().tensors if row.name == "Dense_0/pre_activation")
    values = program.run(state, data, schedule).integers("advice")["Dense_0/pre_activation"]
    wide = program.plan.precision.wide
    assert row.margin_bits == pytest.approx(min(log2(wide / v) for v in (values.max(), -values.min())), abs=1e-3)
    assert row.largest == np.abs(values).max() * 2.0**-row.fraction_bits
    assert all(row.margin_bits is None for row in report().tensors if row.name.endswith("/exp"))
    wider = {row.name: row.margin_bits for row in report(5).tensors}
    assert wider["Dense_0/pre_activation"] == pytest.approx(row.margin_bits + 5, abs=0.5)


def test_choices_for_the_leaves():
    for leaf in report().leaves:
        assert leaf.how == "virtual: a public filter of the state before and the changes"
        assert leaf.committed_per_step == 0


def test_changes_that_are_committed_are_counted():
    """A decay in the loss adds the weight, with all its bits, to its gradient: the sum is rounded, for each leaf."""

    def train_step(state, batch):
        def loss_of(state):
            logits = batch["image"] @ state["w"] + state["b"][None]
            return softmax(logits, batch["label"]) + 0.5 * jnp.sum(jnp.tanh(state["w"]))

        return jax.tree.map(lambda w, g: w - 0.125 * g, state, jax.grad(loss_of)(state))

    _, _, data, schedule, _ = block()
    state = {"w": np.full((5, 3), 0.25, np.float32), "b": np.zeros(3, np.float32)}
    program = zkjax.compile(train_step, state, jax.tree.map(lambda leaf: leaf[:4], data), steps=STEPS)
    found = {leaf.name: leaf for leaf in program.report(state, data, schedule).leaves}
    assert found["b"].committed_per_step == 0 and "committed" not in found["b"].how
    assert found["w"].committed_per_step >= 15 and found["w"].how.endswith("changes, which are committed")


def test_costs_are_those_of_the_proof():
    program, state, data, schedule, _ = block()
    statement, proof = zkjax.prove(program.run(state, data, schedule))
    summary, cost = zkjax.verify(statement, proof), report().cost
    assert (cost.committed_elements, cost.lookups) == (summary.committed_elements, summary.lookups)
    sections = dict(summary.proof_sections)
    columns = sections.pop("columns")
    assert message_bytes(statement.plan) == sum(sections.values())
    assert cost.proof_bytes == expected_bytes(statement.plan)
    assert cost.proof_bytes == pytest.approx(sum(sections.values()) + columns, rel=0.03)
    assert cost.table_rows == sum(1 << table.bits for table in statement.circuit.tables)
    assert len(cost.tables) == len(statement.circuit.tables)


def test_clipped_values_are_counted():
    _, state, data, schedule, _ = block()
    many = {**data, "image": 12 * data["image"]}
    batch = jax.tree.map(lambda leaf: leaf[:4], data)
    wide = zkjax.compile(step_with(softmax), state, batch, steps=STEPS, dataset=many)
    run = wide.run(state, many, schedule)
    expected = {name: count for name, count in run.saturations.items() if count}
    assert wide.report(state, many, schedule).clipped == expected != {}


def test_it_prints_and_is_machine_readable():
    printed = str(report())
    for row in (*report().tensors, *report().state):
        assert row.name in printed
    assert f"{len(report().cost.tables)} tables of {report().cost.table_rows:,} rows, the largest of 2^" in printed
    assert "bytes of proof" in printed and "0 elements committed a step: all leaves" in printed
    assert json.loads(json.dumps(report().as_dict()))["cost"]["lookups"] == report().cost.lookups
    assert "tables of" in str(block()[0])
