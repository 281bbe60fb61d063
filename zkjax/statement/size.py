"""How long a proof is, from its plan alone.

Every message has a length that the plan fixes, but for the opened columns: positions that are drawn twice are opened
once, and how many siblings a multi-proof needs depends on where they fall. Of these the expected number counts.
"""

from __future__ import annotations

from zkjax.statement.layout import EXTRA_ADVICE_ROWS
from zkjax.statement.parameters import DIGEST_BYTES, ELEMENT_BYTES, SALT_BYTES
from zkjax.statement.plan import Plan
from zkjax.transcript.channel import NONCE_BYTES


def message_bytes(plan: Plan) -> int:
    """Exact length of everything before the columns: root, hidden values, factors of products, combinations, nonces."""
    code, layout = plan.code, plan.layout
    nonces = 3 + layout.row_variables
    public = 2 + code.dimension + plan.pads + code.mask_symbols
    return DIGEST_BYTES + NONCE_BYTES * nonces + ELEMENT_BYTES * (plan.pads + public)


def column_bytes(plan: Plan) -> float:
    """Expected length of the opened columns with the siblings that authenticate them."""
    code, layout = plan.code, plan.layout

    def missed(count: int, nodes: int) -> float:
        """The chance that no query falls under any of `nodes` of `count` nodes of a level."""
        return (1 - nodes / count) ** code.queries

    distinct = code.length * (1 - missed(code.length, 1))
    levels = [code.length >> level for level in range(code.log_length)]
    siblings = sum(count * (missed(count, 1) - missed(count, 2)) for count in levels)
    height = sum(oracle.rows for oracle in layout.oracles) + EXTRA_ADVICE_ROWS
    oracles = len(layout.oracles)
    return distinct * (oracles * SALT_BYTES + height * ELEMENT_BYTES) + oracles * siblings * DIGEST_BYTES


def expected_bytes(plan: Plan) -> int:
    """Expected length of a proof, which varies by a percent or so."""
    return round(message_bytes(plan) + column_bytes(plan))
