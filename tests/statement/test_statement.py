"""Statements and proofs as bytes: strict, bound to everything they speak about, quick to refuse."""

from __future__ import annotations

import hashlib
import math
import time
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.blocks import DenseShape, dense_block
from tests.statement.circuits import GATE, STATE, SUMS, appended, small, small_statement, with_node
from zkjax.errors import VerificationError
from zkjax.statement import parameters, statement
from zkjax.statement.circuit import Axes, Circuit, CircuitError, Combine, Constant, Contract, Lookup, Output
from zkjax.statement.parameters import Code
from zkjax.statement.plan import Plan
from zkjax.statement.proof import MAX_PROOF_BYTES, Proof, ProofFormatError
from zkjax.statement.statement import Statement, StatementError, parameter_hash

STATEMENT = small_statement()
DATA = STATEMENT.to_bytes()
HEAD = 16
ROOTS = HEAD + 32 + 8
SIZE = ROOTS + 96
CIRCUIT = SIZE + 8
SCHEDULE = len(DATA) - 16
SETTINGS = settings(max_examples=200, derandomize=True, deadline=None, database=None)


def decode(data: bytes) -> Statement | None:
    """The statement of `data`, or None for a typed error; anything else escapes."""
    try:
        statement = Statement.from_bytes(data)
    except (StatementError, CircuitError):
        return None
    assert statement.to_bytes() == data
    return statement


def spliced(start: int, data: bytes) -> bytes:
    return DATA[:start] + data + DATA[start + len(data) :]


def test_round_trip():
    decoded = Statement.from_bytes(DATA)
    assert decoded.circuit == STATEMENT.circuit
    assert np.array_equal(decoded.schedule, STATEMENT.schedule)
    assert (decoded.openings, decoded.roots) == (STATEMENT.openings, STATEMENT.roots)
    assert decoded.to_bytes() == DATA
    assert decoded.digest() == STATEMENT.digest()


def publishing(**outputs: list) -> Statement:
    """A statement that publishes the gate, [2, 2], and what is given in place of its values."""
    circuit = replace(STATEMENT.circuit, outputs=(Output("gate", GATE, 3), Output("sum", SUMS, 0)))
    given = {"gate": [[1, 0], [0, 1]], "sum": [[5, -6], [1 << 40, 8]], **outputs}
    return replace(STATEMENT, circuit=circuit, outputs=tuple(np.array(values) for values in given.values()))


def test_outputs_round_trip():
    statement = publishing()
    statement.check()
    decoded = Statement.from_bytes(statement.to_bytes())
    assert [values.tolist() for values in decoded.outputs] == [values.tolist() for values in statement.outputs]
    assert decoded.to_bytes() == statement.to_bytes()
    assert decoded.digest() == statement.digest()
    assert decoded.published()["gate"].tolist() == [[0.125, 0], [0, 0.125]]


def test_every_published_number_is_part_of_the_protocol():
    digests = {publishing().protocol_id(), STATEMENT.protocol_id()}
    for place in np.ndindex(2, 2):
        changed = np.array([[5, -6], [1 << 40, 8]])
        changed[place] += 1
        digests.add(publishing(sum=changed).protocol_id())
    assert len(digests) == 6


@pytest.mark.parametrize(
    "outputs",
    [
        (),
        (np.zeros((2, 2), np.int64),),
        (np.zeros((2, 2), np.int64),) * 3,
        (np.zeros((2, 2), np.int64), np.zeros((2, 2), np.int32)),
        (np.zeros((2, 2), np.int64), np.zeros((2, 2))),
        (np.zeros((2, 2), np.int64), np.zeros((4,), np.int64)),
        (np.zeros((2, 2), np.int64), np.ma.zeros((2, 2), np.int64)),
        (np.zeros((2, 2), np.int64), [[0, 0], [0, 0]]),
    ],
)
def test_other_outputs_than_the_circuits_are_refused(outputs):
    with pytest.raises(StatementError, match="output"):
        replace(publishing(), outputs=outputs).check()


def test_every_truncation_is_refused():
    for length in range(len(DATA)):
        assert decode(DATA[:length]) is None, length


@pytest.mark.parametrize("length", [0, HEAD, HEAD + 32, ROOTS, SIZE, CIRCUIT - 1])
def test_what_ends_before_the_circuit_is_refused_at_once(length):
    with pytest.raises(StatementError, match=f"at least {CIRCUIT} bytes"):
        Statement.from_bytes(DATA[:length])


def test_what_ends_where_the_circuit_should_begin_is_said_to_end_within_it():
    with pytest.raises(StatementError, match="ends within its circuit"):
        Statement.from_bytes(DATA[:CIRCUIT])


def test_a_statement_beyond_every_size_is_refused_at_once(monkeypatch):
    monkeypatch.setattr(statement, "MAX_STATEMENT_BYTES", len(DATA))
    assert Statement.from_bytes(DATA).to_bytes() == DATA
    with pytest.raises(StatementError, match="not a statement"):
        Statement.from_bytes(DATA + b"\0")


@pytest.mark.parametrize("extra", [b"\0", b"\0" * 4, b"\0" * 16, DATA])
def test_trailing_bytes_are_refused(extra):
    with pytest.raises(StatementError, match="schedule and outputs of another length"):
        Statement.from_bytes(DATA + extra)


@pytest.mark.parametrize("more", [-16, -1, 1, 200])
def test_schedule_and_outputs_of_another_length_are_counted(more):
    """Four bytes for each row of the schedule, then eight for each published number."""
    length = 4 * 2 * 2 + 8 * 2 * 4
    data = publishing().to_bytes()
    with pytest.raises(StatementError) as error:
        Statement.from_bytes(data[:more] if more < 0 else data + bytes(more))
    assert (error.value.expected, error.value.got) == (length, length + more)


def test_another_file_is_refused():
    for data in (b"", b"PNG", b"zkjax proof\0\0\0\0\0" + DATA[HEAD:], DATA[1:]):
        with pytest.raises(StatementError, match="not a statement"):
            Statement.from_bytes(data)


def test_other_parameters_are_refused():
    with pytest.raises(StatementError, match="another format version or parameter set"):
        Statement.from_bytes(spliced(HEAD, bytes(32)))


@pytest.mark.parametrize("openings", [0, 1025, 1 << 31, (1 << 32) - 1])
def test_an_absurd_number_of_openings_is_refused(openings):
    with pytest.raises(StatementError, match="no code of these parameters"):
        Statement.from_bytes(spliced(HEAD + 32, openings.to_bytes(4, "little")))


@pytest.mark.parametrize("log_message", [0, 10, 19, 64, (1 << 32) - 1])
def test_an_absurd_number_of_columns_is_refused(log_message):
    with pytest.raises(StatementError, match="no code of these parameters"):
        Statement.from_bytes(spliced(HEAD + 36, log_message.to_bytes(4, "little")))


def test_a_longer_code_than_needed_is_legal_and_binds():
    """So that a commitment made for another circuit can be opened here."""
    longer = Statement.from_bytes(spliced(HEAD + 36, (13).to_bytes(4, "little")))
    assert longer.plan.code == Code(13, STATEMENT.openings)
    assert longer.protocol_id() != STATEMENT.protocol_id()


@pytest.mark.parametrize("openings", [1, 2, 16, 17, 100, 1024])
def test_the_code_makes_room_for_the_openings(openings):
    statement = replace(STATEMENT, openings=openings)
    statement.check()
    assert Statement.from_bytes(statement.to_bytes()).plan.code == statement.plan.code
    code = statement.plan.code
    assert code.mask_symbols == openings * code.queries
    assert code.dimension < code.length
    assert statement.plan.pads <= code.message
    assert code.log_message == 11 or not Code(code.log_message - 1, openings).is_legal()


@pytest.mark.parametrize(
    "size", [0, 1, SCHEDULE - CIRCUIT - 1, SCHEDULE - CIRCUIT + 1, len(DATA), 1 << 40, (1 << 64) - 1]
)
def test_a_wrong_length_of_the_circuit_is_refused(size):
    assert decode(spliced(SIZE, size.to_bytes(8, "little"))) is None


def test_a_circuit_may_be_as_long_as_what_is_left_and_no_longer():
    left = len(DATA) - CIRCUIT
    with pytest.raises(CircuitError):  # the schedule is not JSON
        Statement.from_bytes(spliced(SIZE, left.to_bytes(8, "little")))
    with pytest.raises(StatementError, match=f"ends within its circuit .expected {left + 1}, got {left}.$"):
        Statement.from_bytes(spliced(SIZE, (left + 1).to_bytes(8, "little")))


def test_a_length_beyond_the_file_is_named():
    with pytest.raises(StatementError, match="ends within its circuit"):
        Statement.from_bytes(spliced(SIZE, (1 << 63).to_bytes(8, "little")))


@pytest.mark.parametrize("row", [3, 1 << 24, (1 << 32) - 1])
@pytest.mark.parametrize("place", range(4))
def test_a_row_that_the_data_set_lacks_is_refused(row, place):
    with pytest.raises(StatementError, match=r"names a row that the data set lacks \(expected 0\.\.2,"):
        Statement.from_bytes(spliced(SCHEDULE + 4 * place, row.to_bytes(4, "little")))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"schedule": np.zeros((2, 3), int)}, "schedule of another shape"),
        ({"schedule": np.zeros(4, int)}, "schedule of another shape"),
        ({"schedule": np.full((2, 2), -1)}, "names a row"),
        ({"schedule": np.zeros((2, 2))}, "schedule of another type"),
        ({"schedule": np.zeros((2, 2), bool)}, "schedule of another type"),
        ({"roots": (b"d" * 32, b"b" * 32, b"a" * 31)}, "a root has another length"),
        ({"roots": (b"", b"b" * 32, b"a" * 32)}, "a root has another length"),
        ({"openings": 0}, "no code of these parameters"),
        ({"openings": True}, "no code of these parameters"),
    ],
)
def test_a_statement_made_by_hand_is_checked_too(changes, text):
    with pytest.raises(StatementError, match=text):
        replace(STATEMENT, **changes).check()


def test_what_costs_the_verifier_too_much_is_no_statement(monkeypatch):
    """`test_plan` has the circuits; here it is that statements are asked."""

    def refuse(self: Plan) -> None:
        raise CircuitError("too much work")

    monkeypatch.setattr(Plan, "check_work", refuse)
    with pytest.raises(CircuitError, match="too much work"):
        Statement.from_bytes(DATA)


@pytest.mark.parametrize("more", [0, 1])
def test_pads_fit_in_the_message_of_one_row(more, monkeypatch):
    """With more, their codeword would have another distance than the one that soundness is computed from."""
    monkeypatch.setattr(Plan, "pads", property(lambda plan: plan.code.message + more))
    if more:
        with pytest.raises(StatementError, match="pads do not fit in a row"):
            Statement.from_bytes(DATA)
    else:
        assert Statement.from_bytes(DATA).to_bytes() == DATA


def test_an_illegal_circuit_is_a_circuit_error():
    statement = replace(STATEMENT, circuit=with_node(small(), STATE, name=""))
    with pytest.raises(CircuitError):
        statement.check()
    with pytest.raises(CircuitError):
        Statement.from_bytes(statement.to_bytes())


@SETTINGS
@given(st.data())
def test_mutated_bytes(data):
    mutated = bytearray(DATA)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(mutated)))
        stop = min(len(mutated), start + data.draw(st.integers(0, 4)))
        mutated[start:stop] = data.draw(st.binary(max_size=4))
    decode(bytes(mutated))


@SETTINGS
@given(st.binary(max_size=400))
def test_arbitrary_bytes(tail):
    assert decode(tail) is None
    assert decode(DATA[: HEAD + 32] + tail) is None


# What the digests bind


def variations() -> dict[str, Statement]:
    schedule = STATEMENT.schedule.copy()
    schedule[1, 1] = 1 - schedule[1, 1]
    roots = STATEMENT.roots
    return {
        "circuit": replace(STATEMENT, circuit=replace(small(), remarks=("learning rate 1/8",))),
        "schedule": replace(STATEMENT, schedule=schedule),
        "openings": replace(STATEMENT, openings=9),
        "data": replace(STATEMENT, roots=(b"D" * 32, *roots[1:])),
        "before": replace(STATEMENT, roots=(roots[0], b"B" * 32, roots[2])),
        "after": replace(STATEMENT, roots=(*roots[:2], b"A" * 32)),
        "states exchanged": replace(STATEMENT, roots=(roots[0], roots[2], roots[1])),
    }


def test_the_protocol_id_binds_everything_public():
    ids = [STATEMENT.protocol_id(), *(statement.protocol_id() for statement in variations().values())]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: with_node(with_node(c, 1, name="v"), 11, name="v"),
        lambda c: with_node(with_node(c, 1, fraction_bits=3), 11, fraction_bits=3),
    ],
    ids=["name", "fraction bits"],
)
def test_one_root_cannot_be_read_as_another_object(change):
    other = replace(STATEMENT, circuit=change(small()))
    assert other.object_digest("before") != STATEMENT.object_digest("before")
    assert other.object_digest("data") == STATEMENT.object_digest("data")


def test_a_data_root_is_no_state_root():
    same = replace(STATEMENT, roots=(b"r" * 32,) * 3)
    assert same.object_digest("before") == same.object_digest("after")
    assert same.object_digest("data") != same.object_digest("before")


def test_blocks_of_one_circuit_chain():
    """The digest of the state after a block is that of the state before the next."""
    nxt = replace(STATEMENT, roots=(STATEMENT.roots[0], STATEMENT.roots[2], b"n" * 32))
    assert STATEMENT.object_digest("after") == nxt.object_digest("before")


# Constants on which the bytes of a proof do not depend, or that are facts of the hash and the field.
UNBOUND = {"SOUNDNESS_FLOOR_BITS", "DIGEST_BYTES", "ELEMENT_BYTES", "DEFAULT_OPENINGS"}
BOUND = sorted({name for name in vars(parameters) if name.isupper()} - UNBOUND)


@pytest.mark.parametrize("name", BOUND)
def test_the_parameter_hash_binds_every_parameter(name, monkeypatch):
    before = parameter_hash()
    monkeypatch.setattr(f"zkjax.statement.statement.{name}", getattr(parameters, name) + 1)
    assert parameter_hash() != before


# Proof files


def test_a_proof_round_trips():
    proof = Proof(b"messages")
    assert Proof.from_bytes(proof.to_bytes()) == proof
    assert Proof.from_bytes(Proof(b"").to_bytes()) == Proof(b"")


def test_a_foreign_proof_is_refused():
    good = Proof(b"messages").to_bytes()
    for length in range(48):
        with pytest.raises(ProofFormatError):
            Proof.from_bytes(good[:length])
    for position in range(48):
        with pytest.raises(ProofFormatError):
            Proof.from_bytes(good[:position] + bytes([good[position] ^ 1]) + good[position + 1 :])
    with pytest.raises(ProofFormatError, match="not a proof"):
        Proof.from_bytes(DATA)


def test_a_proof_beyond_every_size_is_refused():
    class Large(bytes):
        def __len__(self):
            return MAX_PROOF_BYTES + 1

    with pytest.raises(ProofFormatError, match="too large"):
        Proof.from_bytes(Large())

    class Largest(bytes):
        def __len__(self):
            return MAX_PROOF_BYTES

    with pytest.raises(ProofFormatError, match="not a proof"):
        Proof.from_bytes(Largest())


# The code


@pytest.mark.parametrize("log_message", range(11, 19))
@pytest.mark.parametrize("openings", [1, 8, 64])
def test_the_queries_reach_their_target_and_not_one_more_is_needed(log_message, openings):
    code = Code(log_message, openings)
    if not code.is_legal():
        pytest.skip("no such code")
    target = parameters.QUERY_TARGET_BITS - parameters.OPENING_GRINDING_BITS
    assert code.queries * code.bits_per_query(code.queries) >= target
    assert (code.queries - 1) * code.bits_per_query(code.queries - 1) < target
    assert code.mask_symbols == openings * code.queries
    assert code.dimension + code.mask_symbols < code.length


@pytest.mark.parametrize(
    ("log_message", "openings", "blowup"),
    [
        (14, 1, 2),
        (15, 1, 1),
        (15, 8, 1),
        (15, 32, 2),
        (16, 32, 1),
        (16, 43, 1),
        (16, 44, 2),
        (16, 64, 2),
        (17, 86, 1),
        (16, 128, 2),
        (18, 128, 1),
        (18, 1024, 2),
    ],
)
def test_large_blocks_have_short_codes_unless_those_need_many_queries(log_message, openings, blowup):
    code = Code(log_message, openings)
    assert code.length == code.message << blowup
    assert code.queries <= 256


@pytest.mark.parametrize(
    "code",
    [Code(10, 8), Code(10, 1), Code(19, 8), Code(13, 0), Code(13, 1025), Code(11, 60), Code(13.0, 8), Code(13, True)],
)
def test_codes_that_do_not_exist(code):
    assert not code.is_legal()


def test_the_bits_of_a_query_are_those_of_the_decoding_radius():
    """A word beyond floor((n - k - e) / 2) errors differs from every codeword in one more place at least."""
    n, k = 1 << 13, 1 << 11
    for queries in (1, 134, 135):
        wrong = (n - k - 2 * queries) // 2 + 1
        assert Code(11, 2).bits_per_query(queries) == -math.log2(1 - Fraction(wrong, n))
    for queries in (6144, 6145):
        with pytest.raises(ValueError, match="do not fit a code of length 8192"):
            Code(11, 1).bits_per_query(queries)


def test_no_code_is_without_redundancy():
    for log_message in range(parameters.MIN_LOG_MESSAGE, parameters.MAX_LOG_MESSAGE + 1):
        for openings in (1, 40, 45, 46, 47, 60, 200, 1024):
            code = Code(log_message, openings)
            assert not code.is_legal() or code.dimension < code.length


# Circuits that are expensive on purpose


def deep(depth: int, node) -> Circuit:
    circuit = small()
    nodes = tuple(node(index - 1 if index > 13 else STATE) for index in range(13, 13 + depth))
    return appended(circuit, *nodes, lookups=(Lookup(0, 12 + depth, -1, -1, "deep"),))


@pytest.mark.parametrize(
    "circuit",
    [
        deep(12_000, lambda i: Combine((2,), ((1, i), (1, i)))),
        deep(12_000, lambda i: Contract((2,), i, i, (0,), (0,), (0,))),
        deep(20, lambda i: Axes((2,), i, (0,))),
        appended(small(), Constant((1 << 20, 1 << 20), 1), lookups=(Lookup(0, 13, -1, -1, "many"),)),
        appended(
            small(),
            *[Constant(((1 << 22) - 1,), 1)] * 3,
            lookups=tuple(Lookup(0, 13 + i, -1, -1, "l") for i in range(3)),
        ),
    ],
    ids=["doubling", "squaring", "harmless", "broadcast", "long axes"],
)
def test_expensive_circuits_are_refused_quickly(circuit):
    data = replace(STATEMENT, circuit=circuit).to_bytes()
    start = time.process_time()
    try:
        Statement.from_bytes(data)
    except VerificationError as error:
        assert isinstance(error, StatementError | CircuitError)
    assert time.process_time() - start < 20


def test_the_statement_of_a_dense_block_is_legal():
    circuit = dense_block(DenseShape(widths=(64, 128, 128, 10), batch=64, steps=16, rows=1797)).circuit
    schedule = np.random.default_rng(0).integers(0, 1797, (16, 64))
    statement = Statement(circuit, schedule, 8, STATEMENT.roots)
    statement.check()
    decoded = Statement.from_bytes(statement.to_bytes())
    assert decoded.digest() == statement.digest()
    assert hashlib.sha256(statement.to_bytes()).digest() == hashlib.sha256(decoded.to_bytes()).digest()
