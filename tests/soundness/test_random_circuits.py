"""Circuits that no compiler would write: what is true is accepted, and every entry of every tensor counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.soundness.block import Case
from tests.soundness.cheating import by_the_circuit, forge, is_legal
from tests.statement.random_circuits import random_circuit
from zkjax.circuit.program import Lowered
from zkjax.statement.circuit import Output
from zkjax.statement.plan import Plan
from zkjax.verifier.opening import ConsistencyError


def random_case(seed: int) -> Case | None:
    """A true statement about a random circuit, or None if its random values leave their tables."""
    circuit = replace(random_circuit(seed, bound=7), zeros=())
    stepped = [index for index, node in enumerate(circuit.nodes) if node.shape[:1] == (circuit.steps,)]
    circuit = replace(circuit, outputs=tuple(Output(f"output {index}", index, 0) for index in stepped[::3]))
    random = np.random.default_rng(seed)
    lowered, schedule = Lowered(circuit, {}), random.integers(0, circuit.rows, (circuit.steps, circuit.batch))
    given = {node: random.integers(-3, 4, circuit.nodes[node].shape) for node in circuit.committed()}
    values = tuple(by_the_circuit(lowered, given, schedule))
    return Case(lowered, Plan(circuit, 1), schedule, values) if is_legal(circuit, values) else None


def check(seed: int, entries: int) -> bool:
    case = random_case(seed)
    if case is None:
        return False
    forged = forge(case)
    forged.verify()
    assert forged.broken() == []
    random = np.random.default_rng(seed)
    for node in case.circuit.committed():
        for _ in range(entries):
            values = case.values[node].copy()
            values[tuple(int(random.integers(size)) for size in values.shape)] += 1
            lie = forge(case, committed={**case.committed, node: values}, leaves=case.values)
            with pytest.raises(ConsistencyError):
                lie.verify()
            assert lie.broken() == ["committed tensors"]
    return True


@pytest.mark.parametrize("seed", [0, 5])
def test_a_random_circuit(seed):
    assert check(seed, entries=1)


@pytest.mark.slow
def test_many_random_circuits():
    assert sum(check(seed, entries=3) for seed in range(40)) > 30
