"""A hand-built training block with public tensors: inputs less a public mean, and a mask for every step.

One linear layer that is trained to give zero, with dropout on its output: in every step the gradient reaches only
what the mask of that step lets through.
"""

from __future__ import annotations

from unittest.mock import patch

import numpy as np

from tests.witness.naive import integers
from zkjax.circuit import builder
from zkjax.circuit.builder import CircuitBuilder
from zkjax.circuit.program import Lowered

STEPS, BATCH, ROWS, INPUTS, OUTPUTS = 2, 3, 7, 3, 4
SHIFT, BITS = 10, 10


def mask(seed: int = 0) -> np.ndarray:
    """Bits [steps, batch, outputs]."""
    return np.random.default_rng(seed).integers(0, 2, (STEPS, BATCH, OUTPUTS))


def mean() -> np.ndarray:
    return np.array([-3, 1, 2])


def masked_block(seed: int = 0) -> Lowered:
    """Weights at 16 fraction bits move by -(x - mean)^T (mask * output), outputs rounded to 6 bits."""
    with patch.object(builder, "LIMB_BITS", 8):
        b = CircuitBuilder(steps=STEPS, batch=BATCH, rows=ROWS)
        x = b.rows(b.committed("x", (ROWS, INPUTS), oracle="data"))
        b.range_check(x, -2, 2, "data/x")
        centre = b.axes(b.public(mean()), (-1, -1, 0), (STEPS, BATCH, INPUTS))
        centred = b.combine((1, x), (-1, centre))
        weights = b.deferred("w", (STEPS, INPUTS, OUTPUTS))
        output = b.rescale(b.contract(centred, weights, "tni,tio->tno"), SHIFT, "output")
        b.signed_range(output, BITS, "output")
        kept = b.contract(output, b.public(mask(seed)), "tno,tno->tno")
        update = b.contract(centred, kept, "tni,tno->tio")
        before = b.state_before("w", (INPUTS, OUTPUTS), fraction_bits=16, bits=17)
        start = b.axes(before, (-1, 0, 1), (STEPS, INPUTS, OUTPUTS))
        b.bind(weights, b.combine((1, start), (-1, b.before(update))))
        total = b.axes(update, (1, 2), (INPUTS, OUTPUTS))
        b.state_after("w", b.combine((1, before), (-1, total)), 0, fraction_bits=16, bits=17)
        return b.finish()


def masked_inputs(lowered: Lowered, seed: int = 0) -> tuple[dict[int, np.ndarray], np.ndarray]:
    """Data, first weights, and a schedule."""
    random = np.random.default_rng(seed)
    drawn = {
        "x": random.integers(-2, 3, (ROWS, INPUTS)),
        "w": random.integers(-(1 << 16), 1 << 16, (INPUTS, OUTPUTS)),
    }
    nodes = lowered.circuit.nodes
    given = {i: drawn[nodes[i].name] for role in ("data", "before") for i in lowered.circuit.committed(role)}
    return given, random.integers(0, ROWS, (STEPS, BATCH))


def masked_trainer(x: np.ndarray, w: np.ndarray, schedule: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """The weights after the block, in plain Python integers."""
    w = integers(w)
    for rows, bits in zip(schedule, masks, strict=True):
        centred = integers(x[rows] - mean())
        output = (centred @ w + (1 << (SHIFT - 1))) // (1 << SHIFT)
        w = w - centred.T @ (output * bits)
    return w
