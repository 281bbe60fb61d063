"""What is published of a run are its outputs, and nothing more than without them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.privacy.simulator import simulate
from tests.softmax import softmax_block, softmax_inputs
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
