"""Public mathematics of the final opening, the same for prover and verifier.

The committed symbols H, the address space of `layout`, and the pads satisfy

    <P, H> + conj<Q, H> = claims.balance,        every zero = 0,        Im mu0 + i Im mu1 = 0

with mu0, mu1 the two mask symbols. A tensor of claim weights w in the real lane contributes w/2 to
P and conj(w)/2 to Q; in the imaginary lane both are multiplied by -i. docs/protocol.md has the
derivation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from zkjax.errors import VerificationError
from zkjax.fields.mersenne61 import K
from zkjax.fields.vectors import Ext, evaluate_multilinear
from zkjax.statement.claims import ClaimSet, Term
from zkjax.statement.layout import IMAGINARY, Block, Layout
from zkjax.statement.relations import HALF, Relations
from zkjax.transcript.hidden import Hidden


class OpenEndError(VerificationError):
    """A claim would not be opened: on a virtual tensor, or with a pad that is not committed.

    No statement or proof can cause it; it would be an error of the plan.
    """


def batch(gamma: K, claims: ClaimSet, owed: Relations) -> tuple[Hidden, K]:
    """Add every zero to the balance under powers of gamma; weight of the equation on the masks."""
    if owed.quadratics:
        raise OpenEndError("quadratic relations are left over", expected=0, got=len(owed.quadratics))
    balance, scale = claims.balance, gamma
    for zero in owed.zeros:
        balance = balance + zero * scale
        scale = scale * gamma
    return balance, scale


def committed_terms(layout: Layout, claims: ClaimSet) -> dict[int, list[Term]]:
    """All terms by node, merged. Raises OpenEndError if one lies on a tensor that is not committed."""
    terms = claims.merge_committed()
    known = {block.node for oracle in layout.oracles for block in oracle.blocks}
    if not terms.keys() <= known:
        raise OpenEndError("claims on tensors without commitment", got=sorted(terms.keys() - known))
    return terms


def pad_form(claim: Hidden, pads: int) -> tuple[Ext, K]:
    """(U, T): the claim w H(point) = claim, written as w H(point) + <U, pads> = T."""
    constant, coefficients = claim.linear_form()
    if coefficients and not 0 <= min(coefficients) <= max(coefficients) < pads:
        raise OpenEndError("pads without commitment", expected=f"< {pads}", got=max(coefficients))
    return Ext.from_list([-coefficients.get(pad, K.ZERO) for pad in range(pads)]), constant


def mask_weights(mask_weight: K) -> tuple[K, K]:
    """Claim weights of Im mu0 and Im mu1, as of two tensors in the imaginary lane."""
    return mask_weight, mask_weight * K.I


def weight_at(layout: Layout, terms: dict[int, list[Term]], mask_weight: K, split: K, point: list[K]) -> K:
    """Multilinear extension at `point` of W = P + split * Q."""
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
    oracle = layout.oracle("advice")
    offset = (oracle.first_row << layout.log_message) + oracle.masks
    value = K.ZERO
    for position, weight in enumerate(mask_weights(mask_weight)):
        value += _selector(offset + position, 0, point) * (weight + split * weight.conjugate())
    return value * -K.I * HALF


def _selector(offset: int, bits: int, point: list[K]) -> K:
    """Equality weight of the leading bits of an aligned block at `offset`."""
    leading = len(point) - bits
    value = K.ONE
    for index in range(leading):
        bit = (offset >> (len(point) - 1 - index)) & 1
        value = value * (point[index] if bit else 1 - point[index])
    return value
