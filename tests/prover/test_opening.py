"""The final opening against the real verifier: true claims pass, and each tampering meets its check."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from tests.prover.opening_case import OpeningCase, small_circuit
from zkjax.compute.blocked import LOG_PIECE
from zkjax.fields.mersenne61 import ELEMENT_BYTES, K, P
from zkjax.fields.vectors import Ext, evaluate_multilinear, ext_add, ext_scale, transform
from zkjax.prover import commit as committing
from zkjax.prover import opening
from zkjax.prover.commit import AdviceOracle, _message, commit_advice
from zkjax.prover.opening import FalseClaimError, address_space, lane_weights
from zkjax.prover.randomness import Randomness
from zkjax.statement.opening import OpenEndError, committed_terms, weight_at
from zkjax.statement.plan import Plan
from zkjax.transcript.channel import NONCE_BYTES, CanonicalError, ProofLengthError, WorkError
from zkjax.transcript.hidden import Hidden
from zkjax.verifier import opening as verifier
from zkjax.verifier.merkle import MerkleError
from zkjax.verifier.opening import ConsistencyError, PadProximityError, ProximityError


@pytest.fixture(scope="module")
def case() -> OpeningCase:
    return OpeningCase(Plan(small_circuit(), openings=2))


@pytest.fixture(scope="module")
def proof(case: OpeningCase) -> bytes:
    return case.prove(check=True)


def flipped(data: bytes, position: int) -> bytes:
    """The lowest bit of one byte changed."""
    position %= len(data)
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


def column_bytes(case: OpeningCase, proof: bytes) -> int:
    return case.verify(proof).sections["columns"]


def test_both_lanes_and_several_rows_are_in_use(case):
    blocks = [block for oracle in case.plan.layout.oracles for block in oracle.blocks]
    assert {block.lane for block in blocks} == {0, 1}
    assert max(block.bits for block in blocks) > case.plan.layout.log_message
    assert case.plan.layout.row_variables >= 2


def test_true_claims_are_accepted(case, proof):
    channel = case.verify(proof)
    assert channel.pads_used == case.plan.pads
    assert sum(channel.sections.values()) == len(proof)


def test_two_proofs_of_one_witness_share_no_message(case, proof):
    other = case.prove(advice=commit_advice(case.plan, case.tensors))
    case.verify(other)
    end = case.plan.pads * ELEMENT_BYTES
    elements = {proof[at : at + ELEMENT_BYTES] for at in range(32, end, ELEMENT_BYTES)}
    assert elements.isdisjoint(other[at : at + ELEMENT_BYTES] for at in range(32, end, ELEMENT_BYTES))


@pytest.mark.parametrize("false", [{"error": 1}, {"zero": 1}], ids=["claim", "hidden zero"])
def test_a_false_claim_is_rejected(case, false):
    with pytest.raises(FalseClaimError):
        case.prove(check=True, **false)
    with pytest.raises(ConsistencyError):
        case.verify(case.prove(**false))


@pytest.mark.parametrize("position", [0, 1])
def test_a_split_mask_outside_the_base_field_is_rejected(case, position):
    layout = case.plan.layout.oracle("advice")
    message = _message(layout, case.plan.code, case.tensors)
    message.im.reshape(-1)[layout.masks + position] = 1
    with jax.enable_x64(True):
        advice = AdviceOracle(case.plan, message, Randomness())
    with pytest.raises(ConsistencyError):
        case.verify(case.prove(advice=advice))


@pytest.mark.parametrize("label", ["opening split", "opening mask", "opening round"])
def test_an_altered_message_is_rejected(case, label):
    with pytest.raises(ConsistencyError):
        case.verify(case.prove(edits={label: lambda data: flipped(data, 0)}))


@pytest.mark.parametrize(
    ("label", "position", "error"),
    [
        ("row combination", 0, ConsistencyError),
        ("pad combination", 0, ConsistencyError),
        ("row combination", -ELEMENT_BYTES, ProximityError),
        ("pad combination", -ELEMENT_BYTES, PadProximityError),
    ],
)
def test_an_altered_combination_is_rejected(case, label, position, error):
    """The last symbols of both combinations are masks, which the linear claim does not read."""
    with pytest.raises(error):
        case.verify(case.prove(edits={label: lambda data: flipped(data, position)}))


def test_altered_columns_are_rejected(case, proof):
    first = len(proof) - column_bytes(case, proof)
    for position in (first, first + 32, len(proof) - 1):  # a salt, a symbol, a sibling
        with pytest.raises(MerkleError):
            case.verify(flipped(proof, position))


@pytest.mark.parametrize("plane", ["re", "im"])
def test_columns_that_differ_in_one_plane_alone_differ(plane):
    one, other = (Ext(np.arange(5, dtype=np.uint64), np.arange(5, dtype=np.uint64)) for _ in range(2))
    assert not verifier._differing(one, other).size
    getattr(other, plane)[3] ^= np.uint64(1)
    assert verifier._differing(one, other).tolist() == [3]


def test_symbols_out_of_range_are_rejected(case, proof):
    first = len(proof) - column_bytes(case, proof)
    for position in (first + 32, 32):
        with pytest.raises(CanonicalError):
            case.verify(proof[:position] + b"\xff" * 8 + proof[position + 8 :])


def test_other_lengths_are_rejected(case, proof):
    for wrong in (proof[:-1], proof + b"\0", proof[: len(proof) // 3], b""):
        with pytest.raises(ProofLengthError):
            case.verify(wrong)


def test_a_nonce_without_work_is_rejected(case, proof):
    nonce = len(proof) - column_bytes(case, proof) - NONCE_BYTES
    with pytest.raises(WorkError):
        case.verify(flipped(proof, nonce))


def test_columns_stay_within_the_budget(case, proof):
    code = case.plan.code
    assert code.mask_symbols == 2 * code.queries
    siblings_and_columns = column_bytes(case, proof)
    heights = [oracle.rows for oracle in case.plan.layout.oracles]
    heights[-1] += 3
    most = code.queries * sum(32 + 16 * height + 32 * code.log_length for height in heights)
    assert siblings_and_columns <= most


def test_a_short_code_opens_and_catches_what_is_no_codeword():
    """At rate 1/2: true claims pass, a false one does not, nor a word of twice the degree."""
    case = OpeningCase(Plan(small_circuit(), openings=2, log_message=15))
    code = case.plan.code
    assert code.length == 2 * code.message
    proof = case.prove(check=True)
    case.verify(proof)
    with pytest.raises(ConsistencyError):
        case.verify(case.prove(error=1))
    word = transform(Ext.from_list([K.ZERO] * code.dimension + [K.ONE]), code.log_length)
    for lane, plane in enumerate(word):
        column = case.advice._leaves[:, committing._HEADER_WORDS + lane]
        column[:] = (column + plane) % np.uint64(P)
    case.advice._levels = committing._tree(case.advice._leaves)
    with pytest.raises(ProximityError):
        case.verify(case.prove())


@pytest.mark.parametrize("log_piece", [3, 8, 10, LOG_PIECE])
def test_weights_are_those_that_the_verifier_evaluates(case, log_piece):
    claims, _ = case._claims()
    terms = committed_terms(case.plan.layout, claims)
    mask_weight, split = case.element(), case.element()
    with jax.enable_x64(True):
        lanes = lane_weights(case.plan.layout, terms, mask_weight, log_piece)
    real, imaginary = (lane.whole() for lane in lanes)
    point = [case.element() for _ in range(case.plan.layout.variables)]
    half = K(1) / 2
    value = K.ZERO
    for lane, unit in ((real, half), (imaginary, -K.I * half)):
        mirrored = Ext(lane.re, np.where(lane.im == 0, lane.im, np.uint64((1 << 61) - 1) - lane.im))
        both = ext_add(lane, ext_scale(mirrored, split))
        value += unit * evaluate_multilinear(both, point)
    assert value == weight_at(case.plan.layout, terms, mask_weight, split, point)


@pytest.mark.parametrize("log_piece", [3, 10])
def test_the_address_space_in_pieces_of_any_size(case, log_piece):
    oracles = [*case.reusable, case.advice]
    whole, pieces = (address_space(case.plan.layout, oracles, log) for log in (LOG_PIECE, log_piece))
    assert all(np.array_equal(a, b) for a, b in zip(whole.whole(), pieces.whole(), strict=True))
    assert any(piece is None for piece in pieces.pieces)


def test_claims_without_commitment_are_refused(case):
    claims, _ = case._claims()
    claims.add(len(case.plan.circuit.nodes), K.ONE, ())
    with pytest.raises(OpenEndError):
        committed_terms(case.plan.layout, claims)
    with pytest.raises(OpenEndError):
        opening.pad_form(Hidden.of_pad(case.plan.pads), case.plan.pads)
