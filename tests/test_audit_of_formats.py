"""Statements that are about a step, in formats in which it is not the step that was meant: the audit refuses them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from unittest.mock import patch

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zkjax
from tests.frontend.steps import Network, batch_of, step_with, train_state
from zkjax.fixedpoint import published
from zkjax.fixedpoint.compile import lower_block, plan_formats
from zkjax.fixedpoint.fineness import TooCoarse
from zkjax.fixedpoint.published import OtherFormats
from zkjax.program import Program
from zkjax.recompile import examine
from zkjax.statement.statement import Statement

ROWS, STEPS = 20, 3
SCHEDULE = np.arange(12).reshape(STEPS, 4)


def in_formats(program: Program, **changes) -> Program:
    """The program as a prover makes it who lies about what calibration saw, or about the data."""
    plan = program.plan
    given = {"calibration": plan.calibration, "data": plan.data, "settled": {}} | changes
    other = plan_formats(
        plan.step,
        given["calibration"],
        given["data"],
        plan.numbers,
        plan.precision.bits,
        given["settled"],
        plan.counters,
    )
    lowered = {rows: lower_block(other, rows=rows) for rows in (ROWS,)}
    return replace(program, plan=other, _lowered=lowered)


def statement_of(program: Program) -> Statement:
    outputs = tuple(np.zeros(STEPS, np.int64) for _ in program.circuit.outputs)
    return Statement(program.circuit_for(ROWS), SCHEDULE, 8, (bytes(32),) * 3, outputs=outputs)


# Labels


def binary_step(state, batch):
    def loss_of(params):
        logits = state.apply_fn({"params": params}, batch["image"]).sum(axis=-1)
        loss = optax.sigmoid_binary_cross_entropy(logits, batch["label"]).mean()
        return loss, {"accuracy": jnp.mean((logits > 0).astype(np.float32) == batch["label"])}

    grads, aux = jax.grad(loss_of, has_aux=True)(state.params)
    return state.apply_gradients(grads=grads), aux


def binary_batch(rows: int, yes: float = 1.0) -> dict:
    return {"image": batch_of(rows)["image"], "label": np.float32(yes) * (np.arange(rows) % 2).astype(np.float32)}


@pytest.fixture(scope="module")
def binary():
    state = train_state(Network(), batch_of()["image"], optax.sgd(0.25))
    program = zkjax.compile(binary_step, state, binary_batch(4), steps=STEPS, dataset=binary_batch(ROWS), outputs=True)
    return program, state


def with_labels(program: Program, fraction: int, lo: int, hi: int) -> Program:
    form = replace(program.plan.data["label"], fraction_bits=fraction, lo=lo, hi=hi)
    return in_formats(program, data={**program.plan.data, "label": form})


@pytest.mark.parametrize(("fraction", "lo", "hi"), [(0, 0, 3), (2, 0, 1), (2, 0, 4), (0, -7, 8), (0, -1, 1)])
def test_labels_in_other_formats(binary, fraction, lo, hi):
    program, state = binary
    cheat = with_labels(program, fraction, lo, hi)
    given = binary_step, state, binary_batch(ROWS), statement_of(cheat)
    with pytest.raises(OtherFormats, match=r"'label' is one of labels.*\(expected integers in \[0, 1\], got integers"):
        zkjax.audit(*given)
    with patch.object(published, "label_format", lambda classes, shape: cheat.plan.data["label"]):
        assert zkjax.audit(*given) == cheat.circuit_for(ROWS).digest().hex()
    assert zkjax.audit(binary_step, state, binary_batch(ROWS), statement_of(program))


@pytest.mark.slow
def test_an_accuracy_above_one_is_proved_and_not_audited(binary):
    """Agreement is 1 - a - b + 2 a b, and only the range of the labels b makes bits of them: 3 counts three times."""
    program, state = binary
    run = with_labels(program, 0, 0, 3).run(state, binary_batch(ROWS, yes=3.0), SCHEDULE)
    statement, proof = zkjax.prove(run, zkjax.commit(run))
    assert max(zkjax.verify(statement, proof).outputs["accuracy"]) > 1
    with pytest.raises(OtherFormats, match="'label' is one of labels"):
        zkjax.audit(binary_step, state, binary_batch(ROWS), statement)


# What is not rounded by a shift


class Normalised(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.LayerNorm()(nn.Dense(6)(x)))
        return nn.Dense(3)(x)


CASES = {
    "adam": (Network(), optax.adam(1e-3)),
    "momentum": (Network(), optax.sgd(0.1, momentum=0.9)),
    "clipped": (Network(), optax.chain(optax.clip_by_global_norm(0.5), optax.sgd(0.1))),
    "normalised": (Normalised(), optax.sgd(0.1)),
    "tanh": (Network(activation=jnp.tanh), optax.sgd(0.1)),
}


@cache
def compiled(name: str):
    model, optimiser = CASES[name]
    with jax.numpy_dtype_promotion("standard"):  # Optax raises a decay to the power of a counter
        step, state = step_with(), train_state(model, batch_of()["image"], optimiser)
        return step, state, zkjax.compile(step, state, batch_of(), steps=STEPS, dataset=batch_of(ROWS))


def audited(name: str, program: Program, **options) -> str:
    step, state, _ = compiled(name)
    with jax.numpy_dtype_promotion("standard"):
        return zkjax.audit(step, state, batch_of(ROWS), statement_of(program), **options)


@pytest.mark.parametrize("name", CASES)
def test_honest_formats(name):
    assert audited(name, compiled(name)[2])


@pytest.mark.parametrize(
    ("name", "tensor", "bits"),
    [
        ("adam", "Dense_0/kernel/update", 14),  # no update reaches one half: the weights never move
        ("clipped", "data/scale", 20),
        ("normalised", "Dense_0/function", 14),
        ("normalised", "Dense_0/function", -8),  # every variance is below the floor
        ("normalised", "Dense_0/function#2", -14),
    ],
)
def test_quotients_and_functions_in_too_coarse_units(name, tensor, bits):
    program = compiled(name)[2]
    plan = program.plan
    (node,) = (each.node for each in plan.tensors if each.name == tensor)
    sizes = tuple(size * 2.0 ** (bits * (at == node)) for at, size in enumerate(plan.calibration.nodes))
    other = in_formats(program, calibration=replace(plan.calibration, nodes=sizes))
    assert audited(name, other, least_bits=0 if bits < 0 else -20) == other.circuit_for(ROWS).digest().hex()
    with pytest.raises(TooCoarse, match=f"'{tensor}' has few bits in its unit of 2.* with the values given here"):
        audited(name, other)


@pytest.mark.parametrize(("name", "bits"), [("momentum", 8), ("adam", 12)])
def test_a_memory_in_too_coarse_a_unit(name, bits):
    """What an optimiser remembers from block to block is nothing."""
    program = compiled(name)[2]
    plan = program.plan
    memories = [leaf for leaf in plan.weights if plan.is_memory(leaf)]
    assert memories and all(leaf.startswith("opt_state") for leaf in memories)
    settled = {leaf: plan.weights[leaf].state_fraction - bits for leaf in memories}
    sizes = {leaf: size * 4.0 ** (bits * (leaf in memories)) for leaf, size in plan.calibration.state.items()}
    other = in_formats(program, calibration=replace(plan.calibration, state=sizes), settled=settled)
    assert audited(name, other, least_bits=-20) == other.circuit_for(ROWS).digest().hex()
    with pytest.raises(TooCoarse, match=r"memory 'opt_state.*' has few bits in its unit of 2.* with the values given"):
        audited(name, other)


def test_every_calibrated_tensor_is_judged():
    """None has a unit that calibration chose and that the audit does not show."""
    for name in CASES:
        step, state, program = compiled(name)
        with jax.numpy_dtype_promotion("standard"):
            found = examine(step, state, batch_of(ROWS), statement_of(program)).fineness
        shown = {each.name for each in found}
        committed = {program.circuit.nodes[index].name for index in program.circuit.committed("advice")}
        assert {tensor.name for tensor in program.plan.tensors} & committed <= shown


# Leaves without limbs


def test_a_leaf_of_many_entries():
    """One wide table checks its range: its bits are read from there."""
    step = step_with()

    class Wide(nn.Module):
        @nn.compact
        def __call__(self, x):
            for _ in range(2):
                x = nn.relu(nn.Dense(512)(x))
            return nn.Dense(3)(x)

    state = train_state(Wide(), batch_of()["image"], optax.sgd(0.01))
    program = zkjax.compile(step, state, batch_of(), steps=STEPS, dataset=batch_of(ROWS))
    names = [lookup.name for lookup in program.circuit.lookups]
    assert "before/params/Dense_1/kernel/range" in names  # no limbs
    assert zkjax.audit(step, state, batch_of(ROWS), statement_of(program))
