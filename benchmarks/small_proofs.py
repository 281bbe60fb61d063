"""Many small proofs at once: 64 proofs under `vmap` against the same ones one after another.

The arguments are those of `zkjax.prover.transparent`, pure functions with their transcript inside:
the product sumcheck, and the LogUp argument that random lookups hit a table. Each proof has a
transcript, tables and pads of its own. Both ways are compiled ahead, run once to warm up and compared
entry by entry; then the shortest of `--repeat` runs is printed, and the processor time of that run.

    python benchmarks/small_proofs.py --variables 12 --json small.json
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from zkjax.cli.process import keep_freed_memory, run_where_called
from zkjax.cli.report import RULE, print_rows, seconds
from zkjax.compute.fractions import Fractions
from zkjax.fields import extension
from zkjax.fields.mersenne61 import P
from zkjax.fields.vectors import Ext, from_signed, inner
from zkjax.prover.transparent import logup_pads, prove_logup, prove_product
from zkjax.transcript import sha256

LABEL = "benchmark round"
SEED = 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proofs", type=int, default=64)
    parser.add_argument("--variables", type=int, default=12, help="of a table of the product, of the leaves of LogUp")
    parser.add_argument("--arguments", nargs="+", choices=tuple(ARGUMENTS), default=list(ARGUMENTS))
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", type=Path, default=None, metavar="FILE")
    return parser.parse_args()


def uniform(random: np.random.Generator, *shape: int) -> Ext:
    return Ext(*random.integers(0, P, (2, *shape), dtype=np.uint64))


def transcript(random: np.random.Generator) -> np.ndarray:
    return np.asarray(sha256.state_from_bytes(random.bytes(32)))


def product_operands(random: np.random.Generator, variables: int) -> tuple:
    f, g = uniform(random, 1 << variables), uniform(random, 1 << variables)
    return transcript(random), f, g, extension.asarray(inner(f, g)), uniform(random, variables, 2)


def logup_operands(random: np.random.Generator, variables: int) -> tuple:
    """Half of the leaves are lookups 1/(alpha - value), half a table's rows -count/(alpha - row)."""
    rows = 1 << (variables - 1)
    values = random.integers(0, rows, rows)
    counts = np.bincount(values, minlength=rows)
    numerators = from_signed(np.concatenate([np.ones(rows, np.int64), -counts]))
    entries = np.concatenate([values, np.arange(rows)])
    real, imaginary = random.integers(1 << 40, P, 2)
    denominators = Ext(from_signed(real - entries), np.full(2 * rows, imaginary, np.uint64))
    leaves = Fractions(Ext(numerators, np.zeros_like(numerators)), denominators)
    return transcript(random), leaves, uniform(random, logup_pads(variables))


ARGUMENTS: dict[str, tuple[Callable, Callable]] = {
    "product": (product_operands, partial(prove_product, label=LABEL)),
    "logup": (logup_operands, prove_logup),
}


def compiled(function: Callable, operands: tuple) -> tuple[Callable, float]:
    began = time.perf_counter()
    program = jax.jit(function).lower(*operands).compile()
    return program, time.perf_counter() - began


def shortest(function: Callable[[], Any], repeat: int) -> tuple[float, float]:
    """(seconds, processor seconds) of the shortest run."""
    times = []
    for _ in range(repeat):
        began, work = time.perf_counter(), time.process_time()
        jax.block_until_ready(function())
        times.append((time.perf_counter() - began, time.process_time() - work))
    return min(times)


def measured(name: str, proofs: int, variables: int, repeat: int) -> dict[str, Any]:
    """Raises ValueError if the two ways disagree."""
    operands_of, prove = ARGUMENTS[name]
    random = np.random.default_rng(SEED)
    each = [jax.device_put(operands_of(random, variables)) for _ in range(proofs)]
    batch = jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *each)
    batch = jax.device_put(batch)
    single, single_compiling = compiled(prove, each[0])
    vmapped, vmapped_compiling = compiled(jax.vmap(prove), batch)

    def one_after_another() -> list:
        return [single(*operands) for operands in each]

    alone, together = one_after_another(), vmapped(*batch)
    for number, proof in enumerate(alone):
        mine = jax.tree.map(lambda leaf, number=number: leaf[number], together)
        if not all(map(np.array_equal, jax.tree.leaves(mine), jax.tree.leaves(proof))):
            raise ValueError(f"{name}: proof {number} differs between vmap and one after another")
    sequence, sequence_work = shortest(one_after_another, repeat)
    side_by_side, side_by_side_work = shortest(lambda: vmapped(*batch), repeat)
    return {
        "one_after_another_seconds": sequence,
        "one_after_another_processor_seconds": sequence_work,
        "vmapped_seconds": side_by_side,
        "vmapped_processor_seconds": side_by_side_work,
        "speedup": sequence / side_by_side,
        "one_compile_seconds": single_compiling,
        "vmapped_compile_seconds": vmapped_compiling,
    }


def main() -> None:
    options = arguments()
    keep_freed_memory()
    run_where_called()
    with jax.enable_x64(True):
        found = {name: measured(name, options.proofs, options.variables, options.repeat) for name in options.arguments}
    shape = {"proofs": options.proofs, "variables": options.variables}
    result = {"shape": shape, "cores": len(os.sched_getaffinity(0)), "load": os.getloadavg()[0], "arguments": found}
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    rows = [("cores, load of the machine", f"{result['cores']}, {result['load']:.1f}")]
    for name, figures in found.items():
        both = ("one_after_another", "vmapped")
        alone, together = (
            f"{seconds(figures[f'{way}_seconds'])} ({seconds(figures[f'{way}_processor_seconds'])} of processor)"
            for way in both
        )
        rows += [
            RULE,
            (f"{name}: one after another", alone),
            (f"{name}: under vmap, equal results", together),
            (f"{name}: times faster", f"{figures['speedup']:.2f}"),
            (f"{name}: compiling one", seconds(figures["one_compile_seconds"])),
            (f"{name}: compiling the vmapped program", seconds(figures["vmapped_compile_seconds"])),
        ]
    print_rows(f"{options.proofs} proofs of 2^{options.variables} entries", rows)


if __name__ == "__main__":
    main()
