"""The kernels' meaning once more, in Python integers: shares no arithmetic with them.

An element of K is a pair of integers; a table is a list of them.
"""

from __future__ import annotations

import random

import jax.numpy as jnp
import numpy as np

P = 2**61 - 1
EDGES = (0, 1, 2, P - 2, P - 1, 2**30, 2**31 - 1, 2**60)


def multiply(x, y):
    return (x[0] * y[0] - x[1] * y[1]) % P, (x[0] * y[1] + x[1] * y[0]) % P


def add(x, y):
    return (x[0] + y[0]) % P, (x[1] + y[1]) % P


def subtract(x, y):
    return (x[0] - y[0]) % P, (x[1] - y[1]) % P


def total(elements):
    elements = list(elements)
    return sum(e[0] for e in elements) % P, sum(e[1] for e in elements) % P


def fold(table, r):
    half = len(table) // 2
    return [add(table[x], multiply(r, subtract(table[x + half], table[x]))) for x in range(half)]


def product_sums(f, g):
    half = len(f) // 2
    at_zero = [multiply(f[x], g[x]) for x in range(half)]
    leading = [multiply(subtract(f[x + half], f[x]), subtract(g[x + half], g[x])) for x in range(half)]
    return total(at_zero), total(leading)


def logup_sums(p0, p1, q0, q1, e, a, b):
    def value(tables, x):
        n0, n1, d0, d1 = (table[x] for table in tables)
        numerator = add(multiply(n0, d1), multiply(n1, d0))
        return multiply(e[x], add(multiply(a, numerator), multiply(b, multiply(d0, d1))))

    half = len(p0) // 2
    tables = (p0, p1, q0, q1)
    low = [table[:half] for table in tables]
    high = [table[half:] for table in tables]
    slope = [[subtract(t, s) for s, t in zip(lo, hi, strict=True)] for lo, hi in zip(low, high, strict=True)]
    return tuple(total(value(rows, x) for x in range(half)) for rows in (low, high, slope))


def random_table(rng: random.Random, length: int, values=None):
    """Uniform entries, or entries drawn from `values`."""
    draw = (lambda: rng.randrange(P)) if values is None else (lambda: rng.choice(values))
    return [(draw(), draw()) for _ in range(length)]


def to_planes(table):
    return tuple(jnp.array([x[k] for x in table], dtype=jnp.uint64) for k in range(2))


def to_scalar(x):
    return jnp.uint64(x[0]), jnp.uint64(x[1])


def from_planes(planes):
    re, im = (np.asarray(plane) for plane in planes)
    assert re.dtype == im.dtype == np.uint64
    return list(zip(re.tolist(), im.tolist(), strict=True))


def from_scalars(pairs):
    return tuple((int(re), int(im)) for re, im in pairs)
