"""The prover: from an exact run to a statement and its proof. The whole course in one function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax

from zkjax.circuit.program import Lowered
from zkjax.compute.pieces import SPARES
from zkjax.prover.checkpoint import Checkpoint
from zkjax.prover.claims import prove_claims
from zkjax.prover.commit import commit_advice
from zkjax.prover.contract import Contractor
from zkjax.prover.lookup import prove_lookups
from zkjax.prover.opening import prove_opening
from zkjax.prover.products import prove_products
from zkjax.statement.claims import ClaimSet
from zkjax.statement.layout import tensor_bits
from zkjax.statement.parameters import LOOKUP_GRINDING_BITS, MIN_LOOKUP_ROW_BITS
from zkjax.statement.phases import claim_outputs, claim_zeros, delay_bytes, output_point_sizes, zero_point_sizes
from zkjax.statement.plan import Plan
from zkjax.statement.proof import Proof
from zkjax.statement.relations import Relations
from zkjax.statement.statement import Statement
from zkjax.transcript.channel import ProverChannel
from zkjax.transcript.sponge import Transcript
from zkjax.witness.execute import Witness
from zkjax.witness.multiplicities import multiplicities

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Commitments:
    """The reusable commitments of a block: data set, state before, state after."""

    data: Checkpoint
    before: Checkpoint
    after: Checkpoint


def prove_block(
    lowered: Lowered, witness: Witness, commitments: Commitments, plan: Plan, progress: Progress = lambda stage: None
) -> tuple[Statement, Proof]:
    """Prove that `witness` satisfies the circuit.

    `plan` is that of the circuit under the commitments' number of openings; the commitments hold
    the witness's data and state tensors. The caller has checked the witness (`check_lookups`) and
    has counted the openings of the three commitments before the proof leaves the process.

    Soundness: none needed here; a wrong witness gives a proof that the verifier rejects.
    Zero knowledge: the advice commitment with its pads and masks is made here, used once and
    dropped; the course depends on the circuit alone.
    """
    with jax.enable_x64(True), SPARES.of_one_proof():
        roles = ("data", "before", "after")
        checkpoints = (commitments.data, commitments.before, commitments.after)
        opened = [checkpoint.in_role(plan, role) for role, checkpoint in zip(roles, checkpoints, strict=True)]
        roots = (opened[0].root, opened[1].root, opened[2].root)
        outputs = tuple(witness.values[output.node] for output in lowered.circuit.outputs)
        code = plan.code
        statement = Statement(lowered.circuit, witness.schedule, code.openings, roots, code.log_message, outputs)
        progress("Commitment")
        counts = multiplicities(lowered, witness, _padded_rows(plan))
        tensors = {node: witness.values.stored(node) for node in lowered.circuit.committed("advice")}
        tensors |= {-1 - table: count for table, count in enumerate(counts)}
        advice = commit_advice(plan, tensors)
        channel = ProverChannel(Transcript(statement.protocol_id()), advice.pads)
        channel.begin("advice")
        channel.send_bytes("advice root", advice.root)
        channel.transcript.absorb_zeros("delay", delay_bytes(plan))
        channel.work("lookup challenges", LOOKUP_GRINDING_BITS)

        progress("Lookups")
        alpha, beta = channel.challenge("alpha"), channel.challenge("beta")
        claims, owed = ClaimSet(lowered.circuit, witness.schedule), Relations()
        prove_lookups(channel, plan, alpha, beta, witness.values.narrow, counts, claims, owed)
        points = [channel.challenges("zero point", size) for size in zero_point_sizes(plan)]
        claim_zeros(plan, channel.challenge("zero batching"), points, claims)
        points = [channel.challenges("output point", size) for size in output_point_sizes(plan)]
        claim_outputs(plan, channel.challenge("output batching"), points, statement.outputs, claims)

        progress("Claims")
        contractor = Contractor(lowered.circuit, witness.values.narrow, witness.schedule)
        prove_claims(channel, plan, contractor, claims, owed)
        prove_products(channel, owed)

        progress("Opening")
        prove_opening(channel, plan, [*opened, advice], claims, owed)
        return statement, Proof(bytes(channel.proof))


def _padded_rows(plan: Plan) -> dict[int, int]:
    """Per lookup, the logarithm of the rows of its column."""
    nodes = plan.circuit.nodes
    return {
        index: max(MIN_LOOKUP_ROW_BITS, tensor_bits(nodes[lookup.re].shape))
        for index, lookup in enumerate(plan.circuit.lookups)
    }
