"""What is published of a run are its outputs, and nothing more than without them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import sqrt

import numpy as np
import pytest

from tests.privacy.recording import Recorded
from tests.privacy.simulator import simulate
from tests.privacy.test_distribution import seeded
from tests.privacy.test_leakage import LEAKS, MANY, proved, right, zeroed
from tests.softmax import LOGIT_FRACTION, softmax_block, softmax_inputs
from tests.soundness.block import Case, Tensors, named
from tests.soundness.lies import case_of
from tests.witness.naive import interpret
from zkjax.circuit.program import Lowered
from zkjax.errors import VerificationError
from zkjax.verifier import verify


def tensors(lowered: Lowered) -> dict[tuple[str, str], list]:
    """The committed tensors of a run."""
    given, schedule = softmax_inputs(lowered, seed=4)
    values, nodes = interpret(lowered, given, schedule), lowered.circuit.nodes
    return {(nodes[i].oracle, nodes[i].name): values[i].tolist() for i in lowered.circuit.committed()}


def test_what_is_committed_does_not_depend_on_what_is_published():
    loud = softmax_block()
    assert loud.circuit.outputs
    assert tensors(loud) == tensors(replace(loud, circuit=replace(loud.circuit, outputs=())))


@pytest.mark.parametrize("numbers", [([1, 3], [7, 0]), ([0, 2], [100, 1])])
def test_the_simulator_needs_the_outputs_alone(numbers):
    """Told any numbers in range, it makes a proof of them from no data, weights or advice."""
    circuit = softmax_block().circuit
    _, schedule = softmax_inputs(softmax_block(), seed=4)
    outputs = tuple(np.array(values) for values in numbers)
    made = simulate(circuit, schedule, 1, outputs=outputs)
    made.verify()
    assert [values.tolist() for values in made.statement.outputs] == list(numbers)
    with pytest.raises(VerificationError):
        verify(made.statement, made.proofs[0])
    told_otherwise = replace(made.statement, outputs=outputs[::-1])
    with pytest.raises(VerificationError):
        replace(made, statement=told_otherwise).verify()


# Two runs of the same outputs: which of them was it?


def shifted(given: Tensors, names: dict[str, int]) -> None:
    """All logits of a row are moved alike: a softmax, and how far a label is from the largest, are the same."""
    given[names["before/w"]][0] += 3 << (16 - LOGIT_FRACTION)


def exchanged(given: Tensors, names: dict[str, int]) -> None:
    """Two rows of the data change places, and no batch has but one of them: sums over a batch are the same."""
    for name in ("data/x", "data/label"):
        given[names[name]][[0, 1]] = given[names[name]][[1, 0]]


ALIKE = {"other weights": shifted, "other rows": exchanged}


def alike(change: Callable[[Tensors, dict[str, int]], None]) -> tuple[Case, Case]:
    lowered, made = softmax_block(), []
    for second in (False, True):
        given, _ = softmax_inputs(lowered, seed=0)
        given = {node: value.copy() for node, value in given.items()}
        if second:
            change(given, named(lowered.circuit))
        made.append(case_of(lowered, given, np.array([[0, 1, 2], [1, 0, 3]])))
    return made[0], made[1]


@pytest.mark.parametrize("name", ALIKE)
def test_the_outputs_are_the_same_and_the_secrets_are_not(name):
    first, second = alike(ALIKE[name])
    assert first.circuit.outputs
    for output in first.circuit.outputs:
        np.testing.assert_array_equal(first.values[output.node], second.values[output.node])
        assert first.values[output.node].any()
    assert any((first.committed[node] != value).any() for node, value in second.committed.items())


@pytest.mark.slow
@pytest.mark.parametrize("name", ALIKE)
def test_proofs_of_the_same_outputs_do_not_tell_whose_they_are(name):
    """The distinguisher is right as often as a coin: within three standard deviations of half of the proofs."""
    with seeded(name):
        hits, kinds = right(alike(ALIKE[name]), MANY, proved)
    print(f"{name}: {hits} of {MANY}")
    assert not kinds
    assert abs(hits - MANY / 2) <= 1.5 * sqrt(MANY)


LEFT_OUT: dict[str, tuple[Callable[[Case], Recorded], str]] = {
    "the mask row": (zeroed("mask row"), "row combination"),
    "the pads": (zeroed("pads"), "messages"),
}


@pytest.mark.parametrize("name", ALIKE)
@pytest.mark.parametrize("omission", LEFT_OUT)
def test_they_do_once_something_is_left_out(name, omission):
    prove, kind = LEFT_OUT[omission]
    with seeded(omission):
        hits, kinds = right(alike(ALIKE[name]), LEAKS, prove)
    assert hits == LEAKS
    assert kind in kinds
