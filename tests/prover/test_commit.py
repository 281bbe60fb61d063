"""Commitments: layout, encoding, leaves and trees against definitions in Python integers."""

from __future__ import annotations

import hashlib
import pickle

import numpy as np
import pytest

from tests.prover.opening_case import OpeningCase, small_circuit
from zkjax.fields.mersenne61 import K, P, evaluation_point, to_field
from zkjax.prover import commit as committing
from zkjax.prover.commit import TensorError, commit_advice, commit_oracle
from zkjax.prover.randomness import Randomness, kept_words
from zkjax.statement.layout import axis_bits
from zkjax.statement.plan import Plan


@pytest.fixture(scope="module")
def case() -> OpeningCase:
    return OpeningCase(Plan(small_circuit(), openings=2))


def evaluated(coefficients: list[K], point: K) -> K:
    value = K.ZERO
    for coefficient in reversed(coefficients):
        value = value * point + coefficient
    return value


def opened(oracle, position: int, height: int) -> tuple[bytes, list[K]]:
    """Salt and symbols of one opened column."""
    data = oracle.open_columns([position])
    symbols = [K.from_bytes(data[at : at + 16]) for at in range(32, 32 + 16 * height, 16)]
    return data[:32], symbols


def test_tensors_lie_where_the_layout_says(case):
    for oracle in (*case.reusable, case.advice):
        planes = [plane.reshape(-1) for plane in oracle.message]
        for block in oracle.layout.blocks:
            strides, step = [], 1
            for size in reversed(block.shape):
                strides.insert(0, step)
                step <<= axis_bits(size)
            for index in list(np.ndindex(*block.shape))[:40]:
                address = block.offset + sum(i * stride for i, stride in zip(index, strides, strict=True))
                assert planes[block.lane][address] == to_field(int(case.tensors[block.node][index]))
        used = sum(int(np.prod(block.shape)) for block in oracle.layout.blocks)
        masks = 2 if oracle is case.advice else 0
        assert sum(np.count_nonzero(plane) for plane in planes) <= used + masks


def test_columns_are_evaluations_of_message_then_masks(case):
    code = case.plan.code
    oracle = case.reusable[1]
    for position in (0, 1, 4097 % code.length):
        _, symbols = opened(oracle, position, oracle.layout.rows)
        point = evaluation_point(position, code.log_length)
        for row, symbol in enumerate(symbols):
            coefficients = oracle.message[row].to_list() + oracle.masks[row].to_list()
            assert len(coefficients) == code.dimension
            assert symbol == evaluated(coefficients, point)


def test_the_advice_ends_with_mask_row_pads_and_their_mask(case):
    advice, code = case.advice, case.plan.code
    position = 77
    _, symbols = opened(advice, position, advice.layout.rows + 3)
    point = evaluation_point(position, code.log_length)
    expected = [advice.mask_row, advice.pad_row, advice.pad_mask]
    assert [part.size for part in expected] == [code.dimension] + 2 * [case.plan.pads + code.mask_symbols]
    assert symbols[-3:] == [evaluated(part.to_list(), point) for part in expected]
    assert advice.pads == advice.pad_row.to_list()[: case.plan.pads]


def test_the_split_masks_are_base_field_elements(case):
    masks, (re, im) = case.advice.layout.masks, case.advice.message
    assert all(re.reshape(-1)[masks : masks + 2])
    assert not any(im.reshape(-1)[masks : masks + 2])


def test_the_tree_is_the_plain_one(case):
    oracle, code = case.reusable[0], case.plan.code
    leaves = []
    for position in range(code.length):
        data = oracle._leaves[position].tobytes()[8:]
        leaves.append(hashlib.sha256(b"\x00" + data).digest())
    while len(leaves) > 1:
        pairs = zip(leaves[::2], leaves[1::2], strict=True)
        leaves = [hashlib.sha256(b"\x01" + left + right).digest() for left, right in pairs]
    assert oracle.root == leaves[0]
    salts = {oracle._leaves[position].tobytes()[8:40] for position in range(code.length)}
    assert len(salts) == code.length


def test_a_column_opens_with_its_path(case):
    oracle, code = case.reusable[2], case.plan.code
    size = 32 + 16 * oracle.layout.rows
    assert len(oracle.open_columns([5])) == size + 32 * code.log_length
    assert len(oracle.open_columns([5, 4, 5])) == 2 * size + 32 * (code.log_length - 1)
    assert len(oracle.open_columns(range(code.length))) == code.length * size


def test_two_commitments_to_one_tensor_share_nothing(case):
    layout = case.plan.layout.oracles[0]
    first, second = (commit_oracle(layout, case.plan.code, case.tensors) for _ in range(2))
    assert first.root != second.root
    assert (first.message.re == second.message.re).all()
    ours, theirs = (set(opened(oracle, 3, layout.rows)[1]) for oracle in (first, second))
    assert not ours & theirs
    assert opened(first, 3, 1)[0] != opened(second, 3, 1)[0]


def test_one_key_gives_one_commitment(case):
    layout = case.plan.layout.oracles[0]
    key = bytes(32)
    first, second = (commit_oracle(layout, case.plan.code, case.tensors, Randomness(key)) for _ in range(2))
    assert first.root == second.root


def test_as_many_columns_as_masks_tell_nothing():
    """For any message there are masks that lead to the same columns, one choice of masks each.

    The map from masks to as many columns is a Vandermonde matrix, its rows scaled by powers of the
    points: invertible, because the points are distinct and not zero.
    """
    code = Plan(small_circuit(), openings=1).code
    points = [evaluation_point(position, code.log_length) for position in range(code.length)]
    assert len(set(points)) == code.length
    assert all(points)
    assert code.mask_symbols == code.openings * code.queries


def test_narrow_integers_are_taken(case):
    layout = case.plan.layout.oracles[0]
    small = {block.node: np.full(block.shape, -3, np.int8) for block in layout.blocks}
    wide = {node: values.astype(np.int64) for node, values in small.items()}
    first, second = (commit_oracle(layout, case.plan.code, t, Randomness(bytes(32))) for t in (small, wide))
    assert first.root == second.root


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int32, np.int64])
def test_a_message_written_in_parts_is_the_whole_one(case, monkeypatch, dtype):
    limits = np.iinfo(dtype)
    low, high = max(limits.min, -(1 << 59)), min(limits.max, 1 << 59)
    rng = np.random.default_rng(3)
    for layout in case.plan.layout.oracles:
        tensors = {b.node: rng.integers(low, high, b.shape, dtype, endpoint=True) for b in layout.blocks}
        whole = committing._message(layout, case.plan.code, tensors)
        monkeypatch.setattr(committing, "_PART", 7)
        parts = committing._message(layout, case.plan.code, tensors)
        monkeypatch.undo()
        assert (whole.re == parts.re).all()
        assert (whole.im == parts.im).all()
        for block in layout.blocks:
            first = tensors[block.node].reshape(-1)[0].item()
            assert tuple(whole)[block.lane].reshape(-1)[block.offset] == to_field(first)


@pytest.mark.parametrize("wrong", ["missing", "shape", "dtype"])
def test_wrong_tensors_are_refused(case, wrong):
    layout = case.plan.layout.oracles[0]
    tensors = dict(case.tensors)
    node = layout.blocks[0].node
    if wrong == "missing":
        del tensors[node]
    else:
        tensors[node] = tensors[node][1:] if wrong == "shape" else tensors[node].astype(np.float64)
    with pytest.raises(TensorError, match=f"node {node}"):
        commit_oracle(layout, case.plan.code, tensors)


def test_secrets_are_neither_printed_nor_pickled(case):
    for secret in (case.advice, case.reusable[0], Randomness()):
        assert len(repr(secret)) < 80
        with pytest.raises(TypeError):
            pickle.dumps(secret)
    with pytest.raises(TensorError):
        case.advice.secret_key()
    with pytest.raises(TensorError):
        case.advice.in_role(case.advice.layout)


def test_every_advice_is_fresh(case):
    other = commit_advice(case.plan, case.tensors)
    assert other.root != case.advice.root
    assert not set(other.pads) & set(case.advice.pads)


def test_randomness_rejects_p_and_nothing_else():
    words = np.array([P, P - 1, 0, P | 1 << 61, (1 << 64) - 1, 5 | 7 << 61], dtype=np.uint64)
    assert kept_words(words).tolist() == [P - 1, 0, 5]


def test_streams_are_told_apart_by_key_and_label():
    streams = {Randomness(bytes([key]) * 32).bytes(label, 64) for key in (0, 1) for label in ("a", "b", "ab")}
    assert len(streams) == 6
    elements = Randomness(bytes(32)).base("a", 1000)
    assert elements.shape == (1000,)
    assert (elements < P).all()
    with pytest.raises(ValueError, match="32 bytes"):
        Randomness(b"short")
