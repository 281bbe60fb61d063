"""Ten epochs of digits in integers: the test accuracy is within one point of float32 training."""

from __future__ import annotations

import importlib.util

import jax

import zkjax

STEPS, BLOCKS = 16, 14


def test_ten_epochs_are_as_accurate_as_float32(root):
    specification = importlib.util.spec_from_file_location("digits_mlp", root / "examples" / "digits_mlp.py")
    digits = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(digits)
    train_step, state, dataset, schedule = digits.experiment()
    batches = [{name: value[rows] for name, value in dataset.items()} for rows in schedule[: BLOCKS * STEPS]]
    assert 10 * (len(dataset["image"]) // digits.BATCH) <= BLOCKS * STEPS
    program = zkjax.compile(train_step, state, batches[0], steps=STEPS, calibration=batches[:2])
    integer = state
    for block in schedule[: BLOCKS * STEPS].reshape(BLOCKS, STEPS, -1):
        run = program.run(integer, dataset, block)
        integer = run.state
    jitted, floating = jax.jit(train_step), state
    for batch in batches:
        floating, _ = jitted(floating, batch)
    assert digits.evaluate(floating) > 0.9
    assert abs(digits.evaluate(integer) - digits.evaluate(floating)) <= 0.01
    assert int(integer.step) == int(floating.step)
