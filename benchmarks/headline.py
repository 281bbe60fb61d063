"""zkDL's headline: eight dense layers, ten million parameters, batch 64, proved in blocks of T steps.

The network is 3072-1024-1024-1024-1024-1024-1024-1024-10, CIFAR-10's shape; the data are synthetic.
Every block length and every width runs in a process of its own, so that peak memory is its own.

A block in a chain reuses the commitment to the data set, and starts from the weights that the block
before has committed to; `seconds_per_step` counts that block: its witness, the commitment to the
weights after it, and its proof. `seconds_per_step_alone` adds the other two commitments. Compiling is
counted apart; processor seconds are those of all cores and tell more on a machine that others use too.

    python benchmarks/headline.py --steps 1 4 16 --json headline.json
    python benchmarks/headline.py --steps 4 --width 256 512 1024 2048
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from dense_network import Shape, Timed, dense_network, timed_proof

import zkjax
from zkjax.cli.compiling import CompileClock
from zkjax.cli.process import keep_compiled_programs, keep_freed_memory, peak_memory
from zkjax.cli.report import RULE, bits, count, print_rows, seconds, size

INPUTS, WIDTH, LAYERS, CLASSES, BATCH, ROWS = 3072, 1024, 8, 10, 64, 1024


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 4, 16], metavar="T", help="steps of a block")
    parser.add_argument("--width", type=int, nargs="+", default=[WIDTH], help="of the hidden layers")
    parser.add_argument("--inputs", type=int, default=INPUTS)
    parser.add_argument("--repeat", type=int, default=1, help="warm proofs of each block; medians are printed")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE")
    return parser.parse_args()


def measured(shape: Shape, repeat: int) -> dict[str, Any]:
    """All figures of one block: cold once, then warm."""
    keep_freed_memory()
    keep_compiled_programs()
    training = dense_network(shape)
    given = (training.state, training.dataset, training.schedule)
    with CompileClock() as clock:
        started = time.perf_counter()
        program = training.compile()
        program.run(*given)
        tracing = time.perf_counter() - started
        began, work = time.perf_counter(), time.process_time()
        run = program.run(*given)
        witness, witness_work = time.perf_counter() - began, time.process_time() - work
        began = time.perf_counter()
        first = zkjax.commit(run)
        data, before = first.data, first.before
        cold = timed_proof(run, clock, first)
        compiling, first_proof = tracing - witness + cold.compiling, time.perf_counter() - began
        del cold, first
        began, work = time.perf_counter(), time.process_time()
        commitments: zkjax.Commitments | None = zkjax.commit(run)
        alone, alone_work = time.perf_counter() - began, time.process_time() - work
        warm: list[tuple[float, float, Timed]] = []
        for _ in range(repeat):
            commitments = None
            began, work = time.perf_counter(), time.process_time()
            commitments = zkjax.commit(run, data=data, before=before)
            after = (time.perf_counter() - began, time.process_time() - work)
            warm.append((*after, timed_proof(run, clock, commitments)))
    timed = warm[-1][2]
    began = time.perf_counter()
    summary = zkjax.verify(timed.statement, timed.proof)
    verifying = time.perf_counter() - began

    def medians(which: int, own: float, witness: float) -> dict[str, float]:
        parts = [each[2].stages if which == 0 else each[2].processor for each in warm]
        names = {"Commitment": "commitment to the advice"}
        found = {"witness": witness, "commitment to the weights after": own}
        return found | {
            names.get(name, name.lower()): statistics.median(part[name] for part in parts) for name in parts[0]
        }

    phases = medians(0, statistics.median(each[0] for each in warm), witness)
    processor = medians(1, statistics.median(each[1] for each in warm), witness_work)
    others = alone - phases["commitment to the weights after"]
    others_work = alone_work - processor["commitment to the weights after"]
    return {
        "shape": shape.report(),
        "data": "synthetic",
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "parameters": summary.parameters,
        "committed_elements": summary.committed_elements,
        "lookups": summary.lookups,
        "seconds_per_step": sum(phases.values()) / shape.steps,
        "processor_seconds_per_step": sum(processor.values()) / shape.steps,
        "seconds_per_step_alone": (sum(phases.values()) + others) / shape.steps,
        "phases": phases,
        "processor_phases": processor,
        "data_and_weights_before_seconds": others,
        "data_and_weights_before_processor_seconds": others_work,
        "compile_seconds": compiling,
        "first_proof_seconds": first_proof,
        "peak_rss_bytes": peak_memory(),
        "proof_bytes": len(timed.proof.to_bytes()),
        "proof_parts": summary.proof_sections,
        "verify_seconds": verifying,
        "soundness_bits": summary.soundness_bits,
    }


def in_own_process(options: argparse.Namespace, steps: int, width: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "result.json"
        chosen = {"steps": steps, "width": width, "inputs": options.inputs, "repeat": options.repeat, "json": file}
        flags = [part for name, value in chosen.items() for part in (f"--{name}", str(value))]
        subprocess.run([sys.executable, __file__, *flags], check=True, stdout=subprocess.DEVNULL)
        return json.loads(file.read_text())["blocks"][0]


def rows_of(result: dict[str, Any]) -> list[tuple[str, str]]:
    steps = result["shape"]["steps"]

    def per_step(wall: float, work: float) -> str:
        return f"{seconds(wall / steps)} ({seconds(work / steps)} of processor)"

    return [
        ("data", f"{result['data']}, {result['shape']['rows']} rows"),
        ("parameters", count(result["parameters"])),
        ("committed elements", count(result["committed_elements"])),
        ("lookups", count(result["lookups"])),
        ("cores, load of the machine", f"{result['cores']}, {result['load']:.1f}"),
        RULE,
        *(
            (f"per step: {name}", per_step(spent, result["processor_phases"][name]))
            for name, spent in result["phases"].items()
        ),
        (
            "per step, a block in a chain",
            per_step(result["seconds_per_step"] * steps, sum(result["processor_phases"].values())),
        ),
        ("per step, a block alone", seconds(result["seconds_per_step_alone"])),
        RULE,
        ("compiling", seconds(result["compile_seconds"])),
        ("first proof, compiling included", seconds(result["first_proof_seconds"])),
        ("verification", seconds(result["verify_seconds"])),
        ("peak memory", size(result["peak_rss_bytes"])),
        *((f"proof: {name}", size(spent)) for name, spent in result["proof_parts"].items()),
        ("proof, in all", size(result["proof_bytes"])),
        ("proven soundness", bits(result["soundness_bits"])),
    ]


def main() -> None:
    options = arguments()
    wanted = [(steps, width) for width in options.width for steps in options.steps]
    if len(wanted) == 1:
        ((steps, width),) = wanted
        shape = Shape(options.inputs, width, LAYERS, CLASSES, BATCH, steps, max(ROWS, BATCH * steps))
        results = [measured(shape, options.repeat)]
    else:
        results = [in_own_process(options, steps, width) for steps, width in wanted]
    for result in results:
        shape_ = result["shape"]
        sizes = "-".join(map(str, [shape_["inputs"], *[shape_["width"]] * (LAYERS - 1), shape_["classes"]]))
        print_rows(f"{sizes}, batch {shape_['batch']}, {shape_['steps']} steps", rows_of(result))
    if options.json:
        options.json.write_text(json.dumps({**results[-1], "blocks": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
