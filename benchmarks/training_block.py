"""A block of training steps of a dense network of any size: compiled, run, proved, verified, timed.

The network is plain Flax (ReLU, biases, squared loss on one-hot labels, SGD), its data synthetic:
integers of 4 fraction bits and random labels, since only shapes matter here. The block is proved
once cold, with everything that has to be compiled, and then `--repeat` times warm; medians are
printed.

    python benchmarks/training_block.py --inputs 64 --width 128 --layers 3 --classes 10 \
        --batch 64 --steps 16 --json block.json
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import jax
from dense_network import Shape, dense_network, timed_proof

import zkjax
from zkjax.cli.compiling import CompileClock
from zkjax.cli.process import keep_freed_memory, peak_memory, run_where_called
from zkjax.cli.report import RULE, bits, count, print_rows, seconds, size

ROWS = 2048


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=64)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=3, help="dense layers, the last one to the classes")
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--repeat", type=int, default=3, help="warm proofs; medians are printed")
    parser.add_argument("--learning-rate", type=float, default=1 / 32)
    parser.add_argument("--json", type=Path, default=None, metavar="FILE")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    keep_freed_memory()
    run_where_called()
    names = ("inputs", "width", "layers", "classes", "batch", "steps", "learning_rate")
    shape = Shape(rows=ROWS, **{name: getattr(options, name) for name in names})
    training = dense_network(shape)
    given = (training.state, training.dataset, training.schedule)
    with CompileClock() as clock:
        started = time.perf_counter()
        program = training.compile()
        tracing = time.perf_counter() - started
        started = time.perf_counter()
        run = program.run(*given)
        first_run = time.perf_counter() - started
        started = time.perf_counter()
        program.run(*given)
        witness = time.perf_counter() - started
        compiling = timed_proof(run, clock).compiling
        stages: dict[str, list[float]] = {}
        for _ in range(options.repeat):
            timed = timed_proof(run, clock)
            for stage, spent in timed.stages.items():
                stages.setdefault(stage, []).append(spent)
    statement, proof = timed.statement, timed.proof
    verifying = []
    for _ in range(options.repeat):
        started = time.perf_counter()
        summary = zkjax.verify(statement, proof)
        verifying.append(time.perf_counter() - started)
    medians = {stage: statistics.median(spent) for stage, spent in stages.items()}
    result = {
        "shape": shape.report(),
        "backend": jax.default_backend(),
        "processor": platform.processor() or platform.machine(),
        "parameters": summary.parameters,
        "committed_elements": summary.committed_elements,
        "lookups": summary.lookups,
        "tracing_seconds": tracing,
        "witness_compile_seconds": max(0.0, first_run - witness),
        "witness_seconds": witness,
        "compile_seconds": compiling,
        "prove_seconds": sum(medians.values()),
        "seconds_per_step": sum(medians.values()) / options.steps,
        "phases": medians,
        "peak_rss_bytes": peak_memory(),
        "proof_bytes": len(proof.to_bytes()),
        "proof_parts": summary.proof_sections,
        "statement_bytes": len(statement.to_bytes()),
        "verify_seconds": statistics.median(verifying),
        "soundness_bits": summary.soundness_bits,
    }
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    print_rows("Training block", rows_of(result))


def rows_of(result: dict[str, Any]) -> list[tuple[str, str]]:
    shape = ", ".join(f"{name} {value}" for name, value in result["shape"].items())
    return [
        ("shape", shape),
        ("backend", f"{result['backend']} ({result['processor']})"),
        ("parameters", count(result["parameters"])),
        ("committed elements", count(result["committed_elements"])),
        ("lookups", count(result["lookups"])),
        RULE,
        ("tracing and formats", seconds(result["tracing_seconds"])),
        ("compiling the witness", seconds(result["witness_compile_seconds"])),
        ("compiling the prover", seconds(result["compile_seconds"])),
        RULE,
        ("witness", seconds(result["witness_seconds"])),
        *((f"proving: {name}", seconds(spent)) for name, spent in result["phases"].items()),
        ("proving, in all", seconds(result["prove_seconds"])),
        ("proving, per step", seconds(result["seconds_per_step"])),
        ("verification", seconds(result["verify_seconds"])),
        ("peak memory", size(result["peak_rss_bytes"])),
        RULE,
        *((f"proof: {name}", size(spent)) for name, spent in result["proof_parts"].items()),
        ("proof, in all", size(result["proof_bytes"])),
        ("statement", size(result["statement_bytes"])),
        ("proven soundness", bits(result["soundness_bits"])),
    ]


if __name__ == "__main__":
    main()
