"""What the roofline counts, against counting one by one on tiny shapes."""

from __future__ import annotations

import hashlib
from dataclasses import astuple
from itertools import product
from math import prod

import jax
import numpy as np
import pytest

import zkjax
import zkjax.prover.contract as contractions
from tests.blocks import DenseShape, dense_block
from tests.prover.lookup_case import random_elements
from zkjax.fields.mersenne61 import K, root_of_unity
from zkjax.prover.commit import commit_oracle
from zkjax.statement.circuit import Contract
from zkjax.statement.plan import LookupClass, Plan


class Counted:
    """An element of K that counts products."""

    products = 0

    def __init__(self, value: K):
        self.value = value

    def __add__(self, other: Counted) -> Counted:
        return Counted(self.value + other.value)

    def __sub__(self, other: Counted) -> Counted:
        return Counted(self.value - other.value)

    def __mul__(self, other: Counted) -> Counted:
        Counted.products += 1
        return Counted(self.value * other.value)


@pytest.fixture(autouse=True)
def fresh_count():
    Counted.products = 0


def elements(seed: int, count: int) -> list[Counted]:
    return [Counted(value) for value in random_elements(seed, count)]


def transformed(x: list[Counted], root: K) -> list[Counted]:
    """Values at the powers of `root`, in order: decimation in frequency by radix 4, then 2."""
    n = len(x)
    if n == 1:
        return x
    radix = 4 if n >= 4 else 2
    part, turn = n // radix, root ** (n // radix)
    outputs: list[Counted] = [Counted(K.ZERO)] * n
    for residue in range(radix):
        column = []
        for j in range(part):
            # A power of i turns an element, which is no product.
            total = sum((x[j + part * k].value * turn ** (residue * k) for k in range(radix)), K.ZERO)
            factor = root ** (residue * j)
            column.append(Counted(total) if factor == K.ONE else Counted(total) * Counted(factor))
        outputs[residue::radix] = transformed(column, root**radix)
    return outputs


@pytest.mark.parametrize("log_n", [0, 1, 2, 3, 4, 5])
def test_transforms(benchmark, log_n):
    x, root = elements(log_n, 1 << log_n), root_of_unity(log_n)
    values = transformed(x, root)
    assert Counted.products == benchmark("least_work").transform_multiplications(log_n)
    for j, value in enumerate(values):
        assert value.value == sum((c.value * root ** (j * k) for k, c in enumerate(x)), K.ZERO)


def sumcheck(tables: list[list[Counted]], value, weights: list[Counted]) -> None:
    """All rounds over the most significant variable first: two values per pair, weighted, then folds."""
    while len(tables[0]) > 1:
        half = len(tables[0]) // 2
        for x in range(half):
            low, step = [t[x] for t in tables], [t[half + x] - t[x] for t in tables]
            value(low) * weights[x]
            value(step) * weights[x]
        (r,) = elements(half, 1)
        tables = [[t[x] + r * (t[half + x] - t[x]) for x in range(half)] for t in tables]


@pytest.mark.parametrize("nodes", [1, 2, 8])
def test_layers_of_a_tree(benchmark, nodes):
    p0, p1, q0, q1 = (elements(seed, nodes) for seed in range(4))
    (ratio,) = elements(5, 1)
    for a, b, c, d in zip(p0, p1, q0, q1, strict=True):
        a * d + b * c, c * d
    u0 = [a + ratio * c for a, c in zip(p0, q0, strict=True)]
    sumcheck([u0, p1, q0, q1], lambda t: t[0] * t[3] + t[1] * t[2], elements(6, nodes))
    work = benchmark("least_work").layer(nodes)
    assert work.extension == Counted.products
    rounds = [nodes >> k for k in range(1, nodes.bit_length())]
    assert work.moved == 16 * (3 * 4 * nodes + sum(2 * 4 * half for half in rounds))


@pytest.mark.parametrize("nodes", [1, 2, 8])
def test_the_layer_of_the_leaves(benchmark, nodes):
    q0, q1 = elements(0, nodes), elements(1, nodes)
    for a, b in zip(q0, q1, strict=True):
        a * b
    sumcheck([q0, q1], lambda t: t[0] * t[1], elements(2, nodes))
    assert benchmark("least_work").leaf_layer(nodes).extension == Counted.products


@pytest.mark.parametrize("columns", [1, 2, 3, 5, 8])
def test_nodes_with_two_children(benchmark, columns):
    cls = LookupClass(2, tuple(range(columns - 1)), (0,))
    real = [index < columns << 2 for index in range(1 << cls.depth)]
    expected = []
    while len(real) > 1:
        half = len(real) // 2
        expected.append(sum(real[x] and real[half + x] for x in range(half)))
        real = [real[x] or real[half + x] for x in range(half)]
    assert list(benchmark("least_work").layers(cls)) == expected


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan(dense_block(DenseShape()).circuit, 8)


def test_products_of_the_witness(benchmark, plan):
    """Every product that an einsum is made of, one by one."""
    circuit, expected = plan.circuit, 0
    for node in circuit.nodes:
        if isinstance(node, Contract):
            sizes = dict(zip(node.left_labels, circuit.nodes[node.left].shape, strict=True))
            sizes |= dict(zip(node.right_labels, circuit.nodes[node.right].shape, strict=True))
            expected += sum(1 for _ in product(*map(range, sizes.values())))
    assert benchmark("least_work").witness(circuit, {}).floats == expected


def test_bytes_of_a_commitment(benchmark, plan, monkeypatch):
    layout, hashed, original = plan.layout.oracle("after"), 0, hashlib.sha256

    def sha256(data=b""):
        nonlocal hashed
        if bytes(data[:1]) in (b"\0", b"\1"):  # a leaf or an inner node
            hashed += -(-(len(data) + 9) // 64) * 64
        return original(data)

    tensors = {block.node: np.zeros(block.shape, np.int64) for block in layout.blocks}
    monkeypatch.setattr(hashlib, "sha256", sha256)
    commit_oracle(layout, plan.code, tensors)
    assert benchmark("least_work").oracle(plan, layout.rows).hashed == hashed


def test_entries_of_contractions(benchmark, monkeypatch):
    """Those of a real proof of a network with weights, biases and shared vectors."""
    shape = {"inputs": 4, "width": 6, "layers": 3, "classes": 10, "batch": 4, "steps": 2, "rows": 16}
    roofline, dense = benchmark("roofline"), benchmark("dense_network")
    training = dense.dense_network(dense.Shape(**shape))
    run = training.compile().run(training.state, training.dataset, training.schedule)
    read, original = [], contractions._contract_integers

    def counted(values, vectors):
        read.append((values.size, any(vector is not None for vector in vectors)))
        return original(values, vectors)

    operand, known = contractions.Contractor._operand, set()

    def taken(contractor, node, vectors):
        result = operand(contractor, node, vectors)
        if isinstance(result, np.ndarray) and node not in known:  # read in place
            known.add(node)
            read.append((result.size, False))
        return result

    monkeypatch.setattr(contractions, "_contract_integers", counted)
    monkeypatch.setattr(contractions.Contractor, "_operand", taken)
    statement, proof = zkjax.prove(run)
    with roofline.recorded_instances() as instances:
        zkjax.verify(statement, proof)
    widths = dict.fromkeys(run.witness.values, 3)
    work = roofline.least_work.claims(statement.circuit, instances, widths)
    assert work.floats == 4 * sum(size for size, summed in read if summed)
    assert work.moved == 3 * sum(size for size, _ in read)


def test_all_phases_of_a_plan(benchmark, plan):
    found = benchmark("least_work").phases(plan, [], {})
    rows = sum(oracle.rows for oracle in plan.layout.oracles)
    entries = sum(
        prod(1 << (size - 1).bit_length() for size in block.shape)
        for oracle in plan.layout.oracles
        for block in oracle.blocks
    )
    symbols = rows * plan.code.message
    f, g = elements(0, 8), elements(1, 8)
    sumcheck([f, g], lambda t: t[0] * t[1], elements(2, 8))
    per_pair = (Counted.products - 2 * 7) // 7
    assert found["opening"].extension == entries + 3 * symbols + per_pair * (symbols - 1)
    assert all(min(astuple(work)) >= 0 and max(astuple(work)) > 0 for name, work in found.items() if name != "claims")
    assert found["commitment to the advice"].hashed_in_order > plan.circuit.lookup_entries


def test_rates_are_positive(benchmark):
    speed = benchmark("rates").measure(1)
    assert min(astuple(speed)) > 0
    assert not jax.config.jax_enable_x64
