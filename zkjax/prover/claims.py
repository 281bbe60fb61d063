"""The prover's half of the way of claims back to committed tensors."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from zkjax.fields.mersenne61 import K
from zkjax.fields.vectors import Ext, ext_add, ext_mul, ext_scale, ext_sub, inner
from zkjax.prover.contract import Contractor
from zkjax.statement.claims import ClaimSet, Instance
from zkjax.statement.layout import axis_bits
from zkjax.statement.phases import claim_factors, final_relation
from zkjax.statement.plan import Plan
from zkjax.statement.relations import Relations, product_sumcheck_claim
from zkjax.transcript.channel import ProverChannel


def prove_claims(channel: ProverChannel, plan: Plan, contractor: Contractor, claims: ClaimSet, owed: Relations) -> None:
    """Mirror of `verifier.claims.verify_claims`."""
    channel.begin("claims")
    claims.rewrite_linear(plan.levels, 0)
    for phase in plan.phases:
        instances = claims.instances(phase.nodes)
        tables = [_Tables.of(instance, contractor) for instance in instances]
        total = sum((table.weight * inner(table.f, table.g) for table in tables), K.ZERO)
        (form,) = channel.send_hidden("phase total", [total])
        claims.balance = claims.balance - form
        point: list[K] = []
        for left in range(phase.variables, 0, -1):
            linear, square = _round(tables, left)
            coefficients = channel.send_hidden("phase round", [linear, square])
            challenge = channel.challenge("phase round")
            form = product_sumcheck_claim(form, coefficients, challenge)
            for table in tables:
                table.fold(left, challenge)
            point.append(challenge)
        values = [channel.send_hidden("phase factors", [table.f.item(), table.g.item()]) for table in tables]
        owed.quadratics.append(final_relation(instances, values, point, form))
        batching = channel.challenge("phase claims")
        claim_factors(instances, values, point, batching, claims)
        claims.rewrite_linear(plan.levels, plan.levels[phase.nodes[0]])


def _round(tables: list[_Tables], left: int) -> tuple[K, K]:
    """Coefficients of X and X^2 of the round polynomial with `left` variables to go."""
    linear, square = K.ZERO, K.ZERO
    for table in tables:
        part_linear, part_square = table.round(left)
        linear += table.weight * part_linear
        square += table.weight * part_square
    return linear, square


class _Tables:
    """The tables f and g of an instance, folded in place; small enough for the host.

    While more variables are left than the instance has, it counts as extended by zero: both
    factors carry (1 - X), which `weight` absorbs as (1 - r)^2.
    """

    def __init__(self, weight: K, f: Ext, g: Ext):
        self.weight, self.f, self.g = weight, f, g
        self.variables = axis_bits(f.size)

    @classmethod
    def of(cls, instance: Instance, contractor: Contractor) -> _Tables:
        f = contractor.contract(instance.left_node, instance.left)
        g = contractor.contract(instance.right_node, instance.right)
        right_order = [label for label in instance.right_labels if label in instance.shared_labels]
        order = [right_order.index(label) for label in instance.shared_labels]
        f_host = Ext(*(np.asarray(plane) for plane in f))
        g_host = Ext(*(np.asarray(jnp.transpose(plane, order)) for plane in g))
        for axis, kept in enumerate(instance.shared):
            if kept is not None:
                shape = [-1 if other == axis else 1 for other in range(len(instance.shared))]
                f_host = ext_mul(f_host, kept.reshape(shape))
        return cls(instance.weight, _padded(f_host), _padded(g_host))

    def round(self, left: int) -> tuple[K, K]:
        if left > self.variables:
            total = inner(self.f, self.g)
            return -2 * total, total
        half = self.f.size // 2
        f_low, f_step = self.f[:half], ext_sub(self.f[half:], self.f[:half])
        g_low, g_step = self.g[:half], ext_sub(self.g[half:], self.g[:half])
        linear = inner(f_low, g_step) + inner(f_step, g_low)
        return linear, inner(f_step, g_step)

    def fold(self, left: int, challenge: K) -> None:
        if left > self.variables:
            self.weight = self.weight * (1 - challenge) * (1 - challenge)
            return
        half = self.f.size // 2
        self.f, self.g = (
            ext_add(table[:half], ext_scale(ext_sub(table[half:], table[:half]), challenge))
            for table in (self.f, self.g)
        )


def _padded(table: Ext) -> Ext:
    """The table with every axis padded to a power of two, flattened."""
    padding = [(0, (1 << axis_bits(size)) - size) for size in table.shape]
    # NumPy refuses an empty padding: an outer product has no shared axis.
    return Ext(*((np.pad(plane, padding) if padding else plane).reshape(-1) for plane in table))
