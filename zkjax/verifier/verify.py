"""Verification: the whole course of a proof, in one function."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from zkjax.errors import UsageError, VerificationError
from zkjax.statement.claims import ClaimSet
from zkjax.statement.parameters import DIGEST_BYTES, LOOKUP_GRINDING_BITS, SOUNDNESS_FLOOR_BITS
from zkjax.statement.phases import claim_outputs, claim_zeros, delay_bytes, output_point_sizes, zero_point_sizes
from zkjax.statement.proof import Proof
from zkjax.statement.ranges import check_published, check_ranges
from zkjax.statement.relations import Relations
from zkjax.statement.soundness import soundness_bits
from zkjax.statement.statement import Statement
from zkjax.transcript.channel import VerifierChannel
from zkjax.transcript.sponge import Transcript
from zkjax.verifier.claims import verify_claims
from zkjax.verifier.lookup import verify_lookups
from zkjax.verifier.opening import verify_opening
from zkjax.verifier.products import verify_products


class SoundnessError(VerificationError):
    """The parameters of the statement do not reach the soundness floor."""


@dataclass(frozen=True)
class Summary:
    """What an accepted proof says, for people."""

    steps: int
    batch: int
    rows: int
    parameters: int
    committed_elements: int
    lookups: int
    soundness_bits: float
    circuit_digest: str
    data: str
    before: str
    after: str
    remarks: tuple[str, ...]
    outputs: dict[str, list]
    proof_bytes: int
    proof_sections: dict[str, int]


def verify(statement: Statement, proof: Proof) -> Summary:
    """Accept iff `proof` shows that `statement` holds.

    Accepting means: there are integers behind the three commitments, in the derived ranges, that
    satisfy the circuit exactly under the statement's schedule, and give its outputs the published values.

    Raises a subclass of VerificationError naming the check that failed; UsageError for other objects.

    Soundness: the caller must know that `statement.circuit` is the program meant and that the
    commitments are the ones meant; see docs/soundness.md.
    """
    if not isinstance(statement, Statement) or not isinstance(proof, Proof):
        given = f"{type(statement).__name__} and {type(proof).__name__}"
        raise UsageError(f"verify takes a Statement and a Proof, not {given}: decode bytes by their from_bytes")
    statement.check()
    check_published(statement.circuit, statement.outputs, check_ranges(statement.circuit))
    plan = statement.plan
    bits = soundness_bits(plan)
    if bits < SOUNDNESS_FLOOR_BITS:
        raise SoundnessError("not sound enough", expected=f">= {SOUNDNESS_FLOOR_BITS} bits", got=f"{bits:.2f}")
    channel = VerifierChannel(Transcript(statement.protocol_id()), proof.data)
    channel.begin("advice")
    advice_root = channel.receive_bytes("advice root", DIGEST_BYTES)
    channel.transcript.absorb_zeros("delay", delay_bytes(plan))
    channel.work("lookup challenges", LOOKUP_GRINDING_BITS)
    alpha, beta = channel.challenge("alpha"), channel.challenge("beta")
    claims, owed = ClaimSet(statement.circuit, statement.schedule), Relations()
    verify_lookups(channel, plan, alpha, beta, claims, owed)
    points = [channel.challenges("zero point", size) for size in zero_point_sizes(plan)]
    claim_zeros(plan, channel.challenge("zero batching"), points, claims)
    points = [channel.challenges("output point", size) for size in output_point_sizes(plan)]
    claim_outputs(plan, channel.challenge("output batching"), points, statement.outputs, claims)
    verify_claims(channel, plan, claims, owed)
    verify_products(channel, owed)
    roots = [*statement.roots, advice_root]
    verify_opening(channel, plan, roots, claims, owed)
    channel.finish()
    return summarize(statement, proof, bits, channel.sections)


def summarize(statement: Statement, proof: Proof, bits: float, sections: dict[str, int]) -> Summary:
    circuit = statement.circuit
    parameters = sum(prod(circuit.nodes[index].shape) for index in circuit.committed("before"))
    digests = {name: statement.object_digest(name).hex() for name in ("data", "before", "after")}
    return Summary(
        steps=circuit.steps,
        batch=circuit.batch,
        rows=circuit.rows,
        parameters=parameters,
        committed_elements=circuit.committed_elements,
        lookups=circuit.lookup_entries,
        soundness_bits=bits,
        circuit_digest=circuit.digest().hex(),
        remarks=circuit.remarks,
        outputs={name: values.tolist() for name, values in statement.published().items()},
        proof_bytes=len(proof.data),
        proof_sections=dict(sections),
        **digests,
    )
