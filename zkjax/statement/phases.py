"""The public equations of a sumcheck phase, and of the claims that tensors vanish or have published values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zkjax.fields.mersenne61 import K, P
from zkjax.fields.vectors import Ext, inner, outer
from zkjax.statement.claims import ClaimSet, EqualityCache, Instance
from zkjax.statement.layout import tensor_bits
from zkjax.statement.plan import Plan
from zkjax.statement.relations import Product, Quadratic
from zkjax.transcript.hidden import Hidden


def delay_bytes(plan: Plan) -> int:
    """Bytes absorbed after the commitments: one per committed element and per lookup.

    The hash that draws the challenges is thereby no cheaper than reading the witness, which keeps
    the circuit from computing it (the attacks on Fiat-Shamir for GKR need that).
    """
    return plan.circuit.committed_elements + plan.circuit.lookup_entries


def output_point_sizes(plan: Plan) -> list[int]:
    """Number of coordinates of the random point of every published tensor."""
    return [tensor_bits(plan.circuit.output_shape(output)) for output in plan.circuit.outputs]


def claim_outputs(
    plan: Plan, batching: K, points: list[list[K]], published: Sequence[np.ndarray], claims: ClaimSet
) -> None:
    """Claim that every output agrees with its published integers at its random point."""
    equality, scale = EqualityCache(), batching
    for output, point, values in zip(plan.circuit.outputs, points, published, strict=True):
        _, vectors = equality.tensor(point, values.shape)
        claims.add(output.node, scale, vectors)
        residues = (values.reshape(-1) % P).astype(np.uint64)
        weights = vectors[0]
        for vector in vectors[1:]:
            weights = outer(weights, vector).reshape(-1)
        claims.balance = claims.balance + scale * inner(weights, Ext(residues, np.zeros_like(residues)))
        scale = scale * batching


def zero_point_sizes(plan: Plan) -> list[int]:
    """Number of coordinates of the random point of every node that must vanish."""
    return [tensor_bits(plan.circuit.nodes[index].shape) for index in plan.circuit.zeros]


def claim_zeros(plan: Plan, batching: K, points: list[list[K]], claims: ClaimSet) -> None:
    """Claim that every zero node vanishes at its random point."""
    equality, scale = EqualityCache(), batching
    for index, point in zip(plan.circuit.zeros, points, strict=True):
        factor, vectors = equality.tensor(point, plan.circuit.nodes[index].shape)
        claims.add(index, scale * factor, vectors)
        scale = scale * batching


def final_relation(instances: list[Instance], values: list[list[Hidden]], point: list[K], claim: Hidden) -> Quadratic:
    """sum of weight * extension^2 * f(point) g(point) over the instances = claim."""
    products = []
    for instance, (f, g) in zip(instances, values, strict=True):
        extension = instance.extension(point)
        products.append(Product(instance.weight * extension * extension, f, g))
    return Quadratic(tuple(products), claim)


def claim_factors(
    instances: list[Instance], values: list[list[Hidden]], point: list[K], batching: K, claims: ClaimSet
) -> None:
    """Add the claims on both factors of every instance, batched by powers of a fresh challenge."""
    equality = EqualityCache()
    scale = batching
    for instance, (f, g) in zip(instances, values, strict=True):
        left, right = instance.reduced(point, equality)
        for node, vectors, value in ((instance.left_node, left, f), (instance.right_node, right, g)):
            claims.add(node, scale, vectors)
            claims.balance = claims.balance + value * scale
            scale = scale * batching
