"""What a circuit does not say is not proved: such statements are true, and accepted.

The counterpart of the attacks. Whoever reads a statement has to know its circuit; the proof says that
the circuit holds, not that it is a training step.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.soundness.block import OPENINGS, Case, named, residues
from tests.soundness.cheating import by_the_circuit, forge, is_legal
from tests.soundness.test_mutants import tiny
from tests.witness.naive import interpret
from zkjax.circuit.program import Lowered
from zkjax.statement.circuit import Combine, Committed
from zkjax.statement.plan import Plan
from zkjax.statement.ranges import RangeError
from zkjax.verifier.opening import ConsistencyError


def test_a_state_that_nothing_ties_to_the_rest_may_be_anything():
    """A legal circuit in which the state after depends on nothing; its table is all that it keeps."""
    nodes = [Committed((), "advice", "a", 0), Combine((), ((1, 3), (-1, 3)))]
    for before, after in ((1, 7), (7, 0)):
        case = tiny(nodes, 4, {1: before, 2: after, 3: 2})
        assert forge(case).verify().steps == 1


def test_rows_that_the_schedule_does_not_name_may_be_anything(case):
    """Beyond their range too: nothing reads them, and nothing is said about them."""
    node = named(case.circuit)["data/x"]
    values = case.values[node].copy()
    unused = sorted(set(range(case.circuit.rows)) - set(case.schedule.reshape(-1).tolist()))
    values[unused] = 1 << 40
    committed = {**case.committed, node: values}
    assert unused
    assert is_legal(case.circuit, by_the_circuit(case.lowered, committed, case.schedule))
    forge(case, committed=committed, hurried=False).verify()


def test_a_committed_tensor_that_nothing_bounds_is_no_statement(case):
    """Data alone may be bounded where they are read; all else needs a lookup of its own."""
    nodes = [Committed((), "advice", "a", 0), Combine((), ((1, 3), (-1, 3)))]
    free = tiny(nodes, 4, {3: 2})
    for unbounded in range(1, 4):
        lookups = tuple(lookup for lookup in free.circuit.lookups if lookup.re != unbounded)
        circuit = replace(free.circuit, lookups=lookups)
        changed = replace(free, lowered=Lowered(circuit, {}), plan=Plan(circuit, OPENINGS))
        with pytest.raises(RangeError):
            forge(changed).verify()


def test_data_outside_their_range_count_where_they_are_read(case):
    node = named(case.circuit)["data/x"]
    values = case.values[node].copy()
    values[case.schedule[2, 1], 3] = 9
    committed = {**case.committed, node: values}
    truth = by_the_circuit(case.lowered, committed, case.schedule)
    assert not is_legal(case.circuit, truth)
    with pytest.raises(ConsistencyError):
        forge(case, committed=committed).verify()


def test_labels_are_what_the_data_set_says(case):
    """A wrong label is another data set, not a wrong proof: two ones in a row are in range."""
    node = named(case.circuit)["data/y"]
    values = np.ones_like(case.values[node])
    committed = {**case.committed, node: values}
    assert not is_legal(case.circuit, by_the_circuit(case.lowered, committed, case.schedule))
    given = {**{i: case.values[i] for i in case.circuit.committed("before")}, node: values}
    given[named(case.circuit)["data/x"]] = case.values[named(case.circuit)["data/x"]]
    run = tuple(residues(value) for value in interpret(case.lowered, given, case.schedule))
    assert is_legal(case.circuit, run)
    forge(Case(case.lowered, case.plan, case.schedule, run)).verify()
