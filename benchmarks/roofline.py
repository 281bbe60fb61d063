"""How close each phase of a proof comes to what this machine can do.

For a block of the headline's network: the multiplications, hashes and bytes that every phase needs
at least (`least_work.py`), the rates of this machine, measured in the same run (`rates.py`), the least
seconds that follow, and the seconds measured. Arithmetic of all kinds shares the cores and is added
up; memory works beside it, so that the larger of the two is the limit. The page is in Markdown.

    python benchmarks/roofline.py --steps 16 --write docs/roofline.md
    python benchmarks/roofline.py --inputs 64 --width 64 --layers 3 --steps 4     # something quick
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest.mock import patch

import least_work
import rates
from dense_network import Shape
from headline import BATCH, CLASSES, INPUTS, LAYERS, ROWS, WIDTH
from least_work import Work
from measuring import measured_block

import zkjax
from zkjax.cli.process import keep_compiled_programs, keep_freed_memory, run_where_called
from zkjax.cli.report import count
from zkjax.statement.claims import ClaimSet, Instance

EXPLAINED_FROM = 3.0
COLUMNS = (
    "products over K, M",
    "float64, M",
    "hashed, MB",
    "moved, MB",
    "arithmetic, s",
    "memory, s",
    "measured, s",
    "ratio",
)
RATES = {
    "base": ("multiplications over F, in cache", "G"),
    "extension": ("multiplications over K, in cache", "G"),
    "floats": ("float64 multiply-adds, matrix product", "G"),
    "hashed": ("SHA-256, long messages", "GB"),
    "moved": ("memory, read and written by copies", "GB"),
    "folded": ("memory, read and written by a round of the lookups, sums with it", "GB"),
}
PIECES = (
    "tables are walked through in pieces, each a call from Python; additions, subtractions and reductions of "
    "sums, which are not counted, go with every product"
)
ENCODING = (
    "a transform does not fit into a cache and passes over its buffers several times, which is not counted; "
    "symbols are interleaved for hashing by one more pass; inner nodes of the tree are hashed one call at a time"
)
REASONS = {
    "witness": "a product with weights takes two limbs or more, each a matrix product; rounding, clipping and the "
    "limbs of every tensor are passes of their own, in types wider than those that are stored",
    "commitment to the weights after": ENCODING,
    "commitment to the advice": f"{ENCODING}; counting multiplicities writes to tables at random",
    "lookups": PIECES,
    "claims": "many small contractions and sumchecks, each several calls from Python; integers are converted to "
    "floats, and the limbs of the sums are put together on the host",
    "opening": f"{PIECES}; a proof of work tries one nonce per call",
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=INPUTS)
    parser.add_argument("--width", type=int, default=WIDTH, help="of the hidden layers")
    parser.add_argument("--layers", type=int, default=LAYERS, help="dense layers, the last one to the classes")
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--repeat", type=int, default=3, help="warm proofs; medians are taken")
    parser.add_argument("--effort", type=int, default=10, help="of measuring the machine")
    parser.add_argument("--write", type=Path, default=None, metavar="FILE", help="the page, instead of printing it")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE")
    return parser.parse_args()


@contextmanager
def recorded_instances() -> Iterator[list[Instance]]:
    """Claims on contractions, as a verification meanwhile meets them."""
    found: list[Instance] = []
    original = ClaimSet.instances

    def instances(claims: ClaimSet, nodes: Any) -> list[Instance]:
        made = original(claims, nodes)
        found.extend(made)
        return made

    with patch.object(ClaimSet, "instances", instances):
        yield found


def limits(work: Work, speed: rates.Rates) -> tuple[float, float]:
    """Least seconds of arithmetic, and of memory."""
    arithmetic = sum(
        getattr(work, name) / getattr(speed, name) for name in ("extension", "floats", "hashed", "hashed_in_order")
    )
    return arithmetic, work.moved / speed.moved


def measured(shape: Shape, repeat: int, effort: int) -> dict[str, Any]:
    speed, alone = rates.measure(effort), rates.measure_one_core(effort)
    figures, run, timed = measured_block(shape, repeat)
    plan = timed.statement.plan
    with recorded_instances() as instances:
        zkjax.verify(timed.statement, timed.proof)
    stored = run.witness.values.narrow
    widths = {node: values.itemsize for node, values in stored.items()}
    phases = {}
    for name, work in least_work.phases(plan, instances, widths).items():
        arithmetic, memory = limits(work, speed)
        limit = max(arithmetic, memory)
        phases[name] = {
            **asdict(work),
            "arithmetic_seconds": arithmetic,
            "memory_seconds": memory,
            "limit_seconds": limit,
            "seconds": figures["phases"][name],
            "ratio": figures["phases"][name] / limit,
        }
    return {"rates": asdict(speed), "rates_of_one_core": asdict(alone), "block": figures, "phases": phases}


def page(result: dict[str, Any], command: str) -> str:
    """The document: the rates, a table of phases, and reasons where a phase is far from its limit."""
    block, phases, speed, alone = (result[name] for name in ("block", "phases", "rates", "rates_of_one_core"))
    shape = Shape(**block["shape"])
    lines = [
        f"<!-- Printed by: {command} -->",
        "# Roofline",
        "",
        f"{shape.sizes}, batch {shape.batch}, {shape.steps} steps, synthetic data, a block in a chain. "
        f"{speed['cores']} cores, load of the machine {block['load']:.1f}.",
        "",
        "What each phase needs at least is read off the plan of the proof; `benchmarks/least_work.py` says what is "
        "counted. The limit is the larger of its arithmetic and its memory traffic at the rates of this machine, "
        "measured in the same run.",
        "",
        "| the machine, per second | all cores | one core | ratio |",
        "| --- | --- | --- | --- |",
        *(_rate_row(label, unit, speed[name], alone[name]) for name, (label, unit) in RATES.items()),
        "",
        "A phase that is limited by a rate which one core reaches alone gains nothing from another core.",
        "",
        "| " + " | ".join(("phase", *COLUMNS)) + " |",
        "| --- " * (1 + len(COLUMNS)) + "|",
        *(
            f"| {name} | {count(round(figures['extension'] / 1e6))} | {count(round(figures['floats'] / 1e6))} "
            f"| {count(round((figures['hashed'] + figures['hashed_in_order']) / 1e6))} "
            f"| {count(round(figures['moved'] / 1e6))} | {figures['arithmetic_seconds']:.3f} "
            f"| {figures['memory_seconds']:.3f} | {figures['seconds']:.3f} | {figures['ratio']:.1f} |"
            for name, figures in phases.items()
        ),
    ]
    whole = {name: sum(figures[name] for figures in phases.values()) for name in ("limit_seconds", "seconds")}
    lines += [
        "",
        f"In all {whole['seconds'] / shape.steps:.3f} s per step, where the limits of the phases add up to "
        f"{whole['limit_seconds'] / shape.steps:.3f} s: {whole['seconds'] / whole['limit_seconds']:.1f} times as much.",
    ]
    slow = [name for name, figures in phases.items() if figures["ratio"] > EXPLAINED_FROM]
    if slow:
        lines += ["", f"More than {EXPLAINED_FROM:.0f} times the limit:", ""]
        lines += [f"- {name}: {REASONS[name]}." for name in slow]
    return "\n".join(lines) + "\n"


def _rate_row(label: str, unit: str, all_cores: float, one_core: float) -> str:
    values = " | ".join(f"{rate / 1e9:.3g} {unit}" for rate in (all_cores, one_core))
    return f"| {label} | {values} | {all_cores / one_core:.2f} |"


def command_of(options: argparse.Namespace) -> str:
    names = ("inputs", "width", "layers", "batch", "steps", "repeat", "effort")
    return " ".join(["python benchmarks/roofline.py", *(f"--{name} {getattr(options, name)}" for name in names)])


def main() -> None:
    options = arguments()
    keep_freed_memory()
    run_where_called()
    keep_compiled_programs()
    sizes = (options.inputs, options.width, options.layers, CLASSES, options.batch, options.steps)
    shape = Shape(*sizes, rows=max(ROWS, options.batch * options.steps))
    result = measured(shape, options.repeat, options.effort)
    text = page(result, command_of(options))
    if options.write:
        options.write.write_text(text)
    else:
        print(text, end="")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
