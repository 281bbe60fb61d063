"""LogUp-GKR: all lookups of a block in one argument.

The argument, its relations and its claims are those of `statement.lookup`. Here is its course: roots,
then one sumcheck per layer for all classes side by side, then claims on the tensors looked up. Every
value arrives encrypted, so nothing is checked here: the relations are recorded.
"""

from __future__ import annotations

from zkjax.fields.mersenne61 import K
from zkjax.statement.claims import ClaimSet
from zkjax.statement.lookup import (
    Fraction,
    claim_leaves,
    halves_joined,
    layer_claim,
    layer_relation,
    layer_weights,
    require_zero_sum,
)
from zkjax.statement.plan import Plan
from zkjax.statement.relations import Relations, weighted_sumcheck_claim
from zkjax.transcript.channel import VerifierChannel
from zkjax.transcript.hidden import Hidden


def verify_lookups(channel: VerifierChannel, plan: Plan, alpha: K, beta: K, claims: ClaimSet, owed: Relations) -> None:
    """Reduce the lookup argument to claims on committed and virtual tensors.

    Soundness: alpha and beta are drawn after every commitment; the caller discharges `owed` and
    `claims`.
    """
    channel.begin("lookups")
    roots = _receive_roots(channel, plan, owed)
    leaves = _reduce_layers(channel, plan, roots, owed)
    weight = channel.challenge("lookup claims")
    scale = K.ONE
    for cls, (point, numerator, denominator) in zip(plan.classes, leaves, strict=True):
        claim_leaves(plan, cls, point, (numerator, denominator), (alpha, beta), (scale, scale * weight), claims)
        scale = scale * weight * weight


def _receive_roots(channel: VerifierChannel, plan: Plan, owed: Relations) -> list[Fraction]:
    roots = []
    for _ in plan.classes:
        numerator, denominator = channel.receive_hidden("lookup root", 2)
        roots.append((numerator, denominator))
    partial_sums = [channel.receive_hidden("lookup partial sum", 2) for _ in roots[1:]]
    (inverse,) = channel.receive_hidden("lookup inverse", 1)
    require_zero_sum(roots, [(p, q) for p, q in partial_sums], inverse, owed)
    return roots


def _reduce_layers(
    channel: VerifierChannel, plan: Plan, roots: list[Fraction], owed: Relations
) -> list[tuple[list[K], Hidden, Hidden]]:
    """Walk from the roots to the leaves; per class the leaf point and the claims on p and q there."""
    current = dict(enumerate(roots))
    leaves: dict[int, tuple[list[K], Hidden, Hidden]] = {}
    point: list[K] = []
    for layer in range(max(cls.depth for cls in plan.classes)):
        for index in [index for index in current if plan.classes[index].depth == layer]:
            leaves[index] = (point, *current.pop(index))
        batching = channel.challenge("lookup layer")
        weights = layer_weights(batching, list(current))
        claim = layer_claim(weights, current)
        challenges: list[K] = []
        for coordinate in point:
            coefficients = channel.receive_hidden("lookup round", 2)
            challenge = channel.challenge("lookup round")
            claim = weighted_sumcheck_claim(claim, coefficients, coordinate, challenge)
            challenges.append(challenge)
        children = {index: channel.receive_hidden("lookup children", 4) for index in current}
        owed.quadratics.append(layer_relation(weights, children, claim))
        half = channel.challenge("lookup half")
        current = {index: halves_joined(values, half) for index, values in children.items()}
        point = [half, *challenges]
    leaves |= {index: (point, *fraction) for index, fraction in current.items()}
    return [leaves[index] for index in range(len(plan.classes))]
