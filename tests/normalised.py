"""A hand-built training block with a layer normalisation, small enough to attack: mean, variance, root, quotient.

One linear layer whose normalised output is trained to give zero, with every scale written out.
"""

from __future__ import annotations

from fractions import Fraction
from math import floor
from unittest.mock import patch

import numpy as np

from tests.statement.decimals import nearest
from tests.witness.naive import integers
from zkjax.circuit import builder
from zkjax.circuit.builder import CircuitBuilder
from zkjax.circuit.functions import look_up
from zkjax.circuit.program import Lowered
from zkjax.statement.tables import Table

STEPS, BATCH, ROWS, INPUTS, OUTPUTS = 2, 3, 7, 3, 4
SHIFT, VARIANCE_SHIFT, OUTPUT_SHIFT, BITS = 12, 6, 6, 8
FORMULA = "1/sqrt(x*positive(x) + 1/16)"
ROOT = Table("function", -16, 1023, 0, FORMULA, 2, 8)


def normalised_block() -> Lowered:
    """Weights at 16 fraction bits move by -x^T y, y the outputs less their mean over a root of their variance."""
    with patch.object(builder, "LIMB_BITS", 8):
        b = CircuitBuilder(steps=STEPS, batch=BATCH, rows=ROWS)
        x = b.rows(b.committed("x", (ROWS, INPUTS), oracle="data"))
        b.range_check(x, -2, 2, "data/x")
        weights = b.deferred("w", (STEPS, INPUTS, OUTPUTS))
        value = b.rescale(b.contract(x, weights, "tni,tio->tno"), SHIFT, "value")
        b.signed_range(value, BITS - 1, "value")
        total = b.axes(value, (0, 1), (STEPS, BATCH))
        squares = b.contract(value, value, "tno,tno->tn")
        exact = b.combine((OUTPUTS, squares), (-1, b.contract(total, total, "tn,tn->tn")))
        variance = b.rescale(exact, VARIANCE_SHIFT, "variance")
        root = look_up(b, variance, ROOT, "root")
        centred = b.combine((OUTPUTS, value), (-1, b.axes(total, (0, 1, -1), (STEPS, BATCH, OUTPUTS))))
        output = b.rescale(b.contract(centred, root, "tno,tn->tno"), OUTPUT_SHIFT, "output")
        b.signed_range(output, 15, "output")
        update = b.contract(x, output, "tni,tno->tio")
        before = b.state_before("w", (INPUTS, OUTPUTS), fraction_bits=16, bits=17)
        start = b.axes(before, (-1, 0, 1), (STEPS, INPUTS, OUTPUTS))
        b.bind(weights, b.combine((1, start), (-1, b.before(update))))
        moved = b.axes(update, (1, 2), (INPUTS, OUTPUTS))
        b.state_after("w", b.combine((1, before), (-1, moved)), 0, fraction_bits=16, bits=17)
        return b.finish()


def normalised_inputs(lowered: Lowered, seed: int = 0) -> tuple[dict[int, np.ndarray], np.ndarray]:
    """Data, first weights, and a schedule."""
    random = np.random.default_rng(seed)
    drawn = {
        "x": random.integers(-2, 3, (ROWS, INPUTS)),
        "w": random.integers(-(1 << 15), 1 << 15, (INPUTS, OUTPUTS)),
    }
    nodes = lowered.circuit.nodes
    given = {i: drawn[nodes[i].name] for role in ("data", "before") for i in lowered.circuit.committed(role)}
    return given, random.integers(0, ROWS, (STEPS, BATCH))


def normalised_trainer(x: np.ndarray, w: np.ndarray, schedule: np.ndarray) -> np.ndarray:
    """The weights after the block, in plain Python integers and fractions, without the circuit."""

    def rounded(value: int, shift: int) -> int:
        return floor(Fraction(value, 1 << shift) + Fraction(1, 2))

    w = integers(w)
    for rows in schedule:
        change = integers(np.zeros(w.shape, int))
        for row in rows:
            values = [rounded(v, SHIFT) for v in integers(x[row]) @ w]
            variance = rounded(OUTPUTS * sum(v * v for v in values) - sum(values) ** 2, VARIANCE_SHIFT)
            root = nearest(FORMULA, variance, 2, 8)
            for place, v in enumerate(values):
                change[:, place] += integers(x[row]) * rounded((OUTPUTS * v - sum(values)) * root, OUTPUT_SHIFT)
        w = w - change
    return w
