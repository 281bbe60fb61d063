"""Canonical bytes: one encoding per circuit, and a typed error for everything else."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.blocks import dense_block
from tests.statement.circuits import appended, small, with_node
from tests.statement.random_circuits import random_circuit
from zkjax.statement.circuit import MAX_CIRCUIT_BYTES, Circuit, CircuitError, Constant

BYTES = small().to_bytes()
TREE = json.loads(BYTES)
SETTINGS = settings(max_examples=300, derandomize=True, deadline=None, database=None)


def compact(tree: object) -> bytes:
    return json.dumps(tree, separators=(",", ":")).encode()


def decode(data: bytes) -> Circuit | None:
    """The circuit of `data`, or None for a CircuitError; anything else escapes."""
    try:
        circuit = Circuit.from_bytes(data)
    except CircuitError as error:
        str(error).encode("utf-8", "backslashreplace")
        return None
    assert circuit.to_bytes() == data
    return circuit


@pytest.mark.parametrize("circuit", [small(), dense_block().circuit, *map(random_circuit, range(5))])
def test_round_trip(circuit):
    decoded = Circuit.from_bytes(circuit.to_bytes())
    assert decoded == circuit
    assert decoded.to_bytes() == circuit.to_bytes()
    assert decoded.digest() == circuit.digest()


def test_the_encoding_is_frozen():
    """A change of the encoding changes every digest: it needs a new format version."""
    assert small().digest().hex() == "468e7926a13d2d079cfa2703a4c70f8f694f54e58c09ee260df75fba9925d235"


def test_names_and_remarks_keep_their_characters():
    circuit = with_node(small(), 6, name='größe "Ω" \\ 😀')
    assert circuit.to_bytes().isascii()
    assert Circuit.from_bytes(circuit.to_bytes()) == circuit


DEVIATIONS = {
    "empty": b"",
    "white space": json.dumps(TREE).encode(),
    "trailing newline": BYTES + b"\n",
    "trailing bytes": BYTES + b"{}",
    "leading space": b" " + BYTES,
    "byte order mark": b"\xef\xbb\xbf" + BYTES,
    "utf-16": BYTES.decode().encode("utf-16"),
    "another order of keys": compact(dict(reversed(TREE.items()))),
    "extra key": compact({**TREE, "comment": 1}),
    "missing key": compact({key: value for key, value in TREE.items() if key != "zeros"}),
    "duplicate key": BYTES[:-1] + b',"steps":2}',
    "duplicate key in front": b'{"steps":2,' + BYTES[1:],
    "list": compact(list(TREE.values())),
    "number": b"5",
    "null": b"null",
    "text": b'"circuit"',
    "negative zero": BYTES.replace(b'"zeros":[12]', b'"zeros":[-0]'),
    "leading zero": BYTES.replace(b'"zeros":[12]', b'"zeros":[012]'),
    "plus sign": BYTES.replace(b'"zeros":[12]', b'"zeros":[+12]'),
    "float": BYTES.replace(b'"steps":2', b'"steps":2.0'),
    "exponent": BYTES.replace(b'"steps":2', b'"steps":2e0'),
    "boolean": BYTES.replace(b'"steps":2', b'"steps":true'),
    "text for a number": BYTES.replace(b'"steps":2', b'"steps":"2"'),
    "not a number": BYTES.replace(b'"steps":2', b'"steps":NaN'),
    "infinity": BYTES.replace(b'"steps":2', b'"steps":-Infinity'),
    "huge integer": BYTES.replace(b'"steps":2', b'"steps":' + b"9" * 4000),
    "integer beyond the interpreter's limit": BYTES.replace(b'"steps":2', b'"steps":' + b"9" * 100_000),
    "huge float": BYTES.replace(b'"steps":2', b'"steps":1e999'),
    "float for a new axis": BYTES.replace(b"[-1,0]", b"[-1.0,0]"),
    "number for terms": BYTES.replace(b'["combine",[2],[[1,1],[-1,11]]]', b'["combine",[2],7]'),
    "number for a term": BYTES.replace(b"[[1,1],[-1,11]]", b"[1,11]"),
    "triple for a term": BYTES.replace(b"[[1,1],[-1,11]]", b"[[1,1,1],[-1,11,1]]"),
    "number for labels": BYTES.replace(b"[0,1,2],[0,2],[0,1]]", b"3,[0,2],[0,1]]"),
    "number for an axis map": BYTES.replace(b"[-1,0]", b"2"),
    "number for a shape": BYTES.replace(b'["constant",[2,2],8]', b'["constant",4,8]'),
    "object for a shape": BYTES.replace(b'["constant",[2,2],8]', b'["constant",{},8]'),
    "nothing for a value": BYTES.replace(b'["constant",[2,2],8]', b'["constant",[2,2],null]'),
    "unknown kind of node": BYTES.replace(b'["constant"', b'["sqrt"'),
    "list for a kind of node": BYTES.replace(b'["constant"', b'[["constant"]'),
    "node without fields": BYTES.replace(b'["constant",[2,2],8]', b'["constant"]'),
    "empty node": BYTES.replace(b'["constant",[2,2],8]', b"[]"),
    "node too long": BYTES.replace(b'["constant",[2,2],8]', b'["constant",[2,2],8,0]'),
    "text for nodes": compact({**TREE, "nodes": "constant"}),
    "object for nodes": compact({**TREE, "nodes": {"constant": 1}}),
    "text for remarks": compact({**TREE, "remarks": "ab"}),
    "object for zeros": compact({**TREE, "zeros": {}}),
    "nested zeros": compact({**TREE, "zeros": [[12]]}),
    "other spelling of a character": BYTES.replace(b"learning", b"\\u006cearning"),
    "escaped slash": BYTES.replace(b"1/16", b"1\\/16"),
    "lone surrogate": BYTES.replace(b"learning", b"\\ud800"),
    "terminal control": BYTES.replace(b"learning", b"\\u001b[2J"),
    "raw control character": BYTES.replace(b"learning", b"\x00"),
    "characters beyond ASCII": BYTES.replace(b"learning", "größe".encode()),
    "bytes beyond UTF-8": BYTES.replace(b"learning", b"\xff\xfe"),
    "deep nesting": b"[" * 100_000,
    "deep nesting in a field": BYTES.replace(b'"zeros":[12]', b'"zeros":' + b"[" * 400 + b"]" * 400),
    "very deep nesting in a field": BYTES.replace(b'"zeros":[12]', b'"zeros":' + b"[" * 50_000 + b"]" * 50_000),
    "deep objects": b'{"a":' * 50_000,
    "too large": b" " * (MAX_CIRCUIT_BYTES + 1),
}


@pytest.mark.parametrize("data", DEVIATIONS.values(), ids=DEVIATIONS)
def test_a_deviation_is_a_circuit_error(data):
    assert data != BYTES
    with pytest.raises(CircuitError):
        Circuit.from_bytes(data)


@pytest.mark.parametrize("depth", range(200, 1200, 50))
def test_no_depth_of_nesting_escapes(depth):
    for field in (b'"zeros":[12]', b'"remarks":["learning rate 1/16"]', b'["constant",[2,2],8]'):
        prefix = field.split(b"[", 1)[0] if field.startswith(b'"') else b'["constant",'
        end = b"" if field.startswith(b'"') else b",8]"
        nested = prefix + b"[" * depth + b"]" * depth + end
        assert decode(BYTES.replace(field, nested)) is None


def test_a_circuit_of_the_largest_size_and_one_byte_more():
    """What is too large is not even decoded."""
    with pytest.raises(CircuitError, match="circuit too large"):
        Circuit.from_bytes(bytes(MAX_CIRCUIT_BYTES + 1))
    with pytest.raises(CircuitError, match="cannot be decoded"):
        Circuit.from_bytes(bytes(MAX_CIRCUIT_BYTES))


def test_every_truncation_is_a_circuit_error():
    for length in range(len(BYTES)):
        assert decode(BYTES[:length]) is None


@SETTINGS
@given(st.data())
def test_mutated_bytes(data):
    mutated = bytearray(BYTES)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(mutated)))
        stop = min(len(mutated), start + data.draw(st.integers(0, 4)))
        alphabet = st.one_of(
            st.binary(max_size=3), st.sampled_from([b"0", b"-", b"[", b"]", b",", b".", b"1e5", b"null"])
        )
        mutated[start:stop] = data.draw(alphabet)
    decode(bytes(mutated))


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 20),
    st.sampled_from([1 << 60, -(1 << 60), 1 << 24, 1 << 64, 10**300]),
    st.floats(),
    st.sampled_from(["", "advice", "data", "before", "combine", "\ud800", "x" * 300]),
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=2), inner, max_size=2)),
)


def places(tree: object, path: tuple = ()) -> list[tuple]:
    """The path of every node of a JSON tree."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path, *(place for key, value in items for place in places(value, (*path, key)))]


PLACES = places(TREE)[1:]


@SETTINGS
@given(st.data())
def test_mutated_trees(data):
    tree = copy.deepcopy(TREE)
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(PLACES))
        parent = tree
        try:
            for key in path[:-1]:
                parent = parent[key]
            match data.draw(st.sampled_from(["replace", "remove", "repeat"])):
                case "replace":
                    parent[path[-1]] = data.draw(TREES)
                case "remove":
                    del parent[path[-1]]
                case "repeat" if isinstance(parent, list):
                    parent.insert(path[-1], copy.deepcopy(parent[path[-1]]))
        except (KeyError, IndexError, TypeError):
            continue  # an earlier mutation took this place away
    decode(compact(tree))


@pytest.mark.parametrize(
    "value", [None, True, -1.0, 0.5, float("nan"), 10**300, "x", [], {}, [[]], [0.0], [[1, 2, 3]]], ids=repr
)
def test_every_place_of_the_tree_with_every_kind_of_value(value):
    for path in PLACES:
        tree = copy.deepcopy(TREE)
        parent = tree
        for key in path[:-1]:
            parent = parent[key]
        parent[path[-1]] = value
        if compact(tree) != BYTES:
            decode(compact(tree))


def test_different_circuits_have_different_digests():
    digests = {random_circuit(seed).digest() for seed in range(30)}
    digests |= {appended(small(), *[Constant((), i)] * 2).digest() for i in range(30)}
    assert len(digests) == 60
