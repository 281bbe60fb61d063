"""Two chained blocks of a step with dropout by the command line: the key goes on where the first block left it."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from tests.cli import dropout_experiment
from tests.cli.test_end_to_end import CommandLine

pytestmark = pytest.mark.xdist_group("command line")

EXPERIMENT = Path(__file__).with_name("dropout_experiment.py")


@pytest.fixture(scope="module")
def zkjax(tmp_path_factory, root):
    return CommandLine(tmp_path_factory.mktemp("chain-of-dropout"), root)


@pytest.mark.slow
def test_two_blocks(zkjax):
    first = zkjax.json("prove", EXPERIMENT, "--steps", "2", "--out", "first")
    second = zkjax.json("prove", EXPERIMENT, "--steps", "2", "--out", "second", "--resume-from", "first")
    assert (first["steps_in_chain"], second["steps_in_chain"]) == (2, 4)
    told = [zkjax.json("verify", run, module="zkjax.cli.without_jax") for run in ("first", "second")]
    assert told[0]["weights_after"] == told[1]["weights_before"]
    assert told[0]["data"] == told[1]["data"]

    # No two largest logits of these batches are nearer than 2^-7, so that rounding changes no prediction.
    step, state, data, schedule = dropout_experiment.experiment()
    expected: dict[str, list[float]] = {"loss": [], "accuracy": []}
    keys = [state.key]
    for rows in schedule[:4]:
        state, metrics = step(state, jax.tree.map(lambda leaf, rows=rows: leaf[rows], data))
        keys.append(state.key)
        for name, values in expected.items():
            values.append(float(metrics[name]))
    for name, values in expected.items():
        np.testing.assert_allclose(told[0]["outputs"][name] + told[1]["outputs"][name], values, atol=2e-3)

    audits = [zkjax.json("audit", EXPERIMENT, run) for run in ("first", "second")]
    starts = [{start["name"]: start["stated"] for start in audit["starts"]} for audit in audits]
    for found, key in zip(starts, (keys[0], keys[2]), strict=True):
        assert found["key"] == jax.random.key_data(key).tolist(), json.dumps(found)
