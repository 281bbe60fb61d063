"""LogUp-GKR from end to end: prover against verifier, then every relation on the plain values."""

from __future__ import annotations

import pytest

from tests.blocks import DenseShape, dense_block
from tests.prover.lookup_case import PROTOCOL, Ends, LookupData, both_ends, prove, verify
from zkjax.fields.mersenne61 import ELEMENT_BYTES, K
from zkjax.prover import lookup
from zkjax.statement.plan import Plan
from zkjax.transcript.channel import VerifierChannel
from zkjax.transcript.sponge import Transcript


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Classes of three depths; axes that are no powers of two."""
    return Plan(dense_block(DenseShape(widths=(3, 5, 2), bits=4)).circuit, 8)


@pytest.fixture(scope="module")
def data(plan) -> LookupData:
    return LookupData.random(plan)


@pytest.fixture(scope="module")
def ends(data) -> Ends:
    return both_ends(data)


def test_all_relations_hold(ends, data):
    assert ends.broken("prover", data) == []
    assert ends.broken("verifier", data) == []


def test_the_plan_knows_how_much_is_sent(ends, plan):
    """What the lookups send is what the plan counts, less phases and the product argument."""
    phases = sum(1 + 2 * phase.variables + 2 * phase.instances for phase in plan.phases)
    sent = plan.hidden_before_opening - phases - 2 * plan.products - 2
    assert len(ends.proof) == sent * ELEMENT_BYTES
    _, owed = ends.verifier
    assert owed.products == plan.products - sum(phase.instances for phase in plan.phases)


def test_both_ends_claim_the_same(ends):
    (of_prover, _), (of_verifier, _) = ends.prover, ends.verifier
    assert of_prover.terms.keys() == of_verifier.terms.keys()
    for node, terms in of_prover.terms.items():
        others = of_verifier.terms[node]
        assert [term.coefficient for term in terms] == [term.coefficient for term in others]
    assert ends.plaintext(of_prover.balance) == ends.plaintext(of_verifier.balance)


def test_nothing_is_sent_in_clear(ends, data):
    """Under other pads every element of the proof differs, from the first on."""
    pads = [pad + 1 for pad in ends.pads]
    proof, *_ = prove(data, pads=pads)
    size = ELEMENT_BYTES
    same = [at for at in range(0, len(proof), size) if proof[at : at + size] == ends.proof[at : at + size]]
    assert same == []


@pytest.mark.parametrize("name", ["layer0/relu", "layer0/gated", "data/x"])
def test_a_wrong_tuple_is_caught(data, plan, name):
    wanted = next(lookup for lookup in plan.circuit.lookups if lookup.name == name)
    values = {node: array.copy() for node, array in data.values.items()}
    node = wanted.second if wanted.second >= 0 else wanted.re
    values[node][(0,) * values[node].ndim] += 1 << 17
    wrong = LookupData(plan, values, data.multiplicities)
    assert "zero 0" in both_ends(wrong).broken("verifier", wrong)


def test_a_wrong_gate_is_caught(data, plan):
    """The imaginary part of a tuple counts as well: re + i im, not re + im."""
    relu = next(lookup for lookup in plan.circuit.lookups if lookup.name == "layer0/relu")
    values = {node: array.copy() for node, array in data.values.items()}
    first = (0,) * values[relu.re].ndim
    values[relu.re][first] += 1
    values[relu.im][first] -= 1
    wrong = LookupData(plan, values, data.multiplicities)
    assert "zero 0" in both_ends(wrong).broken("verifier", wrong)


@pytest.mark.parametrize("table", [0, 2])
def test_a_wrong_multiplicity_is_caught(data, plan, table):
    counts = [array.copy() for array in data.multiplicities]
    counts[table][0] += 1
    counts[table][1] -= 1
    wrong = LookupData(plan, data.values, counts)
    assert "zero 0" in both_ends(wrong).broken("verifier", wrong)


def test_a_forged_padding_slot_is_caught(data, plan, monkeypatch):
    """Another row of the table in a slot that no tensor occupies, counted: the sum is right, the claim is not."""
    wanted = next(lookup for lookup in plan.circuit.lookups if lookup.name == "data/x")
    table = plan.circuit.tables[wanted.table]
    honest = lookup.padded

    def forged(values, bits):
        flat = honest(values, bits)
        if values is data.values[wanted.re]:
            flat = flat.copy()
            assert flat[-1] == 0
            flat[-1] = 1
        return flat

    counts = [array.copy() for array in data.multiplicities]
    counts[wanted.table][-table.lo] -= 1
    counts[wanted.table][-table.lo + 1] += 1
    monkeypatch.setattr(lookup, "padded", forged)
    wrong = LookupData(plan, data.values, counts)
    assert both_ends(wrong).broken("verifier", wrong) == ["balance"]


def labels_of(data: LookupData, proof: bytes) -> list[str]:
    """The label of every element of the proof."""
    log: list[tuple[str, str, int]] = []
    channel = VerifierChannel(Transcript(PROTOCOL, log), proof)
    verify(data, proof, channel)
    return [label for kind, label, length in log if kind == "absorb" for _ in range(length // ELEMENT_BYTES)]


@pytest.mark.parametrize(
    "label", ["lookup root", "lookup partial sum", "lookup inverse", "lookup round", "lookup children"]
)
def test_every_kind_of_element_is_bound(ends, data, label):
    labels = labels_of(data, ends.proof)
    places = [place for place, other in enumerate(labels) if other == label]
    for place in {places[0], places[len(places) // 2], places[-1]}:
        start = place * ELEMENT_BYTES
        changed = K.from_bytes(ends.proof[start : start + ELEMENT_BYTES]) + 1
        proof = ends.proof[:start] + changed.to_bytes() + ends.proof[start + ELEMENT_BYTES :]
        tampered = Ends(proof, ends.pads, ends.prover, verify(data, proof))
        assert tampered.broken("verifier", data), (label, place)
