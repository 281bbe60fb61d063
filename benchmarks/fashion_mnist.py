"""The headline's network on Fashion-MNIST: an epoch of integer training beside the same in float32.

Eight dense layers, 784-1024x7-10, batch 64, squared loss, SGD: `examples/fashion_mlp.py`. Integers are
trained with `Program.run`, block by block, from the same state on the same batches. A block is given
the rows that it reads, which changes no result; a proof would commit to the whole data set.

A program serves until values outgrow its formats: a block in which a rectifier or a gradient was
clipped, or whose run was refused, is compiled again for its own batches and run again.

    sudo apt-get install dataset-fashion-mnist
    python benchmarks/fashion_mnist.py --json fashion.json                  # an epoch, to the last whole block
    python benchmarks/fashion_mnist.py --width 64 --layers 3 --steps 160    # something quick
    python benchmarks/fashion_mnist.py --steps 16 --prove                   # and prove the last block
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import numpy as np

import zkjax
from zkjax.cli.compiling import CompileClock
from zkjax.cli.process import keep_compiled_programs, keep_freed_memory, peak_memory, run_where_called
from zkjax.cli.report import RULE, bits, count, print_rows, seconds, share, size
from zkjax.errors import UserError
from zkjax.witness.check import OutOfRangeError
from zkjax.witness.run import Run

EXPERIMENT = Path(__file__).resolve().parent.parent / "examples" / "fashion_mlp.py"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", type=Path, default=None, metavar="FOLDER", help="with the four idx.gz files")
    parser.add_argument("--width", type=int, default=1024, help="of the hidden layers")
    parser.add_argument("--layers", type=int, default=8, help="dense layers, the last one to the classes")
    parser.add_argument("--steps", type=int, default=None, help="whole blocks; by default those of an epoch")
    parser.add_argument("--block", type=int, default=16, metavar="T", help="steps of a block")
    parser.add_argument("--prove", action="store_true", help="prove the last block, on the rows that it reads")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE")
    return parser.parse_args()


def experiment_module(path: Path | None) -> ModuleType:
    """The example, reading its images from `path`."""
    if path is not None:
        os.environ["FASHION_MNIST"] = str(path)
    specification = importlib.util.spec_from_file_location("fashion_mlp", EXPERIMENT)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@dataclass
class IntegerTraining:
    """Blocks run one after the other; `programs` counts how often formats were chosen."""

    train_step: Any
    state: Any
    dataset: dict[str, np.ndarray]
    steps: int
    programs: int = 0
    clipped: int = 0
    clocks: list[float] = field(default_factory=list)
    compiling: float = 0.0
    _program: zkjax.Program | None = None

    def block(self, schedule: np.ndarray, clock: CompileClock) -> Run:
        """Train one block; its seconds, without compiling, are noted."""
        rows = {name: leaf[schedule.reshape(-1)] for name, leaf in self.dataset.items()}
        numbers = np.arange(schedule.size).reshape(schedule.shape)
        if self._program is None:
            self._compile(rows, numbers, clock)
            run = self._run(rows, numbers, clock)
        else:
            try:
                run = self._run(rows, numbers, clock)
                outgrown = sum(run.saturations.values()) > 0
            except (OutOfRangeError, UserError):  # values, or weights at the start of the block
                outgrown = True
            if outgrown:
                self._compile(rows, numbers, clock)
                run = self._run(rows, numbers, clock)
        self.clipped += sum(run.saturations.values())
        self.state = run.state
        return run

    def _compile(self, rows: dict[str, np.ndarray], numbers: np.ndarray, clock: CompileClock) -> None:
        began = time.perf_counter()
        batches = [{name: leaf[chosen] for name, leaf in rows.items()} for chosen in numbers]
        self._program = zkjax.compile(
            self.train_step, self.state, batches[0], steps=self.steps, calibration=batches, dataset=self.dataset
        )
        self.programs += 1
        self.compiling += time.perf_counter() - began

    def _run(self, rows: dict[str, np.ndarray], numbers: np.ndarray, clock: CompileClock) -> Run:
        assert self._program is not None
        began = time.perf_counter()
        run = self._program.run(self.state, rows, numbers)
        ended = time.perf_counter()
        compiled = clock.between(began, ended)
        self.compiling += compiled
        self.clocks.append(ended - began - compiled)
        return run


def float_training(train_step: Any, state: Any, dataset: dict[str, np.ndarray], schedule: np.ndarray) -> Any:
    """(the state after the schedule in float32, seconds per step)."""
    step = jax.jit(train_step)
    step(state, jax.tree.map(lambda leaf: leaf[schedule[0]], dataset))
    began = time.perf_counter()
    for rows in schedule:
        state, _ = step(state, jax.tree.map(lambda leaf, rows=rows: leaf[rows], dataset))
    jax.block_until_ready(state)
    return state, (time.perf_counter() - began) / len(schedule)


def proved(run: Run, clock: CompileClock) -> dict[str, Any]:
    """The figures of one proof, compiling apart."""
    began = time.perf_counter()
    statement, proof = zkjax.prove(run)
    ended = time.perf_counter()
    summary = zkjax.verify(statement, proof)
    return {
        "prove_seconds": ended - began - clock.between(began, ended),
        "prove_compile_seconds": clock.between(began, ended),
        "verify_seconds": time.perf_counter() - ended,
        "proof_bytes": len(proof.to_bytes()),
        "soundness_bits": summary.soundness_bits,
    }


def main() -> None:
    options = arguments()
    keep_freed_memory()
    run_where_called()
    keep_compiled_programs()
    fashion = experiment_module(options.path)
    try:
        train_step, state, dataset, schedule = fashion.experiment(options.width, options.layers)
    except FileNotFoundError as error:
        raise SystemExit(str(error)) from None
    epoch = len(dataset["image"]) // fashion.BATCH
    blocks = (options.steps or epoch) // options.block
    if not blocks:
        raise SystemExit(f"--steps {options.steps or epoch} is less than a block of {options.block}")
    schedule = schedule[: blocks * options.block]
    training = IntegerTraining(train_step, state, dataset, options.block)
    with CompileClock() as clock:
        for block in schedule.reshape(blocks, options.block, -1):
            run = training.block(block, clock)
        proof = proved(run, clock) if options.prove else {}
    floating, float_seconds = float_training(train_step, state, dataset, schedule)
    per_step = statistics.median(training.clocks) / options.block
    sizes = [dataset["image"].shape[1], *[options.width] * (options.layers - 1), fashion.CLASSES]
    result = {
        "shape": {"sizes": sizes, "batch": fashion.BATCH, "block": options.block, "rows": len(dataset["image"])},
        "data": "Fashion-MNIST",
        "steps": len(schedule),
        "steps_of_an_epoch": epoch,
        "programs": training.programs,
        "clipped": training.clipped,
        "integer_seconds_per_step": per_step,
        "integer_seconds_of_an_epoch": per_step * epoch,
        "compile_seconds": training.compiling,
        "float_seconds_per_step": float_seconds,
        "accuracy_before": fashion.evaluate(state),
        "accuracy_integer": fashion.evaluate(training.state),
        "accuracy_float": fashion.evaluate(floating),
        "peak_rss_bytes": peak_memory(),
        **proof,
    }
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    print_rows(f"Fashion-MNIST: {'-'.join(map(str, sizes))}, batch {fashion.BATCH}", rows_of(result))


def rows_of(result: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [
        ("steps, those of an epoch", f"{count(result['steps'])}, {count(result['steps_of_an_epoch'])}"),
        ("accuracy before", share(result["accuracy_before"])),
        ("accuracy after these steps, integers", share(result["accuracy_integer"])),
        ("accuracy after these steps, float32", share(result["accuracy_float"])),
        RULE,
        ("programs compiled, by changed formats", count(result["programs"])),
        ("values clipped by the last of them", count(result["clipped"])),
        ("integers: seconds per step", seconds(result["integer_seconds_per_step"])),
        ("integers: an epoch at this rate, without compiling", seconds(result["integer_seconds_of_an_epoch"])),
        ("integers: tracing, calibrating, compiling", seconds(result["compile_seconds"])),
        ("float32: seconds per step", seconds(result["float_seconds_per_step"])),
        ("peak memory", size(result["peak_rss_bytes"])),
    ]
    if "prove_seconds" in result:
        rows += [
            RULE,
            ("proving the last block, three commitments included", seconds(result["prove_seconds"])),
            ("compiling the prover", seconds(result["prove_compile_seconds"])),
            ("verification", seconds(result["verify_seconds"])),
            ("proof", size(result["proof_bytes"])),
            ("proven soundness", bits(result["soundness_bits"])),
        ]
    return rows


if __name__ == "__main__":
    main()
