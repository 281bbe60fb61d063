"""The rates of the machine that bound a proof, measured on all cores that this process may use, and on one.

Field multiplications are counted on tables that stay in a core's own cache; memory is copied in
pieces much larger than any cache, and so are the tables that are folded; each is the best of several runs.

    python benchmarks/rates.py --effort 10
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from zkjax.cli.process import keep_freed_memory, run_where_called
from zkjax.compute import blocked
from zkjax.compute.blocked import PIECE, WIDE
from zkjax.compute.fractions import Children
from zkjax.compute.pieces import fold_pairs, folded_tables
from zkjax.fields import arrays, extension
from zkjax.fields.mersenne61 import K, P
from zkjax.fields.vectors import Ext

RESIDENT = 1 << 11
MATRIX = 1024


@dataclass(frozen=True)
class Rates:
    """Per second: multiplications over F and over K, float64 multiply-adds, bytes hashed on all cores and on
    one, bytes read and written by copies, and by a round of the lookups' sumcheck over tables in pieces."""

    cores: int
    base: float
    extension: float
    floats: float
    hashed: float
    hashed_in_order: float
    moved: float
    folded: float


def measure(effort: int = 10) -> Rates:
    """`effort` scales how long it takes and how steady the rates are; ten takes a few seconds."""
    cores = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(cores) as pool, jax.enable_x64(True):

        def best(work: Callable[[int], Any], amount: float, threads: int = cores) -> float:
            times = []
            for _ in range(2 * effort):
                began = time.perf_counter()
                list(pool.map(work, range(threads)))
                times.append(time.perf_counter() - began)
            return threads * amount / min(times)

        return Rates(
            cores=cores,
            base=_multiplications(arrays.mul, 1, 5000 * effort, best),
            extension=_multiplications(extension.mul, 2, 1500 * effort, best),
            floats=_floats(2 * effort),
            hashed=best(_hashing(effort), effort << 22),
            hashed_in_order=best(_hashing(effort), effort << 22, threads=1),
            moved=_moved(effort, cores, best),
            folded=_folded(effort),
        )


def measure_one_core(effort: int = 10) -> Rates:
    """The same of a process of its own that may use one core."""
    core = min(os.sched_getaffinity(0))
    command = [sys.executable, __file__, "--effort", str(effort), "--core", str(core)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return Rates(**json.loads(done.stdout))


def _multiplications(multiply: Callable, planes: int, times: int, best: Callable) -> float:
    """Products of a table with itself again and again, in vectors as wide as the processor has them."""
    random = np.random.default_rng(0)
    draw = partial(random.integers, 0, P, dtype=np.uint64)

    def uniform() -> Any:
        return draw(RESIDENT) if planes == 1 else Ext(*draw((planes, RESIDENT)))

    @partial(jax.jit, compiler_options=WIDE)
    def chain(x: Any, y: Any) -> Any:
        return lax.fori_loop(0, times, lambda _, x: multiply(x, y), x)

    operands = jax.device_put((uniform(), uniform()))
    jax.block_until_ready(chain(*operands))

    def work(_: int) -> None:
        with jax.enable_x64(True):  # holds for one thread
            jax.block_until_ready(chain(*operands))

    return best(work, times * RESIDENT)


def _floats(repeat: int) -> float:
    """A matrix product, which XLA spreads over the cores by itself."""
    a = jnp.asarray(np.random.default_rng(0).random((MATRIX, MATRIX)))
    product = jax.jit(jnp.matmul)
    jax.block_until_ready(product(a, a))
    times = []
    for _ in range(repeat):
        began = time.perf_counter()
        jax.block_until_ready(product(a, a))
        times.append(time.perf_counter() - began)
    return MATRIX**3 / min(times)


def _hashing(effort: int) -> Callable[[int], None]:
    content = bytes(1 << 20)

    def work(_: int) -> None:
        for _ in range(4 * effort):
            hashlib.sha256(content).digest()

    return work


def _moved(effort: int, cores: int, best: Callable) -> float:
    """Bytes read and bytes written by copies; every core has tables of its own."""
    size = max(effort << 20, 1 << 22)
    tables = [(np.ones(size, np.uint64), np.ones(size, np.uint64)) for _ in range(cores)]
    return best(lambda core: np.copyto(tables[core][0], tables[core][1]), 2 * 8 * size)


def _folded(effort: int) -> float:
    """Bytes read, and written, when pieces of four tables are folded in pairs; the sums over the results go with it."""
    count = 4 << effort.bit_length()
    random = np.random.default_rng(0)
    planes = random.integers(0, P, (8, PIECE), dtype=np.uint64)
    weights, r = blocked.equality_pyramid(Ext.from_list([K(3, 5)] * blocked.LOG_PIECE)), K(7, 11)

    def fresh() -> list[Children]:
        pieces = [Children(*(Ext(*map(jnp.array, planes[at : at + 2])) for at in range(0, 8, 2))) for _ in range(count)]
        return jax.block_until_ready(pieces)

    def started(low: Children, high: Children) -> jax.Array:
        return blocked.layer_sums(low, high, np.int64(0), np.int64(PIECE), weights)

    times = []
    for _ in range(2 * effort):
        tables = fresh()
        began = time.perf_counter()
        jax.block_until_ready(fold_pairs(tables, lambda low, high: folded_tables(low, high, r), started))
        times.append(time.perf_counter() - began)
    return 1.5 * count * planes.nbytes / min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--effort", type=int, default=10)
    parser.add_argument("--core", type=int, default=None, help="the only one to be used")
    options = parser.parse_args()
    if options.core is not None:
        os.sched_setaffinity(0, {options.core})  # before JAX starts its threads
    keep_freed_memory()
    run_where_called()
    print(json.dumps(asdict(measure(options.effort)), indent=2))


if __name__ == "__main__":
    main()
