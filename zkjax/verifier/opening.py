"""The final opening: one linear claim about everything committed.

What is left of a proof is `sum of <w, tensors> = balance` and a list of hidden values that must
vanish, all linear in the committed symbols H and in the pads. With two base-field tensors packed in
a symbol the claim has the form <P, H> + conj<Q, H> = T; one split makes it K-linear; an encrypted
sumcheck reduces it to H at a point; masked row combinations of the committed matrix show that value
without revealing it. docs/protocol.md has the equations, docs/soundness.md the simulator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from zkjax.errors import VerificationError
from zkjax.fields.mersenne61 import K
from zkjax.fields.vectors import Ext, equality_weights, evaluate_multilinear, inner, transform
from zkjax.statement.claims import ClaimSet, Term
from zkjax.statement.layout import IMAGINARY, Block, Layout
from zkjax.statement.parameters import OPENING_GRINDING_BITS
from zkjax.statement.plan import Plan
from zkjax.statement.relations import HALF, Relations, product_sumcheck_claim
from zkjax.transcript.channel import VerifierChannel
from zkjax.transcript.hidden import Hidden
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
    for _ in range(plan.layout.variables):
        coefficients = channel.receive_hidden("opening round", 2)
        challenge = channel.challenge("opening round")
        claim = product_sumcheck_claim(claim, coefficients, challenge)
        point.append(challenge)
    weight = weight_at(plan.layout, claims.merge_committed(), mask_weight, split, point)
    pad_weights, target = pad_form(claim, plan.pads)
    rows, columns = point[: plan.layout.row_variables], point[plan.layout.row_variables :]

    (masked_value,) = channel.receive_public("opening mask", 1)
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
    codeword = transform(combination, plan.code.log_length)
    pad_codeword = transform(pad_combination, plan.code.log_length)
    for position, column in opened.items():
        combined = column.mask
        for oracle, symbols in zip(plan.layout.oracles, column.rows, strict=True):
            part = row_weights[oracle.first_row : oracle.first_row + oracle.rows]
            combined += zeta * inner(part, symbols)
        if codeword[position].item() != combined:
            raise ProximityError(f"row combination differs at column {position}")
        if pad_codeword[position].item() != column.pad_mask + zeta * column.pads:
            raise PadProximityError(f"pad combination differs at column {position}")


def batch(gamma: K, claims: ClaimSet, owed: Relations) -> tuple[Hidden, K]:
    """Add every zero to the balance under powers of gamma; weight of the equation on the masks."""
    balance, scale = claims.balance, gamma
    for zero in owed.zeros:
        balance = balance + zero * scale
        scale = scale * gamma
    return balance, scale


def pad_form(claim: Hidden, pads: int) -> tuple[Ext, K]:
    """(U, T): the claim w H(point) = claim, written as w H(point) + <U, pads> = T."""
    constant, coefficients = claim.linear_form()
    return Ext.from_list([-coefficients.get(pad, K.ZERO) for pad in range(pads)]), constant


def weight_at(layout: Layout, terms: dict[int, list[Term]], mask_weight: K, split: K, point: list[K]) -> K:
    """Multilinear extension at `point` of W = P + split * Q.

    A tensor of weights w in the real lane has P = w/2, Q = conj(w)/2; in the imaginary lane both
    are multiplied by -i.
    """
    total = K.ZERO
    extensions: dict[tuple[int, tuple[K, ...]], K] = {}

    def extension(vector: Ext, at: Sequence[K]) -> K:
        key = (id(vector), tuple(at))
        if key not in extensions:
            extensions[key] = evaluate_multilinear(vector, at)
        return extensions[key]

    for oracle in layout.oracles:
        for block in oracle.blocks:
            offset = (oracle.first_row << layout.log_message) + block.offset
            place = _selector(offset, block.bits, point)
            if place and terms.get(block.node):
                value = _block_value(block, terms[block.node], split, point, extension)
                total += place * value * (-K.I if block.lane == IMAGINARY else K.ONE)
    return total + _mask_value(layout, mask_weight, split, point)


def _block_value(
    block: Block, terms: list[Term], split: K, point: list[K], extension: Callable[[Ext, Sequence[K]], K]
) -> K:
    own = point[len(point) - block.bits :]
    conjugated = [r.conjugate() for r in own]
    value = K.ZERO
    for term in terms:
        direct, mirrored = term.coefficient, term.coefficient
        start = 0
        for size, vector in zip(block.shape, term.vectors, strict=True):
            bits = (size - 1).bit_length()
            direct = direct * extension(vector, own[start : start + bits])
            mirrored = mirrored * extension(vector, conjugated[start : start + bits])
            start += bits
        value += (direct + split * mirrored.conjugate()) * HALF
    return value


def _mask_value(layout: Layout, mask_weight: K, split: K, point: list[K]) -> K:
    """The equation Im mu0 + i Im mu1 = 0, times mask_weight, on the two mask symbols."""
    oracle = layout.oracle("advice")
    offset = (oracle.first_row << layout.log_message) + oracle.masks
    first, second = (_selector(offset + j, 0, point) for j in range(2))
    direct, mirrored = mask_weight, split * mask_weight.conjugate()
    return (second * (direct - mirrored) - first * K.I * (direct + mirrored)) * HALF


def _selector(offset: int, bits: int, point: list[K]) -> K:
    """Equality weight of the leading bits of an aligned block at `offset`."""
    leading = len(point) - bits
    value = K.ONE
    for index in range(leading):
        bit = (offset >> (len(point) - 1 - index)) & 1
        value = value * (point[index] if bit else 1 - point[index])
    return value
