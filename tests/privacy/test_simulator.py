"""The simulator makes proofs that the verifier accepts, of all kinds of circuits, and nobody tells them from real ones.

Its challenges are programmed; without the programming the same bytes are rejected. Where it cannot
follow the verifier, because a message is new or a circuit has a new kind of node, a test here fails.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import get_args

import numpy as np
import pytest

from tests.blocks import DenseShape, dense_block
from tests.privacy.recording import record
from tests.privacy.simulator import (
    Coins,
    InventedOracle,
    InventingChannel,
    NoRule,
    Programmed,
    Programming,
    Simulated,
    simulate,
    uniform,
)
from tests.privacy.test_distribution import CELLS, FORGETFUL, LOWERED, SECRETS, deviation, observed, seeded
from tests.privacy.view import View, view
from tests.soundness.block import commit, small_block
from tests.soundness.test_challenges import expected_census
from tests.soundness.test_fuzzing import frozen
from tests.statement.random_circuits import random_circuit
from zkjax.errors import VerificationError
from zkjax.fields.vectors import Ext, ext_mul, ext_scale, ext_sub, transform
from zkjax.prover.commit import commit_oracle
from zkjax.prover.randomness import Randomness
from zkjax.statement.circuit import Circuit, Node
from zkjax.statement.plan import Plan
from zkjax.statement.proof import Proof
from zkjax.statement.statement import Statement
from zkjax.statement.tables import Table
from zkjax.verifier import verify

PROOFS = 12


@cache
def circuits() -> dict[str, Circuit]:
    """Circuits of which only the public part is known here."""
    made = {"block": small_block().circuit, "model": LOWERED.circuit}
    for number, (encoded, _) in enumerate(frozen()):
        made[f"frozen {number}"] = Statement.from_bytes(encoded).circuit
    for seed in range(4):
        made[f"random {seed}"] = random_circuit(seed, bound=7)
    return made


def schedule_of(circuit: Circuit) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.integers(0, circuit.rows, (circuit.steps, circuit.batch))


NAMES = ["block", "model", *(f"frozen {number}" for number in range(len(frozen()))), *(f"random {n}" for n in range(4))]


@pytest.mark.parametrize("name", NAMES)
def test_the_verifier_accepts_what_nobody_could_prove(name):
    """Even statements that are false: nothing is behind their roots."""
    circuit = circuits()[name]
    made = simulate(circuit, schedule_of(circuit), 2)
    census: list = []
    made.verify(log=census)
    assert census == expected_census(made.statement.plan)
    with pytest.raises(VerificationError):
        verify(made.statement, made.proofs[0])


def test_every_kind_of_node_and_table_is_in_a_circuit_that_was_simulated():
    kinds = {type(node) for circuit in circuits().values() for node in circuit.nodes}
    assert kinds == set(get_args(Node))
    kinds = {table.kind for circuit in circuits().values() for table in circuit.tables}
    assert kinds == set(re.findall(r"- `(\w+)`: rows", Table.__doc__))


def test_the_block_on_digits():
    shape = DenseShape(widths=(64, 128, 128, 10), batch=64, steps=16, rows=1437, bits=12)
    circuit = dense_block(shape).circuit
    made = simulate(circuit, schedule_of(circuit), 8, proofs=2)
    for number in range(2):
        made.verify(number)


def test_proofs_of_one_commitment_share_their_columns():
    made = simulate(LOWERED.circuit, schedule_of(LOWERED.circuit), 3, proofs=3)
    views = [seen(made, number) for number in range(3)]
    for name in ("data", "before", "after"):
        known: dict[int, bytes] = {}
        for each in views:
            for column in each.columns[name]:
                content = column.salt + column.symbols.to_bytes()
                assert known.setdefault(column.position, content) == content
    assert len({proof.data for proof in made.proofs}) == 3


def test_a_changed_simulation_is_rejected():
    """The points of the oracle make no message free: each byte is still absorbed or checked."""
    made = simulate(LOWERED.circuit, schedule_of(LOWERED.circuit), 1)
    whole = made.proofs[0].data
    for at in range(40, len(whole), len(whole) // 24):
        changed = replace(made, proofs=[Proof(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])])
        with pytest.raises(VerificationError):
            changed.verify()
    with pytest.raises(VerificationError):
        replace(made, points=[dict(list(made.points[0].items())[:-3])]).verify()


def test_an_unknown_message_stops_the_simulator():
    plan = Plan(LOWERED.circuit, 1)
    coins = Coins.toss(plan)

    class Nothing:
        advice = InventedOracle({position: uniform(1) for position in coins.positions}, plan.code.log_length)

    channel = InventingChannel(Programming(bytes(32)), coins, Nothing, {})
    for attempt in (
        lambda: channel.receive_public("a new message", 1),
        lambda: channel.receive_bytes("a new message", 32),
        lambda: channel.take("a new message", 32),
    ):
        with pytest.raises(NoRule):
            attempt()


# Real and simulated


def seen(made: Simulated, number: int = 0) -> View:
    return view(made.statement, made.proofs[number], lambda start, log: Programmed(start, made.points[number], log))


def real() -> View:
    """What the public sees of a proof of a secret, from fresh commitments."""
    case = SECRETS[1]
    one = record(case, commitments=commit(case.plan, case.committed))
    return view(one.statement, one.proof)


@pytest.fixture(scope="module")
def both() -> tuple[list[View], list[View]]:
    case = SECRETS[1]
    with seeded("real"):
        proved = [real() for _ in range(PROOFS)]
    return proved, [seen(simulate(case.circuit, case.schedule, case.plan.openings)) for _ in range(PROOFS)]


def test_they_have_one_form(both):
    """Messages, their order and lengths; only siblings vary, as positions coincide or not."""

    def form(each: View) -> tuple:
        sections = {name: size for name, size in each.sections.items() if name != "columns"}
        lengths = {label: len(values) for label, values in each.sent.items()}
        return sections, lengths, each.hidden, each.census, each.pad_numbers, each.mask_numbers, list(each.columns)

    proved, simulated = both
    first, *others = [form(each) for each in (*proved, *simulated)]
    assert all(other == first for other in others)


def cells(views: list[View]) -> dict[str, np.ndarray]:
    """By kind of element, how often each part fell into each of `CELLS` cells, in all proofs together."""
    counts: dict[str, np.ndarray] = {}
    for each in views:
        for kind, values in observed(each).items():
            found = np.bincount(values.reshape(-1).astype(int), minlength=CELLS)
            counts[kind] = counts.get(kind, 0) + found
    return counts


def apart(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> dict[str, float]:
    """Chi-square of homogeneity of two samples, as a normal deviation, by kind."""
    found = {}
    for kind, a in first.items():
        b = second[kind]
        total, share = a + b, a.sum() / (a.sum() + b.sum())
        expected_a, expected_b = total * share, total * (1 - share)
        used = total > 0
        statistic = ((a - expected_a)[used] ** 2 / expected_a[used]).sum()
        statistic += ((b - expected_b)[used] ** 2 / expected_b[used]).sum()
        found[kind] = deviation(statistic, used.sum() - 1) if used.sum() > 1 else 0.0
    return found


def test_they_have_one_distribution(both):
    proved, simulated = map(cells, both)
    assert len(proved) > 20
    for kind, difference in apart(proved, simulated).items():
        assert difference < 5, (kind, difference)


# Where it is one element of many that does not vary, test_distribution.py finds it at its place.
@pytest.mark.parametrize("name", ["mask row", "mask of the pads", "masks of rows", "salts"])
def test_a_prover_that_forgets_is_told_apart(both, name):
    """The test above can fail: some randomness left out, and challenges that do not hide it by varying."""
    make, kinds = FORGETFUL[name]
    prove = make()
    with seeded("forgetful"):
        counts = cells([prove(SECRETS[1]) for _ in range(PROOFS)])
    found = {kind for kind, difference in apart(counts, cells(both[1])).items() if difference > 5}
    assert found and found <= kinds, found


# Columns


def rank(matrix: Ext) -> int:
    """Over K, of [rows, columns]; by elimination."""
    rows, found = matrix, 0
    for column in range(matrix.shape[1]):
        entries = rows[:, column].to_list()
        pivot = next((row for row, entry in enumerate(entries) if entry), None)
        if pivot is None:
            continue
        found += 1
        lead = ext_scale(rows[pivot], entries[pivot].inverse())
        order = [row for row in range(len(entries)) if row != pivot]
        if not order:
            break
        rest = rows[np.array(order)]
        factors = Ext.from_list([entries[row] for row in order]).reshape(-1, 1)
        spread = Ext(*(np.broadcast_to(plane, rest.shape).copy() for plane in factors))
        leads = Ext(*(np.broadcast_to(plane, rest.shape).copy() for plane in lead))
        rows = ext_sub(rest, ext_mul(spread, leads))
    return found


def row_at(positions: list[int], oracle) -> Ext:
    """The first row's codeword at some positions."""
    coefficients = Ext(*(np.concatenate(planes) for planes in zip(oracle.message[0], oracle.masks[0], strict=True)))
    return transform(coefficients, oracle.code.log_length)[np.array(positions)]


def spread_of(columns: list[Ext]) -> int:
    """Dimension of what varies between samples of one row at the same positions."""
    first, *others = columns
    differences = [ext_sub(other, first) for other in others]
    return rank(Ext(*(np.stack(planes) for planes in zip(*differences, strict=True))))


@pytest.mark.parametrize("masks", [None, 10])
def test_columns_vary_in_as_many_dimensions_as_there_are_columns(masks, monkeypatch):
    """Commitments to one secret, at the same positions: like invented ones, unless a row has fewer masks."""
    case = SECRETS[1]
    layout = case.plan.layout.oracle("before")
    tensors = {node: case.values[node] for node in case.circuit.committed("before")}
    honest = Randomness.extension

    def few(self, label, *shape):
        drawn = honest(self, label, *shape)
        if label == "masks" and masks is not None:
            for plane in drawn:
                plane[:, masks:] = 0
        return drawn

    monkeypatch.setattr(Randomness, "extension", few)
    positions, samples = list(range(5, 29)), 32
    committed = [row_at(positions, commit_oracle(layout, case.plan.code, tensors)) for _ in range(samples)]
    invented = [uniform(len(positions)) for _ in range(samples)]
    assert spread_of(invented) == len(positions)
    assert spread_of(committed) == (len(positions) if masks is None else masks)


@pytest.mark.slow
def test_the_dimension_ends_with_the_budget():
    """At one position more than there are masks, what varies has as many dimensions as there are masks."""
    case = SECRETS[1]
    layout, code = case.plan.layout.oracle("before"), case.plan.code
    tensors = {node: case.values[node] for node in case.circuit.committed("before")}
    positions = list(range(code.mask_symbols + 1))
    columns = [row_at(positions, commit_oracle(layout, code, tensors)) for _ in range(code.mask_symbols + 3)]
    assert spread_of(columns) == code.mask_symbols
    assert spread_of([column[:-1] for column in columns]) == code.mask_symbols
