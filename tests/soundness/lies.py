"""Lies about single tensors of a run, carried on through the rest of it, and what each of them violates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.soundness.block import Case, Tensors, named, residues
from tests.soundness.cheating import by_the_circuit, carried_on, forge, is_legal, is_row
from tests.witness.naive import interpret
from zkjax.circuit.program import Lowered
from zkjax.circuit.recipes import TableValue
from zkjax.statement.plan import Plan
from zkjax.statement.tables import Table
from zkjax.verifier.opening import ConsistencyError


def case_of(lowered: Lowered, given: Tensors, schedule: np.ndarray, openings: int = 2) -> Case:
    """A true statement of a hand-built block."""
    values = tuple(residues(value) for value in interpret(lowered, given, schedule))
    assert is_legal(lowered.circuit, values)
    return Case(lowered, Plan(lowered.circuit, openings), schedule, values)


def violated(case: Case, committed: Tensors) -> set[str]:
    """Names of the lookups that meet no row, and 'zero' for tensors that do not vanish."""
    circuit = case.circuit
    values = by_the_circuit(case.lowered, committed, case.schedule)
    found = {
        lookup.name
        for lookup in circuit.lookups
        if not is_row(circuit.tables[lookup.table], [values[node] for node in lookup.coordinates]).all()
    }
    return found | {"zero" for node in circuit.zeros if values[node].any()}


def begun(case: Case, **leaves: Callable[[np.ndarray], None]) -> Tensors:
    """Committed tensors of an honest run from a state before of the prover's choice: `leaves` changes what is there."""
    names = named(case.circuit)
    given = {i: case.values[i].copy() for role in ("data", "before") for i in case.circuit.committed(role)}
    for name, change in leaves.items():
        change(given[names[f"before/{name.replace('__', '/')}"]])
    values = interpret(case.lowered, given, case.schedule)
    return {i: residues(values[i]) for i in case.circuit.committed()}


def lied(case: Case, **lies: Callable[[np.ndarray], None]) -> Tensors:
    """Committed tensors of a run in which tensors, by name with __ for /, are changed by functions of arrays."""
    names = named(case.circuit)

    def told(change):
        def lie(value):
            value = value.copy()
            change(value)
            return value

        return lie

    values = carried_on(case, {names[f"advice/{name.replace('__', '/')}"]: told(lie) for name, lie in lies.items()})
    return {i: values[i] for i in case.circuit.committed()}


def rejected(case: Case, committed: Tensors, *, by: set[str]) -> None:
    """The lie breaks these relations and no other; the proof is refused, wherever the lie is put."""
    assert violated(case, committed) == by
    caught = ["lookup sum"] * bool(by - {"zero"}) + ["committed tensors"] * ("zero" in by)
    forged = forge(case, committed=committed, blame=True)
    with pytest.raises(ConsistencyError):
        forged.verify()
    assert forged.broken() == caught


def another_table_is_refused(case: Case, table: Table, other: Table, given: Tensors, schedule: np.ndarray) -> None:
    """A prover's own circuit has `other` in place of `table`, and is proved: the verifier derives the table itself."""
    circuit = case.circuit
    tables = tuple(other if found == table else found for found in circuit.tables)
    assert tables != circuit.tables
    recipes = {
        node: replace(recipe, table=other) if isinstance(recipe, TableValue) and recipe.table == table else recipe
        for node, recipe in case.lowered.recipes.items()
    }
    lowered = replace(case.lowered, circuit=replace(circuit, tables=tables), recipes=recipes)
    values = [residues(value) for value in interpret(lowered, given, schedule)]
    assert is_legal(lowered.circuit, values)
    forged = forge(
        case,
        committed={i: values[i] for i in circuit.committed()},
        leaves=values,
        lowered=lowered,
        claimed=lambda own: replace(own, circuit=circuit),
    )
    with pytest.raises(ConsistencyError):
        forged.verify()
