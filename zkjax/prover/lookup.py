"""The prover's half of LogUp-GKR: all lookups of a block in one argument.

The argument is described in `statement.lookup`, its course in `verifier.lookup`, which this mirrors
message by message. Plain values and their encrypted forms are carried side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from zkjax.compute.backend import DEFAULT, Backend
from zkjax.compute.forest import Forest
from zkjax.compute.leaves import Column, Columns
from zkjax.fields.mersenne61 import K
from zkjax.statement.claims import ClaimSet
from zkjax.statement.layout import axis_bits
from zkjax.statement.lookup import (
    Fraction,
    claim_leaves,
    halves_joined,
    layer_claim,
    layer_relation,
    layer_weights,
    require_zero_sum,
)
from zkjax.statement.plan import LookupClass, Plan
from zkjax.statement.relations import Relations, weighted_sumcheck_claim
from zkjax.transcript.channel import ProverChannel

Plain = tuple[K, K]


def prove_lookups(
    channel: ProverChannel,
    plan: Plan,
    alpha: K,
    beta: K,
    values: Mapping[int, np.ndarray],
    multiplicities: Sequence[np.ndarray],
    claims: ClaimSet,
    owed: Relations,
    backend: Backend = DEFAULT,
) -> None:
    """Mirror of `verifier.lookup.verify_lookups`; call under a scoped x64 mode.

    `values` maps every node that a lookup names to a signed integer array of the node's shape,
    `multiplicities` are int64 arrays [2**table.bits]. Wrong ones are proved like right ones, and
    the proof fails. Raises ZeroDivisionError if a denominator or a challenge that is divided by
    vanishes, which has probability below 2^-90.
    """
    channel.begin("lookups")
    forest = backend.forest([class_columns(plan, cls, alpha, beta, values, multiplicities) for cls in plan.classes])
    plain = forest.roots()
    roots = _send_roots(channel, plain, owed)
    leaves = _reduce_layers(channel, plan, forest, plain, roots, owed)
    weight = channel.challenge("lookup claims")
    scale = K.ONE
    for cls, (point, numerator, denominator) in zip(plan.classes, leaves, strict=True):
        claim_leaves(plan, cls, point, (numerator, denominator), (alpha, beta), (scale, scale * weight), claims)
        scale = scale * weight * weight


def class_columns(
    plan: Plan,
    cls: LookupClass,
    alpha: K,
    beta: K,
    values: Mapping[int, np.ndarray],
    multiplicities: Sequence[np.ndarray],
) -> Columns:
    """The leaves of a class: lookups, then tables; see `statement.plan.LookupClass`."""

    def column(node: int) -> np.ndarray | None:
        return padded(values[node], cls.row_bits) if node >= 0 else None

    columns = []
    for index in cls.lookups:
        lookup = plan.circuit.lookups[index]
        coordinates = (column(lookup.re), column(lookup.im), column(lookup.second))
        columns.append(Column(1, alpha - beta * (lookup.table + 1), *coordinates))
    for index in cls.tables:
        re, im, second = (padded(row, cls.row_bits) for row in plan.circuit.tables[index].rows())
        counts = padded(multiplicities[index], cls.row_bits)
        columns.append(Column(0, alpha - beta * (index + 1), re, im, second, counts))
    return Columns(tuple(columns), cls.row_bits, cls.column_bits, beta * beta)


def padded(values: np.ndarray, bits: int) -> np.ndarray:
    """Row-major [2**bits]: every axis padded to a power of two, then zeros; a view where nothing is padded."""
    shape = tuple(1 << axis_bits(size) for size in values.shape)
    if values.shape == shape and values.size == 1 << bits:
        return values.reshape(-1)
    flat = np.zeros(1 << bits, values.dtype)
    flat[: prod(shape)].reshape(shape)[tuple(slice(size) for size in values.shape)] = values
    return flat


def _send_roots(channel: ProverChannel, plain: list[Plain], owed: Relations) -> list[Fraction]:
    roots: list[Fraction] = []
    for root in plain:
        numerator, denominator = channel.send_hidden("lookup root", root)
        roots.append((numerator, denominator))
    sums: list[Fraction] = []
    p, q = plain[0]
    for next_p, next_q in plain[1:]:
        p, q = p * next_q + next_p * q, q * next_q
        numerator, denominator = channel.send_hidden("lookup partial sum", [p, q])
        sums.append((numerator, denominator))
    (inverse,) = channel.send_hidden("lookup inverse", [q.inverse()])
    require_zero_sum(roots, sums, inverse, owed)
    return roots


def _reduce_layers(
    channel: ProverChannel,
    plan: Plan,
    forest: Forest,
    plain_roots: list[Plain],
    roots: list[Fraction],
    owed: Relations,
) -> list[tuple[list[K], *Fraction]]:
    """Walk from the roots to the leaves; per class the leaf point and the claims on p and q there."""
    current, plain = dict(enumerate(roots)), dict(enumerate(plain_roots))
    leaves = {}
    point: list[K] = []
    for layer in range(max(cls.depth for cls in plan.classes)):
        for index in [index for index in current if plan.classes[index].depth == layer]:
            leaves[index] = (point, *current.pop(index))
            del plain[index]
        batching = channel.challenge("lookup layer")
        weights = layer_weights(batching, list(current))
        claim = layer_claim(weights, current)
        plain_claim = sum((plain[j][0] * weights[j][0] + plain[j][1] * weights[j][1] for j in plain), K.ZERO)
        rounds = forest.layer(layer, point, batching, {index: weights[index][0] for index in current})
        challenges: list[K] = []
        for coordinate in point:
            constant, square = rounds.sums()
            # (1 - c) g(0) + c g(1) = claim, where c is the coordinate.
            linear = (plain_claim - constant) / coordinate - square
            coefficients = channel.send_hidden("lookup round", [linear, square])
            challenge = channel.challenge("lookup round")
            claim = weighted_sumcheck_claim(claim, coefficients, coordinate, challenge)
            plain_claim = constant + challenge * (linear + challenge * square)
            rounds.fold(challenge)
            challenges.append(challenge)
        values = rounds.children()
        children = {index: channel.send_hidden("lookup children", values[index]) for index in current}
        owed.quadratics.append(layer_relation(weights, children, claim))
        half = channel.challenge("lookup half")
        current = {index: halves_joined(forms, half) for index, forms in children.items()}
        plain = {index: (p0 + (p1 - p0) * half, q0 + (q1 - q0) * half) for index, (p0, p1, q0, q1) in values.items()}
        point = [half, *challenges]
    leaves |= {index: (point, *fraction) for index, fraction in current.items()}
    return [leaves[index] for index in range(len(plan.classes))]
