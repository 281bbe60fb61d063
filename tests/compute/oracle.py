"""Sumchecks over lists of K in plain Python: what every backend must equal."""

from __future__ import annotations

import numpy as np

from zkjax.fields.mersenne61 import K, P

EDGES = [K(0), K(1), K(P - 1, P - 1), K(0, P - 1), K(P - 1, 0), K(1 << 60, (1 << 31) - 1), K(0, 1)]


def random_elements(seed: int, count: int, *, edges: bool = True) -> list[K]:
    """Elements, the largest and the smallest ones mixed in."""
    generator = np.random.default_rng(seed)
    drawn = [K(re, im) for re, im in generator.integers(0, P, (count, 2)).tolist()]
    if edges:
        for place in np.flatnonzero(generator.random(count) < 0.3):
            drawn[place] = EDGES[int(generator.integers(len(EDGES)))]
    return drawn


def fold(table: list[K], r: K) -> list[K]:
    half = len(table) // 2
    return [low + r * (high - low) for low, high in zip(table[:half], table[half:], strict=True)]


def product_sums(f: list[K], g: list[K]) -> tuple[K, K]:
    half = len(f) // 2
    at_zero = sum((a * b for a, b in zip(f[:half], g[:half], strict=True)), K.ZERO)
    leading = sum(((f[half + x] - f[x]) * (g[half + x] - g[x]) for x in range(half)), K.ZERO)
    return at_zero, leading


def equality(point: list[K]) -> list[K]:
    weights = [K.ONE]
    for r in point:
        weights = [w * factor for w in weights for factor in (1 - r, r)]
    return weights


def layer_polynomial(tables: list[list[K]], rest: list[K], ratio: K, x: int) -> K:
    """sum over the rest of eq (p0 q1 + p1 q0 + ratio q0 q1) with the first variable set to x."""
    total = K.ZERO
    folded = [fold(table, K(x)) for table in tables]
    for weight, p0, p1, q0, q1 in zip(equality(rest), *folded, strict=True):
        total += weight * (p0 * q1 + p1 * q0 + ratio * q0 * q1)
    return total


def layer_sums(tables: list[list[K]], rest: list[K], ratio: K) -> tuple[K, K]:
    """At zero, and the coefficient of X^2 by three evaluations."""
    at = [layer_polynomial(tables, rest, ratio, x) for x in (0, 1, 2)]
    return at[0], (at[2] - 2 * at[1] + at[0]) / 2


def join(p: list[K], q: list[K]) -> tuple[list[K], list[K]]:
    half = len(p) // 2
    numerators = [p[x] * q[half + x] + p[half + x] * q[x] for x in range(half)]
    return numerators, [q[x] * q[half + x] for x in range(half)]
