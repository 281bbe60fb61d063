"""A wrong value anywhere in the witness: every committed tensor, every virtual relation.

Each lie is told in two ways: the leaves are what the circuit makes of the lie, so that a lookup
meets no row; or the leaves stay legal, and the claims on committed tensors fail.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.soundness.block import Case, named, small_block
from tests.soundness.cheating import REPAIRS, Forgery, by_the_circuit, carried_on, forge, is_legal
from zkjax.statement.circuit import Axes, Combine, Committed, Contract, Filter, Rows
from zkjax.verifier.opening import ConsistencyError, ProximityError

CIRCUIT = small_block().circuit
COMMITTED = named(CIRCUIT)
DELTAS = (1, -1, 2, *(sign << bits for bits in (3, 5, 8, 12, 16, 20) for sign in (1, -1)))


def test_without_a_lie_the_proof_is_accepted(case, honest):
    assert is_legal(case.circuit, case.values)
    assert honest.verify().steps == 3
    assert honest.broken() == []


def test_the_cheat_is_a_prover_with_repairs_that_do_nothing_to_the_truth(case):
    forged = forge(case, repairs=REPAIRS, bend="rows", blame=True)
    forged.verify()
    assert forged.broken() == []


# Committed tensors


def with_a_changed_entry(case: Case, name: str) -> dict[int, np.ndarray]:
    """All committed tensors, one entry of one of them changed by as little as is a lie."""
    node = COMMITTED[name]
    random = np.random.default_rng(node)
    for delta in DELTAS:
        values = case.values[node].copy()
        index = tuple(int(random.integers(size)) for size in values.shape)
        if name.startswith("data/"):  # what no step reads is anybody's guess
            index = (case.schedule[0, 0], *index[1:])
        values[index] += delta
        committed = {**case.committed, node: values}
        if not is_legal(case.circuit, by_the_circuit(case.lowered, committed, case.schedule)):
            return committed
    raise AssertionError(f"no change of {name} matters")


def caught_by(name: str) -> list[str]:
    """A wrong counter leaves its range check alone: only the node that must vanish tells."""
    return ["committed tensors"] if name.endswith("/counter") else ["lookup sum"]


@pytest.mark.parametrize("name", COMMITTED)
def test_a_changed_entry_is_rejected(case, name):
    forged = forge(case, committed=with_a_changed_entry(case, name), blame=hash_of(name))
    with pytest.raises(ConsistencyError):
        forged.verify()
    assert forged.broken() == caught_by(name)


@pytest.mark.parametrize("name", COMMITTED)
def test_a_changed_entry_behind_legal_leaves_is_rejected(case, name):
    forged = forge(case, committed=with_a_changed_entry(case, name), leaves=case.values)
    with pytest.raises(ConsistencyError):
        forged.verify()
    assert forged.broken() == ["committed tensors"]


@pytest.mark.slow
@pytest.mark.parametrize("legal", [False, True], ids=["recomputed", "legal leaves"])
@pytest.mark.parametrize("repairs", range(5))
@pytest.mark.parametrize("name", COMMITTED)
def test_a_changed_entry_is_rejected_wherever_the_lie_is_moved(case, name, repairs, legal):
    committed = with_a_changed_entry(case, name)
    leaves = case.values if legal else None
    forged = forge(case, committed=committed, leaves=leaves, repairs=REPAIRS[:repairs], bend="rows")
    with pytest.raises(ProximityError):
        forged.verify()
    check_where_it_broke(forged, case, repairs, legal)


def check_where_it_broke(forged: Forgery, case: Case, repairs: int, legal: bool) -> None:
    """One relation is false; or, where totals follow the committed tensors behind legal leaves, the factors of each
    phase that the lie reaches."""
    broken = forged.broken()
    if legal and repairs == REPAIRS.index("total") + 1:
        phases = [f"phase {number}" for number in range(len(case.plan.phases))]
        assert broken and set(broken) <= {*phases, "committed tensors"}
    else:
        assert len(broken) == 1


def hash_of(name: str) -> bool:
    """Half of the names, in no order: whether tuples that are no row are blamed on one that is."""
    return sum(name.encode()) % 2 == 1


# Virtual relations


def virtual_nodes() -> dict[str, int]:
    """The virtual relations of a training step, by what they compute, of the first layer that has them."""
    nodes, found = CIRCUIT.nodes, {}
    for index, node in enumerate(nodes):
        match node:
            case Contract(shape=(3, 5, 6)):
                found["update of weights"] = index
            case Contract(shape=(3, 4, 6), left_labels=(0, 1, 2), right_labels=(0, 2, 3)):
                found["forward product"] = index
            case Contract(shape=(3, 4, 6)):
                found["backward product"] = index
            case Axes(shape=(3, 6), source=(0, 2)):
                found["update of a bias"] = index
            case Filter(shape=(3, 5, 6)):
                found["updates of earlier steps"] = index
            case Axes(shape=(5, 6), source=(1, 2)):
                found["sum of all updates"] = index
            case Combine(shape=(3, 5, 6)):
                found["weights of a step"] = index
            case Combine(shape=(3, 4, 3), terms=terms) if any(isinstance(nodes[i], Rows) for _, i in terms):
                found["gradient of the loss"] = index
            case Rows(shape=(3, 4, 5)):
                found["rows of a batch"] = index
            case Axes(shape=(3, 4, 6), source=(0, -1, 1)):
                found["bias on every row"] = index
    return found


VIRTUAL = virtual_nodes()


def run_with_a_lie(case: Case, node: int) -> list[np.ndarray]:
    """A run in which one entry of a virtual node is wrong, by as little as makes it a lie, else legal."""
    random = np.random.default_rng(node)
    lies = [1 << bits for bits in range(0, 40, 2)]
    for delta in [*lies, *(-lie for lie in lies)]:
        index = tuple(int(random.integers(size)) for size in case.circuit.nodes[node].shape)

        def lie(value, index=index, delta=delta):
            value = value.copy()
            value[index] += delta
            return value

        values = carried_on(case, {node: lie})
        committed = {i: values[i] for i in case.circuit.committed()}
        truth = by_the_circuit(case.lowered, committed, case.schedule)
        if is_legal(case.circuit, values) and not is_legal(case.circuit, truth):
            return values
    raise AssertionError(f"no lie about node {node}")


def test_every_kind_of_relation_is_lied_about():
    assert len(VIRTUAL) == 10


@pytest.mark.parametrize("name", VIRTUAL)
def test_a_wrong_relation_is_rejected(case, name):
    values = run_with_a_lie(case, VIRTUAL[name])
    committed = {i: values[i] for i in case.circuit.committed()}
    forged = forge(case, committed=committed)
    with pytest.raises(ConsistencyError):
        forged.verify()
    assert forged.broken() == ["lookup sum"]
    forged = forge(case, committed=committed, leaves=values)
    with pytest.raises(ConsistencyError):
        forged.verify()
    assert forged.broken() == ["committed tensors"]


def lied_about() -> list[int]:
    """Virtual nodes that something else reads; what nothing reads is a leaf, see the next test."""
    read = {term for node in CIRCUIT.nodes for term in vars(node).values() if isinstance(term, int)}
    read |= {operand for node in CIRCUIT.nodes if isinstance(node, Combine) for _, operand in node.terms}
    return [i for i, node in enumerate(CIRCUIT.nodes) if not isinstance(node, Committed) and i in read]


@pytest.mark.slow
@pytest.mark.parametrize("node", lied_about())
def test_every_virtual_node(case, node):
    try:
        values = run_with_a_lie(case, node)
    except AssertionError:
        pytest.skip("only other illegal values come of it")
    committed = {i: values[i] for i in case.circuit.committed()}
    for leaves in (None, values):
        for repairs in range(5):
            forged = forge(case, committed=committed, leaves=leaves, repairs=REPAIRS[:repairs], bend="rows")
            with pytest.raises(ProximityError):
                forged.verify()
            check_where_it_broke(forged, case, repairs, leaves is not None)


def test_legal_leaves_that_are_not_the_tensors_are_rejected(case):
    """Every looked-up tensor, replaced by another legal one of the same multiset of rows."""
    for lookup in CIRCUIT.lookups:
        leaf = case.values[lookup.re]
        if lookup.im >= 0 or np.unique(leaf).size == 1:
            continue
        other = np.roll(leaf.reshape(-1), 1).reshape(leaf.shape)
        values = list(case.values)
        values[lookup.re] = other
        break
    forged = forge(case, leaves=values)
    with pytest.raises(ConsistencyError):
        forged.verify()
    assert forged.broken() == ["committed tensors"]


# Lies of many tensors at once


def entries(case: Case, **changes: tuple[tuple[int, ...], int]) -> dict[int, np.ndarray]:
    """Committed tensors with `(index, delta)` added, by name with __ for /."""
    committed = dict(case.committed)
    for name, (index, delta) in changes.items():
        values = committed[COMMITTED[name]].copy()
        values[index] += delta
        committed[COMMITTED[name]] = values
    return committed


def rejected(case: Case, committed: dict[int, np.ndarray], by: str = "lookup sum") -> None:
    assert not is_legal(case.circuit, by_the_circuit(case.lowered, committed, case.schedule))
    forged = forge(case, committed=committed, blame=True)
    with pytest.raises(ConsistencyError):
        forged.verify()
    assert forged.broken() == [by]


AT = (1, 2, 0)
QUOTIENT = "advice/layer1/pre_activation"


@pytest.mark.parametrize(
    "changes",
    [
        {QUOTIENT: 1, f"{QUOTIENT}/remainder[16:19]": -8},
        {QUOTIENT: -1, f"{QUOTIENT}/remainder[16:19]": 8},
        {QUOTIENT: 1, f"{QUOTIENT}/remainder[8:16]": -(1 << 11)},
        {f"{QUOTIENT}/remainder[16:19]": 1, f"{QUOTIENT}/remainder[8:16]": -256},
        {f"{QUOTIENT}/remainder[8:16]": 1},
        {f"{QUOTIENT}/remainder[16:19]": 8},
        {QUOTIENT: 1 << 13, f"{QUOTIENT}/remainder[16:19]": -(8 << 13)},
    ],
    ids=["high limb", "high limb up", "middle limb", "between limbs", "low limb", "beyond the width", "far quotient"],
)
def test_a_quotient_with_compensating_limbs_is_rejected(case, changes):
    """The sum that the low limb stands for stays what it was; some limb leaves its exact width."""
    rejected(case, entries(case, **{name: (AT, delta) for name, delta in changes.items()}))


def test_a_quotient_out_of_its_range_is_rejected(case):
    """Remainders stay right: the weights are beyond what the range of the logits allows."""
    node = COMMITTED[QUOTIENT]

    def far(value):
        value = value.copy()
        value[AT] = 1 << 10
        return value

    values = carried_on(case, {node: far})
    rejected(case, {i: values[i] for i in CIRCUIT.committed()})


@pytest.mark.parametrize(
    "tuple_of",
    [
        lambda q, gate, out: (q - (1 << 8), gate, out + 1),
        lambda q, gate, out: (q - 1, gate, out + 1),
        lambda q, gate, out: (q - 1, gate + 1, out),
        lambda q, gate, out: (gate, q, out),
        lambda q, gate, out: (q, out, gate),
        lambda q, gate, out: (q, 1 - gate, out),
        lambda q, gate, out: (q, 0, 0),
        lambda q, gate, out: (-q, gate, out),
    ],
    ids=["packed", "equal sum", "real and imaginary", "swapped", "swapped second", "gate", "switched off", "sign"],
)
def test_a_forged_tuple_is_rejected(case, tuple_of):
    names = [f"advice/layer0/{name}" for name in ("pre_activation", "gate", "output")]
    nodes = [COMMITTED[name] for name in names]
    at = tuple(np.argwhere(case.values[nodes[1]] == 1)[0])
    forged = tuple_of(*(int(case.values[node][at]) for node in nodes))
    committed = dict(case.committed)
    for node, value in zip(nodes, forged, strict=True):
        committed[node] = case.values[node].copy()
        committed[node][at] = value
    rejected(case, committed)


def test_a_row_of_another_table_is_rejected(case):
    """200 is a row of the table of 8-bit limbs, not of that of 3-bit limbs."""
    rejected(case, entries(case, **{f"{QUOTIENT}/remainder[16:19]": (AT, 200)}))


def test_a_flipped_gate_that_the_gradient_follows_is_rejected(case):
    """All that comes of the gate is computed with it: only the tuple of the forward pass is wrong."""
    gate = COMMITTED["advice/layer0/gate"]
    gradient = case.values[COMMITTED["advice/layer0/gradient"]]
    for at in map(tuple, np.argwhere(gradient)):

        def flipped(value, at=at):
            value = value.copy()
            value[at] = 1 - value[at]
            return value

        values = carried_on(case, {gate: flipped})
        if (values[COMMITTED["after/layer0/kernel"]] != case.values[COMMITTED["after/layer0/kernel"]]).any():
            break
    rejected(case, {i: values[i] for i in CIRCUIT.committed()})


@pytest.mark.parametrize("name", [name for name in COMMITTED if name.startswith("after/layer")])
@pytest.mark.parametrize("delta", [1, -1])
def test_final_weights_off_by_one_unit_are_rejected(case, name, delta):
    def off(value):
        value = value.copy()
        value.reshape(-1)[0] += delta
        return value

    values = carried_on(case, {COMMITTED[name]: off})
    rejected(case, {i: values[i] for i in CIRCUIT.committed()})


def test_a_final_counter_off_by_one_is_rejected(case):
    committed = entries(case, **{"after/counter": ((1,), -1)})
    rejected(case, committed, by="committed tensors")
