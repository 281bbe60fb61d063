"""The learning rate as an exact number: what is folded, what is multiplied, what is printed."""

from __future__ import annotations

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.frontend.steps import Network, batch_of, step_with, train_state
from zkjax.program import compile

RELATIVE = Fraction(1, 1 << 11)


def compiled(optimiser, loss=None, rows=4, steps=2):
    batch = batch_of(rows)
    step = step_with(loss) if loss else step_with()
    return compile(step, train_state(Network(), batch["image"], optimiser), batch, steps=steps)


def applied(program):
    """What the circuit itself applies to each leaf: weight units moved per unit of the gradient's value."""
    return {name: form.applied for name, form in program.plan.weights.items()}


@pytest.mark.parametrize("rate", [0.125, 0.5, 0.375, 2.0**-10])
def test_short_rates_are_exact_and_cost_nothing(rate):
    program = compiled(optax.sgd(rate))
    assert program.plan.fold is None
    assert {form.effective_rate for form in program.plan.weights.values()} == {Fraction(rate)}
    assert not any("unscaled" in tensor.name for tensor in program.plan.tensors)
    assert "in the training step " + f"{rate:.9g}" in str(program)


@pytest.mark.parametrize("rate", [0.1, 0.3, 1e-3, 0.7])
def test_other_rates_are_folded_into_the_loss_gradient(rate):
    program = compiled(optax.sgd(rate))
    fold = program.plan.fold
    assert fold is not None
    assert fold.leaves == set(program.plan.weights)
    for form in program.plan.weights.values():
        assert abs(form.effective_rate / Fraction(rate) - 1) < RELATIVE
        denominator = form.effective_rate.denominator
        assert denominator & (denominator - 1) == 0, "the effective learning rate is dyadic"
        assert form.step & (form.step - 1) == 0, "no leaf needs a multiplier of its own"
    assert sum("loss_gradient/unscaled" in tensor.name for tensor in program.plan.tensors) == 1


def test_a_mean_over_three_classes_is_folded_with_the_rate():
    program = compiled(optax.sgd(0.125), loss=lambda z, y: jnp.mean((z - y) ** 2))
    form = program.plan.weights["params/Dense_1/kernel"]
    assert abs(form.effective_rate / Fraction(1, 8) - 1) < RELATIVE
    assert form.applied.denominator & (form.applied.denominator - 1) == 0
    assert "times the constants of the loss" in str(program)


def test_leaves_with_rates_of_their_own_get_short_multipliers():
    def label(params):
        return jax.tree.map_with_path(lambda path, _: "slow" if "bias" in str(path) else "fast", params)

    optimiser = optax.multi_transform({"fast": optax.sgd(0.1), "slow": optax.sgd(0.03)}, label)
    program = compiled(optimiser)
    rates = {"kernel": Fraction(0.1), "bias": Fraction(0.03)}
    for name, form in program.plan.weights.items():
        assert abs(form.effective_rate / rates[name.rpartition("/")[2]] - 1) < RELATIVE
        odd = form.step // (form.step & -form.step)
        assert odd.bit_length() <= 12
    text = str(program)
    assert "0.100000001" in text
    assert "0.0299999993" in text


def test_the_integer_step_is_the_applied_factor():
    """step * 2**-fraction of the weights = applied factor * 2**-fraction of the change, by the formats."""
    program = compiled(optax.sgd(0.3), rows=6)
    fraction = {tensor.name: tensor.fraction_bits for tensor in program.plan.tensors}
    form = program.plan.weights["params/Dense_1/bias"]
    unit = Fraction(form.step, 1 << form.fraction_bits)
    gradient_unit = Fraction(2) ** -fraction["Dense_1/loss_gradient"]
    scale = program.plan.fold.scale
    assert unit == abs(form.applied) / scale * gradient_unit


def test_the_rate_is_a_remark_of_the_circuit_and_part_of_its_digest():
    one, other = compiled(optax.sgd(0.25)), compiled(optax.sgd(0.5))
    assert any("learning rate 1/4 = 0.25" in remark for remark in one.circuit.remarks)
    assert one.circuit.digest() != other.circuit.digest()


def test_remarks_name_no_files():
    batch = batch_of()
    step = step_with(prepare=lambda x: (x - 0.1307) / 0.3081)
    program = compile(step, train_state(Network(), batch["image"], optax.sgd(0.1)), batch, steps=2)
    assert any("relative error" in remark for remark in program.circuit.remarks)
    assert not any(".py" in remark for remark in program.circuit.remarks)
    assert np.all([remark.isascii() for remark in program.circuit.remarks])
