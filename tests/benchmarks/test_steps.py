"""Costs of training steps: the benchmark prints its page; every step of it compiles with small tables only."""

from __future__ import annotations

import json
import sys

import jax
import pytest

from zkjax.statement.tables import MAX_TABLE_BITS

FAST = ("softmax cross-entropy, ReLU, SGD", "squared loss")


@pytest.fixture(autouse=True)
def _promotion():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # as users run Optax
        yield


def assert_small(table_bits, circuit):
    assert max(table.bits for table in circuit.tables) <= table_bits
    assert len(circuit.tables) < 32


def test_tables_are_small(benchmark):
    steps = benchmark("steps")
    for name in FAST:
        assert_small(MAX_TABLE_BITS, steps.compiled("losses", name, 2)[0].circuit)


@pytest.mark.slow
def test_tables_of_all_steps_are_small(benchmark):
    steps = benchmark("steps")
    for group, entries in steps.STEPS.items():
        for name in entries:
            assert_small(MAX_TABLE_BITS, steps.compiled(group, name, 4)[0].circuit)


@pytest.mark.slow
def test_the_page(benchmark, monkeypatch, capsys, tmp_path):
    steps, file = benchmark("steps"), tmp_path / "figures.json"
    monkeypatch.setattr(steps, "keep_freed_memory", lambda: None)
    monkeypatch.setattr(steps, "run_where_called", lambda: None)
    monkeypatch.setattr(steps, "keep_compiled_programs", lambda: None)
    options = ["--steps", "1", "--repeat", "1", "--only", "squared", "--json", str(file)]
    monkeypatch.setattr(sys, "argv", ["steps", *options])
    steps.main()
    page = capsys.readouterr().out
    assert "| softmax cross-entropy, ReLU, SGD | " in page and "| squared loss | " in page
    first, second = json.loads(file.read_text())["steps"]
    assert first["ratio"] == 1 and second["lookups"] < first["lookups"]
    assert f"| {first['committed_elements']:,} | {first['lookups']:,} | {first['tables']} |" in page
