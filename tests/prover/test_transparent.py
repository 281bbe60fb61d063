"""Arguments inside `jit` and `vmap` against the host's channel, bit for bit."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from tests.prover.lookup_case import random_elements
from zkjax.compute.backend import DEFAULT
from zkjax.compute.fractions import Fractions
from zkjax.compute.leaves import Column, Columns
from zkjax.fields import extension
from zkjax.fields.mersenne61 import K, evaluation_point
from zkjax.fields.vectors import Ext, inner
from zkjax.prover import lookup
from zkjax.prover.transparent import commit_rows, logup_pads, prove_logup, prove_product
from zkjax.statement.plan import LookupClass
from zkjax.statement.relations import Relations
from zkjax.transcript import sha256
from zkjax.transcript.channel import ProverChannel
from zkjax.transcript.sponge import Transcript

BITS = 5
LABEL = "test round"


@pytest.fixture(autouse=True)
def x64():
    with jax.enable_x64(True):
        yield


def protocol(seed: int) -> bytes:
    return bytes([seed]) * 32


def product_on_host(seed: int) -> tuple[ProverChannel, list[K], tuple[K, K], Ext, Ext]:
    f, g = (Ext.from_list(random_elements(10 * seed + j, 1 << BITS)) for j in range(2))
    channel = ProverChannel(Transcript(protocol(seed)), random_elements(seed, 2 * BITS))
    sumcheck, claim, point = DEFAULT.product(f, g), inner(f, g), []
    for _ in range(BITS):
        constant, square = sumcheck.sums()
        linear = claim - 2 * constant - square
        channel.send_hidden(LABEL, [linear, square])
        r = channel.challenge(LABEL)
        claim = constant + r * (linear + r * square)
        sumcheck.fold(r)
        point.append(r)
    (f_value,), (g_value,) = sumcheck.values()
    assert f_value * g_value == claim
    return channel, point, (f_value, g_value), f, g


def product_arguments(seed: int, f: Ext, g: Ext) -> tuple:
    pads = Ext.from_list(random_elements(seed, 2 * BITS)).reshape(BITS, 2)
    return sha256.state_from_bytes(protocol(seed)), f, g, extension.asarray(inner(f, g)), pads


def test_product_under_jit():
    channel, point, values, f, g = product_on_host(1)
    proof = jax.jit(prove_product, static_argnames="label")(*product_arguments(1, f, g), label=LABEL)
    assert proof.ciphertexts.to_bytes() == bytes(channel.proof)
    assert sha256.state_to_bytes(proof.state) == channel.transcript.state
    assert proof.point.to_list() == point
    assert (proof.f.item(), proof.g.item()) == values


def test_products_under_vmap():
    """Independent proofs with their own transcripts, side by side."""
    hosts = [product_on_host(seed) for seed in (1, 2, 3)]
    arguments = [product_arguments(seed, *host[3:]) for seed, host in zip((1, 2, 3), hosts, strict=True)]
    batch = jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *arguments)
    proofs = jax.jit(jax.vmap(lambda *a: prove_product(*a, label=LABEL)))(*batch)
    for index, (channel, point, *_) in enumerate(hosts):
        assert proofs.ciphertexts[index].to_bytes() == bytes(channel.proof)
        assert proofs.point[index].to_list() == point


DEPTH = 3


def logup_on_host(seed: int) -> tuple[ProverChannel, tuple[list[K], K, K], Fractions]:
    """A class of one column of looked-up values and one of a table."""
    values = np.random.default_rng(seed).integers(0, 4, 4)
    counts = np.bincount(values, minlength=4)
    alpha = random_elements(seed, 1)[0]
    columns = Columns((Column(1, alpha, values), Column(0, alpha, np.arange(4), None, None, counts)), 2, 1, K.ONE)
    channel = ProverChannel(Transcript(protocol(seed)), random_elements(seed, logup_pads(DEPTH)))
    forest, owed = DEFAULT.forest([columns]), Relations()
    plan = SimpleNamespace(classes=(LookupClass(2, (0,), (0,)),))
    plain = forest.roots()
    roots = lookup._send_roots(channel, plain, owed)
    ((point, p, q),) = lookup._reduce_layers(channel, plan, forest, plain, roots, owed)
    (leaves,) = columns.pieces(1 << DEPTH)
    assert channel.plaintext(owed.zeros[0]) == 0
    return channel, (point, channel.plaintext(p), channel.plaintext(q)), leaves


@pytest.fixture(scope="module")
def hosts():
    with jax.enable_x64(True):
        return [logup_on_host(seed) for seed in (5, 6)]


def logup_arguments(seed: int, leaves: Fractions) -> tuple:
    pads = Ext.from_list(random_elements(seed, logup_pads(DEPTH)))
    return sha256.state_from_bytes(protocol(seed)), leaves, extension.asarray(pads)


def test_logup_under_jit(hosts):
    channel, (point, p, q), leaves = hosts[0]
    proof = jax.jit(prove_logup)(*logup_arguments(5, leaves))
    assert proof.ciphertexts.to_bytes() == bytes(channel.proof)
    assert sha256.state_to_bytes(proof.state) == channel.transcript.state
    assert (proof.point.to_list(), proof.p.item(), proof.q.item()) == (point, p, q)


@pytest.mark.slow
def test_logups_under_vmap(hosts):
    arguments = [logup_arguments(seed, host[2]) for seed, host in zip((5, 6), hosts, strict=True)]
    batch = jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *arguments)
    proofs = jax.jit(jax.vmap(prove_logup))(*batch)
    for index, (channel, (point, *_), _) in enumerate(hosts):
        assert proofs.ciphertexts[index].to_bytes() == bytes(channel.proof)
        assert proofs.point[index].to_list() == point


LOG_LENGTH = 4


def rows_and_root(seed: int) -> tuple[Ext, np.ndarray, bytes]:
    """Three rows of seven symbols, salts, and the root of the tree over their values, by hashlib."""
    rows = [random_elements(10 * seed + row, 7) for row in range(3)]
    salts = np.random.default_rng(seed).integers(0, 256, (1 << LOG_LENGTH, 32), dtype=np.uint8)
    level = []
    for position, salt in enumerate(salts):
        x = evaluation_point(position, LOG_LENGTH)
        column = [sum((c * x**power for power, c in enumerate(row)), K.ZERO) for row in rows]
        level.append(hashlib.sha256(b"\0" + salt.tobytes() + b"".join(v.to_bytes() for v in column)).digest())
    while len(level) > 1:
        level = [hashlib.sha256(b"\1" + a + b).digest() for a, b in zip(level[::2], level[1::2], strict=True)]
    planes = [Ext.from_list(row) for row in rows]
    return Ext(*(np.stack(part) for part in zip(*planes, strict=True))), salts, level[0]


def test_commitments_under_jit_and_vmap():
    cases = [rows_and_root(seed) for seed in (1, 2)]
    commit = jax.jit(commit_rows, static_argnames="log_length")
    assert sha256.state_to_bytes(commit(*cases[0][:2], log_length=LOG_LENGTH)) == cases[0][2]
    batch = jax.tree.map(lambda *leaves: np.stack(leaves), *(case[:2] for case in cases))
    roots = jax.jit(jax.vmap(lambda rows, salts: commit_rows(rows, salts, LOG_LENGTH)))(*batch)
    assert [sha256.state_to_bytes(root) for root in roots] == [case[2] for case in cases]
