"""Nothing that travels is a value that should not: plaintexts, pads, masks, unmasked sums."""

from __future__ import annotations

import numpy as np
import pytest

from tests.privacy.recording import Recorded, record
from zkjax.fields.mersenne61 import ELEMENT_BYTES, K
from zkjax.fields.vectors import Ext, equality_weights, ext_add, ext_scale, inner
from zkjax.prover import opening as prover_opening
from zkjax.statement.parameters import SALT_BYTES
from zkjax.verifier import verify


def parts(elements) -> set[int]:
    """Real and imaginary parts, but for the few numbers that mean nothing."""
    return {part for element in elements for part in (element.re, element.im) if part > 1 << 32}


def wire(one: Recorded) -> list[K]:
    """Every element of the proof: messages, and symbols of opened columns."""
    sent = [element for values in one.sent.values() for element in values]
    opened = [symbol for columns in one.columns.values() for column in columns for symbol in column.symbols.to_list()]
    assert len(sent) + len(opened) > 4500
    return sent + opened


def secrets(one: Recorded, case) -> dict[str, list[K]]:
    """What the prover knows, by what it is."""
    plan, advice = case.plan, one.advice
    found = {f"plain {label}": values for label, values in one.plain.items()}
    pads = advice.pads
    masks = one.mask_numbers
    # Everybody knows two plaintexts: the sum of all fractions is zero, and the first half of the
    # longest class's leaves are lookups, whose numerators are one.
    plain = [cipher - pads[number] for cipher, number in zip(one.ciphers, one.pad_numbers, strict=True)]
    known = {number for number, value in zip(one.pad_numbers, plain, strict=True) if value in (K.ZERO, K.ONE)}
    assert len(known) == 2
    found["pad row"] = [pad for number, pad in enumerate(advice.pad_row.to_list()) if number not in known]
    found["pad mask"] = advice.pad_mask.to_list()
    # Where no row has a tensor there is nothing to mask, and the combination is the mask.
    rows = unmasked(one.sent["row combination"], advice.mask_row)
    found["mask row"] = [mask for mask, row in zip(advice.mask_row.to_list(), rows, strict=True) if row]
    assert len(found["mask row"]) > plan.code.mask_symbols
    found["masks of rows"] = advice.masks.reshape(-1).to_list()
    found["split masks"] = advice.message.reshape(-1)[plan.layout.oracle("advice").masks :][:2].to_list()
    found["factors"] = [
        masked - one.tau * pads[number] for masked, number in zip(one.sent["masked factors"], masks, strict=True)
    ]
    found["combined rows"] = rows
    found["combined pads"] = unmasked(one.sent["pad combination"], advice.pad_mask)
    for role in ("data", "before", "after"):
        oracle = getattr(case.commitments, role).oracle
        found[f"masks of {role}"] = oracle.masks.reshape(-1).to_list()
        found[f"message of {role}"] = oracle.message.reshape(-1).to_list()
    found["message of advice"] = advice.message.reshape(-1).to_list()
    return found


def unmasked(combination: list[K], mask: Ext) -> list[K]:
    return ext_add(Ext.from_list(combination), ext_scale(mask, K(-1))).to_list()


def test_no_element_on_the_wire_is_a_secret(case, recorded):
    sent, sent_parts = set(wire(recorded)), parts(wire(recorded))
    for name, values in secrets(recorded, case).items():
        assert not sent & {value for value in values if value not in (K.ZERO, K.ONE)}, name
        assert not sent_parts & parts(values), name


def test_every_value_is_known_to_the_hook(recorded, case):
    """The hook saw all that the plan counts: a plaintext for every pad, a factor for every mask."""
    assert sum(map(len, recorded.plain.values())) + len(recorded.mask_numbers) == case.plan.pads
    assert recorded.plain.keys() <= recorded.sent.keys()
    assert recorded.sent.keys() - recorded.plain.keys() == {
        "masked factors",
        "opening split",
        "opening mask",
        "row combination",
        "pad combination",
    }
    ciphers = [cipher for label in recorded.plain for cipher in recorded.sent[label]]
    plain = [value for values in recorded.plain.values() for value in values]
    assert not [1 for cipher, value in zip(ciphers, plain, strict=True) if cipher == value]


def test_the_hook_finds_a_value_that_is_sent_in_clear(case):
    """The same test on a prover without pads: every ciphertext is a plaintext."""

    def advice(plan, tensors):
        oracle = prover_commit(plan, tensors)
        oracle.pads[5] = K.ZERO
        return oracle

    from zkjax.prover.commit import commit_advice as prover_commit

    one = record(case, advice=advice)
    assert set(wire(one)) & set(one.plain["lookup partial sum"])


def test_the_masked_value_and_the_split_are_not_those_without_masks(case, monkeypatch):
    """`s` without its two masks, the value that the sumcheck ends in, and what `v` adds to it, occur nowhere."""
    seen: dict[str, K] = {}
    send, batch = prover_opening._send_combinations, prover_opening.batch

    def watching(channel, plan, oracles, advice, reduced):
        columns = reduced.point[plan.layout.row_variables :]
        seen["value"] = reduced.symbol
        seen["weighted value"] = reduced.weight * reduced.symbol
        seen["masks of rows"] = reduced.weight * inner(equality_weights(columns), advice.mask_row[: plan.code.message])
        send(channel, plan, oracles, advice, reduced)

    def watching_batch(*arguments):
        balance, weight = batch(*arguments)
        seen["weight"] = weight
        return balance, weight

    monkeypatch.setattr(prover_opening, "_send_combinations", watching)
    monkeypatch.setattr(prover_opening, "batch", watching_batch)
    one = record(case)
    verify(one.statement, one.proof)
    mu0, mu1 = one.advice.message.reshape(-1)[case.plan.layout.oracle("advice").masks :][:2].to_list()
    (split,) = one.sent["opening split"]
    of_masks = -K.I / 2 * (seen.pop("weight").conjugate() * (mu0 - K.I * mu1))
    seen |= {"split without masks": split - of_masks, "masks of split": of_masks}
    (masked_value,) = one.sent["opening mask"]
    seen["masks of pads"] = masked_value - seen["masks of rows"]
    assert len(seen) == 6
    assert not set(wire(one)) & set(seen.values())


def test_the_split_is_its_masks_where_there_is_nothing_to_hide(case, monkeypatch):
    """The formula of the test above: without claims on tensors, `s` is the part of the masks."""
    weights = []
    batch, committed = prover_opening.batch, prover_opening.committed_terms
    monkeypatch.setattr(prover_opening, "batch", lambda *a: weights.append(batch(*a)) or weights[0])
    monkeypatch.setattr(prover_opening, "committed_terms", lambda *a: committed(*a) and {})
    one = record(case)
    mu0, mu1 = one.advice.message.reshape(-1)[case.plan.layout.oracle("advice").masks :][:2].to_list()
    assert one.sent["opening split"] == [-K.I / 2 * (weights[0][1].conjugate() * (mu0 - K.I * mu1))]


def test_the_bytes_hold_no_secret_key_salt_or_tensor(case, recorded):
    public = recorded.proof.to_bytes() + recorded.statement.to_bytes()
    oracles = [getattr(case.commitments, role).oracle for role in ("data", "before", "after")]
    keys = [oracle.secret_key() for oracle in oracles] + [recorded.advice._randomness.key]
    assert not any(key in public for key in keys)
    opened = set(recorded.positions)
    for oracle in (*oracles, recorded.advice):
        leaves = oracle._leaves.view(np.uint8).reshape(case.plan.code.length, -1)
        for position in range(0, case.plan.code.length, 7):
            salt = leaves[position, 8 : 8 + SALT_BYTES].tobytes()
            assert (salt in public) == (position in opened)
    for node in case.circuit.committed():
        values = case.values[node]
        if values.size >= 12 and np.unique(values).size > 3:
            for kind in ("<i8", "<i4", "<i2", ">i8", "<u8"):
                assert values.astype(kind).tobytes() not in public


def test_only_the_opened_columns_are_opened(recorded):
    for name, columns in recorded.columns.items():
        assert [column.position for column in columns] == recorded.positions, name
        assert len({column.salt for column in columns}) == len(columns)
        assert all(column.symbols.size * ELEMENT_BYTES > 0 for column in columns)


# Pads


def test_a_pad_encrypts_one_value_of_one_proof(recorded, case):
    assert len(set(recorded.pad_numbers)) == len(recorded.pad_numbers)
    assert len(set(recorded.mask_numbers)) == len(recorded.mask_numbers)
    assert not set(recorded.pad_numbers) & set(recorded.mask_numbers)
    assert {*recorded.pad_numbers, *recorded.mask_numbers} == set(range(case.plan.pads))
    assert len(set(recorded.advice.pads)) == case.plan.pads


@pytest.fixture(scope="module")
def again(case) -> list[Recorded]:
    """More proofs of the same statement, from the same commitments."""
    return [record(case) for _ in range(2)]


def test_proofs_share_no_pads_masks_salts_or_messages(recorded, again, case):
    one_time = ("pad row", "pad mask", "mask row", "masks of rows", "split masks")
    seen: dict[str, set] = {}
    for one in (recorded, *again):
        held = secrets(one, case)
        fresh = {name: set(held[name]) for name in one_time}
        fresh["ciphertexts"] = {value for label, values in one.sent.items() for value in values}
        fresh["salts"] = {column.salt for column in one.columns["advice"]}
        fresh["keys"] = {one.advice._randomness.key}
        for name, values in fresh.items():
            assert not values & seen.get(name, set()), name
            seen.setdefault(name, set()).update(values)
    assert {one.statement.roots for one in again} == {recorded.statement.roots}
