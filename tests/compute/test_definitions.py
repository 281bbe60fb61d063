"""The definitions against Python integers, under `jit` and under `vmap`."""

from __future__ import annotations

import jax
import pytest

from tests.compute import oracle
from zkjax.compute import fractions, product
from zkjax.compute.fractions import Children, Fractions
from zkjax.fields import extension
from zkjax.fields.vectors import Ext


def table(elements) -> Ext:
    return extension.asarray(Ext.from_list(elements))


def stacked(tables) -> Ext:
    return extension.stack([table(elements) for elements in tables])


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit])
@pytest.mark.parametrize("bits", [2, 5])
def test_product_rounds(transform, bits):
    f, g = oracle.random_elements(1, 1 << bits), oracle.random_elements(2, 1 << bits)
    r = oracle.random_elements(3, 1)[0]
    sums = transform(product.round_sums)(table(f), table(g))
    assert tuple(x.item() for x in sums) == oracle.product_sums(f, g)
    f_folded, g_folded, sums = transform(product.fold_and_sums)(table(f), table(g), extension.asarray(r))
    f, g = oracle.fold(f, r), oracle.fold(g, r)
    assert (f_folded.to_list(), g_folded.to_list()) == (f, g)
    assert tuple(x.item() for x in sums) == oracle.product_sums(f, g)


def test_product_rounds_over_a_batch():
    fs, gs = ([oracle.random_elements(10 * s + j, 8) for s in range(3)] for j in range(2))
    r = oracle.random_elements(3, 1)[0]
    batch = [stacked(x) for x in (fs, gs)]
    folded, _, (at_zero, leading) = jax.vmap(product.fold_and_sums, in_axes=(0, 0, None))(*batch, extension.asarray(r))
    for s in range(3):
        f, g = oracle.fold(fs[s], r), oracle.fold(gs[s], r)
        assert folded[s].to_list() == f
        assert (at_zero[s].item(), leading[s].item()) == oracle.product_sums(f, g)


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit])
@pytest.mark.parametrize("bits", [1, 4])
def test_layer_rounds(transform, bits):
    tables = [oracle.random_elements(seed, 1 << bits) for seed in range(4)]
    rest, (ratio, r) = oracle.random_elements(5, bits - 1), oracle.random_elements(6, 2)
    children = Children(*map(table, tables))
    equality = table(oracle.equality(rest))
    sums = transform(fractions.layer_sums)(children, equality, extension.asarray(ratio))
    assert tuple(x.item() for x in sums) == oracle.layer_sums(tables, rest, ratio)
    folded = transform(fractions.fold_layer)(children, extension.asarray(r))
    assert [x.to_list() for x in folded] == [oracle.fold(x, r) for x in tables]


def test_layer_rounds_over_a_batch():
    tables = [[oracle.random_elements(10 * s + j, 4) for s in range(2)] for j in range(4)]
    rest, (ratio,) = oracle.random_elements(5, 1), oracle.random_elements(6, 1)
    batch = Children(*map(stacked, tables))
    sums = jax.vmap(fractions.layer_sums, in_axes=(0, None, None))(
        batch, table(oracle.equality(rest)), extension.asarray(ratio)
    )
    for s in range(2):
        expected = oracle.layer_sums([x[s] for x in tables], rest, ratio)
        assert tuple(x[s].item() for x in sums) == expected


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit])
def test_tree(transform):
    p, q = oracle.random_elements(1, 16), oracle.random_elements(2, 16)
    for layer in reversed(transform(fractions.fraction_tree)(Fractions(table(p), table(q)))):
        assert (layer.p.to_list(), layer.q.to_list()) == (p, q)
        if len(p) > 1:
            p, q = oracle.join(p, q)
