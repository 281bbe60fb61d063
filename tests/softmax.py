"""A hand-built training block with softmax cross-entropy on integer labels, small enough to attack.

One linear layer; logits of a few bits, so that no table is large. It is the chain of gadgets that the compiler
makes, apart from the compiler, with every scale written out.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import floor
from unittest.mock import patch

import numpy as np

from tests.statement.decimals import nearest
from tests.witness.naive import integers
from zkjax.circuit import builder
from zkjax.circuit.builder import CircuitBuilder
from zkjax.circuit.functions import divide, look_up, maximum, one_hot
from zkjax.circuit.program import Lowered
from zkjax.statement.circuit import Output
from zkjax.statement.tables import Table

STEPS, BATCH, ROWS, INPUTS, CLASSES = 2, 3, 7, 3, 4
WIDE, LOGIT_FRACTION, EXP_FRACTION, SHIFT, DROPPED = 64, 3, 8, 20, 16
EXP = Table("function", 1 - 2 * WIDE, 0, 0, "exp(x)", LOGIT_FRACTION, EXP_FRACTION)
# Of logits that stand for 4/3 of themselves, as after a dropout of one in four: the loss over 4/3 is z - log(sum) 3/4,
# whose logarithm is in units of 2^-7, and the loss 171/2^7 times that, in units of 2^-6.
SCALED_EXP = replace(EXP, formula="exp(4/3*x)")
SUM_FRACTION, LOG_FRACTION, FACTOR, FACTOR_SHIFT = 4, 6, 171, 8
WEIGHT_SHIFT, PENALTY_SHIFT = 10, 8
LOG = Table("function", 0, (CLASSES - 1) << SUM_FRACTION, 0, "3/2*log(1 + x)", SUM_FRACTION, LOG_FRACTION)


def softmax_block(scaled: bool = False) -> Lowered:
    """Weights at 16 fraction bits move by -x^T (softmax - one-hot), probabilities in units of 2^-12.

    The one that is `scaled` publishes its cross-entropy too, and a penalty: the squares of its weights over 64.
    """
    with patch.object(builder, "LIMB_BITS", 8):
        b = CircuitBuilder(steps=STEPS, batch=BATCH, rows=ROWS)
        x = b.rows(b.committed("x", (ROWS, INPUTS), oracle="data"))
        b.range_check(x, -2, 2, "data/x")
        label = b.rows(b.committed("label", (ROWS,), oracle="data"))
        b.range_check(label, 0, CLASSES - 1, "data/label")
        weights = b.deferred("w", (STEPS, INPUTS, CLASSES))
        logits = b.rescale(b.contract(x, weights, "tni,tio->tno"), 16 - LOGIT_FRACTION, "logits")
        b.range_check(logits, -WIDE, WIDE - 1, "logits/range")
        largest, first = maximum(b, logits, "maximum", spread=2 * WIDE - 1)
        spread = b.combine((1, logits), (-1, b.axes(largest, (0, 1, -1), b.shape(logits))))
        exponential = look_up(b, spread, SCALED_EXP if scaled else EXP, "exp")
        total = b.axes(exponential, (0, 1), (STEPS, BATCH))
        one = b.constant((STEPS, BATCH), 1)
        reciprocal = divide(b, one, total, SHIFT, "reciprocal", bits=13, divisor_bits=EXP_FRACTION + 2)
        product = b.contract(exponential, reciprocal, "tno,tn->tno")
        hot = one_hot(b, label, CLASSES, "label")
        right = b.axes(b.contract(first, hot, "tnc,tnc->tn"), (0,), (STEPS,))
        missed = b.combine((1, largest), (-1, b.contract(hot, logits, "tnc,tnc->tn")))
        b.outputs += [Output("right", right, 0), Output("margin", b.axes(missed, (0,), (STEPS,)), LOGIT_FRACTION)]
        if scaled:
            b.outputs.append(Output("loss", _loss(b, missed, total), 6))
            b.outputs.append(Output("penalty", _penalty(b, weights), 10))
        exact = b.combine((1, product), (-(1 << SHIFT), hot))
        gradient = b.rescale(exact, DROPPED - 8, "gradient")
        b.signed_range(gradient, 13, "gradient")
        update = b.contract(x, gradient, "tni,tno->tio")
        before = b.state_before("w", (INPUTS, CLASSES), fraction_bits=16, bits=17)
        start = b.axes(before, (-1, 0, 1), (STEPS, INPUTS, CLASSES))
        b.bind(weights, b.combine((1, start), (-1, b.before(update))))
        b.state_after(
            "w",
            b.combine((1, before), (-1, b.axes(update, (1, 2), (INPUTS, CLASSES)))),
            0,
            fraction_bits=16,
            bits=17,
        )
        return b.finish()


def _loss(b: CircuitBuilder, missed: int, total: int) -> int:
    """The sum over the batch of 4/3 (m - z) + log(total)."""
    shape = (STEPS, BATCH)
    beyond = b.combine((1, total), (-1, b.constant(shape, 1 << EXP_FRACTION)))
    argument = b.rescale(beyond, EXP_FRACTION - SUM_FRACTION, "log_sum/argument")
    logarithm = look_up(b, argument, LOG, "log_sum")
    each = b.combine((1 << (LOG_FRACTION + 1 - LOGIT_FRACTION), missed), (1, logarithm))
    loss = b.rescale(b.combine((FACTOR, b.axes(each, (0,), (STEPS,)))), FACTOR_SHIFT, "output/loss")
    b.signed_range(loss, 15, "output/loss")
    return loss


def _penalty(b: CircuitBuilder, weights: int) -> int:
    """The sum of the squares of the weights before each step, rounded to 6 fraction bits, over 64."""
    rounded = b.rescale(weights, WEIGHT_SHIFT, "w/reported")
    b.signed_range(rounded, 8, "w/reported")
    squares = b.contract(rounded, rounded, "tio,tio->t")
    penalty = b.rescale(squares, PENALTY_SHIFT, "output/penalty")
    b.signed_range(penalty, 15, "output/penalty")
    return penalty


def softmax_inputs(lowered: Lowered, seed: int = 0) -> tuple[dict[int, np.ndarray], np.ndarray]:
    """Data, first weights, and a schedule."""
    random = np.random.default_rng(seed)
    drawn = {
        "x": random.integers(-2, 3, (ROWS, INPUTS)),
        "label": random.integers(0, CLASSES, ROWS),
        "w": random.integers(-(1 << 16), 1 << 16, (INPUTS, CLASSES)),
    }
    nodes = lowered.circuit.nodes
    given = {i: drawn[nodes[i].name] for role in ("data", "before") for i in lowered.circuit.committed(role)}
    return given, random.integers(0, ROWS, (STEPS, BATCH))


def softmax_trainer(x: np.ndarray, label: np.ndarray, w: np.ndarray, schedule: np.ndarray) -> np.ndarray:
    """The weights after the block, in plain Python integers and Python's own fractions, without the circuit."""
    w = integers(w)
    for rows in schedule:
        change = integers(np.zeros(w.shape, int))
        for row in rows:
            products = integers(x[row]) @ w
            logits = [floor(Fraction(v, 1 << (16 - LOGIT_FRACTION)) + Fraction(1, 2)) for v in products]
            powers = [nearest("exp(x)", z - max(logits), LOGIT_FRACTION, EXP_FRACTION) for z in logits]
            reciprocal = floor(Fraction(1 << SHIFT, sum(powers)) + Fraction(1, 2))
            for c, power in enumerate(powers):
                exact = power * reciprocal - (1 << SHIFT) * (c == label[row])
                gradient = floor(Fraction(exact, 1 << (DROPPED - 8)) + Fraction(1, 2))
                change[:, c] += integers(x[row]) * gradient
        w = w - change
    return w
