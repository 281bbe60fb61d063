"""The other benchmarks at tiny shapes: they run, print a table, and write the figures that they promise."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import pytest


@pytest.fixture
def ran(benchmark, monkeypatch, tmp_path) -> Callable[..., dict]:
    """Run a benchmark in this process, which keeps its memory settings; the figures of --json."""

    def run(name: str, *options: str) -> dict:
        module, file = benchmark(name), tmp_path / "figures.json"
        for setting in ("keep_freed_memory", "run_where_called"):
            monkeypatch.setattr(module, setting, lambda: None)
        monkeypatch.setattr(sys, "argv", [name, *options, "--json", str(file)])
        module.main()
        return json.loads(file.read_text())

    return run


def test_training_block(ran, capsys):
    sizes = "--inputs 4 --width 4 --layers 2 --classes 3 --batch 4 --steps 2 --repeat 1"
    figures = ran("training_block", *sizes.split())
    assert figures["phases"].keys() == {"Commitment", "Lookups", "Claims", "Opening"}
    assert figures["seconds_per_step"] == figures["prove_seconds"] / 2
    assert figures["soundness_bits"] >= 100
    assert "Training block" in capsys.readouterr().out


def test_relu(ran, capsys):
    options = "--shape 2,4,4 --layers 1 --bits 4 --repeat 1 --variants none lookup"
    figures = ran("relu", *options.split())
    assert figures["variants"].keys() == {"none", "lookup"}
    assert "lookup" in capsys.readouterr().out


def test_small_proofs(ran, capsys):
    options = "--proofs 2 --variables 3 --repeat 1 --arguments product"
    figures = ran("small_proofs", *options.split())
    assert figures["arguments"]["product"]["speedup"] > 0
    assert "product: times faster" in capsys.readouterr().out


def test_kernels(root, run_python):
    command = [str(root / "benchmarks" / "kernels.py"), "--backend", "reference", "--log-size", "4", "--repeats", "1"]
    result = run_python(*command)
    assert result.returncode == 0, result.stderr
    assert "product_round" in result.stdout and "logup_round" in result.stdout
