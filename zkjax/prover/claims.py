"""The prover's half of the way of claims back to committed tensors."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from zkjax.fields.mersenne61 import K
from zkjax.fields.vectors import Ext, ext_add, ext_mul, ext_scale, ext_sub, ext_sum
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
        factors = [_factors(instance, contractor) for instance in instances]
        tables = _Tables.by_size([instance.weight for instance in instances], factors)
        total = sum((table.total() for table in tables), K.ZERO)
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
        last = dict(pair for table in tables for pair in table.values())
        values = [channel.send_hidden("phase factors", last[number]) for number in range(len(instances))]
        owed.quadratics.append(final_relation(instances, values, point, form))
        batching = channel.challenge("phase claims")
        claim_factors(instances, values, point, batching, claims)
        claims.rewrite_linear(plan.levels, plan.levels[phase.nodes[0]])


def _round(tables: list[_Tables], left: int) -> tuple[K, K]:
    """Coefficients of X and X^2 of the round polynomial with `left` variables to go."""
    parts = [table.round(left) for table in tables]
    return sum((part[0] for part in parts), K.ZERO), sum((part[1] for part in parts), K.ZERO)


def _factors(instance: Instance, contractor: Contractor) -> tuple[Ext, Ext]:
    """The tables f and g of an instance, padded and flattened; small enough for the host."""
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
    return _padded(f_host), _padded(g_host)


class _Tables:
    """The tables f and g, K[n, 2^variables], of n instances of one size; `numbers` are their places among all.

    While more variables are left than the instances have, they count as extended by zero: both
    factors carry (1 - X), which the weights absorb as (1 - r)^2.
    """

    def __init__(self, numbers: list[int], weights: list[K], f: Ext, g: Ext):
        self.numbers, self.weights, self.f, self.g = numbers, weights, f, g
        self.variables = axis_bits(f.shape[1])

    @classmethod
    def by_size(cls, weights: Sequence[K], factors: Sequence[tuple[Ext, Ext]]) -> list[_Tables]:
        groups: dict[int, list[int]] = {}
        for number, (f, _) in enumerate(factors):
            groups.setdefault(f.size, []).append(number)

        def stacked(numbers: list[int], which: int) -> Ext:
            return Ext(*(np.stack(planes) for planes in zip(*(factors[at][which] for at in numbers), strict=True)))

        return [
            cls(numbers, [weights[at] for at in numbers], stacked(numbers, 0), stacked(numbers, 1))
            for numbers in groups.values()
        ]

    def total(self) -> K:
        return self._weighted(ext_mul(self.f, self.g))

    def _weighted(self, products: Ext) -> K:
        sums = ext_sum(products, axis=1).to_list()
        return sum((weight * value for weight, value in zip(self.weights, sums, strict=True)), K.ZERO)

    def _halves(self, table: Ext) -> tuple[Ext, Ext]:
        """The entries at zero of the most significant variable, and their differences to those at one."""
        half = table.shape[1] // 2
        low = table[:, :half]
        return low, ext_sub(table[:, half:], low)

    def round(self, left: int) -> tuple[K, K]:
        if left > self.variables:
            total = self.total()
            return -2 * total, total
        (f_low, f_step), (g_low, g_step) = self._halves(self.f), self._halves(self.g)
        linear = ext_add(ext_mul(f_low, g_step), ext_mul(f_step, g_low))
        return self._weighted(linear), self._weighted(ext_mul(f_step, g_step))

    def fold(self, left: int, challenge: K) -> None:
        if left > self.variables:
            factor = (1 - challenge) * (1 - challenge)
            self.weights = [weight * factor for weight in self.weights]
            return
        halves = self._halves(self.f), self._halves(self.g)
        self.f, self.g = (ext_add(low, ext_scale(step, challenge)) for low, step in halves)

    def values(self) -> list[tuple[int, list[K]]]:
        """By number the values of both factors at the challenges, after the last round."""
        f, g = self.f.reshape(-1).to_list(), self.g.reshape(-1).to_list()
        return [(number, [a, b]) for number, a, b in zip(self.numbers, f, g, strict=True)]


def _padded(table: Ext) -> Ext:
    """The table with every axis padded to a power of two, flattened."""
    padding = [(0, (1 << axis_bits(size)) - size) for size in table.shape]
    # NumPy refuses an empty padding: an outer product has no shared axis.
    return Ext(*((np.pad(plane, padding) if padding else plane).reshape(-1) for plane in table))
