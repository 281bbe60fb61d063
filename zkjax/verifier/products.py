"""One argument for all products of two hidden values.

Each factor x gets a committed pad a of its own and is sent as X = x + tau*a after the challenge tau;
the cross terms m = sum of x b + y a and n = sum of a b, batched over the relations by a challenge
eta drawn before, are sent encrypted before tau. Then

    sum of eta^k w X Y  =  sum of eta^k result + tau*m + tau^2*n,

which is linear in hidden values, holds identically in tau iff every relation does.
"""

from __future__ import annotations

from zkjax.fields.mersenne61 import K
from zkjax.statement.relations import Relations
from zkjax.transcript.channel import VerifierChannel
from zkjax.transcript.hidden import Hidden


def verify_products(channel: VerifierChannel, owed: Relations) -> None:
    """Turn all quadratic relations into linear ones (`owed.zeros`).

    Soundness: error (number of relations + 2)/|K|; every factor and result was fixed before eta.
    """
    channel.begin("products")
    eta = channel.challenge("product batching")
    masks = [(channel.reserve_pads(1)[0], channel.reserve_pads(1)[0]) for _ in range(owed.products)]
    cross, square = channel.receive_hidden("product cross terms", 2)
    tau = channel.nonzero_challenge("product mask")
    opened = channel.receive_public("masked factors", 2 * owed.products)
    require_products(owed, eta, tau, masks, opened, cross, square)


def require_products(
    owed: Relations, eta: K, tau: K, masks: list[tuple[int, int]], opened: list[K], cross: Hidden, square: Hidden
) -> None:
    """Record the linear equations of the argument; `opened` holds X, Y of each product in order."""
    total, results, scale, position = K.ZERO, Hidden.known(0), K.ONE, 0
    for quadratic in owed.quadratics:
        for product in quadratic.products:
            left, right = opened[2 * position : 2 * position + 2]
            mask_left, mask_right = masks[position]
            owed.zeros.append(product.left + Hidden.of_pad(mask_left) * tau - left)
            owed.zeros.append(product.right + Hidden.of_pad(mask_right) * tau - right)
            total += scale * product.weight * left * right
            position += 1
        results = results + quadratic.result * scale
        scale = scale * eta
    owed.zeros.append(results + cross * tau + square * (tau * tau) - total)
    owed.quadratics.clear()
