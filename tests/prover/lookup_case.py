"""Random lookup data for a circuit, both ends of the lookup argument, and what is left to check."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np

from zkjax.fields.mersenne61 import K, P
from zkjax.fields.vectors import Ext, ext_mul_base, ext_sum, from_signed
from zkjax.prover.lookup import prove_lookups
from zkjax.statement.claims import ClaimSet
from zkjax.statement.plan import Plan
from zkjax.statement.relations import Relations
from zkjax.transcript.channel import ProverChannel, VerifierChannel
from zkjax.transcript.hidden import Hidden
from zkjax.transcript.sponge import Transcript
from zkjax.verifier.lookup import verify_lookups

PROTOCOL = bytes(range(32))


def random_elements(seed: int, count: int) -> list[K]:
    parts = np.random.default_rng(seed).integers(0, P, (count, 2)).tolist()
    return [K(re, im) for re, im in parts]


@dataclass
class LookupData:
    """Values of all nodes that lookups name, all rows of their tables, and how often each occurs."""

    plan: Plan
    values: dict[int, np.ndarray]
    multiplicities: list[np.ndarray]

    @classmethod
    def random(cls, plan: Plan, seed: int = 0) -> LookupData:
        generator = np.random.default_rng(seed)
        values: dict[int, np.ndarray] = {}
        counts = [np.zeros(1 << table.bits, np.int64) for table in plan.circuit.tables]
        row_bits = {index: c.row_bits for c in plan.classes for index in c.lookups}
        for index, lookup in enumerate(plan.circuit.lookups):
            table, shape = plan.circuit.tables[lookup.table], plan.circuit.nodes[lookup.re].shape
            rows = generator.integers(0, table.size, shape)
            if lookup.re in values:
                rows = values[lookup.re] - table.lo
            elif lookup.im in values:  # a gate that another lookup has drawn
                span = table.hi - table.lo + 1
                rows = generator.integers(0, span, shape) + span * values[lookup.im]
            for node, column in zip((lookup.re, lookup.im, lookup.second), table.rows(), strict=True):
                if node >= 0:
                    assert node not in values or np.array_equal(values[node], column[rows])
                    values[node] = column[rows]
            counts[lookup.table] += np.bincount(rows.reshape(-1), minlength=1 << table.bits)
            counts[lookup.table][-table.lo] += (1 << row_bits[index]) - rows.size
        return cls(plan, values, counts)


@dataclass
class Ends:
    """Both ends after the lookup argument."""

    proof: bytes
    pads: list[K]
    prover: tuple[ClaimSet, Relations]
    verifier: tuple[ClaimSet, Relations]

    def plaintext(self, form: Hidden) -> K:
        constant, coefficients = form.linear_form()
        return sum((weight * self.pads[pad] for pad, weight in coefficients.items()), constant)

    def broken(self, side: str, data: LookupData) -> list[str]:
        """The relations that do not hold for the plain values, by kind and number."""
        claims, owed = self.prover if side == "prover" else self.verifier
        wrong = [f"zero {j}" for j, zero in enumerate(owed.zeros) if self.plaintext(zero) != 0]
        for j, quadratic in enumerate(owed.quadratics):
            total = K.ZERO
            for product in quadratic.products:
                total += product.weight * self.plaintext(product.left) * self.plaintext(product.right)
            if total != self.plaintext(quadratic.result):
                wrong.append(f"quadratic {j}")
        total = K.ZERO
        for node, terms in claims.terms.items():
            values = data.values[node] if node >= 0 else data.multiplicities[-1 - node]
            total += sum((term.coefficient * contracted(values, term.vectors) for term in terms), K.ZERO)
        if total != self.plaintext(claims.balance):
            wrong.append("balance")
        return wrong


def contracted(values: np.ndarray, vectors: tuple[Ext, ...]) -> K:
    """<vectors[0] x vectors[1] x ..., values>."""
    residues = from_signed(values)
    weights = Ext.from_list([K.ONE])
    for vector in vectors:
        outer = [a * b for a in weights.to_list() for b in vector.to_list()]
        weights = Ext.from_list(outer)
    return ext_sum(ext_mul_base(weights, residues.reshape(-1))).item()


def challenges(transcript: Transcript) -> tuple[K, K]:
    return transcript.challenge("alpha"), transcript.challenge("beta")


def prove(data: LookupData, pads: list[K] | None = None, **options) -> tuple[bytes, list[K], ClaimSet, Relations]:
    plan = data.plan
    pads = pads or random_elements(1, plan.hidden_before_opening)
    channel = ProverChannel(Transcript(PROTOCOL), pads)
    schedule = np.zeros((plan.circuit.steps, plan.circuit.batch), np.int32)
    claims, owed = ClaimSet(plan.circuit, schedule), Relations()
    alpha, beta = challenges(channel.transcript)
    with jax.enable_x64(True):
        prove_lookups(channel, plan, alpha, beta, data.values, data.multiplicities, claims, owed, **options)
    return bytes(channel.proof), pads, claims, owed


def verify(data: LookupData, proof: bytes, channel: VerifierChannel | None = None) -> tuple[ClaimSet, Relations]:
    channel = channel or VerifierChannel(Transcript(PROTOCOL), proof)
    schedule = np.zeros((data.plan.circuit.steps, data.plan.circuit.batch), np.int32)
    claims, owed = ClaimSet(data.plan.circuit, schedule), Relations()
    verify_lookups(channel, data.plan, *challenges(channel.transcript), claims, owed)
    channel.finish()
    return claims, owed


def both_ends(data: LookupData, **options) -> Ends:
    proof, pads, *prover = prove(data, **options)
    return Ends(proof, pads, tuple(prover), verify(data, proof))
