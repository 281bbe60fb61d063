"""What LogUp-GKR owes, and where its claims go: the mathematics that both sides of it share.

With a challenge alpha and the fingerprint phi(row) = v0 + beta*tag + beta^2*v1 of a row of a table,
all tuples are rows iff, up to the soundness error,

    sum over lookups of 1/(alpha - phi)  =  sum over tables of multiplicity/(alpha - phi).

Each lookup class is a binary tree of fractions (p, q), halved by the most significant variable
first: a layer's node x has the children (0, x) and (1, x) of the next one. The roots of all classes
are added up; the layers of all classes are proved side by side, one sumcheck per layer, under
shared challenges. Every value is hidden, so nothing is checked here: the relations are recorded.

Source: Haboeck, eprint 2022/1530; Papini and Haboeck, eprint 2023/1284.
"""

from __future__ import annotations

from collections.abc import Sequence

from zkjax.fields.mersenne61 import K
from zkjax.fields.vectors import Ext, equality_weights, evaluate_multilinear, from_signed
from zkjax.statement.claims import ClaimSet, EqualityCache
from zkjax.statement.plan import LookupClass, Plan
from zkjax.statement.relations import Product, Quadratic, Relations
from zkjax.statement.tables import Table
from zkjax.transcript.hidden import Hidden

Fraction = tuple[Hidden, Hidden]


def require_zero_sum(roots: list[Fraction], sums: list[Fraction], inverse: Hidden, owed: Relations) -> None:
    """The fractions add up to zero and no denominator vanishes; `sums` are the running sums."""
    running = roots[0]
    for (p, q), (sum_p, sum_q) in zip(roots[1:], sums, strict=True):
        products = (Product(K.ONE, running[0], q), Product(K.ONE, p, running[1]))
        owed.quadratics.append(Quadratic(products, sum_p))
        owed.quadratics.append(Quadratic((Product(K.ONE, running[1], q),), sum_q))
        running = (sum_p, sum_q)
    owed.zeros.append(running[0])
    owed.quadratics.append(Quadratic((Product(K.ONE, running[1], inverse),), Hidden.known(1)))


def layer_weights(batching: K, indices: Sequence[int]) -> dict[int, tuple[K, K]]:
    """Random weights of numerator and denominator of each class still under way."""
    return {index: (batching ** (2 * j), batching ** (2 * j + 1)) for j, index in enumerate(indices)}


def layer_claim(weights: dict[int, tuple[K, K]], fractions: dict[int, Fraction]) -> Hidden:
    """The batched claim on a layer."""
    claim = Hidden.known(0)
    for index, (p, q) in fractions.items():
        claim = claim + p * weights[index][0] + q * weights[index][1]
    return claim


def layer_relation(weights: dict[int, tuple[K, K]], children: dict[int, list[Hidden]], claim: Hidden) -> Quadratic:
    """sum of w_p (p0 q1 + p1 q0) + w_q q0 q1 over the classes = claim; children are p0, p1, q0, q1."""
    products = []
    for index, (p0, p1, q0, q1) in children.items():
        weight_p, weight_q = weights[index]
        products.append(Product(K.ONE, p0 * weight_p + q0 * weight_q, q1))
        products.append(Product(weight_p, p1, q0))
    return Quadratic(tuple(products), claim)


def halves_joined(children: list[Hidden], half: K) -> Fraction:
    """Claims on p and q at the point (half, challenges)."""
    p0, p1, q0, q1 = children
    return p0 + (p1 - p0) * half, q0 + (q1 - q0) * half


def claim_leaves(
    plan: Plan,
    cls: LookupClass,
    point: list[K],
    values: Fraction,
    challenges: tuple[K, K],
    scales: tuple[K, K],
    claims: ClaimSet,
) -> None:
    """Express the claims on a class's leaves, p and q at `point`, by claims on tensors.

    Numerators: 1 on lookup columns, -multiplicity on table columns. Denominators: alpha minus the
    fingerprint; 1 on padding columns. Multiplicities of table t are node -1 - t.
    """
    alpha, beta = challenges
    for_numerator, for_denominator = scales
    columns = equality_weights(point[: cls.column_bits]).to_list()
    row = point[cls.column_bits :]
    equality = EqualityCache()
    numerator, denominator = values
    constant = sum(columns[cls.columns :], K.ZERO)
    for column, index in enumerate(cls.lookups):
        lookup = plan.circuit.lookups[index]
        weight = columns[column]
        numerator = numerator - weight
        constant += weight * (alpha - beta * (lookup.table + 1))
        factor, vectors = equality.tensor(row, plan.circuit.nodes[lookup.re].shape)
        for node, unit in ((lookup.re, K.ONE), (lookup.im, K.I), (lookup.second, beta * beta)):
            if node >= 0:
                claims.add(node, for_denominator * weight * factor * unit, vectors)
    for column, index in enumerate(cls.tables, start=len(cls.lookups)):
        table = plan.circuit.tables[index]
        weight = columns[column]
        factor, vectors = equality.tensor(row, (1 << table.bits,))
        claims.add(-1 - index, -(for_numerator * weight * factor), vectors)
        constant += weight * (alpha - fingerprint_extension(table, index + 1, beta, row))
    claims.balance = claims.balance + numerator * for_numerator - (denominator - constant) * for_denominator


def fingerprint_extension(table: Table, tag: int, beta: K, row: list[K]) -> K:
    """Multilinear extension at `row` of the fingerprints of a table's column.

    Rows beyond the table's own length hold the tuple (0, 0) under the same tag; their multiplicity
    is zero.
    """
    own = row[len(row) - table.bits :]
    factor = K.ONE
    for r in row[: len(row) - table.bits]:
        factor = factor * (1 - r)
    if table.kind == "range" and table.size == 1 << table.bits:
        value = sum((r * (1 << bit) for bit, r in enumerate(reversed(own))), K(table.lo))
    else:
        re, im, second = (from_signed(column) for column in table.rows())
        value = evaluate_multilinear(Ext(re, im), own) + beta * beta * evaluate_multilinear(second, own)
    return beta * tag + factor * value
