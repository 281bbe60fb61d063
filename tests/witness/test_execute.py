"""The exact run against two oracles that share no code with it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.blocks import DenseShape
from tests.witness.cases import dense_inputs, named, odd_inputs
from tests.witness.dense_trainer import train
from tests.witness.naive import interpret
from zkjax.errors import UserError
from zkjax.witness import OutOfRangeError, Values, check_lookups, execute
from zkjax.witness.execute import executor

SHAPES = [
    DenseShape(),
    DenseShape(widths=(3, 2), batch=1, steps=1, rows=1),
    DenseShape(widths=(7, 5, 9, 4), batch=3, steps=5, rows=11, bits=10, activation_fraction=8, weight_fraction=24),
    DenseShape(widths=(6, 8, 5), batch=16, steps=6, bits=13, activation_fraction=12, weight_fraction=34),
    DenseShape(widths=(2, 17, 1), batch=6, steps=4, rows=9, bits=13, activation_fraction=11, weight_fraction=32),
]


def assert_equals_trainer(shape, lowered, data, before, schedule, witness, steps=None):
    x, y = (data[named(lowered, "data")[name]] for name in "xy")
    state = {name: before[node] for name, node in named(lowered, "before").items()}
    advice, after = train(shape, x, y, state, schedule)
    nodes = named(lowered, "advice")
    for name, expected in advice.items():
        assert np.array_equal(witness.values[nodes[name]][:steps], expected[:steps]), name
    if steps is None:
        for name, node in named(lowered, "after").items():
            assert np.array_equal(witness.values[node], after[name]), name


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equals_the_plain_integer_trainer(shape):
    for seed in range(3):
        lowered, data, before, schedule = dense_inputs(shape, seed)
        witness = execute(lowered, data, before, schedule)
        check_lookups(lowered, witness)
        assert_equals_trainer(shape, lowered, data, before, schedule, witness)


@pytest.mark.parametrize("seed", range(4))
def test_equals_the_trainer_at_the_ends_of_the_ranges(seed):
    shape = DenseShape()
    lowered, data, before, schedule = dense_inputs(shape, seed)
    random = np.random.default_rng(seed)
    x = named(lowered, "data")["x"]
    data[x] = random.choice([0, 1 << shape.input_fraction], data[x].shape)
    before = {node: random.choice([-(1 << 17), (1 << 17) - 1], value.shape) for node, value in before.items()}
    witness = execute(lowered, data, before, schedule)
    steps = None
    try:
        check_lookups(lowered, witness)
    except OutOfRangeError as error:
        steps = shape.steps if error.step is None else error.step + 1
    assert_equals_trainer(shape, lowered, data, before, schedule, witness, steps)


NAIVE_CASES = {
    "dense": lambda seed: dense_inputs(DenseShape(), seed),
    "large sums": lambda seed: dense_inputs(SHAPES[3], seed),
    "odd": odd_inputs,
}


@pytest.mark.parametrize("inputs", NAIVE_CASES.values(), ids=NAIVE_CASES)
def test_equals_the_naive_interpreter_at_every_node(inputs):
    for seed in range(3):
        lowered, data, before, schedule = inputs(seed)
        witness = execute(lowered, data, before, schedule)
        expected = interpret(lowered, {**data, **before}, schedule)
        circuit = lowered.circuit
        assert set(witness.values) == {*circuit.committed(), *lowered.lookup_values, *circuit.zeros}
        for node, value in witness.values.items():
            assert value.dtype == np.int64
            assert value.shape == circuit.nodes[node].shape
            assert np.array_equal(value, expected[node]), circuit.nodes[node]
        assert np.array_equal(witness.schedule, schedule)


def test_values_beyond_their_types_are_kept_whole():
    lowered, data, before, schedule = dense_inputs(DenseShape(), 0)
    before = {node: value * 100 for node, value in before.items()}
    witness = execute(lowered, data, before, schedule)
    expected = interpret(lowered, {**data, **before}, schedule)
    pre_activation = named(lowered, "advice")["layer0/pre_activation"]
    assert np.abs(witness.values[pre_activation]).max() > 1 << 16
    assert np.array_equal(witness.values[pre_activation][0], expected[pre_activation][0])


def test_the_witness_is_narrow_read_only_and_not_printed():
    lowered, data, before, schedule = dense_inputs(DenseShape(), 0)
    witness = execute(lowered, data, before, schedule)
    gate = named(lowered, "advice")["layer0/gate"]
    assert witness.values.stored(gate).dtype == np.int8
    assert not any(witness.values.stored(node).flags.writeable for node in witness.values)
    assert isinstance(witness.values, Values)
    assert len(repr(witness.values)) < 100


def test_nothing_secret_is_a_constant_of_the_program():
    lowered, data, before, schedule = dense_inputs(DenseShape(widths=(40, 30, 20), rows=50), 0)
    program = executor(lowered)
    with jax.enable_x64(True):
        closed = jax.make_jaxpr(program.trace)(data, before, schedule.astype(np.int32), {})
        compiled = program.program.lower(data, before, schedule.astype(np.int32), {}).compile()
    assert all(np.size(constant) <= 1 for constant in closed.consts)
    text = compiled.as_text()
    constants = [line for line in text.splitlines() if " constant({" in line]
    assert all(len(line) < 1000 for line in constants)


def test_x64_mode_stays_off():
    lowered, data, before, schedule = dense_inputs(DenseShape(), 0)
    execute(lowered, data, before, schedule)
    assert jnp.ones(1).dtype == np.float32


def test_the_compiled_program_is_shared():
    shape = DenseShape()
    assert executor(dense_inputs(shape, 0)[0]) is executor(dense_inputs(shape, 1)[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.astype(np.float64), "must hold integers"),
        (lambda s: s[:-1], r"expected \(3, 4\)"),
        (lambda s: np.where(np.arange(12).reshape(3, 4) == 6, 16, s), "row 16 at step 1, position 2.*rows 0 to 15"),
        (lambda s: np.where(np.arange(12).reshape(3, 4) == 11, -1, s), "row -1 at step 2, position 3"),
    ],
)
def test_wrong_schedules_are_refused(change, message):
    lowered, data, before, schedule = dense_inputs(DenseShape(), 0)
    with pytest.raises(UserError, match=message):
        execute(lowered, data, before, change(schedule))


def test_wrong_tensors_are_refused():
    lowered, data, before, schedule = dense_inputs(DenseShape(), 0)
    x = named(lowered, "data")["x"]
    with pytest.raises(UserError, match=r"'x'.*is missing"):
        execute(lowered, {k: v for k, v in data.items() if k != x}, before, schedule)
    with pytest.raises(UserError, match=r"'x' has shape \(15, 5\)"):
        execute(lowered, {**data, x: data[x][1:]}, before, schedule)
    with pytest.raises(UserError, match="float64"):
        execute(lowered, {**data, x: data[x] / 2}, before, schedule)
    with pytest.raises(UserError, match=r"\[7\] are no before tensors"):
        execute(lowered, data, {**before, 7: data[x]}, schedule)
