"""A wrong value in every message, and lies that are carried through the protocol to its last answer."""

from __future__ import annotations

import numpy as np
import pytest

from tests.soundness.block import Case, named
from tests.soundness.cheating import REPAIRS, Edit, Forgery, by_the_circuit, forge, is_legal
from zkjax.fields.mersenne61 import K
from zkjax.verifier.merkle import MerkleError
from zkjax.verifier.opening import ConsistencyError, PadProximityError, ProximityError


def wrong(occurrence: int, position: int, change: K = K.ONE) -> Edit:
    """Add `change` to one value of one message."""

    def edit(number: int, values: list[K]) -> list[K]:
        if number != occurrence:
            return values
        values = list(values)
        values[position] += change
        return values

    return edit


def names_of(forged: Forgery) -> list[str]:
    with pytest.raises(ConsistencyError):
        forged.verify()
    return forged.broken()


# What each wrong message leaves to be checked. Layers have as many rounds as their number; the last
# of the 17 layers has one class, the layers before the twelfth have two.
EDITS = {
    "root p": ("lookup root", wrong(0, 0), ["lookup join", "lookup layer 0"]),
    "root q": ("lookup root", wrong(0, 1, K(0, 3)), ["lookup join", "lookup layer 0"]),
    "second root": ("lookup root", wrong(1, 0), ["lookup join", "lookup layer 0"]),
    "sum p": ("lookup partial sum", wrong(0, 0), ["lookup sum", "lookup join"]),
    "sum q": ("lookup partial sum", wrong(0, 1), ["lookup join", "lookup inverse"]),
    "inverse": ("lookup inverse", wrong(0, 0), ["lookup inverse"]),
    "first children": ("lookup children", wrong(0, 0), ["lookup layer 0", "lookup layer 1"]),
    "p1": ("lookup children", wrong(9, 1), ["lookup layer 4", "lookup layer 5"]),
    "q0": ("lookup children", wrong(10, 2), ["lookup layer 5", "lookup layer 6"]),
    "last children of the shorter class": ("lookup children", wrong(23, 3), ["lookup layer 11", "committed tensors"]),
    "last children": ("lookup children", wrong(28, 2), ["lookup layer 16", "committed tensors"]),
    "first round": ("lookup round", wrong(0, 0), ["lookup layer 1"]),
    "square": ("lookup round", wrong(20, 1), ["lookup layer 6"]),
    "last round": ("lookup round", wrong(135, 0), ["lookup layer 16"]),
    "first phase's total": ("phase total", wrong(0, 0), ["phase 0", "committed tensors"]),
    "second phase's total": ("phase total", wrong(1, 0, K(0, 1)), ["phase 1", "committed tensors"]),
    "first phase's round": ("phase round", wrong(2, 1), ["phase 0"]),
    "second phase's round": ("phase round", wrong(8, 0), ["phase 1"]),
    "factor f": ("phase factors", wrong(0, 0), ["phase 0", "committed tensors"]),
    "factor g": ("phase factors", wrong(7, 1), ["phase 1", "committed tensors"]),
    "cross terms": ("product cross terms", wrong(0, 0), ["products"]),
    "squares": ("product cross terms", wrong(0, 1), ["products"]),
    "a masked factor": ("masked factors", wrong(0, 3), ["products"]),
    "the last masked factor": ("masked factors", wrong(0, -1), ["products"]),
    "split": ("opening split", wrong(0, 0), []),
    "opening's first round": ("opening round", wrong(0, 0), []),
    "opening's last round": ("opening round", wrong(13, 1, K(0, 5)), []),
    "masked value": ("opening mask", wrong(0, 0), []),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_wrong_message_is_rejected(case, name):
    label, edit, names = EDITS[name]
    forged = forge(case, edits={label: edit}, hurried=True)
    assert names_of(forged) == names


def test_every_message_of_the_protocol_is_edited(honest):
    sent = {label for label, _ in honest.cheat.sent}
    public = {"masked factors", "opening split", "opening mask"}
    assert {label for label, _, _ in EDITS.values()} == sent | public
    assert sum(len(values) for _, values in honest.cheat.sent) == honest.statement.plan.pads - 2 * (
        honest.statement.plan.products
    )


@pytest.mark.slow
def test_every_hidden_value_is_needed(case, honest):
    """Every single value that is sent, one at a time."""
    seen: dict[str, int] = {}
    for label, values in honest.cheat.sent:
        occurrence = seen.get(label, -1) + 1
        seen[label] = occurrence
        for position in range(len(values)):
            forged = forge(case, edits={label: wrong(occurrence, position, K(3, 4))}, hurried=True)
            with pytest.raises(ConsistencyError):
                forged.verify()


# Lies that are consistent from then on


def lie_of(case: Case, name: str) -> dict[int, np.ndarray]:
    """Committed tensors in which a remainder, a state or a counter is wrong."""
    node = named(case.circuit)[name]
    values = case.values[node].copy()
    values.reshape(-1)[0] += 1
    committed = {**case.committed, node: values}
    assert not is_legal(case.circuit, by_the_circuit(case.lowered, committed, case.schedule))
    return committed


STAGES = {
    (): "lookup sum",
    ("root",): "lookup layer 0",
    ("root", "children"): "committed tensors",
    ("root", "children", "total"): "phase 0",
    REPAIRS: "committed tensors",
}


@pytest.mark.parametrize("repairs", STAGES, ids=lambda repairs: "+".join(repairs) or "none")
@pytest.mark.parametrize("name", ["advice/layer0/pre_activation/remainder[8:16]", "before/layer1/kernel"])
def test_a_lie_carried_on_is_rejected_at_the_next_check(case, name, repairs):
    forged = forge(case, committed=lie_of(case, name), repairs=repairs)
    assert names_of(forged) == [STAGES[repairs]]


@pytest.mark.parametrize("repairs", [(), REPAIRS], ids=["from the start", "from the leaves"])
@pytest.mark.parametrize(
    ("bend", "error"), [("rows", ProximityError), ("pads", PadProximityError), ("columns", MerkleError)]
)
@pytest.mark.parametrize("name", ["advice/layer0/gate", "after/counter"])
def test_a_lie_carried_to_the_last_answer_is_rejected(case, name, repairs, bend, error):
    """The linear claim is made to hold: by the combination of rows, of pads, or by the columns too."""
    forged = forge(case, committed=lie_of(case, name), repairs=repairs, bend=bend)
    assert len(forged.broken()) == 1
    with pytest.raises(error):
        forged.verify()


# The lookup argument's own lies


def test_a_root_of_zero_over_zero_is_rejected(case):
    """0/0 adds up with anything; no inverse of its denominator exists, and no layer leads to it."""
    forged = forge(
        case,
        committed=lie_of(case, "advice/layer0/gate"),
        edits={
            "lookup root": lambda number, values: [K.ZERO, K.ZERO] if number else values,
            "lookup partial sum": lambda number, values: [K.ZERO, K.ZERO],
        },
    )
    assert names_of(forged) == ["lookup inverse", "lookup layer 0"]


@pytest.mark.parametrize("inverse", [K.ZERO, K.ONE])
def test_a_denominator_of_zero_has_no_inverse(case, inverse):
    forged = forge(
        case,
        edits={
            "lookup partial sum": lambda number, values: [K.ZERO, K.ZERO],
            "lookup inverse": lambda number, values: [inverse],
        },
        hurried=True,
    )
    assert names_of(forged) == ["lookup join", "lookup inverse"]


def one_more(counts: list[np.ndarray]) -> list[np.ndarray]:
    counts[2][7] += 1
    return counts


def one_moved(counts: list[np.ndarray]) -> list[np.ndarray]:
    counts[2][7] += 1
    counts[2][8] -= 1
    return counts


def to_another_table(counts: list[np.ndarray]) -> list[np.ndarray]:
    counts[0][0] += 1
    counts[1][0] -= 1
    return counts


def none_at_all(counts: list[np.ndarray]) -> list[np.ndarray]:
    return [count * 0 for count in counts]


def padding_not_counted(counts: list[np.ndarray]) -> list[np.ndarray]:
    counts[2][0] -= 1
    return counts


@pytest.mark.parametrize("lie", [one_more, one_moved, to_another_table, none_at_all, padding_not_counted])
def test_wrong_multiplicities_are_rejected(case, lie):
    assert names_of(forge(case, counts=lie, hurried=True)) == ["lookup sum"]


def test_equal_rows_of_a_table_may_share_their_multiplicity(case):
    """Table 0 has nine rows; its padding repeats the first, and is as good."""
    table = case.circuit.tables[0]
    assert (table.size, 1 << table.bits) == (9, 16)

    def shared(counts):
        counts[0][15] += 5
        counts[0][0] -= 5
        return counts

    forge(case, counts=shared).verify()
