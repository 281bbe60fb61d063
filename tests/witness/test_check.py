"""Where a run leaves its ranges is found, and named; so is every tampered value."""

from __future__ import annotations

import numpy as np
import pytest

from tests.blocks import DenseShape
from tests.witness.cases import dense_inputs, named, odd_inputs
from zkjax.errors import WitnessError
from zkjax.statement.circuit import Committed
from zkjax.statement.tables import Table
from zkjax.witness import OutOfRangeError, Values, Witness, check_lookups, execute, saturations
from zkjax.witness.check import _expected

SHAPE = DenseShape(widths=(20, 4, 3), batch=3, steps=5, rows=8)


def quiet_block():
    """A run in which only row 7 of the data is not zero, and no schedule entry names it yet."""
    lowered, data, before, schedule = dense_inputs(SHAPE, 0, weight=0.1)
    x = named(lowered, "data")["x"]
    data[x][:7], data[x][7] = 0, 16
    return lowered, data, before, schedule % 7


def located(lowered, witness) -> OutOfRangeError:
    with pytest.raises(OutOfRangeError) as caught:
        check_lookups(lowered, witness)
    return caught.value


def replaced(witness: Witness, node: int, value: np.ndarray) -> Witness:
    return Witness(Values({**dict(witness.values), node: value}), witness.schedule)


@pytest.mark.parametrize("step", range(5))
def test_a_pre_activation_out_of_range_is_located(step):
    lowered, data, before, schedule = quiet_block()
    before[named(lowered, "before")["layer0/kernel"]][:, 2] = (1 << 17) - 1
    schedule[step, 1] = 7
    check_lookups(lowered, execute(lowered, data, before, schedule % 7))
    witness = execute(lowered, data, before, schedule)
    error = located(lowered, witness)
    assert isinstance(error, WitnessError)
    assert (error.name, error.step, error.index, error.bound) == (
        "layer0/relu",
        step,
        (1, 2),
        (-(1 << 15), (1 << 15) - 1),
    )
    pre_activation = named(lowered, "advice")["layer0/pre_activation"]
    assert error.value == witness.values[pre_activation][step, 1, 2] > (1 << 15) - 1
    text = str(error)
    assert f"layer0/relu at step {step}, index (1, 2): value {error.value}, outside [-32768, 32767]" in text
    assert "calibrate on more batches" in text


def test_data_out_of_range_count_where_the_schedule_reads_them():
    lowered, data, before, schedule = quiet_block()
    x = named(lowered, "data")["x"]
    data[x][7, 3] = 17
    check_lookups(lowered, execute(lowered, data, before, schedule))
    schedule[3, 2] = 7
    error = located(lowered, execute(lowered, data, before, schedule))
    assert (error.name, error.step, error.index, error.value, error.bound) == ("data/x", 3, (2, 3), 17, (0, 16))
    assert "rescale" in error.remedy


@pytest.mark.parametrize("value", [1 << 17, -(1 << 17) - 1, 1 << 40, -(1 << 62)])
def test_a_state_out_of_range_is_located_by_its_own_value(value):
    lowered, data, before, schedule = quiet_block()
    before[named(lowered, "before")["layer1/kernel"]][3, 1] = value
    error = located(lowered, execute(lowered, data, before, schedule))
    assert (error.name, error.step, error.index, error.value) == ("before/layer1/kernel", None, (3, 1), value)
    assert error.bound == (-(1 << 17), (1 << 17) - 1)


def test_the_state_after_is_located_by_its_own_value():
    lowered, data, before, schedule = quiet_block()
    state = named(lowered, "before")
    before[state["layer0/bias"]][:] = (1 << 17) - 1
    before[state["layer1/kernel"]][:, 1] = -(1 << 17)
    before[state["layer1/bias"]][1] = (1 << 17) - 1
    data[named(lowered, "data")["y"]][:, 1] = 1
    witness = execute(lowered, data, before, schedule)
    error = located(lowered, witness)
    after = witness.values[named(lowered, "after")["layer1/bias"]]
    assert (error.name, error.step, error.index, error.value) == ("after/layer1/bias", None, (1,), after[1])
    assert after[1] > error.bound[1] == (1 << 17) - 1
    assert "headroom=" in error.remedy


def test_the_first_step_counts_before_the_order_of_lookups():
    lowered, data, before, schedule = quiet_block()
    witness = execute(lowered, data, before, schedule)
    advice = named(lowered, "advice")
    early, late = advice["layer0/pre_activation"], advice["layer0/gradient"]
    values = witness.values[early].copy()
    values[4, 0, 0] = 1 << 20
    witness = replaced(witness, early, values)
    assert located(lowered, witness).step == 4
    values = witness.values[late].copy()
    values[2, 1, 1] = 1 << 20
    witness = replaced(witness, late, values)
    error = located(lowered, witness)
    assert (error.name, error.step, error.index) == ("layer0/gated", 2, (1, 1))


def test_every_tampered_entry_of_every_lookup_is_found():
    lowered, data, before, schedule = dense_inputs(DenseShape(), 0)
    witness = execute(lowered, data, before, schedule)
    check_lookups(lowered, witness)
    random = np.random.default_rng(0)
    for lookup in lowered.circuit.lookups:
        low, high = lowered.circuit.tables[lookup.table].coordinate_ranges()[0]
        wrong = [(node, 2) for node in lookup.coordinates[1:2]] + [(node, 9999) for node in lookup.coordinates[2:]]
        for node, value in [(lookup.re, low - 1), (lookup.re, high + 1), *wrong]:
            values = witness.values[node].copy()
            index = tuple(int(random.integers(size)) for size in values.shape)
            values[index] = value
            error = located(lowered, replaced(witness, node, values))
            assert (value, index) in [(error.value, error.index), (error.value, (error.step, *error.index))]


def test_a_flipped_gate_is_found():
    lowered, data, before, schedule = dense_inputs(DenseShape(), 0)
    witness = execute(lowered, data, before, schedule)
    gate = named(lowered, "advice")["layer0/gate"]
    values = witness.values[gate].copy()
    values[1, 2, 3] ^= 1
    error = located(lowered, replaced(witness, gate, values))
    assert (error.name, error.step, error.index) == ("layer0/gate", 1, (2, 3))


def test_an_open_gate_above_the_limit_is_found():
    lowered, data, before, schedule = dense_inputs(DenseShape(bits=8), 3, weight=0.6)
    witness = execute(lowered, data, before, schedule)
    advice = named(lowered, "advice")
    values = witness.values[advice["layer0/gate"]].copy()
    saturated = tuple(np.argwhere(witness.values[advice["layer0/pre_activation"]] > 255)[0].tolist())
    assert values[saturated] == 0
    values[saturated] = 1
    error = located(lowered, replaced(witness, advice["layer0/gate"], values))
    assert (error.name, error.step, error.index) == ("layer0/gate", saturated[0], saturated[1:])


def test_a_zero_that_does_not_vanish_is_found():
    lowered, data, before, schedule = odd_inputs(0)
    witness = execute(lowered, data, before, schedule)
    zero = lowered.circuit.zeros[0]
    assert not isinstance(lowered.circuit.nodes[zero], Committed)
    error = located(lowered, replaced(witness, zero, witness.values[zero] + np.array([0, 0, 5])))
    assert (error.name, error.step, error.index, error.value, error.bound) == (f"zero node {zero}", 2, (), 5, (0, 0))


def test_saturations_are_counted():
    shape = DenseShape(bits=8)
    lowered, data, before, schedule = dense_inputs(shape, 3, weight=0.6)
    witness = execute(lowered, data, before, schedule)
    advice, limit = named(lowered, "advice"), (1 << shape.bits) - 1
    pre, back, gate = (advice[f"layer0/{name}"] for name in ("pre_activation", "gradient", "gate"))
    expected = {
        "layer0/relu": sum(int(q) > limit for q in witness.values[pre].reshape(-1)),
        "layer0/gated": sum(
            abs(int(g)) > limit and int(on) == 1
            for g, on in zip(witness.values[back].reshape(-1), witness.values[gate].reshape(-1), strict=True)
        ),
    }
    assert saturations(lowered, witness) == expected
    assert all(expected.values())


def test_gated_tuples_in_unsigned_columns_are_judged():
    source, gate = np.array([0, 150, 300], np.uint16), np.array([1, 0, 1], np.int8)
    source_range, gate_range, (low, high) = _expected(Table("gated", 0, 300, 200), [source, gate, gate])
    assert (source_range, gate_range) == ((0, 300), (0, 1))
    assert low.tolist() == high.tolist() == [0, 0, 200]
