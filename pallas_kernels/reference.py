"""What every kernel of this folder means, in plain jnp: the definition that the kernels must equal.

F = GF(p) with p = 2^61 - 1; K = F[i]/(i^2 + 1). A K array is a pair of uint64 planes `(re, im)`
of one shape, canonical: every entry below p. The caller scopes x64 (`jax.enable_x64(True)`).

The product here reduces a 128-bit integer product; the kernels use 31/30-bit limbs. The two share
nothing but the field, so that one can be held against the other.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

MODULUS = np.uint64(2**61 - 1)

Plane = jax.Array
Pair = tuple[jax.Array, jax.Array]


def add(a: Plane, b: Plane) -> Plane:
    """a + b in F; broadcasts."""
    total = a + b
    return jnp.where(total >= MODULUS, total - MODULUS, total)


def subtract(a: Plane, b: Plane) -> Plane:
    """a - b in F; broadcasts."""
    return jnp.where(a >= b, a - b, a + MODULUS - b)


def multiply(a: Plane, b: Plane | np.uint64) -> Plane:
    """a b in F; broadcasts. With 2^61 = 1 the 128-bit product is low 61 bits + the bits above."""
    a, b = jnp.broadcast_arrays(a, b)
    low, high = a * b, jax.lax.mulhi(a, b)
    return add(low & MODULUS, (low >> np.uint64(61)) + (high << np.uint64(3)))


def extension_add(x: Pair, y: Pair) -> Pair:
    """x + y in K; broadcasts."""
    return add(x[0], y[0]), add(x[1], y[1])


def extension_subtract(x: Pair, y: Pair) -> Pair:
    """x - y in K; broadcasts."""
    return subtract(x[0], y[0]), subtract(x[1], y[1])


def extension_multiply(x: Pair, y: Pair) -> Pair:
    """x y in K; broadcasts."""
    re = subtract(multiply(x[0], y[0]), multiply(x[1], y[1]))
    im = add(multiply(x[0], y[1]), multiply(x[1], y[0]))
    return re, im


def sum_planes(planes: Plane) -> Plane:
    """The sum in F over the last axis, of fewer than 2^32 entries."""
    low = jnp.sum(planes & np.uint64(2**32 - 1), axis=-1, dtype=jnp.uint64)
    high = jnp.sum(planes >> np.uint64(32), axis=-1, dtype=jnp.uint64)
    return add(low % MODULUS, multiply(high % MODULUS, np.uint64(2**32)))


def fold(table: Pair, challenge: Pair) -> Pair:
    """Bind the most significant variable: table[:n] + challenge (table[n:] - table[:n]).

    table: K[2n]; challenge: K[]. Returns K[n].
    """
    low, high = halves(table)
    return extension_add(low, extension_multiply(challenge, extension_subtract(high, low)))


def product_round_sums(f: Pair, g: Pair) -> tuple[Pair, Pair]:
    """The coefficients of X^0 and X^2 of sum over x of f(X, x) g(X, x), X most significant.

    f, g: K[n]. Returns (at_zero, leading), each K[].
    """
    (f_low, f_high), (g_low, g_high) = halves(f), halves(g)
    at_zero = extension_multiply(f_low, g_low)
    leading = extension_multiply(extension_subtract(f_high, f_low), extension_subtract(g_high, g_low))
    return sum_pair(at_zero), sum_pair(leading)


def product_round(f: Pair, g: Pair, challenge: Pair) -> tuple[Pair, Pair, tuple[Pair, Pair]]:
    """Fold f and g, K[2n], and return (f', g', the next round's sums)."""
    f, g = fold(f, challenge), fold(g, challenge)
    return f, g, product_round_sums(f, g)


def logup_round_sums(
    p0: Pair, p1: Pair, q0: Pair, q1: Pair, equality: Pair, a: Pair, b: Pair
) -> tuple[Pair, Pair, Pair]:
    """sum over x of e[x] (a (p0 q1 + p1 q0) + b q0 q1)(X, x): at X = 0, at X = 1, leading.

    p0, p1, q0, q1: K[n]; equality e: K[n/2]; a, b: K[]. Returns three K[].
    """
    pairs = [halves(table) for table in (p0, p1, q0, q1)]
    low = [pair[0] for pair in pairs]
    high = [pair[1] for pair in pairs]
    difference = [extension_subtract(top, bottom) for bottom, top in pairs]

    def weighted_sum(tables: list[Pair]) -> Pair:
        numerator_0, numerator_1, denominator_0, denominator_1 = tables
        numerator = extension_add(
            extension_multiply(numerator_0, denominator_1),
            extension_multiply(numerator_1, denominator_0),
        )
        denominator = extension_multiply(denominator_0, denominator_1)
        value = extension_add(extension_multiply(a, numerator), extension_multiply(b, denominator))
        return sum_pair(extension_multiply(equality, value))

    return weighted_sum(low), weighted_sum(high), weighted_sum(difference)


def logup_round(
    p0: Pair, p1: Pair, q0: Pair, q1: Pair, equality: Pair, a: Pair, b: Pair, challenge: Pair
) -> tuple[Pair, Pair, Pair, Pair, tuple[Pair, Pair, Pair]]:
    """Fold the four tables, K[2n], and return them with the next round's sums; equality: K[n/2]."""
    p0, p1, q0, q1 = (fold(table, challenge) for table in (p0, p1, q0, q1))
    return p0, p1, q0, q1, logup_round_sums(p0, p1, q0, q1, equality, a, b)


def halves(table: Pair) -> tuple[Pair, Pair]:
    """The lower and the upper half of the last axis: most significant variable 0 and 1."""
    half = table[0].shape[-1] // 2
    low = table[0][..., :half], table[1][..., :half]
    high = table[0][..., half:], table[1][..., half:]
    return low, high


def sum_pair(x: Pair) -> Pair:
    """The sum in K over the last axis."""
    return sum_planes(x[0]), sum_planes(x[1])
