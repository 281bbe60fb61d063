"""zkDL's headline: eight dense layers, ten million parameters, batch 64, proved in blocks of T steps.

The network is 3072-1024-1024-1024-1024-1024-1024-1024-10, CIFAR-10's shape; the data are synthetic.
Every block length and every width runs in a process of its own, so that peak memory is its own.

A block in a chain reuses the commitment to the data set, and starts from the weights that the block
before has committed to; `seconds_per_step` counts that block: its witness, the commitment to the
weights after it, and its proof. `seconds_per_step_alone` adds the other two commitments. Compiling is
counted apart; processor seconds are those of all cores and tell more on a machine that others use too.

    python benchmarks/headline.py --steps 1 4 16 --json headline.json
    python benchmarks/headline.py --steps 4 --width 256 512 1024 2048   # how each phase grows
    python benchmarks/headline.py --steps 16 --blocks 4                 # 64 steps as a chain of four blocks
    python benchmarks/headline.py --steps 16 --pin                      # all cores against one
    python benchmarks/headline.py --steps 1 16 --fresh                  # new processes, cache empty and filled
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from dense_network import Shape
from measuring import block_figures, chain_figures, first_proof_figures
from rich.console import Console
from rich.table import Table

from zkjax.cli.process import keep_compiled_programs, keep_freed_memory, run_where_called
from zkjax.cli.report import RULE, UNWRAPPED, bits, count, print_rows, seconds, size

INPUTS, WIDTH, LAYERS, CLASSES, BATCH, ROWS = 3072, 1024, 8, 10, 64, 1024
CHILD = "ZKJAX_BENCHMARK_CHILD"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 4, 16], metavar="T", help="steps of a block")
    parser.add_argument("--width", type=int, nargs="+", default=[WIDTH], help="of the hidden layers")
    parser.add_argument("--inputs", type=int, default=INPUTS)
    parser.add_argument("--layers", type=int, default=LAYERS, help="dense layers, the last one to the classes")
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--rows", type=int, default=ROWS, help="of the data set, or as many as a block reads")
    parser.add_argument("--blocks", type=int, default=1, help="prove chains of so many blocks instead of one block")
    parser.add_argument("--repeat", type=int, default=1, help="warm proofs of each block; medians are printed")
    parser.add_argument("--pin", action="store_true", help="measure each block on one core as well")
    parser.add_argument("--fresh", action="store_true", help="time new processes to their first proof as well")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE")
    return parser.parse_args()


def child(kind: str, order: dict[str, Any]) -> dict[str, Any]:
    """What a process of its own measures."""
    shape = Shape(**order["shape"])
    match kind:
        case "block":
            return block_figures(shape, order["repeat"])
        case "chain":
            return chain_figures(shape)
        case _:
            return first_proof_figures(shape, order["began"])


def in_own_process(kind: str, shape: Shape, *, repeat: int = 1, cache: Path | None = None) -> dict[str, Any]:
    """Figures of `kind`; compiled programs are kept in the folder `cache`, if it is given."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        order = {"kind": kind, "shape": shape.report(), "repeat": repeat, "began": time.time(), "file": str(file)}
        environment = {**os.environ, CHILD: json.dumps(order)}
        if cache is not None:
            environment["JAX_COMPILATION_CACHE_DIR"] = str(cache)
        subprocess.run([sys.executable, __file__], check=True, env=environment)
        return json.loads(file.read_text())


@contextmanager
def one_core() -> Iterator[None]:
    """Processes started meanwhile run on one of this process's cores."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def measured(options: argparse.Namespace, shape: Shape) -> dict[str, Any]:
    if shape.blocks > 1:
        return in_own_process("chain", shape)
    result = in_own_process("block", shape, repeat=options.repeat)
    if options.pin:
        with one_core():
            alone = in_own_process("block", shape, repeat=options.repeat)
        result["one_core"] = alone
        result["times_faster_than_one_core"] = alone["seconds_per_step"] / result["seconds_per_step"]
    if options.fresh:
        with tempfile.TemporaryDirectory() as cache:
            result["fresh"] = {
                state: in_own_process("first proof", shape, cache=Path(cache)) for state in ("empty", "filled")
            }
    return result


def per_step(result: dict[str, Any], wall: float, work: float) -> str:
    steps = result["shape"]["steps"]
    return f"{seconds(wall / steps)} ({seconds(work / steps)} of processor)"


def rows_of(result: dict[str, Any]) -> list[tuple[str, str]]:
    steps = result["shape"]["steps"]
    whole = result["seconds_per_step"] * steps, result["processor_seconds_per_step"] * steps
    rows = [
        ("data", f"{result['data']}, {result['shape']['rows']} rows"),
        ("parameters", count(result["parameters"])),
        ("committed elements of a block", count(result["committed_elements"])),
        ("lookups of a block", count(result["lookups"])),
        ("cores, load of the machine", f"{result['cores']}, {result['load']:.1f}"),
        RULE,
        *(
            (f"per step: {name}", per_step(result, spent, result["processor_phases"][name]))
            for name, spent in result.get("phases", {}).items()
        ),
    ]
    if "steps_in_chain" in result:
        blocks = ", ".join(map(seconds, result["seconds_per_step_by_block"]))
        rows += [("steps in all", count(result["steps_in_chain"])), ("per step, block by block", blocks)]
        rows += [("per step, blocks after the first", per_step(result, *whole))]
    else:
        rows += [
            ("per step, a block in a chain", per_step(result, *whole)),
            ("per step, a block alone", seconds(result["seconds_per_step_alone"])),
        ]
    rows += [*pinned_rows(result), RULE, ("compiling", seconds(result["compile_seconds"]))]
    if "programs" in result:
        rows += [(f"programs: {name}", count(number)) for name, number in result["programs"].items()]
        rows += [("first proof, compiling included", seconds(result["first_proof_seconds"]))]
    rows += fresh_rows(result)
    return [
        *rows,
        RULE,
        ("verification of a block", seconds(result["verify_seconds"])),
        ("peak memory", size(result["peak_rss_bytes"])),
        *((f"proof: {name}", size(spent)) for name, spent in result["proof_parts"].items()),
        ("proof, in all", size(result["proof_bytes"])),
        ("proven soundness", bits(result["soundness_bits"])),
    ]


def pinned_rows(result: dict[str, Any]) -> list[tuple[str, str]]:
    if "one_core" not in result:
        return []
    alone, faster = result["one_core"], f"{result['times_faster_than_one_core']:.2f} times faster than on one"
    rows = [RULE, (f"on one core, and on {result['cores']}", f"{seconds(alone['seconds_per_step'])}, {faster}")]
    for name, spent in alone["phases"].items():
        both = result["phases"][name]
        rows.append((f"on one core: {name}", f"{seconds(spent / alone['shape']['steps'])}, {spent / both:.2f} times"))
    return rows


def fresh_rows(result: dict[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for state, figures in result.get("fresh", {}).items():
        until, compiling = figures["until_the_proof_seconds"], figures["compiling_or_reading_seconds"]
        told = f"{seconds(until)}, {seconds(compiling)} of them for {figures['programs']} programs"
        rows.append((f"new process to its first proof, cache {state}", told))
    return rows


def print_growth(results: list[dict[str, Any]]) -> None:
    """What all results have in common side by side, and how many times the one before each is."""

    def title(result: dict[str, Any]) -> str:
        return f"{result['shape']['width']} wide, {result['shape']['steps']} steps"

    table = Table("growth, per block", *map(title, results), title_justify="left")
    figures: dict[str, list[float]] = {
        name: [result[name] for result in results] for name in ("parameters", "committed_elements", "lookups")
    }
    for name in results[0].get("phases", {}):
        figures[f"{name}, s"] = [result["phases"][name] for result in results]
        figures[f"{name}, processor s"] = [result["processor_phases"][name] for result in results]
    figures["seconds per step"] = [result["seconds_per_step"] for result in results]
    figures["processor seconds per step"] = [result["processor_seconds_per_step"] for result in results]
    for name in results[0].get("programs", {}):
        figures[f"programs: {name}"] = [result["programs"][name] for result in results]
    figures["peak memory, bytes"] = [result["peak_rss_bytes"] for result in results]
    figures["proof, bytes"] = [result["proof_bytes"] for result in results]
    for name, values in figures.items():
        cells = [f"{value:,}" if isinstance(value, int) else f"{value:.3f}" for value in values]
        for number, (before, value) in enumerate(pairwise(values), start=1):
            cells[number] += f"  x{value / before:.2f}" if before else ""
        table.add_row(name.replace("_", " "), *cells)
    console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else UNWRAPPED)
    console.print(table)
    counts = [result.get("programs_of_the_prover", {}) for result in results]
    for name in sorted({name for each in counts for name in each}):
        numbers = [each.get(name, 0) for each in counts]
        if len(set(numbers)) > 1:
            console.print(f"programs {name}: {', '.join(map(str, numbers))}", highlight=False, markup=False)


def main() -> None:
    if order := os.environ.get(CHILD):
        given = json.loads(order)
        keep_freed_memory()
        run_where_called()
        keep_compiled_programs()
        Path(given["file"]).write_text(json.dumps(child(given["kind"], given)))
        return
    options = arguments()
    results = []
    for width in options.width:
        for steps in options.steps:
            rows = max(options.rows, options.batch * steps)
            sizes = (options.inputs, width, options.layers, CLASSES, options.batch, steps, rows)
            shape = Shape(*sizes, blocks=options.blocks)
            results.append(measured(options, shape))
            heading = f"{shape.sizes}, batch {shape.batch}, {steps} steps"
            print_rows(heading + (f", {shape.blocks} blocks" if shape.blocks > 1 else ""), rows_of(results[-1]))
    if len(results) > 1:
        print_growth(results)
    if options.json:
        options.json.write_text(json.dumps({**results[-1], "blocks": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
