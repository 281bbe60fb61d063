"""Compiled circuits are legal, proven free of wrap-around, deterministic; or refused with a remedy."""

from __future__ import annotations

from itertools import pairwise

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.training.train_state import TrainState

from tests.frontend.steps import Network, batch_of, plain, step_with, train_state
from zkjax.errors import UserError
from zkjax.fixedpoint.bounds import BoundError
from zkjax.program import compile
from zkjax.statement.circuit import Circuit, Committed, Contract
from zkjax.statement.ranges import check_ranges


class Dense(nn.Module):
    widths: tuple[int, ...]
    bias: bool = True

    @nn.compact
    def __call__(self, x):
        for width in self.widths[:-1]:
            x = nn.relu(nn.Dense(width, use_bias=self.bias)(x))
        return nn.Dense(self.widths[-1], use_bias=self.bias)(x)


def compiled_network(widths, *, rows=8, steps=3, bias=True, rate=0.125, seed=0, **options):
    """A program for a network of these widths; weights by NumPy, which is quicker than `init`."""
    random = np.random.default_rng(seed)
    batch = {
        "image": (random.integers(0, 17, (rows, widths[0])) / 16).astype(np.float32),
        "label": np.eye(widths[-1], dtype=np.float32)[random.integers(0, widths[-1], rows)],
    }
    params = {}
    for layer, (inputs, outputs) in enumerate(pairwise(widths)):
        kernel = random.normal(size=(inputs, outputs), scale=inputs**-0.5).astype(np.float32)
        own = {"bias": np.full(outputs, 0.125, np.float32)} if bias else {}
        params[f"Dense_{layer}"] = {"kernel": kernel, **own}
    model = Dense(widths[1:], bias)
    state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.sgd(rate))
    return compile(step_with(), state, batch, steps=steps, **options)


@pytest.mark.parametrize("seed", range(6))
def test_random_networks_compile_to_legal_circuits(seed):
    random = np.random.default_rng(seed)
    widths = tuple(int(width) for width in random.integers(1, 40, random.integers(2, 6)))
    program = compiled_network(
        widths,
        rows=int(random.integers(1, 17)),
        steps=int(random.integers(1, 9)),
        bias=bool(seed % 2),
        rate=float(random.choice([0.125, 0.1, 1e-3])),
        seed=seed,
    )
    for rows in (program.batch, 50, 500):
        circuit = program.circuit_for(rows)
        circuit.check()
        check_ranges(circuit)
        assert Circuit.from_bytes(circuit.to_bytes()) == circuit
        assert circuit.rows == rows
        named = {circuit.nodes[node].name for node in circuit.committed("before")}
        assert named == {circuit.nodes[node].name for node in circuit.committed("after")} == set(program.plan.weights)


def test_every_committed_tensor_has_its_recipe():
    lowered = compiled_network((7, 6, 5)).lowered
    expected = {*lowered.circuit.committed("advice"), *lowered.circuit.committed("after")}
    assert set(lowered.recipes) == expected


def test_what_an_activation_costs():
    """Quotient, gate, output; quotient, gated gradient; upper limbs. No weight is committed per step."""
    program = compiled_network((7, 6, 5, 3), rows=8, steps=3)
    circuit = program.circuit
    advice = [node for node in circuit.nodes if isinstance(node, Committed) and node.oracle == "advice"]
    per_step = [node for node in advice if not node.name.startswith(("before/", "after/"))]
    assert all(node.shape[:2] == (3, 8) for node in per_step)
    checked = [circuit.nodes[lookup.re].shape for lookup in circuit.lookups]
    for width in (6, 5):
        upper = sum(-(-tensor.shift // 16) - 1 for tensor in program.plan.tensors if tensor.shape == (8, width))
        assert sum(node.shape == (3, 8, width) for node in per_step) == 5 + upper
        assert checked.count((3, 8, width)) == 4 + upper


def test_products_are_those_of_the_three_passes():
    circuit = compiled_network((7, 6, 5, 3)).circuit
    assert sum(isinstance(node, Contract) for node in circuit.nodes) == 3 + 3 + 2


def test_small_data_sets_are_checked_whole_and_large_ones_where_they_are_read():
    program = compiled_network((7, 6, 3), rows=4, steps=2)
    small, large = program.circuit_for(8), program.circuit_for(9)
    for circuit, checked in ((small, "Committed"), (large, "Rows")):
        kinds = {
            type(circuit.nodes[lookup.re]).__name__ for lookup in circuit.lookups if lookup.name.startswith("data/")
        }
        assert kinds == {checked}


def test_fewer_bits_are_taken_where_twelve_do_not_fit():
    program = compiled_network((64, 64, 64, 10), rows=64, steps=4000)
    assert program.plan.precision.bits in (10, 11)
    check_ranges(program.circuit)


@pytest.mark.parametrize("factor", [1e-9, 1e-5])
def test_what_fits_with_no_bits_is_refused_with_equation_bound_and_remedy(factor):
    def loss(z, y):
        return jnp.mean((factor * z - y) ** 2)

    batch = batch_of()
    with pytest.raises(BoundError) as caught:
        state = train_state(Network(), batch["image"], optax.sgd(1e-7))
        compile(step_with(loss), state, batch, steps=4)
    text = str(caught.value)
    assert "bits; the field holds 61" in text
    assert ".py:" in text
    assert "steps=" in text
    assert caught.value.bits > 61


def test_a_learning_rate_that_takes_all_bits_is_named():
    """What does not fit is a value of some layer; what to do is about the rate."""
    batch = batch_of()
    for optimiser in (optax.sgd(1e-14), optax.sgd(1e-14, momentum=0.5)):
        state = train_state(Network(), batch["image"], optimiser)
        with pytest.raises(BoundError, match=r"the learning rate of params/\S+ is 1e-14, and weights .* \(1e-6 fits"):
            compile(step_with(), state, batch, steps=4)
    compile(step_with(), train_state(Network(), batch["image"], optax.sgd(1e-6)), batch, steps=4)


def test_too_large_for_any_proof():
    with pytest.raises(UserError, match="exceeds a limit"):
        compiled_network((3, 2, 2), steps=5000)


def test_values_that_are_always_zero_have_no_format():
    train_step, state = plain()
    state = {name: 0 * leaf for name, leaf in state.items()}
    with pytest.raises(UserError, match="0 on all calibration batches"):
        compile(train_step, state, batch_of(), steps=2)


def test_values_that_overflow_in_calibration():
    train_step, state = plain(rate=1e30)
    with pytest.raises(UserError, match=r"NaN or infinite on calibration batch \d+: scale"):
        compile(train_step, state, batch_of(), steps=12, calibration=[batch_of(seed=s) for s in range(12)])


def test_small_rates_keep_remainders_to_two_limbs_where_they_can():
    program = compiled_network((9, 8, 3), rate=2.0**-18)
    assert program.plan.precision.gradient_cut > 0
    assert program.plan.precision.bits - program.plan.precision.gradient_headroom - 2 >= 8


def test_equal_input_gives_equal_bytes(run_python):
    code = """
from tests.fixedpoint.test_compile import compiled_network
print(compiled_network((7, 6, 5, 3), rate=0.3).circuit.digest().hex())
"""
    elsewhere = run_python("-c", code, PYTHONHASHSEED="1").stdout.split()[-1]
    assert elsewhere == compiled_network((7, 6, 5, 3), rate=0.3).circuit.digest().hex()
