"""Each check of the verifier, taken away: a forged proof that is then accepted, and rejected with it.

A check is taken away by changing its source, so that a test fails when the line changes. Where prover
and verifier share a function, it is changed for both: a cheat would not owe what nobody asks for.
"""

from __future__ import annotations

import inspect
import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from unittest.mock import patch

import jax
import numpy as np
import pytest

from tests.soundness.block import OPENINGS, Case, commit, named
from tests.soundness.cheating import CheatingChannel, Forgery, by_the_circuit, forge, is_legal
from tests.soundness.test_tampering import messages_of, opening_of
from tests.soundness.test_wrong_commitments import with_garbage
from zkjax.circuit.program import Lowered
from zkjax.errors import VerificationError
from zkjax.fields.mersenne61 import K, P, evaluation_point
from zkjax.fields.vectors import Ext, transform
from zkjax.prover import claims as prover_claims
from zkjax.prover import commit as committing
from zkjax.prover import lookup as prover_lookup
from zkjax.prover import opening as prover_opening
from zkjax.prover import products as prover_products
from zkjax.prover import prove as course
from zkjax.prover.commit import Oracle, commit_advice
from zkjax.statement import parameters
from zkjax.statement.circuit import Axes, Circuit, CircuitError, Combine, Committed, Lookup, Node
from zkjax.statement.parameters import OPENING_GRINDING_BITS
from zkjax.statement.plan import Plan
from zkjax.statement.proof import Proof
from zkjax.statement.ranges import RangeError
from zkjax.statement.relations import Relations
from zkjax.statement.statement import Statement, StatementError
from zkjax.statement.tables import Table
from zkjax.transcript.channel import (
    NONCE_BYTES,
    CanonicalError,
    ProofLengthError,
    ProverChannel,
    VerifierChannel,
    WorkError,
)
from zkjax.transcript.sponge import Transcript
from zkjax.verifier import claims as verifier_claims
from zkjax.verifier import lookup as verifier_lookup
from zkjax.verifier import merkle, opening, verify
from zkjax.verifier import products as verifier_products
from zkjax.verifier.merkle import MerkleError
from zkjax.verifier.opening import ConsistencyError, PadProximityError, ProximityError

VERIFY = sys.modules[verify.__module__]
LATER = (WorkError, ConsistencyError)


def changed(function: Callable, old: str, new: str) -> Callable:
    """The function with one piece of its source replaced."""
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(old) == 1, f"{function.__name__} has not once {old!r}"
    names = dict(function.__globals__)
    exec(compile(source.replace(old, new), f"<changed {function.__name__}>", "exec"), names)
    return names[function.__name__]


def without(check: str, function: Callable, *users: object, instead: str = "if False:") -> list:
    """`function` without one check, wherever it is used, as patches."""
    other = changed(function, check, instead)
    return [patch.object(user, function.__name__, other) for user in users]


def nothing(name: str, *users: object) -> list:
    """A function that does nothing, wherever it is used, as patches."""
    return [patch.object(user, name, lambda *arguments: None) for user in users]


@contextmanager
def under(patches: list) -> Iterator[None]:
    with ExitStack() as stack:
        for each in patches:
            stack.enter_context(each)
        yield


def necessary(mutation: list, forged: Forgery | Callable[[], Forgery], error: type | tuple[type, ...]) -> None:
    """The forged proof is accepted without the check and rejected with it.

    A callable forges anew under each, where the prover too has to know what is asked.
    """
    again = forged if callable(forged) else lambda: forged
    with pytest.raises(error) as caught:
        again().verify()
    assert isinstance(caught.value, VerificationError)
    with under(mutation):
        again().verify()


def lie(case: Case, name: str = "advice/layer0/output") -> dict[int, np.ndarray]:
    """Committed tensors, one entry off: the rest do not fit it."""
    node = named(case.circuit)[name]
    values = case.values[node].copy()
    values.reshape(-1)[0] += 1
    committed = {**case.committed, node: values}
    assert not is_legal(case.circuit, by_the_circuit(case.lowered, committed, case.schedule))
    return committed


# The final opening


def test_consistency(case):
    mutation = without("if value != masked_value + zeta * target:", opening.verify_opening, VERIFY)
    necessary(mutation, forge(case, committed=lie(case), hurried=False), ConsistencyError)


AT_ROWS = "unlike = _differing(transform(combination, plan.code.log_length)[opened.positions], combined)"
AT_PADS = "unlike = _differing(transform(pad_combination, plan.code.log_length)[opened.positions], pads)"


def test_proximity_of_rows(case):
    mutation = without(AT_ROWS, opening.verify_opening, VERIFY, instead=AT_ROWS + "[:0]")
    necessary(mutation, forge(case, committed=lie(case), bend="rows"), ProximityError)


def test_proximity_of_pads(case):
    mutation = without(AT_PADS, opening.verify_opening, VERIFY, instead=AT_PADS + "[:0]")
    necessary(mutation, forge(case, committed=lie(case), bend="pads"), PadProximityError)


def test_authentication_of_columns(case):
    mutation = without("if computed != root:", merkle.receive_columns, opening)
    necessary(mutation, forge(case, committed=lie(case), bend="columns"), MerkleError)


# Encodings: a second proof where there is one


def plus_p(label: str) -> AbstractContextManager:
    """The prover's channel adds p to the first part of one message."""
    honest = ProverChannel.send_bytes

    def send_bytes(self: ProverChannel, name: str, data: bytes) -> None:
        if name == label:
            data = (int.from_bytes(data[:8], "little") + P).to_bytes(8, "little") + data[8:]
        honest(self, name, data)

    return patch.object(ProverChannel, "send_bytes", send_bytes)


@pytest.mark.parametrize("label", ["opening split", "masked factors", "lookup inverse", "row combination"])
def test_canonical_elements(case, label):
    with plus_p(label):
        forged = forge(case)
    mutation = without("if re >= P or im >= P:", K.from_bytes, K)
    necessary(mutation, forged, CanonicalError)


def test_canonical_symbols_of_columns(case):
    """Symbols with p added, in every leaf of a commitment of the prover's own making."""

    def advice(plan, tensors):
        oracle = commit_advice(plan, tensors)
        oracle._leaves[:, committing._HEADER_WORDS] += np.uint64(P)
        oracle._levels = committing._tree(oracle._leaves)
        return oracle

    def lenient(encoded: bytes) -> Ext:
        planes = np.frombuffer(encoded, dtype="<u8").astype(np.uint64).reshape(-1, 2) % np.uint64(P)
        return Ext(planes[:, 0].copy(), planes[:, 1].copy())

    mutation = [patch.object(Ext, "from_bytes", staticmethod(lenient))]
    necessary(mutation, forge(case, advice=advice), CanonicalError)


def test_nothing_after_the_end(case, honest):
    longer = replace(honest, proof=Proof(honest.proof.data + b"\0"))
    necessary(without("if left:", VerifierChannel.finish, VerifierChannel), longer, ProofLengthError)


# Proofs of work


@pytest.mark.parametrize("label", ["lookup challenges", "opening round", "opening combination", "opening"])
def test_work(case, label):
    def lazy(self: ProverChannel, name: str, bits: int) -> None:
        nonce = self.transcript.prove_work(name, 0 if name == label else bits)
        self.append(nonce.to_bytes(NONCE_BYTES, "little"))

    with patch.object(CheatingChannel, "work", lazy):
        forged = forge(case)
    check = "if not self.transcript.check_work(label, bits, nonce):"
    instead = "if not self.transcript.check_work(label, bits, nonce) and False:"
    necessary(without(check, VerifierChannel.work, VerifierChannel, instead=instead), forged, WorkError)


# What the hidden values owe


def test_the_sum_of_all_fractions(case):
    mutation = without(
        "owed.zeros.append(running[0])",
        verifier_lookup.require_zero_sum,
        prover_lookup,
        verifier_lookup,
        instead="owed.zeros.append(running[0] * 0)",
    )
    necessary(mutation, lambda: forge(case, committed=lie(case), hurried=False), ConsistencyError)


def test_the_products_of_hidden_values(case):
    """With the roots repaired, the lie is in the relation of the first layer."""
    mutation = without(
        "owed.zeros.append(results + cross * tau + square * (tau * tau) - total)",
        verifier_products.require_products,
        prover_products,
        verifier_products,
        instead="owed.zeros.append(cross * 0)",
    )
    necessary(mutation, lambda: forge(case, committed=lie(case), repairs=["root"], hurried=False), ConsistencyError)


def products_with_a_free_factor(channel: ProverChannel, owed: Relations) -> None:
    """`prove_products`, but the last masked factor is what makes the equation hold."""
    channel.begin("products")
    eta = channel.challenge("product batching")
    masks = channel.reserve_pads(2 * owed.products)
    pairs = [
        (eta**number * product.weight, channel.plaintext(product.left), channel.plaintext(product.right))
        for number, quadratic in enumerate(owed.quadratics)
        for product in quadratic.products
    ]
    pads = [(channel.pads[a], channel.pads[b]) for a, b in zip(masks[::2], masks[1::2], strict=True)]
    cross = sum((w * (x * b + y * a) for (w, x, y), (a, b) in zip(pairs, pads, strict=True)), K.ZERO)
    square = sum((w * a * b for (w, _, _), (a, b) in zip(pairs, pads, strict=True)), K.ZERO)
    forms = channel.send_hidden("product cross terms", [cross, square])
    tau = channel.nonzero_challenge("product mask")
    opened = [(w, x + tau * a, y + tau * b) for (w, x, y), (a, b) in zip(pairs, pads, strict=True)]
    results = [eta**number * channel.plaintext(quadratic.result) for number, quadratic in enumerate(owed.quadratics)]
    missing = sum(results, tau * cross + tau * tau * square) - sum((w * x * y for w, x, y in opened), K.ZERO)
    w, x, y = opened[-1]
    opened[-1] = (w, x, y + missing / (w * x))
    flat = [factor for _, x, y in opened for factor in (x, y)]
    channel.send_public("masked factors", flat)
    prover_products.require_products(owed, eta, tau, masks, flat, *forms)


def test_the_factors_of_hidden_products(case):
    """A masked factor that is not the hidden one makes any relation hold."""
    mutation = without(
        "owed.zeros.append(factor + Hidden.of_pad(masks[place]) * tau - opened[place])",
        verifier_products.require_products,
        prover_products,
        verifier_products,
        instead="pass",
    )

    def forged() -> Forgery:
        with patch.object(course, "prove_products", products_with_a_free_factor):
            return forge(case, committed=lie(case), repairs=["root"], hurried=False)

    necessary(mutation, forged, ConsistencyError)


def test_the_claims_on_leaves(case):
    """Carried past all layers, the lie is in the claims on leaves."""
    mutation = nothing("claim_leaves", prover_lookup, verifier_lookup)
    repairs = ["root", "children"]
    necessary(mutation, lambda: forge(case, committed=lie(case), repairs=repairs, hurried=False), ConsistencyError)


def test_the_claims_on_factors(case):
    """Carried past a phase's rounds, the lie is in the claims on its factors."""
    mutation = nothing("claim_factors", prover_claims, verifier_claims)
    repairs = ["root", "children", "total", "factors"]
    necessary(mutation, lambda: forge(case, committed=lie(case), repairs=repairs, hurried=False), ConsistencyError)


def test_the_claims_on_vanishing_nodes(case):
    mutation = nothing("claim_zeros", course, VERIFY)
    necessary(mutation, lambda: forge(case, committed=lie(case, "after/counter"), hurried=False), ConsistencyError)


def test_the_zeros_in_the_final_claim(case):
    mutation = without(
        "balance = balance + zero * scale",
        opening.batch,
        opening,
        prover_opening,
        instead="pass",
    )
    necessary(mutation, lambda: forge(case, committed=lie(case), hurried=False), ConsistencyError)


def test_the_inverse_of_the_last_denominator_is_not_needed(case):
    """A second lock: alpha and beta come after every commitment, so the numerator alone tells.

    As a polynomial in alpha it is zero only if all tuples are rows, whatever the denominator does;
    and a denominator that is not the true one contradicts the first layer.
    """
    mutation = without(
        "owed.quadratics.append(Quadratic((Product(K.ONE, running[1], inverse),), Hidden.known(1)))",
        verifier_lookup.require_zero_sum,
        prover_lookup,
        verifier_lookup,
        instead="owed.quadratics.append(Quadratic((Product(K.ZERO, running[1], inverse),), Hidden.known(0)))",
    )
    zero = {"lookup root": lambda number, values: [K.ZERO, K.ZERO] if number else values}
    zero["lookup partial sum"] = lambda number, values: [K.ZERO, K.ZERO]
    with under(mutation):
        forge(case).verify()
        forged = forge(case, committed=lie(case), edits=zero)
        with pytest.raises(ConsistencyError):
            forged.verify()


# The statement


def tiny(nodes: list[Node], zero: int, values: dict[int, object]) -> Case:
    """A circuit of one datum and one state, in a table of three bits, with a vanishing node."""
    fixed = [
        Committed((1,), "data", "x", 0),
        Committed((), "before", "w", 0),
        Committed((), "after", "w", 0),
        *nodes,
    ]
    lookups = tuple(
        Lookup(0, index, -1, -1, f"range {index}") for index, node in enumerate(fixed) if isinstance(node, Committed)
    )
    circuit = Circuit(1, 1, 1, tuple(fixed), (Table("range", 0, 7, 0),), lookups, (zero,), ())
    every = tuple(np.asarray(values.get(i, np.zeros(node.shape)), np.int64) for i, node in enumerate(fixed))
    return Case(Lowered(circuit, {}), Plan(circuit, OPENINGS), np.zeros((1, 1), np.int64), every)


def test_ranges():
    """2^59 * 4 - 1 is zero mod p only."""
    nodes = [Committed((), "advice", "a", 0), Committed((), "advice", "b", 0)]
    case = tiny([*nodes, Combine((), ((1 << 59, 3), (-1, 4)))], 5, {3: 4, 4: 1})
    assert P == (1 << 59) * 4 - 1
    necessary(nothing("check_ranges", VERIFY), forge(case), RangeError)


def test_legality():
    """An axis that grows from five to eight reads what nobody constrains: five zeros add up to three."""
    nodes = [
        Committed((5,), "advice", "five", 0),
        Committed((), "advice", "sum", 0),
        Axes((8,), 3, (0,)),
        Axes((), 5, ()),
        Combine((), ((1, 6), (-1, 4))),
    ]
    case = tiny(nodes, 7, {4: 3})
    assert not case.values[3].any()

    def one(count: int) -> np.ndarray:
        return np.ones(count, np.uint64)

    with with_garbage(one):
        forged = forge(case, commitments=commit(case.plan, case.committed))
    necessary([patch.object(Circuit, "check", lambda self: None)], forged, CircuitError)


def test_rows_that_exist(case):
    """Row -1 is row 15 to NumPy, and no row of the data set."""

    def claimed(statement: Statement) -> Statement:
        schedule = statement.schedule.copy()
        row = schedule[0, 0]
        return replace(statement, schedule=np.where(schedule == row, row - case.circuit.rows, schedule))

    forged = forge(case, claimed=claimed)
    assert forged.statement.schedule.min() < 0
    check = "if not (int(self.schedule.min()) >= 0 and int(self.schedule.max()) < self.circuit.rows):"
    necessary(without(check, Statement.check, Statement), forged, StatementError)


def test_the_remarks_in_the_digest(case):
    """What people read about the circuit is bound like the circuit."""
    mutation = without("self.to_bytes()", Circuit.digest, Circuit, instead="self.__class__(self.steps, self.batch, "
                       "self.rows, self.nodes, self.tables, self.lookups, self.zeros, ()).to_bytes()")  # fmt: skip

    def forged() -> Forgery:
        honest = forge(case)
        circuit = replace(honest.statement.circuit, remarks=("learning rate 0.1",))
        return replace(honest, statement=replace(honest.statement, circuit=circuit))

    necessary(mutation, forged, LATER)


class _Given:
    """Randomness that has already been chosen."""

    def __init__(self, masks: Ext):
        self.masks = masks

    def extension(self, label: str, *shape: int) -> Ext:
        return self.masks.reshape(*shape)

    def bytes(self, label: str, count: int) -> bytes:
        return os.urandom(count)


def interpolated(points: list[K], values: list[K]) -> list[K]:
    """Coefficients of the polynomial of least degree through some points (Newton)."""
    differences = list(values)
    for order in range(1, len(points)):
        for i in range(len(points) - 1, order - 1, -1):
            differences[i] = (differences[i] - differences[i - 1]) / (points[i] - points[i - order])
    coefficients = [differences[-1]]
    for point, difference in zip(points[-2::-1], differences[-2::-1], strict=True):
        shifted = [K.ZERO, *coefficients]
        coefficients = [a - point * b for a, b in zip(shifted, [*coefficients, K.ZERO], strict=True)]
        coefficients[0] += difference
    return coefficients


def with_an_afterthought(case: Case, honest: Forgery) -> Forgery:
    """The proof for a state after that is chosen last: anything, with masks that meet the opened columns."""
    plan, layout = case.plan, case.plan.layout.oracle("after")
    _, _, positions = opening_of(honest)
    distinct = sorted(set(positions))
    state = {i: np.full(case.values[i].shape, 12_345) for i in case.circuit.committed("after")}
    message = committing._message(layout, plan.code, state)
    held = case.commitments.after.oracle
    own = transform(message.reshape(-1), plan.code.log_length)
    old = transform(Ext.from_list([*held.message[0].to_list(), *held.masks[0].to_list()]), plan.code.log_length)
    points = [evaluation_point(position, plan.code.log_length) for position in distinct]
    values = [
        (old[position].item() - own[position].item()) / point**plan.code.message
        for position, point in zip(distinct, points, strict=True)
    ]
    masks = interpolated(points, values)
    masks += [K.ZERO] * (plan.code.mask_symbols - len(masks))
    with jax.enable_x64(True):
        oracle = Oracle(layout, plan.code, message, _Given(Ext.from_list(masks)))
    messages = [m for m in messages_of(honest) if m.label in ("column of after", "sibling in after")]
    data = honest.proof.data
    data = data[: messages[0].start] + oracle.open_columns(positions) + data[messages[-1].end :]
    statement = replace(honest.statement, roots=(*honest.statement.roots[:2], oracle.root))
    return replace(honest, statement=statement, proof=Proof(data))


def test_the_roots_in_the_transcript(case):
    """A commitment that no challenge depends on can be chosen last, to any weights at all."""
    mutation = without(
        "*(self.object_digest(name) for name in OBJECTS),\n        *self.roots,",
        Statement.protocol_id,
        Statement,
        instead="*(self.object_digest(name) for name in OBJECTS[:2]),\n        *self.roots[:2],",
    )
    necessary(mutation, lambda: with_an_afterthought(case, forge(case)), LATER)


def test_the_floor_of_soundness(case):
    """With one opened column, a combination that is wrong at three quarters of them passes when it is lucky."""
    few = patch.object(parameters, "QUERY_TARGET_BITS", OPENING_GRINDING_BITS)
    prove_work = Transcript.prove_work

    def lucky(self: Transcript, label: str, bits: int) -> int:
        if bits < OPENING_GRINDING_BITS:
            return prove_work(self, label, bits)
        nonce = 0
        while True:
            rehearsal = self.clone()
            if rehearsal.check_work(label, bits, nonce):
                (position,) = rehearsal.indices("opening columns", 1, plan.code.log_length)
                if evaluation_point(position, plan.code.log_length) ** plan.code.message == K.ONE:
                    break
            nonce += 1
        self.check_work(label, bits, nonce)
        return nonce

    with few:
        plan = Plan(case.circuit, OPENINGS)
        assert plan.code.queries == 1
        weak = replace(case, plan=plan)
        with patch.object(Transcript, "prove_work", lucky):
            forged = forge(weak, committed=lie(weak), bend="far rows")
        necessary([patch.object(VERIFY, "SOUNDNESS_FLOOR_BITS", 0)], forged, VERIFY.SoundnessError)
