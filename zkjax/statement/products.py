"""The equations of the argument for products of two hidden values.

Each factor x gets a committed pad a of its own and is sent as X = x + tau*a after the challenge tau;
the cross terms m = sum of eta^k w (x b + y a) and n = sum of eta^k w a b, batched over the relations
by a challenge eta drawn before, are sent encrypted before tau. Then

    sum of eta^k w X Y  =  sum of eta^k result + tau*m + tau^2*n,

which is linear in hidden values and holds identically in tau iff every relation does, up to the
error of eta.
"""

from __future__ import annotations

from zkjax.fields.mersenne61 import K
from zkjax.statement.relations import Relations
from zkjax.transcript.hidden import Hidden


def require_products(
    owed: Relations, eta: K, tau: K, masks: list[int], opened: list[K], cross: Hidden, square: Hidden
) -> None:
    """Replace the quadratic relations of `owed` by linear ones.

    `masks` numbers the pads and `opened` holds the masked values X, Y of each product in order.
    """
    total, results, scale, position = K.ZERO, Hidden.known(0), K.ONE, 0
    for quadratic in owed.quadratics:
        for product in quadratic.products:
            for factor, place in ((product.left, position), (product.right, position + 1)):
                owed.zeros.append(factor + Hidden.of_pad(masks[place]) * tau - opened[place])
            total += scale * product.weight * opened[position] * opened[position + 1]
            position += 2
        results = results + quadratic.result * scale
        scale = scale * eta
    owed.zeros.append(results + cross * tau + square * (tau * tau) - total)
    owed.quadratics.clear()
