"""The Program between the user's pytrees and integers."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.frontend.steps import Network, batch_of, plain, step_with, train_state
from zkjax.errors import UserError
from zkjax.program import compile


@pytest.fixture(scope="module")
def batch():
    return batch_of()


@pytest.fixture(scope="module")
def state(batch):
    return train_state(Network(), batch["image"], optax.inject_hyperparams(optax.sgd)(learning_rate=0.25))


@pytest.fixture(scope="module")
def program(state, batch):
    return compile(step_with(), state, batch, steps=3)


def test_states_survive_the_way_there_and_back(program, state):
    restored = program.restore_state(program.quantize_state(state), state)
    assert jax.tree.structure(restored) == jax.tree.structure(state)
    for before, after in zip(jax.tree.leaves(state.params), jax.tree.leaves(restored.params), strict=True):
        assert after.dtype == before.dtype
        assert isinstance(after, jax.Array)
        assert np.abs(before - after).max() <= 2.0**-17
    again = program.quantize_state(restored)
    for name, integers in program.quantize_state(state).items():
        np.testing.assert_array_equal(again[name], integers)


def test_counters_advance_by_the_steps_of_the_block(program, state):
    restored = program.restore_state(program.quantize_state(state), state)
    assert (state.step, restored.step) == (0, 3)
    assert isinstance(restored.step, int)
    assert int(restored.opt_state.count) == int(state.opt_state.count) + 3


def test_leaves_keep_their_python_types():
    train_step, arrays = plain()
    program = compile(train_step, arrays, batch_of(), steps=2)
    restored = program.restore_state(program.quantize_state(arrays), arrays)
    assert all(type(leaf) is np.ndarray and leaf.dtype == np.float32 for leaf in restored.values())


def test_data_sets_have_any_number_of_rows(program):
    integers = program.quantize_dataset(batch_of(50))
    assert {name: leaf.shape for name, leaf in integers.items()} == {"image": (50, 5), "label": (50, 3)}
    assert all(leaf.dtype == np.int64 for leaf in integers.values())
    np.testing.assert_array_equal(integers["image"], batch_of(50)["image"] * 16)


@pytest.mark.parametrize(
    ("change", "saying"),
    [
        (lambda d: {"image": d["image"]}, "data set has another structure.*it lacks 'label'"),
        (lambda d: d | dict.fromkeys("abcd", d["label"]), "it has in addition 'a', 'b', 'c' and 1 more"),
        (lambda d: d | {"image": d["image"][:, :4]}, r"'image' has shape \(9, 4\), not \('rows', 5\)"),
        (lambda d: d | {"image": d["image"][:8]}, r"differ in their number of rows \(image: 8, label: 9\)"),
        (lambda d: {name: leaf[:3] for name, leaf in d.items()}, "has 3 rows, fewer than the 4 of one batch"),
        (lambda d: d | {"image": d["image"] * np.float32(np.nan)}, r"'image' holds nan at index \[0, 0\]"),
        (lambda d: d | {"label": d["label"] * 2}, r"'label' holds 2 at index .*outside of its range \[0, 1\]"),
        (lambda d: d | {"label": d["label"] / 3}, r"no multiple of 2\^-0"),
    ],
)
def test_data_sets_that_do_not_fit(program, change, saying):
    with pytest.raises(UserError, match=saying):
        program.quantize_dataset(change(batch_of(9)))


def test_states_that_do_not_fit(program, state):
    def changed(value, index=(2, 1)):
        kernel = np.array(state.params["Dense_0"]["kernel"])
        kernel[index] = value
        return state.replace(params=state.params | {"Dense_0": {**state.params["Dense_0"], "kernel": kernel}})

    for value, saying in ((np.nan, "holds nan"), (np.inf, "holds inf"), (9.0, "holds 9.0")):
        with pytest.raises(UserError, match=rf"state leaf 'params/Dense_0/kernel' {saying} at index \[2, 1\]"):
            program.quantize_state(changed(value))
    with pytest.raises(UserError, match=r"another structure.*it lacks 'step', .* and has in addition 'Dense_0/bias', "):
        program.quantize_state(state.params)


def test_states_and_calibration_are_checked_at_compile_time(state, batch):
    bad = state.replace(params=jax.tree.map(lambda leaf: leaf * jnp.nan, state.params))
    with pytest.raises(UserError, match="state leaf 'params/Dense_0/bias' holds nan"):
        compile(step_with(), bad, batch, steps=2)
    with pytest.raises(UserError, match="batch: leaf 'image' holds inf"):
        compile(step_with(), state, batch | {"image": batch["image"] + np.float32(np.inf)}, steps=2)
    with pytest.raises(UserError, match=r"calibration batch leaf 'image' has shape \(3, 5\), not \(4, 5\)"):
        compile(step_with(), state, batch, steps=2, calibration=[batch_of(3)])
    hole = batch_of(9)
    hole["image"][7, 2] = np.nan
    with pytest.raises(UserError, match=r"data set: leaf 'image' holds nan at index \[7, 2\]"):
        compile(step_with(), state, batch, steps=2, dataset=hole)
    with pytest.raises(UserError, match="calibration holds no batch"):
        compile(step_with(), state, batch, steps=2, calibration=[])


def test_a_step_that_overflows_in_floats_is_no_wrong_translation(state, batch):
    with pytest.raises(
        UserError, match=r"itself, in floating point, makes state leaf 'params/Dense_0/.*NaN or infinite"
    ):
        compile(step_with(), state, batch | {"image": batch["image"] * np.float32(1e30)}, steps=2)


@pytest.mark.parametrize("options", [{"steps": 0}, {"steps": 1.5}, {"steps": True}, {"steps": 2, "bits": 4}])
def test_options_out_of_range(state, batch, options):
    with pytest.raises(UserError, match="must be a whole number"):
        compile(step_with(), state, batch, **options)


def test_data_formats_of_a_whole_data_set_are_the_same_for_every_block(state, batch):
    halves = {"image": np.round(batch["image"] * 2) / 2, "label": batch["label"]}
    dataset = batch_of(40)
    one = compile(step_with(), state, halves, steps=2)
    other = compile(step_with(), state, halves, steps=2, dataset=dataset)
    assert one.plan.data["image"].fraction_bits < 4
    assert other.plan.data["image"].fraction_bits == 4
    other.quantize_dataset(dataset)


def test_the_table_says_what_is_public(program):
    text = str(program)
    for saying in (
        "3 steps of batch 4, 12 magnitude bits",
        "image",
        "Dense_0/pre_activation",
        "before, after",
        "virtual, every step",
        "learning_rate",
        "largest proven bound of any value: 2^",
        "committed elements",
        "lookups",
        "public: step, plus 1 a step",
        "data label: integers in [0, 1]",
    ):
        assert saying in text
    assert max(map(len, text.splitlines())) < 200


def test_what_is_computed_row_by_row_is_prepared_in_every_data_set():
    def train_step(state, batch):
        def loss_of(weights):
            return jnp.mean((jnp.sin(batch["image"]) @ weights - batch["label"]) ** 2)

        return {"w": state["w"] - 0.25 * jax.grad(loss_of)(state["w"])}

    program = compile(train_step, {"w": np.full((5, 3), 0.5, np.float32)}, batch_of(), steps=2)
    dataset = batch_of(11)
    prepared = program.quantize_dataset(dataset)["image/sin"]
    fraction = program.plan.data["image/sin"].fraction_bits
    np.testing.assert_allclose(prepared * 2.0**-fraction, np.sin(dataset["image"]), atol=2.0**-fraction)
    assert any("committed as the result" in remark for remark in program.circuit.remarks)


def test_labels_out_of_their_classes_are_named():
    def train_step(state, batch):
        def loss_of(weights):
            return optax.softmax_cross_entropy_with_integer_labels(batch["image"] @ weights, batch["label"]).mean()

        return {"w": state["w"] - 0.25 * jax.grad(loss_of)(state["w"])}

    batch = {"image": batch_of()["image"], "label": np.array([2, 0, 1, 2])}
    state = {"w": np.full((5, 3), 0.5, np.float32)}
    program = compile(train_step, state, batch, steps=2)
    for wrong in (-1, 3):
        dataset = {"image": batch_of(11)["image"], "label": np.full(11, wrong)}
        message = rf"'label' holds {wrong} at index \[\d\], outside of its range \[0, 2\].*no such class"
        with pytest.raises(UserError, match=message):
            program.quantize_dataset(dataset)
        wrongly = batch | {"label": np.array([2, 0, 1, wrong])}
        for given in ({}, {"calibration": [batch, wrongly]}, {"dataset": dataset}):
            with pytest.raises(UserError, match=message):
                compile(train_step, state, batch if given else wrongly, steps=2, **given)


def test_logarithms_of_probabilities_are_no_output_yet():
    """Of probabilities, which may round to zero."""

    def train_step(state, batch):
        def loss_of(weights):
            logits = batch["image"] @ weights
            return optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean(), logits

        (_, logits), gradient = jax.value_and_grad(loss_of, has_aux=True)(state["w"])
        return {"w": state["w"] - 0.25 * gradient}, jnp.log(jax.nn.softmax(logits)).mean()

    batch = {"image": batch_of()["image"], "label": np.array([2, 0, 1, 2])}
    state = {"w": np.full((5, 3), 0.5, np.float32)}
    compile(train_step, state, batch, steps=2)
    with pytest.raises(UserError, match=r"log\(x\) is not finite(.|\n)*test_program.py(.|\n)*use jax.nn.log_softmax"):
        compile(train_step, state, batch, steps=2, outputs=True)


def test_a_wrong_translation_would_be_noticed(state, batch, monkeypatch):
    from zkjax.frontend.rules import RULES, arithmetic

    monkeypatch.setitem(RULES, "sub", arithmetic.RULES["add"])
    with pytest.raises(UserError, match="by something else than the training step does"):
        compile(step_with(), state, batch, steps=2)


def test_a_step_takes_a_batch_of_its_size(program, state):
    with pytest.raises(UserError, match=r"batch leaf 'image' has shape \(7, 5\), not \("):
        program.step(state, batch_of(7))


def test_calibration_is_not_one_batch(state, batch):
    with pytest.raises(UserError, match="calibration is an iterable of batches, not one batch"):
        compile(step_with(), state, batch, steps=3, calibration=batch)
    with pytest.raises(UserError, match="it is a single ndarray, without the leaves 'image', 'label'"):
        compile(step_with(), state, batch, steps=3, calibration=[batch["image"]])


def test_a_ragged_schedule(program, state):
    with pytest.raises(UserError, match=r"the schedule must be an array \[steps, batch\] of row numbers: "):
        program.run(state, batch_of(50), [[1, 2], [3]])
