"""A small circuit with random committed tensors and random claims on them.

The opening does not care whether the circuit is satisfied, so the lookups only give the plan its
shape. Tensors of odd shapes lie in both lanes, one spans several rows, one has no axes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from zkjax.fields.mersenne61 import K, P
from zkjax.fields.vectors import Ext, ext_mul, ext_sum, from_signed
from zkjax.prover.commit import AdviceOracle, Oracle, commit_advice, commit_oracle
from zkjax.prover.opening import prove_opening
from zkjax.statement.circuit import Circuit, Committed, Lookup
from zkjax.statement.claims import ClaimSet
from zkjax.statement.plan import Plan
from zkjax.statement.relations import Relations
from zkjax.statement.tables import Table
from zkjax.transcript.channel import ProverChannel, VerifierChannel
from zkjax.transcript.sponge import Transcript
from zkjax.verifier.opening import verify_opening

PROTOCOL = bytes(range(32))
Edit = Callable[[bytes], bytes]


def small_circuit() -> Circuit:
    state = [((3, 1000), "weights", 16), ((), "scale", 12)]
    nodes = (
        Committed((5, 7), "data", "x", 4),
        Committed((5,), "data", "y", 0),
        *(Committed(shape, "before", name, bits) for shape, name, bits in state),
        *(Committed(shape, "after", name, bits) for shape, name, bits in state),
        Committed((6, 50, 3), "advice", "quotient", 0),
        Committed((17,), "advice", "limb", 0),
        Committed((2, 1, 3, 2), "advice", "gate", 0),
    )
    lookups = tuple(Lookup(0, index, -1, -1, f"range {index}") for index in range(len(nodes)))
    return Circuit(2, 2, 5, nodes, (Table("range", -2, 5, 0), Table("range", 0, 15, 0)), lookups, (), ())


class Editing(ProverChannel):
    """A prover that changes its messages by label before it absorbs and sends them."""

    edits: dict[str, Edit]

    def send_bytes(self, label: str, data: bytes) -> None:
        super().send_bytes(label, self.edits.get(label, bytes)(data))


@dataclass
class OpeningCase:
    """Commitments and claims for one plan, and both ends of an opening."""

    plan: Plan
    seed: int = 7
    rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)

    def element(self) -> K:
        return K(*(int(part) for part in self.rng.integers(0, P, 2)))

    def vector(self, size: int) -> Ext:
        return Ext(*self.rng.integers(0, P, (2, size), dtype=np.uint64))

    @cached_property
    def tensors(self) -> dict[int, np.ndarray]:
        blocks = [block for oracle in self.plan.layout.oracles for block in oracle.blocks]
        return {block.node: self.rng.integers(-(1 << 59), 1 << 59, block.shape) for block in blocks}

    @cached_property
    def reusable(self) -> list[Oracle]:
        return [commit_oracle(layout, self.plan.code, self.tensors) for layout in self.plan.layout.oracles[:-1]]

    @cached_property
    def advice(self) -> AdviceOracle:
        return commit_advice(self.plan, self.tensors)

    @cached_property
    def terms(self) -> list[tuple[int, K, tuple[Ext, ...]]]:
        """Three claims a tensor: two of them share the vectors of all axes but the first."""
        found = []
        for oracle in self.plan.layout.oracles:
            for block in oracle.blocks:
                first, second = ([self.vector(size) for size in block.shape] for _ in range(2))
                mixed = [*second[:1], *first[1:]]
                found += [(block.node, self.element(), tuple(vectors)) for vectors in (first, second, mixed)]
        return found

    @cached_property
    def total(self) -> K:
        """The sum of all claims, tensor by tensor, in the plainest way."""
        total = K.ZERO
        for node, coefficient, vectors in self.terms:
            values = from_signed(np.asarray(self.tensors[node]))
            rest = Ext(values, np.zeros_like(values))
            for vector in reversed(vectors):
                rest = ext_sum(ext_mul(rest, vector), axis=-1)
            total += rest.item() * coefficient
        return total

    def prove(
        self,
        *,
        error: int = 0,
        zero: int = 0,
        advice: AdviceOracle | None = None,
        check: bool = False,
        edits: dict[str, Edit] | None = None,
    ) -> bytes:
        """A proof that the claims add up to `total + error`, hidden, and that x - 3y = zero for hidden x, y."""
        advice = advice or self.advice
        channel = Editing(Transcript(PROTOCOL), advice.pads)
        channel.edits = edits or {}
        channel.send_bytes("root", advice.root)
        (total,) = channel.send_hidden("total", [self.total + error])
        y = self.element()
        hidden_x, hidden_y = channel.send_hidden("pair", [3 * y + zero, y])
        claims, owed = self._claims()
        claims.balance = total
        owed.zeros += [hidden_x - 3 * hidden_y]
        channel.reserve_pads(self.plan.hidden_before_opening - channel.pads_used)
        prove_opening(channel, self.plan, [*self.reusable, advice], claims, owed, check=check)
        return bytes(channel.proof)

    def verify(self, proof: bytes) -> VerifierChannel:
        """Raises what the verifier raises."""
        channel = VerifierChannel(Transcript(PROTOCOL), proof)
        root = channel.receive_bytes("root", 32)
        (total,) = channel.receive_hidden("total", 1)
        x, y = channel.receive_hidden("pair", 2)
        claims, owed = self._claims()
        claims.balance = total
        owed.zeros += [x - 3 * y]
        channel.reserve_pads(self.plan.hidden_before_opening - channel.pads_used)
        verify_opening(channel, self.plan, [*(oracle.root for oracle in self.reusable), root], claims, owed)
        channel.finish()
        return channel

    def _claims(self) -> tuple[ClaimSet, Relations]:
        claims = ClaimSet(self.plan.circuit, np.zeros((2, 2), np.int64))
        for node, coefficient, vectors in self.terms:
            claims.add(node, coefficient, vectors)
        return claims, Relations()
