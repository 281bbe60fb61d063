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

import flax.linen as nn
import jax
import numpy as np
import optax
from flax.training.train_state import TrainState

import zkjax
from zkjax.cli.compiling import CompileClock
from zkjax.cli.process import keep_freed_memory, peak_memory
from zkjax.cli.progress import Stages
from zkjax.cli.report import RULE, bits, count, print_rows, seconds, size

ROWS = 2048
SEED = 0


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


def network(options: argparse.Namespace) -> tuple[Any, TrainState, dict[str, np.ndarray], np.ndarray]:
    """(train_step, state, dataset, schedule) as a Flax user would write them."""

    class Network(nn.Module):
        @nn.compact
        def __call__(self, x):
            for _ in range(options.layers - 1):
                x = nn.relu(nn.Dense(options.width)(x))
            return nn.Dense(options.classes)(x)

    def train_step(state, batch):
        def loss(params):
            output = state.apply_fn({"params": params}, batch["x"])
            return optax.squared_error(output, batch["y"]).sum(axis=-1).mean()

        return state.apply_gradients(grads=jax.grad(loss)(state.params))

    random = np.random.default_rng(SEED)
    rows = max(ROWS, options.batch)
    x = (random.integers(0, 17, (rows, options.inputs)) / 16).astype(np.float32)
    y = np.eye(options.classes, dtype=np.float32)[random.integers(0, options.classes, rows)]
    model = Network()
    params = model.init(jax.random.key(SEED), x[:1])["params"]
    state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.sgd(options.learning_rate))
    schedule = np.stack([random.permutation(rows)[: options.batch] for _ in range(options.steps)])
    return train_step, state, {"x": x, "y": y}, schedule


def timed_proof(run: Any, clock: CompileClock) -> tuple[dict[str, float], float, Any, Any]:
    """Seconds by stage without compiling, seconds compiling, statement and proof."""
    with Stages({}) as stages:
        statement, proof = zkjax.prove(run, progress=stages.enter)
    took: dict[str, float] = {}
    compiling = 0.0
    for stage, begin, end in stages.spans:
        compiled = clock.between(begin, end)
        compiling += compiled
        took[stage] = took.get(stage, 0.0) + end - begin - compiled
    return took, compiling, statement, proof


def main() -> None:
    options = arguments()
    keep_freed_memory()
    train_step, state, dataset, schedule = network(options)
    with CompileClock() as clock:
        started = time.perf_counter()
        batches = [jax.tree.map(lambda leaf, rows=rows: leaf[rows], dataset) for rows in schedule]
        program = zkjax.compile(train_step, state, batches[0], steps=options.steps, calibration=batches, dataset=dataset)
        tracing = time.perf_counter() - started
        started = time.perf_counter()
        run = program.run(state, dataset, schedule)
        first_run = time.perf_counter() - started
        started = time.perf_counter()
        program.run(state, dataset, schedule)
        witness = time.perf_counter() - started
        _, compiling, statement, proof = timed_proof(run, clock)
        stages: dict[str, list[float]] = {}
        for _ in range(options.repeat):
            took, _, statement, proof = timed_proof(run, clock)
            for stage, spent in took.items():
                stages.setdefault(stage, []).append(spent)
    verifying = []
    for _ in range(options.repeat):
        started = time.perf_counter()
        summary = zkjax.verify(statement, proof)
        verifying.append(time.perf_counter() - started)
    medians = {stage: statistics.median(spent) for stage, spent in stages.items()}
    result = {
        "shape": {name: getattr(options, name) for name in ("inputs", "width", "layers", "classes", "batch", "steps")},
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
