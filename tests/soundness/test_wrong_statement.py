"""A witness of another statement: other rows, another learning rate, a step left out, other roots.

The prover's run is exact for what it did, which is not what the statement says. It may prove by its
own circuit and schedule under the statement's transcript; or by the statement's with its own leaves;
or with leaves that the statement's circuit makes of its tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from tests.soundness.block import Case, named, residues
from tests.soundness.cheating import by_the_circuit, carried_on, forge, is_legal
from tests.witness.naive import interpret
from zkjax.circuit.program import Lowered
from zkjax.errors import VerificationError
from zkjax.statement.circuit import Axes, Circuit, CircuitError, Combine, Committed, Contract, Filter, Rows
from zkjax.statement.statement import Statement
from zkjax.transcript.channel import CanonicalError, WorkError
from zkjax.verifier import verify
from zkjax.verifier.merkle import MerkleError
from zkjax.verifier.opening import ConsistencyError

# A proof for another transcript fails at its first proof of work, but for one in 2^12 of them.
OTHER_TRANSCRIPT = (WorkError, ConsistencyError)


def another_schedule(case: Case) -> tuple[Lowered, np.ndarray]:
    return case.lowered, np.random.default_rng(99).integers(0, 16, case.schedule.shape)


def swapped_rows(case: Case) -> tuple[Lowered, np.ndarray]:
    """Two rows of different steps change places."""
    schedule = case.schedule.copy()
    schedule[0, 1], schedule[2, 3] = schedule[2, 3], schedule[0, 1]
    return case.lowered, schedule


def swapped_steps(case: Case) -> tuple[Lowered, np.ndarray]:
    return case.lowered, case.schedule[[1, 0, 2]]


def repeated_row(case: Case) -> tuple[Lowered, np.ndarray]:
    """One row twice in a batch, instead of another."""
    schedule = case.schedule.copy()
    schedule[1, 0] = next(row for row in schedule[1] if row != schedule[1, 0])
    return case.lowered, schedule


def is_update(circuit: Circuit, index: int) -> bool:
    """Whether a node sums what the steps change: it stands with the learning rate in the weights."""
    node = circuit.nodes[index]
    steps = isinstance(node, Axes) and 0 not in node.source and isinstance(circuit.nodes[node.node], Contract | Axes)
    return isinstance(node, Filter) or (steps and node.shape == circuit.nodes[node.node].shape[1:])


def with_updates(circuit: Circuit, factor: Callable[[int], int]) -> Circuit:
    """The circuit with another coefficient of every sum of updates."""

    def changed(node):
        if not isinstance(node, Combine):
            return node
        return replace(node, terms=tuple((factor(c) if is_update(circuit, i) else c, i) for c, i in node.terms))

    return replace(circuit, nodes=tuple(map(changed, circuit.nodes)))


def learning_rate(factor: Callable[[int], int]) -> Callable[[Case], tuple[Lowered, np.ndarray]]:
    return lambda case: (replace(case.lowered, circuit=with_updates(case.circuit, factor)), case.schedule)


def another_target(case: Case) -> tuple[Lowered, np.ndarray]:
    """The gradient of another loss: labels count double."""
    nodes = case.circuit.nodes

    def changed(node):
        if not isinstance(node, Combine) or not any(isinstance(nodes[i], Rows) for _, i in node.terms):
            return node
        return replace(node, terms=tuple((2 * c if isinstance(nodes[i], Rows) else c, i) for c, i in node.terms))

    return replace(case.lowered, circuit=replace(case.circuit, nodes=tuple(map(changed, nodes)))), case.schedule


LIES = {
    "another schedule": another_schedule,
    "swapped batch rows": swapped_rows,
    "swapped steps": swapped_steps,
    "a row twice": repeated_row,
    "a larger learning rate": learning_rate(lambda c: c * 2),
    "no learning": learning_rate(lambda c: -1 if c < 0 else 1),
    "gradient ascent": learning_rate(lambda c: -c),
    "another target": another_target,
}


@pytest.mark.parametrize("name", LIES)
@pytest.mark.parametrize("way", ["own circuit", "own leaves", "recomputed leaves"])
def test_a_run_of_something_else_is_rejected(case, name, way):
    lowered, schedule = LIES[name](case)
    given = {i: case.values[i] for role in ("data", "before") for i in case.circuit.committed(role)}
    values = [residues(value) for value in interpret(lowered, given, schedule)]
    assert is_legal(lowered.circuit, values)
    committed = {i: values[i] for i in case.circuit.committed()}
    assert not is_legal(case.circuit, by_the_circuit(case.lowered, committed, case.schedule))
    match way:
        case "own circuit":
            forged = forge(
                case,
                committed=committed,
                leaves=values,
                lowered=lowered,
                schedule=schedule,
                claimed=lambda own: Statement(case.circuit, case.schedule, own.openings, own.roots),
            )
        case "own leaves":
            forged = forge(case, committed=committed, leaves=values)
        case "recomputed leaves":
            forged = forge(case, committed=committed, blame=True)
    assert forged.statement.circuit.digest() == case.circuit.digest()
    assert (forged.statement.schedule == case.schedule).all()
    with pytest.raises(ConsistencyError):
        forged.verify()
    names = forged.broken()
    if way == "own circuit":  # its sumchecks are true for other weights
        assert names and set(names) <= {"phase 0", "phase 1", "committed tensors"}
    else:
        assert names == (["lookup sum"] if way == "recomputed leaves" else ["committed tensors"])


@pytest.mark.parametrize("skipped", range(3))
def test_a_skipped_step_is_rejected(case, skipped):
    """The run leaves the updates of one step out of every sum."""

    def left_out(value):
        value = value.copy()
        value[skipped] = 0
        return value

    nodes = case.circuit.nodes
    updates = {node.node for node in nodes if isinstance(node, Filter)}
    assert len(updates) == 4
    values = carried_on(case, dict.fromkeys(updates, left_out))
    committed = {i: values[i] for i in case.circuit.committed()}
    assert not is_legal(case.circuit, by_the_circuit(case.lowered, committed, case.schedule))
    for leaves, name in ((values, "committed tensors"), (None, "lookup sum")):
        forged = forge(case, committed=committed, leaves=leaves)
        with pytest.raises(ConsistencyError):
            forged.verify()
        assert forged.broken() == [name]


# The true proof under another statement


def other_remark(statement: Statement) -> Statement:
    return replace(statement, circuit=replace(statement.circuit, remarks=("learning rate 0.5",)))


def other_format(bits: int) -> Callable[[Statement], Statement]:
    """The same integers, claimed to be of another scale before and after."""

    def change(statement: Statement) -> Statement:
        nodes = tuple(
            replace(node, fraction_bits=bits)
            if isinstance(node, Committed) and node.oracle in ("before", "after")
            else node
            for node in statement.circuit.nodes
        )
        return replace(statement, circuit=replace(statement.circuit, nodes=nodes))

    return change


def other_row(statement: Statement) -> Statement:
    schedule = statement.schedule.copy()
    schedule[0, 0] = (schedule[0, 0] + 1) % statement.circuit.rows
    return replace(statement, schedule=schedule)


def renamed(statement: Statement) -> Statement:
    nodes = tuple(
        replace(node, name="y" if node.name == "x" else "x")
        if isinstance(node, Committed) and node.oracle == "data"
        else node
        for node in statement.circuit.nodes
    )
    return replace(statement, circuit=replace(statement.circuit, nodes=nodes))


def other_coefficient(statement: Statement) -> Statement:
    return replace(statement, circuit=with_updates(statement.circuit, lambda c: 3 * c))


STATEMENTS = {
    "remark": other_remark,
    "format": other_format(15),
    "row": other_row,
    "names": renamed,
    "coefficient": other_coefficient,
    "openings": lambda statement: replace(statement, openings=3),
    "columns": lambda statement: replace(statement, log_message=12),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_proof_of_another_statement_is_rejected(honest, name):
    other = STATEMENTS[name](honest.statement)
    assert other.protocol_id() != honest.statement.protocol_id()
    with pytest.raises(OTHER_TRANSCRIPT):
        verify(other, honest.proof)


@pytest.mark.parametrize("order", [order for order in permutations(range(3)) if order != (0, 1, 2)])
def test_roots_in_other_roles_are_rejected(case, honest, order):
    """The first proof is for the right roles; the second starts from the wrong ones."""

    def exchanged(statement: Statement) -> Statement:
        return replace(statement, roots=tuple(statement.roots[i] for i in order))

    with pytest.raises(OTHER_TRANSCRIPT):
        verify(exchanged(honest.statement), honest.proof)
    with pytest.raises(MerkleError):
        forge(case, claimed=exchanged).verify()


def test_another_number_of_openings_under_its_own_transcript_is_rejected(case):
    """Masks, queries and dimension follow the openings: nothing stands where it should."""
    forged = forge(case, claimed=lambda statement: replace(statement, openings=3))
    with pytest.raises(CanonicalError):  # combinations are longer: salts and nonces are read as elements
        forged.verify()


def test_roots_of_another_run_are_rejected(case, honest):
    """Commitments to other data and states of the same shapes, in one role at a time."""
    other = Case.make(seed=5)
    roots = [getattr(other.commitments, role).root for role in ("data", "before", "after")]
    for role in range(3):
        mixed = tuple(roots[i] if i == role else honest.statement.roots[i] for i in range(3))
        with pytest.raises(MerkleError):
            forge(case, claimed=lambda statement, mixed=mixed: replace(statement, roots=mixed)).verify()


def test_states_of_different_formats_are_no_circuit(honest):
    nodes = honest.statement.circuit.nodes
    for oracle in ("before", "after"):
        changed = tuple(
            replace(node, fraction_bits=15) if isinstance(node, Committed) and node.oracle == oracle else node
            for node in nodes
        )
        statement = replace(honest.statement, circuit=replace(honest.statement.circuit, nodes=changed))
        with pytest.raises(CircuitError, match="formats"):
            verify(statement, honest.proof)


def test_a_commitment_of_another_format_has_another_digest(honest):
    other = other_format(15)(honest.statement)
    assert other.object_digest("data") == honest.statement.object_digest("data")
    for name in ("before", "after"):
        assert other.object_digest(name) != honest.statement.object_digest(name)


def test_a_proof_of_one_statement_does_not_serve_another(case, honest):
    """Two true statements of one circuit: neither proof is one of the other."""
    other = forge(Case.make(seed=5))
    other.verify()
    for statement, proof in ((honest.statement, other.proof), (other.statement, honest.proof)):
        with pytest.raises(OTHER_TRANSCRIPT):
            verify(statement, proof)


def test_the_digest_of_a_circuit_is_that_of_all_its_parts(case):
    """Whatever a circuit says is part of the transcript, names of lookups and remarks too."""
    circuit = case.circuit
    assert set(named(circuit)) == {f"{circuit.nodes[i].oracle}/{circuit.nodes[i].name}" for i in circuit.committed()}
    changed = [
        replace(circuit, rows=circuit.rows + 1),
        replace(circuit, remarks=("a",)),
        replace(circuit, zeros=()),
        replace(circuit, lookups=circuit.lookups[:-1]),
        replace(circuit, lookups=(replace(circuit.lookups[0], name="other"), *circuit.lookups[1:])),
        replace(circuit, tables=(*circuit.tables[:-1], replace(circuit.tables[-1], hi=16))),
    ]
    digests = {other.digest() for other in (circuit, *changed)}
    assert len(digests) == len(changed) + 1


def test_every_rejection_here_is_typed():
    assert all(issubclass(error, VerificationError) for error in (*OTHER_TRANSCRIPT, MerkleError, CircuitError))
