"""The final opening: one linear claim about everything committed.

What is left of a proof is `sum of <w, tensors> = balance` and a list of hidden values that must
vanish, all linear in the committed symbols H and in the pads. With two base-field tensors packed in
a symbol the claim has the form <P, H> + conj<Q, H> = T; one split makes it K-linear; an encrypted
sumcheck reduces it to H at a point; masked row combinations of the committed matrix show that value
without revealing it. docs/protocol.md has the equations, docs/soundness.md the simulator.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zkjax.errors import VerificationError
from zkjax.fields.mersenne61 import K
from zkjax.fields.vectors import Ext, equality_weights, ext_add, ext_scale, inner, matrix_vector, transform
from zkjax.statement.claims import ClaimSet
from zkjax.statement.opening import batch, committed_terms, pad_form, weight_at
from zkjax.statement.parameters import COMBINATION_GRINDING_BITS, OPENING_GRINDING_BITS
from zkjax.statement.plan import Plan
from zkjax.statement.relations import Relations, product_sumcheck_claim
from zkjax.transcript.channel import VerifierChannel
from zkjax.verifier.merkle import receive_columns


class ConsistencyError(VerificationError):
    """The masked combinations contradict the linear claim."""


class ProximityError(VerificationError):
    """The masked combination is not that of the committed rows at an opened column."""


class PadProximityError(VerificationError):
    """The masked combination of pads is not that of the committed pads at an opened column."""


def verify_opening(channel: VerifierChannel, plan: Plan, roots: list[bytes], claims: ClaimSet, owed: Relations) -> None:
    """Accept iff the committed matrix and pads satisfy every claim; raises otherwise."""
    channel.begin("opening")
    balance, mask_weight = batch(channel.challenge("opening batching"), claims, owed)
    (conjugate_sum,) = channel.receive_public("opening split", 1)
    split = channel.challenge("opening split")
    claim = balance - conjugate_sum.conjugate() + split * conjugate_sum
    point: list[K] = []
    for variable in range(plan.layout.variables):
        coefficients = channel.receive_hidden("opening round", 2)
        if variable < plan.layout.row_variables:
            channel.work("opening round", COMBINATION_GRINDING_BITS)
        challenge = channel.challenge("opening round")
        claim = product_sumcheck_claim(claim, coefficients, challenge)
        point.append(challenge)
    weight = weight_at(plan.layout, committed_terms(plan.layout, claims), mask_weight, split, point)
    pad_weights, target = pad_form(claim, plan.pads)
    rows, columns = point[: plan.layout.row_variables], point[plan.layout.row_variables :]

    (masked_value,) = channel.receive_public("opening mask", 1)
    channel.work("opening combination", COMBINATION_GRINDING_BITS)
    zeta = channel.challenge("opening combination")
    combination = Ext.from_list(channel.receive_public("row combination", plan.code.dimension))
    pad_combination = Ext.from_list(channel.receive_public("pad combination", plan.pads + plan.code.mask_symbols))
    value = weight * inner(equality_weights(columns), combination[: plan.code.message])
    value += inner(pad_weights, pad_combination[: plan.pads])
    if value != masked_value + zeta * target:
        raise ConsistencyError("the row combination does not match the claim")
    channel.work("opening", OPENING_GRINDING_BITS)
    positions = channel.transcript.indices("opening columns", plan.code.queries, plan.code.log_length)
    channel.begin("columns")
    opened = receive_columns(channel, plan, roots, positions)
    row_weights = equality_weights(rows)
    combined = opened.mask
    for oracle, symbols in zip(plan.layout.oracles, opened.rows, strict=True):
        part = row_weights[oracle.first_row : oracle.first_row + oracle.rows]
        combined = ext_add(combined, ext_scale(matrix_vector(symbols, part), zeta))
    pads = ext_add(opened.pad_mask, ext_scale(opened.pads, zeta))
    unlike = _differing(transform(combination, plan.code.log_length)[opened.positions], combined)
    if unlike.size:
        raise ProximityError(f"row combination differs at column {opened.positions[unlike[0]]}")
    unlike = _differing(transform(pad_combination, plan.code.log_length)[opened.positions], pads)
    if unlike.size:
        raise PadProximityError(f"pad combination differs at column {opened.positions[unlike[0]]}")


def _differing(a: Ext, b: Ext) -> NDArray[np.intp]:
    return np.flatnonzero((a.re != b.re) | (a.im != b.im))
