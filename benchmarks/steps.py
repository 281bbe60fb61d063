"""What every kind of training step costs to prove: prints docs/steps.md.

    python benchmarks/steps.py > docs/steps.md
    python benchmarks/steps.py --only Adam momentum --repeat 5

Each step of `training_steps.py` is compiled, run, proved and verified on its own. A block starts from committed data
and weights, as in a chain; compiling is left out. Times are medians of `--repeat` warm proofs, and every few steps the
plain one is measured again: ratios are to the plain measurement before, so that other work on the machine tells less.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from training_steps import BASE, BATCH, STEPS, digits

import zkjax
from zkjax.cli.compiling import CompileClock
from zkjax.cli.process import keep_compiled_programs, keep_freed_memory, run_where_called

AGAIN = 8


@dataclass(frozen=True)
class Figures:
    """One step: what does not depend on the machine, and what does."""

    group: str
    name: str
    committed_elements: int
    lookups: int
    tables: int
    table_rows: int
    largest_table: int
    proof_bytes: int
    seconds_per_step: float
    processor_seconds_per_step: float
    verify_seconds: float
    ratio: float = 1.0
    processor_ratio: float = 1.0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=4, metavar="T", help="steps of a block")
    parser.add_argument("--repeat", type=int, default=3, help="warm proofs of each step; medians are printed")
    parser.add_argument("--only", nargs="+", default=None, metavar="NAME", help="steps whose names hold one of these")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE")
    return parser.parse_args()


def compiled(group: str, name: str, steps: int) -> tuple[zkjax.Program, Any, np.ndarray]:
    """(program, state, schedule) of a step of the table."""
    example = STEPS[group][name]()
    random = np.random.default_rng(0)
    data = digits()
    schedule = np.stack([random.permutation(len(data["label"]))[:BATCH] for _ in range(steps)]).astype(np.int32)
    batches = [jax.tree.map(lambda leaf, rows=rows: leaf[rows], data) for rows in schedule]
    program = zkjax.compile(
        example.train_step, example.state, batches[0], steps=steps, calibration=batches, dataset=data, **example.options
    )
    return program, example.state, schedule


def measured(group: str, name: str, steps: int, repeat: int) -> Figures:
    """One cold proof, which compiles, and `repeat` warm ones; the last one is verified."""
    program, state, schedule = compiled(group, name, steps)
    walls, works = [], []
    with CompileClock() as clock:
        run = program.run(state, digits(), schedule)
        first = zkjax.commit(run, openings=repeat + 1)
        zkjax.prove(run, first)
        data, before = first.data, first.before
        del first
        for _ in range(repeat):
            began, worked = time.perf_counter(), time.process_time()
            run = program.run(state, digits(), schedule)
            statement, proof = zkjax.prove(run, zkjax.commit(run, data=data, before=before))
            ended = time.perf_counter()
            walls.append(ended - began - clock.between(began, ended))
            works.append(time.process_time() - worked)
    verifying = []
    for _ in range(repeat):
        began = time.perf_counter()
        zkjax.verify(statement, proof)
        verifying.append(time.perf_counter() - began)
    circuit = run.lowered.circuit
    return Figures(
        group=group,
        name=name,
        committed_elements=circuit.committed_elements,
        lookups=circuit.lookup_entries,
        tables=len(circuit.tables),
        table_rows=sum(1 << table.bits for table in circuit.tables),
        largest_table=max(table.bits for table in circuit.tables),
        proof_bytes=len(proof.to_bytes()),
        seconds_per_step=statistics.median(walls) / steps,
        processor_seconds_per_step=statistics.median(works) / steps,
        verify_seconds=statistics.median(verifying),
    )


def all_figures(steps: int, repeat: int, only: list[str] | None) -> Iterator[Figures]:
    """Each step after the plain one, which is measured again before every AGAIN others."""
    plain = None
    wanted = [
        (group, name)
        for group, entries in STEPS.items()
        for name in entries
        if only is None or name == BASE or any(part.lower() in name.lower() for part in only)
    ]
    for number, (group, name) in enumerate(wanted):
        if plain is None or number % AGAIN == 0:
            plain = measured("losses", BASE, steps, repeat)
        found = plain if name == BASE else measured(group, name, steps, repeat)
        print(f"{name}: {found.seconds_per_step:.3f} s a step", file=sys.stderr, flush=True)
        yield replace(
            found,
            ratio=found.seconds_per_step / plain.seconds_per_step,
            processor_ratio=found.processor_seconds_per_step / plain.processor_seconds_per_step,
        )
        gc.collect()


def machine() -> str:
    """The processor, its cores and the load."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = (line.partition(":") for line in info.read_text().splitlines())
        model = next((value.strip() for key, _, value in lines if key.strip() == "model name"), model)
    return f"{model}, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}"


def print_page(figures: list[Figures], steps: int, began_on: str) -> None:
    rows = len(digits()["label"])
    print("# Costs of training steps\n")
    print("Made by `python benchmarks/steps.py > docs/steps.md`.\n")
    print(
        f"Each kind of training step proved in a block of {steps} steps: digits, 64-128-128-10, batch {BATCH}, a data\n"
        f"set of {rows:,} rows. The first line is the plain step; others differ from it by what they name. A block\n"
        "starts from committed data and weights, as in a chain. Counts are of the whole block, rows of tables with\n"
        "padding to a power of two. The seconds of a step are those of witness, commitment to the weights after, and\n"
        f"proof, without compiling, on {began_on}.\n"
    )
    head = [
        "step", "committed elements", "lookups", "tables", "rows of all tables", "largest", "proof", "proving a step",
        "ratio", "ratio of processor time", "verification",
    ]  # fmt: skip
    print("| " + " | ".join(head) + " |\n| --- " + "| --- " * (len(head) - 1) + "|")
    for group in dict.fromkeys(each.group for each in figures):
        print(f"| **{group}** |" + " |" * (len(head) - 1))
        for each in figures:
            if each.group == group:
                cells = [
                    each.name,
                    f"{each.committed_elements:,}",
                    f"{each.lookups:,}",
                    str(each.tables),
                    f"{each.table_rows:,}",
                    f"2^{each.largest_table}",
                    f"{each.proof_bytes / 1e6:.2f} MB",
                    f"{each.seconds_per_step:.3f} s",
                    f"{each.ratio:.2f}",
                    f"{each.processor_ratio:.2f}",
                    f"{each.verify_seconds:.2f} s",
                ]
                print("| " + " | ".join(cells) + " |")


def main() -> None:
    options = arguments()
    keep_freed_memory()
    run_where_called()
    keep_compiled_programs()
    began_on = machine()
    figures = list(all_figures(options.steps, options.repeat, options.only))
    print_page(figures, options.steps, began_on)
    if options.json is not None:
        report = {"machine": began_on, "steps": [asdict(each) for each in figures]}
        options.json.write_text(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
