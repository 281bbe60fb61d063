"""Time the rounds of the product and of the fractional sumcheck, kernels against reference.

    python benchmarks/kernels.py --backend reference --log-size 20
    python benchmarks/kernels.py --backend gpu --log-size 24

`gpu` runs the Pallas kernels on a GPU and raises without one; `interpret` runs their bodies on the
CPU and is slow; `reference` is plain jnp on whatever device JAX has. Kernels are compared with the
reference, exactly, before they are timed. Bytes are those a round has to read and write once.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import jax
import numpy as np

from pallas_kernels import logup_round, reference, sumcheck_round
from pallas_kernels.partials import combine_partials

ELEMENT_BYTES = 16


def rounds(size: int) -> dict[str, tuple[Callable, Callable, list[tuple[int, ...]], int]]:
    """Name -> (kernel, reference, shapes of the K operands, elements of K read and written)."""
    return {
        "product_round": (
            sumcheck_round.product_round,
            reference.product_round,
            [(size,), (size,), ()],
            2 * size + size,
        ),
        "logup_round": (
            logup_round.logup_round,
            reference.logup_round,
            [(size,)] * 4 + [(size // 4,), (), (), ()],
            4 * size + size // 4 + 2 * size,
        ),
    }


def with_sums(kernel: Callable, interpret: bool) -> Callable:
    """The kernel followed by the sum over its programs: what the reference returns."""

    def run(*operands):
        *tables, partials = kernel(*operands, interpret=interpret)
        return (*tables, combine_partials(partials))

    return run


def operands(shapes: list[tuple[int, ...]]) -> list[tuple[jax.Array, ...]]:
    """Uniform elements of K, from a fixed seed."""
    rng = np.random.default_rng(0)
    draw = partial(rng.integers, 0, 2**61 - 1, dtype=np.uint64)
    return [tuple(jax.device_put(draw(size=shape)) for _ in range(2)) for shape in shapes]


def best_seconds(function: Callable, arguments: list, repeats: int) -> float:
    """The shortest of several runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", choices=("reference", "interpret", "gpu"), default="reference")
    parser.add_argument("--log-size", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    device = jax.devices("gpu" if options.backend == "gpu" else None)[0]
    size = 2**options.log_size
    print(f"backend {options.backend}, device {device.device_kind}, tables of 2^{options.log_size} over K")
    print(f"{'round':15}{'compile s':>12}{'run ms':>12}{'GB/s':>12}")
    with jax.enable_x64(True), jax.default_device(device):
        for name, (kernel, definition, shapes, elements) in rounds(size).items():
            chosen = definition if options.backend == "reference" else with_sums(kernel, options.backend == "interpret")
            arguments = operands(shapes)
            start = time.perf_counter()
            compiled = jax.jit(chosen).lower(*arguments).compile()
            compile_seconds = time.perf_counter() - start
            if options.backend != "reference":
                compare(name, compiled(*arguments), jax.jit(definition)(*arguments))
            seconds = best_seconds(compiled, arguments, options.repeats)
            rate = elements * ELEMENT_BYTES / seconds / 1e9
            print(f"{name:15}{compile_seconds:12.2f}{seconds * 1e3:12.3f}{rate:12.2f}")


def compare(name: str, got, expected) -> None:
    """Raises ValueError unless every array is equal."""
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        if not np.array_equal(a, b):
            raise ValueError(f"{name}: the kernel and the reference differ")


if __name__ == "__main__":
    main()
