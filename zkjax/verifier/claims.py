"""The way of claims back to committed tensors: one batched product sumcheck per phase.

FAC4DNN: all contractions of a phase, over all layers and steps, are reduced side by side under
shared challenges. An instance with fewer variables is extended by zero in the leading ones.
"""

from __future__ import annotations

from zkjax.fields.mersenne61 import K
from zkjax.statement.claims import ClaimSet
from zkjax.statement.phases import claim_factors, final_relation
from zkjax.statement.plan import Phase, Plan
from zkjax.statement.relations import Relations, product_sumcheck_claim
from zkjax.transcript.channel import VerifierChannel
from zkjax.transcript.hidden import Hidden


def verify_claims(channel: VerifierChannel, plan: Plan, claims: ClaimSet, owed: Relations) -> None:
    """Rewrite every claim on a virtual tensor until only committed tensors are left."""
    channel.begin("claims")
    claims.rewrite_linear(plan.levels, 0)
    for phase in plan.phases:
        instances = claims.instances(phase.nodes)
        (total,) = channel.receive_hidden("phase total", 1)
        claims.balance = claims.balance - total
        point, claim = _receive_rounds(channel, phase, total)
        values = [channel.receive_hidden("phase factors", 2) for _ in instances]
        owed.quadratics.append(final_relation(instances, values, point, claim))
        batching = channel.challenge("phase claims")
        claim_factors(instances, values, point, batching, claims)
        claims.rewrite_linear(plan.levels, plan.levels[phase.nodes[0]])


def _receive_rounds(channel: VerifierChannel, phase: Phase, claim: Hidden) -> tuple[list[K], Hidden]:
    point: list[K] = []
    for _ in range(phase.variables):
        coefficients = channel.receive_hidden("phase round", 2)
        challenge = channel.challenge("phase round")
        claim = product_sumcheck_claim(claim, coefficients, challenge)
        point.append(challenge)
    return point, claim
