"""The prover's half of the product argument; `statement/products.py` has the equations."""

from __future__ import annotations

from zkjax.fields.mersenne61 import K
from zkjax.statement.products import require_products
from zkjax.statement.relations import Relations
from zkjax.transcript.channel import ProverChannel


def prove_products(channel: ProverChannel, owed: Relations) -> None:
    """Mirror of `verifier.products.verify_products`."""
    channel.begin("products")
    eta = channel.challenge("product batching")
    masks = channel.reserve_pads(2 * owed.products)
    factors: list[K] = []
    cross, square, scale = K.ZERO, K.ZERO, K.ONE
    for quadratic in owed.quadratics:
        for product in quadratic.products:
            x, y = (channel.plaintext(value) for value in (product.left, product.right))
            a, b = (channel.pads[mask] for mask in masks[len(factors) : len(factors) + 2])
            cross += scale * product.weight * (x * b + y * a)
            square += scale * product.weight * a * b
            factors += [x, y]
        scale = scale * eta
    forms = channel.send_hidden("product cross terms", [cross, square])
    tau = channel.nonzero_challenge("product mask")
    opened = [factor + tau * channel.pads[mask] for factor, mask in zip(factors, masks, strict=True)]
    channel.send_public("masked factors", opened)
    require_products(owed, eta, tau, masks, opened, *forms)
