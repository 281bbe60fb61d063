"""The headline benchmark at a tiny shape: all figures are there, and they fit together."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace

import pytest

SIZES = {"inputs": 4, "width": 4, "layers": 3, "classes": 10, "batch": 4, "steps": 2, "rows": 16}
PHASES = {
    "witness",
    "commitment to the weights after",
    "commitment to the advice",
    "lookups",
    "claims",
    "opening",
}


def order(**changes) -> dict:
    return {"shape": SIZES | changes, "repeat": 1, "began": time.time()}


def test_a_block(benchmark, capsys):
    headline = benchmark("headline")
    figures = headline.child("block", order())
    assert figures["phases"].keys() == figures["processor_phases"].keys() == PHASES
    assert figures["seconds_per_step"] == pytest.approx(sum(figures["phases"].values()) / 2)
    assert figures["seconds_per_step_alone"] > figures["seconds_per_step"]
    assert figures["parameters"] == 4 * 4 + 4 + 4 * 4 + 4 + 4 * 10 + 10
    assert sum(figures["proof_parts"].values()) <= figures["proof_bytes"]
    assert figures["soundness_bits"] >= 100
    assert figures["programs"]["warm proofs"] == 0
    both = figures | {"one_core": figures, "times_faster_than_one_core": 1.0}
    both |= {"fresh": {"empty": headline.child("first proof", order())}}
    headline.print_rows("block", headline.rows_of(both))
    more = {"lookups": 3 * figures["lookups"], "programs_of_the_prover": {"jit(new)": 2}}
    headline.print_growth([figures | {"programs_of_the_prover": {"jit(new)": 1}}, figures | more])
    printed = capsys.readouterr().out
    assert "programs jit(new): 1, 2" in printed
    assert sum(figures["programs_of_the_prover"].values()) == figures["programs"]["prover"]
    assert "on one core: lookups" in printed and "first proof, cache empty" in printed
    assert "x3.00" in printed


def test_a_chain_starts_from_committed_weights(benchmark):
    headline = benchmark("headline")
    figures = headline.child("chain", order(blocks=3))
    assert figures["steps_in_chain"] == 6
    assert len(figures["seconds_per_step_by_block"]) == 3
    assert "per step, blocks after the first" in dict(headline.rows_of(figures))


def test_one_core_is_for_children_only(benchmark, run_python, monkeypatch):
    headline, measuring = benchmark("headline"), benchmark("measuring")
    count = "import os; print(len(os.sched_getaffinity(0)))"
    before = int(run_python("-c", count).stdout)
    with headline.one_core():
        assert int(run_python("-c", count).stdout) == 1
    assert int(run_python("-c", count).stdout) == before
    assert measuring.chain_figures is headline.chain_figures


def test_what_is_measured_follows_the_options(benchmark, monkeypatch):
    headline = benchmark("headline")
    asked = []

    def in_own_process(kind, shape, *, repeat=1, cache=None):
        asked.append((kind, shape.blocks, repeat, None if cache is None else len(list(cache.iterdir()))))
        if cache is not None:
            (cache / "program").touch()
        return {"seconds_per_step": 1.0}

    monkeypatch.setattr(headline, "in_own_process", in_own_process)
    shape = headline.Shape(**SIZES)
    result = headline.measured(SimpleNamespace(repeat=3, pin=True, fresh=True), shape)
    assert asked == [("block", 1, 3, None)] * 2 + [("first proof", 1, 1, 0), ("first proof", 1, 1, 1)]
    assert result["times_faster_than_one_core"] == 1.0
    asked.clear()
    headline.measured(SimpleNamespace(repeat=3, pin=True, fresh=True), headline.Shape(**SIZES, blocks=4))
    assert asked == [("chain", 4, 1, None)]


@pytest.mark.slow
def test_the_command(root, run_python, tmp_path):
    file = tmp_path / "headline.json"
    sizes = [part for name in ("inputs", "layers", "batch", "rows") for part in (f"--{name}", str(SIZES[name]))]
    options = ["--width", "4", "8", "--steps", "1", "--json", str(file)]
    ran = run_python(str(root / "benchmarks" / "headline.py"), *sizes, *options)
    assert ran.returncode == 0, ran.stderr
    assert "growth, per block" in ran.stdout
    result = json.loads(file.read_text())
    asked = {"seconds_per_step", "compile_seconds", "peak_rss_bytes", "proof_bytes", "verify_seconds", "soundness_bits"}
    assert asked | {"phases", "proof_parts"} <= result.keys()
    assert [block["shape"]["width"] for block in result["blocks"]] == [4, 8]
