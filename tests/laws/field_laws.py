"""A battery of laws that every implementation of F or K passes.

An implementation is an adapter between plain integers and its own arrays. The expected values come
from pairs of Python integers, computed here, not from zkjax.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

PRIME = (1 << 61) - 1
Pair = tuple[int, int]

EDGES = [
    0,
    1,
    2,
    (1 << 30) - 1,
    1 << 30,
    (1 << 31) - 1,
    1 << 31,
    (1 << 31) + 1,
    (1 << 32) - 1,
    1 << 32,
    ((1 << 30) - 1) << 31,
    PRIME // 2,
    PRIME // 2 + 1,
    (1 << 60) - 1,
    (1 << 60) + 1,
    PRIME - (1 << 31),
    PRIME - 2,
    PRIME - 1,
]
FEW_EDGES = [0, 1, (1 << 31) - 1, 1 << 60, ((1 << 30) - 1) << 31, PRIME - 1]


@dataclass(frozen=True)
class Implementation:
    """Operations on arrays of `load`; `unload` gives pairs of integers back, unreduced.

    `extension` says whether imaginary parts exist; for F they load as nothing and unload as zero.
    """

    name: str
    extension: bool
    load: Callable[[Sequence[Pair]], Any]
    unload: Callable[[Any], list[Pair]]
    add: Callable[[Any, Any], Any]
    sub: Callable[[Any, Any], Any]
    neg: Callable[[Any], Any]
    mul: Callable[[Any, Any], Any]
    unary: dict[str, Callable[[Any], Any]] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


def multiply(a: Pair, b: Pair) -> Pair:
    return (a[0] * b[0] - a[1] * b[1]) % PRIME, (a[0] * b[1] + a[1] * b[0]) % PRIME


def invert(a: Pair) -> Pair:
    scale = pow(a[0] * a[0] + a[1] * a[1], PRIME - 2, PRIME)
    return a[0] * scale % PRIME, -a[1] * scale % PRIME


UNARY: dict[str, Callable[[Pair], Pair]] = {
    "square": lambda a: multiply(a, a),
    "inverse": invert,
    "batch_inverse": invert,
    "conjugate": lambda a: (a[0], -a[1] % PRIME),
    "mul_i": lambda a: (-a[1] % PRIME, a[0]),
    "norm": lambda a: ((a[0] * a[0] + a[1] * a[1]) % PRIME, 0),
}


def samples(extension: bool, count: int = 40, seed: int = 1) -> list[Pair]:
    """Edge values and random ones."""
    generator = random.Random(seed)
    if extension:
        edges = list(itertools.product(FEW_EDGES, repeat=2))
        return edges + [(generator.randrange(PRIME), generator.randrange(PRIME)) for _ in range(count)]
    return [(x, 0) for x in EDGES] + [(generator.randrange(PRIME), 0) for _ in range(count)]


def all_pairs(values: list[Pair]) -> tuple[list[Pair], list[Pair]]:
    pairs = list(itertools.product(values, repeat=2))
    return [a for a, _ in pairs], [b for _, b in pairs]


def check_against_integers(implementation: Implementation) -> None:
    """Every operation equals integer arithmetic on all pairs of samples, and is canonical."""
    left, right = all_pairs(samples(implementation.extension))
    a, b = implementation.load(left), implementation.load(right)
    add = [((x[0] + y[0]) % PRIME, (x[1] + y[1]) % PRIME) for x, y in zip(left, right, strict=True)]
    sub = [((x[0] - y[0]) % PRIME, (x[1] - y[1]) % PRIME) for x, y in zip(left, right, strict=True)]
    mul = [multiply(x, y) for x, y in zip(left, right, strict=True)]
    assert implementation.unload(implementation.add(a, b)) == add
    assert implementation.unload(implementation.sub(a, b)) == sub
    assert implementation.unload(implementation.mul(a, b)) == mul


def check_unary_against_integers(implementation: Implementation) -> None:
    """Unary operations equal integer arithmetic on all samples, but for inverses of zero."""
    values = samples(implementation.extension, 100)
    negated = [(-x[0] % PRIME, -x[1] % PRIME) for x in values]
    assert implementation.unload(implementation.neg(implementation.load(values))) == negated
    values = [x for x in values if x != (0, 0)]
    a = implementation.load(values)
    for name, operation in implementation.unary.items():
        expected = [UNARY[name](x) for x in values]
        assert implementation.unload(operation(a)) == expected, name


def check_ring_laws(implementation: Implementation) -> None:
    """Associativity, commutativity, distributivity, units and opposites, between outputs."""
    values = samples(implementation.extension)
    x, y, z = values, values[1:] + values[:1], values[7:] + values[:7]
    a, b, c = (implementation.load(v) for v in (x, y, z))
    one = implementation.load([(1, 0)] * len(values))
    zero = implementation.load([(0, 0)] * len(values))
    add, sub, neg, mul = (
        implementation.add,
        implementation.sub,
        implementation.neg,
        implementation.mul,
    )

    def same(left: Any, right: Any) -> None:
        assert implementation.unload(left) == implementation.unload(right)

    same(add(a, b), add(b, a))
    same(mul(a, b), mul(b, a))
    same(add(add(a, b), c), add(a, add(b, c)))
    same(mul(mul(a, b), c), mul(a, mul(b, c)))
    same(mul(a, add(b, c)), add(mul(a, b), mul(a, c)))
    same(add(a, zero), a)
    same(mul(a, one), a)
    same(mul(a, zero), zero)
    same(add(a, neg(a)), zero)
    same(sub(a, b), add(a, neg(b)))
    same(sub(zero, neg(a)), a)
    same(neg(zero), zero)


def check_inverses(implementation: Implementation) -> None:
    """x / x is one for all samples but zero."""
    values = [x for x in samples(implementation.extension) if x != (0, 0)]
    a = implementation.load(values)
    for name in ("inverse", "batch_inverse"):
        if name in implementation.unary:
            product = implementation.mul(a, implementation.unary[name](a))
            assert implementation.unload(product) == [(1, 0)] * len(values), name


LAWS = [check_against_integers, check_unary_against_integers, check_ring_laws, check_inverses]
