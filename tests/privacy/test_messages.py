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
    found["pads"] = pads
    found["pad row"] = advice.pad_row.to_list()
    found["pad mask"] = advice.pad_mask.to_list()
    found["mask row"] = advice.mask_row.to_list()
    found["masks of rows"] = advice.masks.reshape(-1).to_list()
    found["split masks"] = advice.message.reshape(-1)[plan.layout.oracle("advice").masks :][:2].to_list()
    found["factors"] = [
        masked - one.tau * pads[number] for masked, number in zip(one.sent["masked factors"], masks, strict=True)
    ]
    found["combined rows"] = unmasked(one.sent["row combination"], advice.mask_row)
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


def test_the_masked_value_and_the_split_are_not_those_without_masks(case, recorded, monkeypatch):
    """`s` without its two masks, and `v` without the mask row, occur nowhere."""
    seen: dict[str, K] = {}
    honest = prover_opening._send_combinations

    def watching(channel, plan, oracles, advice, reduced):
        columns = reduced.point[plan.layout.row_variables :]
        seen["claim"] = reduced.weight * reduced.symbol
        seen["value"] = reduced.symbol
        seen["row part"] = reduced.weight * inner(equality_weights(columns), advice.mask_row[: plan.code.message])
        honest(channel, plan, oracles, advice, reduced)

    split_sums = prover_opening.split_sums

    def watching_split(real, imaginary, symbols):
        masks = plan_masks(case, symbols)
        kept = [(symbols.re[at], symbols.im[at]) for at in masks]
        symbols.re[masks], symbols.im[masks] = 0, 0
        seen["direct without masks"], seen["split without masks"] = split_sums(real, imaginary, symbols)
        for at, (re, im) in zip(masks, kept, strict=True):
            symbols.re[at], symbols.im[at] = re, im
        return split_sums(real, imaginary, symbols)

    monkeypatch.setattr(prover_opening, "_send_combinations", watching)
    monkeypatch.setattr(prover_opening, "split_sums", watching_split)
    one = record(case)
    verify(one.statement, one.proof)
    assert len(seen) == 5
    assert not set(wire(one)) & set(seen.values())
    assert seen["split without masks"] != one.sent["opening split"][0]


def plan_masks(case, symbols: Ext) -> list[int]:
    layout = case.plan.layout
    advice = layout.oracle("advice")
    first = (advice.first_row << layout.log_message) + advice.masks
    return [first, first + 1]


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
    one_time = ("pads", "pad row", "pad mask", "mask row", "masks of rows", "split masks")
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
