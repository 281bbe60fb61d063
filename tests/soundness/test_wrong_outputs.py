"""Published numbers that are not those of the run: each is caught, and by the check that is there for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest

from tests.softmax import CLASSES, softmax_block, softmax_inputs
from tests.soundness.block import OPENINGS, Case, named, residues
from tests.soundness.cheating import Forgery, forge, is_legal
from tests.soundness.test_challenges import known_value, needs_to_come_later
from tests.soundness.test_mutants import LATER, VERIFY, necessary, nothing, without
from tests.soundness.test_wrong_functions import lied, rejected, softmax_case, violated
from tests.witness.naive import interpret
from zkjax.circuit.program import Lowered
from zkjax.fields.mersenne61 import K, P
from zkjax.fields.vectors import equality_weights
from zkjax.prover import prove as course
from zkjax.statement.circuit import Axes, Circuit, Combine, Committed, Lookup, Output
from zkjax.statement.plan import Plan
from zkjax.statement.ranges import RangeError, check_ranges
from zkjax.statement.statement import Statement, StatementError
from zkjax.statement.tables import Table
from zkjax.verifier.opening import ConsistencyError

Values = tuple[np.ndarray, ...]


@pytest.fixture(scope="module")
def softmax() -> Case:
    return softmax_case(openings=2)


@pytest.fixture(scope="module")
def tied() -> Case:
    """A softmax block in which two logits of a row are the largest: its label's and an earlier one."""
    lowered = softmax_block()
    names = named(lowered.circuit)
    given, schedule = softmax_inputs(lowered, seed=4)
    weights = given[names["before/w"]]
    weights[:, 2] = weights[:, 1]
    given[names["data/label"]][:] = 2
    values = tuple(residues(value) for value in interpret(lowered, given, schedule))
    assert is_legal(lowered.circuit, values)
    return Case(lowered, Plan(lowered.circuit, 2), schedule, values)


def published(change: Callable[[Values], Values]) -> Callable[[Statement], Statement]:
    """The statement with other outputs: `change` gets copies."""
    return lambda own: replace(own, outputs=change(tuple(values.copy() for values in own.outputs)))


def one_more(place: int, step: int) -> Callable[[Values], Values]:
    def change(values: Values) -> Values:
        values[place][step] += 1
        return values

    return change


LIES = {
    "another accuracy": one_more(0, 1),
    "another loss": one_more(1, 0),
    "outputs of other steps": lambda values: tuple(v[::-1].copy() for v in values),
    "swapped outputs": lambda values: values[::-1],
    "only zeros": lambda values: tuple(v * 0 for v in values),
}


@pytest.mark.parametrize("name", LIES)
def test_other_numbers_than_the_runs_are_rejected(softmax, name):
    """The prover claims them under a transcript that holds them: all is true but the claim on the output."""
    with patch.object(VERIFY, "check_published", lambda *arguments: None):  # which may find them impossible
        forged = forge(softmax, claimed=published(LIES[name]))
        true = (softmax.values[output.node] for output in softmax.circuit.outputs)
        assert any((a != b).any() for a, b in zip(forged.statement.outputs, true, strict=True))
        assert forged.broken() == ["committed tensors"]
        with pytest.raises(ConsistencyError):
            forged.verify()


def test_the_true_numbers_are_accepted_and_told(softmax):
    summary = forge(softmax).verify()
    values = {output.name: softmax.values[output.node] for output in softmax.circuit.outputs}
    assert summary.outputs == {"right": values["right"].tolist(), "margin": (values["margin"] / 8).tolist()}


def test_the_proof_of_other_numbers_is_none_of_these(softmax):
    honest = forge(softmax)
    statement = published(one_more(0, 0))(honest.statement)
    with pytest.raises(LATER):
        replace(honest, statement=statement).verify()


def test_a_tie_broken_the_other_way(tied):
    """Class 1 is as likely as the label's, 2, and comes first: no row is right. The prover would choose 2."""
    names = named(tied.circuit)
    logits = tied.values[names["advice/logits"]]
    rows = np.argwhere(logits.max(axis=-1) == logits[..., 2])
    assert len(rows) and (logits[..., 1] == logits[..., 2])[tuple(rows[0])]
    right = tied.circuit.outputs[0].node
    at = tuple(rows[0])
    honest = tied.values[right][at[0]]

    def wrong(value):
        value[at] = np.arange(CLASSES) == 2

    committed = lied(tied, maximum__selector=wrong)
    assert violated(tied, committed) == {"maximum/distance[0:7]"}
    rejected(tied, committed, by={"maximum/distance[0:7]"})
    forged = forge(tied, committed=committed)
    assert forged.statement.outputs[0][at[0]] == honest + 1


def test_a_smaller_entry_selected(softmax):
    """It is not called the largest by a smaller distance to those before it."""
    logits = softmax.values[named(softmax.circuit)["advice/logits"]]
    at = (0, 0)

    def wrong(value):
        value[at] = np.arange(CLASSES) == int(np.argsort(logits[at])[-2])

    found = violated(softmax, lied(softmax, maximum__selector=wrong))
    assert "maximum/distance[0:7]" in found


# Each check, taken away


def small(coefficient: int, entries: int, outputs: int = 1, values: tuple[int, ...] = (3,)) -> Case:
    """`outputs` tensors [1, entries] that are `coefficient` times committed ones of three bits."""
    shape = (1, entries) if entries > 1 else (1,)
    committed = [Committed(shape, "advice", f"a{number}", 0) for number in range(outputs)]
    nodes = [
        Committed((1,), "data", "x", 0),
        Committed((), "before", "w", 0),
        Committed((), "after", "w", 0),
        *committed,
    ]
    lookups = tuple(Lookup(0, index, -1, -1, f"range {index}") for index in range(len(nodes)))
    virtual = [Combine(shape, ((coefficient, 3 + number),)) for number in range(outputs)]
    named_ = tuple(Output(f"output {number}", len(nodes) + number, 0) for number in range(outputs))
    circuit = Circuit(1, 1, 1, (*nodes, *virtual), (Table("range", 0, 7, 0),), lookups, (), (), named_)
    every = [np.zeros(node.shape, np.int64) for node in circuit.nodes]
    for number in range(outputs):
        every[3 + number] += values[0]
        every[len(nodes) + number] += values[0] * coefficient % P
    return Case(Lowered(circuit, {}), Plan(circuit, OPENINGS), np.zeros((1, 1), np.int64), tuple(every))


def test_the_claims_on_outputs(softmax):
    mutation = nothing("claim_outputs", course, VERIFY)
    necessary(mutation, lambda: forge(softmax, claimed=published(one_more(0, 0))), ConsistencyError)


def test_numbers_that_are_only_congruent():
    """A number and the same plus p agree at every point."""

    def claimed(own: Statement) -> Statement:
        return replace(own, outputs=(own.outputs[0] + P,))

    necessary(nothing("check_published", VERIFY), forge(small(5, 1), claimed=claimed), RangeError)


def test_numbers_that_may_be_several():
    """An output of which only the residue is known has several values."""
    check = '_check_leaf(f"output {output.name!r}", intervals[output.node], intervals[output.node])'

    def claimed(own: Statement) -> Statement:
        return replace(own, outputs=(own.outputs[0] + P,))

    forged = forge(small((1 << 59) - 1, 1, values=(0,)), claimed=claimed)
    necessary(without(check, check_ranges, VERIFY, instead="pass"), forged, RangeError)


def test_outputs_of_another_type(softmax):
    """Numbers with fractions are hashed as integers, and told as they are."""

    def claimed(own: Statement) -> Statement:
        return replace(own, outputs=tuple(values + 0.5 for values in own.outputs))

    check = "if any(values.dtype != np.int64 for values in self.outputs):"
    necessary(without(check, Statement.check, Statement), forge(softmax, claimed=claimed), StatementError)


def impossible_otherwise(weights: list[K], lengths: list[int], seed: int) -> list[int]:
    """Small nonzero integers whose weighted sum in K vanishes: the last two solve for the rest."""
    random = np.random.default_rng(seed)
    a, b = weights[-2:]
    determinant = a.re * b.im - a.im * b.re
    inverse = pow(determinant, -1, P)
    while True:
        free = [int(random.integers(-length, length)) for length in lengths[:-2]]
        total = sum((w * d for w, d in zip(weights, free, strict=False)), K.ZERO)
        solved = (
            (-total.re * b.im + total.im * b.re) * inverse % P,
            (-a.re * total.im + a.im * total.re) * inverse % P,
        )
        last = [s if s < P // 2 else s - P for s in solved]
        if all(abs(d) < length for d, length in zip(last, lengths[-2:], strict=True)) and all(free):
            return [*free, *last]


WIDE = 1 << 57  # seven times that is most of the field


def with_room(case: Case, weights: list[K]) -> Callable[[Statement], Statement]:
    """Other numbers whose sum under `weights` is the true one, within the range of the outputs."""
    changes = impossible_otherwise(weights, [3 * WIDE] * len(weights), seed=1)

    def claimed(own: Statement) -> Statement:
        flat, found = iter(changes), []
        for values in own.outputs:
            found.append(values + np.array([next(flat) for _ in range(values.size)]).reshape(values.shape))
        return replace(own, outputs=tuple(found))

    return claimed


def test_the_point_of_an_output_after_its_numbers():
    """With the point known, other numbers agree there."""
    case, point = small(WIDE, 4), known_value("output point")
    weights = equality_weights([point, point]).to_list()
    needs_to_come_later(lambda: forge(case, claimed=with_room(case, weights), hurried=False), "output point")


def test_the_batching_of_outputs_after_their_numbers():
    """Three wrong numbers make up for each other under known weights."""
    case, batching = small(WIDE, 1, outputs=3), known_value("output batching")
    weights = [batching, batching * batching, batching * batching * batching]
    needs_to_come_later(lambda: forge(case, claimed=with_room(case, weights), hurried=False), "output batching")


def test_the_outputs_in_the_transcript():
    """Numbers that no challenge depends on can be chosen last."""
    mutation = without("hashlib.sha256(self._output_bytes()).digest(),", Statement.protocol_id, Statement, instead="")
    case = small(WIDE, 4)
    points: list[K] = []
    claim_outputs = course.claim_outputs

    def watching(plan, batching, drawn, *arguments):
        points[:] = drawn[0]
        claim_outputs(plan, batching, drawn, *arguments)

    def forged() -> Forgery:
        with patch.object(course, "claim_outputs", watching):
            honest = forge(case)
        claimed = with_room(case, equality_weights(points).to_list())
        return replace(honest, statement=claimed(honest.statement))

    necessary(mutation, forged, LATER)


def test_an_output_without_steps_is_no_output():
    case = small(5, 1)
    broken = replace(case.circuit, nodes=(*case.circuit.nodes, Axes((), 4, ())), outputs=(Output("o", 5, 0),))
    with pytest.raises(Exception, match="has no axis of steps"):
        broken.check()
