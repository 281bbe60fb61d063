"""The verifier's half of the product argument; `statement/products.py` has the equations."""

from __future__ import annotations

from zkjax.statement.products import require_products
from zkjax.statement.relations import Relations
from zkjax.transcript.channel import VerifierChannel


def verify_products(channel: VerifierChannel, owed: Relations) -> None:
    """Turn all quadratic relations into linear ones (`owed.zeros`).

    Soundness: error (number of relations + 2)/|K|; every factor and result was fixed before eta.
    """
    channel.begin("products")
    eta = channel.challenge("product batching")
    masks = channel.reserve_pads(2 * owed.products)
    cross, square = channel.receive_hidden("product cross terms", 2)
    tau = channel.nonzero_challenge("product mask")
    opened = channel.receive_public("masked factors", len(masks))
    require_products(owed, eta, tau, masks, opened, cross, square)
