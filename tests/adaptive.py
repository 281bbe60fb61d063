"""A hand-built training block with an adaptive optimiser and a clipped norm, small enough to attack: linear regression.

It is the chain of gadgets that the compiler makes, apart from the compiler, with every scale written out: gradients
rounded and scaled by the norm of them all, a mean of squares that is committed by its root, the root of it at each
step, and the quotient by which the weights move.
"""

from __future__ import annotations

from fractions import Fraction
from math import floor, isqrt
from unittest.mock import patch

import numpy as np

from tests.witness.naive import integers
from zkjax.circuit import builder
from zkjax.circuit.builder import CircuitBuilder
from zkjax.circuit.functions import divide, positive_part, square_root
from zkjax.circuit.program import Lowered
from zkjax.statement.filters import matrix

STEPS, BATCH, ROWS, INPUTS, OUTPUTS = 2, 3, 7, 3, 2
DROPPED, LIMIT, SCALE, EPSILON, RATE = 8, 40, 8, 3, 1 << 6
# The mean of squares after steps 1 and 2, as so many sixteenths of the one before and of the squares.
KEPT, TAPS = (12, 9), ((4,), (3, 4))
ROOT_SHIFT, UPDATE = 2, 6


def adaptive_block() -> Lowered:
    """Weights at 8 fraction bits move by -RATE * u at every step, u = gradient / (root of the mean of squares)."""
    with patch.object(builder, "LIMB_BITS", 8):
        b = CircuitBuilder(steps=STEPS, batch=BATCH, rows=ROWS)
        x = b.rows(b.committed("x", (ROWS, INPUTS), oracle="data"))
        b.range_check(x, -4, 4, "data/x")
        y = b.rows(b.committed("y", (ROWS, OUTPUTS), oracle="data"))
        b.range_check(y, -100, 100, "data/y")
        weights = b.deferred("w", (STEPS, INPUTS, OUTPUTS))
        outputs = b.contract(x, weights, "tni,tio->tno")
        error = b.rescale(b.combine((1, outputs), (-(1 << DROPPED), y)), DROPPED, "error")
        b.signed_range(error, 11, "error")
        gradient = b.contract(x, error, "tni,tno->tio")

        norm = square_root(b, b.contract(gradient, gradient, "tio,tio->t"), "norm", bits=20)
        excess = positive_part(b, b.combine((1, norm), (-1, b.constant((STEPS,), LIMIT))), "excess", bits=21)
        longer = b.combine((1, excess), (1, b.constant((STEPS,), LIMIT)))
        scale = divide(b, b.constant((STEPS,), LIMIT), longer, SCALE, "scale", bits=SCALE + 1, divisor_bits=21)
        clipped = b.rescale(b.contract(gradient, scale, "tio,t->tio"), SCALE, "clipped")
        b.signed_range(clipped, 10, "clipped")

        root = b.state_before("root", (INPUTS, OUTPUTS), fraction_bits=0, bits=10)
        first, squares = b.contract(root, root, "io,io->io"), b.contract(clipped, clipped, "tio,tio->tio")
        before = b.filter(b.axes(first, (-1, 0, 1), (1, INPUTS, OUTPUTS)), matrix([[kept] for kept in KEPT]))
        mean = b.combine((1, before), (1, b.filter(squares, matrix(TAPS))))
        deviation = square_root(b, mean, "deviation", bits=13)
        divisor = b.combine((1, deviation), (1, b.constant((STEPS, INPUTS, OUTPUTS), EPSILON)))
        update = divide(b, clipped, divisor, UPDATE, "update", bits=10, divisor_bits=14)

        start = b.state_before("w", (INPUTS, OUTPUTS), fraction_bits=DROPPED, bits=12)
        b.bind(weights, b.combine((1, b.axes(start, (-1, 0, 1), (STEPS, INPUTS, OUTPUTS))), (-RATE, b.before(update))))
        total = b.axes(update, (1, 2), (INPUTS, OUTPUTS))
        b.state_after("w", b.combine((1, start), (-RATE, total)), 0, fraction_bits=DROPPED, bits=17)
        last = b.axes(b.filter(squares, matrix(TAPS[-1:])), (1, 2), (INPUTS, OUTPUTS))
        after = square_root(b, b.combine((KEPT[-1], first), (1, last)), "after", bits=13)
        b.state_after("root", after, ROOT_SHIFT, fraction_bits=0, bits=11)
        return b.finish()


def adaptive_inputs(lowered: Lowered, seed: int = 0) -> tuple[dict[int, np.ndarray], np.ndarray]:
    """Data, first weights and root, and a schedule; every other time with gradients below the limit."""
    random = np.random.default_rng(seed)
    size = 1 << (9 if seed % 2 else 5)
    drawn = {
        "x": random.integers(-4, 5, (ROWS, INPUTS)),
        "y": random.integers(-(size >> 7), (size >> 7) + 1, (ROWS, OUTPUTS)),
        "w": random.integers(-size, size, (INPUTS, OUTPUTS)),
        "root": random.integers(0, 30, (INPUTS, OUTPUTS)),
    }
    nodes = lowered.circuit.nodes
    given = {i: drawn[nodes[i].name] for role in ("data", "before") for i in lowered.circuit.committed(role)}
    return given, random.integers(0, ROWS, (STEPS, BATCH))


def nearest(numerator: int, divisor: int = 1) -> int:
    return floor(Fraction(numerator, divisor) + Fraction(1, 2))


def adaptive_trainer(x, y, w, root, schedule) -> dict[str, np.ndarray]:
    """State and tensors of each step, in plain Python integers, without the circuit."""
    x, y, w, root = map(integers, (x, y, w, root))
    entrywise = lambda function: np.frompyfunc(function, 1, 1)  # noqa: E731
    found: dict[str, list] = {"norm": [], "scale": [], "clipped": [], "deviation": [], "update": []}
    squares = []
    for step, rows in enumerate(schedule):
        error = entrywise(lambda v: nearest(v, 1 << DROPPED))(x[rows] @ w - (y[rows] << DROPPED))
        gradient = x[rows].T @ error
        norm = isqrt((gradient**2).sum())
        scale = nearest(LIMIT << SCALE, max(norm, LIMIT))
        clipped = entrywise(lambda v: nearest(v, 1 << SCALE))(gradient * scale)
        squares.append(clipped**2)
        mean = KEPT[step] * root**2 + sum(tap * square for tap, square in zip(TAPS[step], squares, strict=True))
        deviation = entrywise(isqrt)(mean)
        update = np.frompyfunc(lambda g, d: nearest(g << UPDATE, d + EPSILON), 2, 1)(clipped, deviation)
        for name, value in zip(found, (norm, scale, clipped, deviation, update), strict=True):
            found[name].append(value)
        w = w - RATE * update
    made = {name: integers(values) for name, values in found.items()}
    return {**made, "w": w, "root": entrywise(lambda v: nearest(isqrt(v), 1 << ROOT_SHIFT))(mean)}
