"""The benchmark of small proofs compares the two ways, and sees a difference."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from zkjax.compute.fractions import fraction_tree


@pytest.fixture(autouse=True)
def x64():
    with jax.enable_x64(True):
        yield


def test_products(benchmark):
    figures = benchmark("small_proofs").measured("product", 3, 4, repeat=1)
    assert figures["speedup"] == figures["one_after_another_seconds"] / figures["vmapped_seconds"]


def test_a_difference_is_an_error(benchmark, monkeypatch):
    small_proofs = benchmark("small_proofs")
    one = jax.vmap

    def wrong(function):
        return lambda *batch: jax.tree.map(lambda leaf: leaf + leaf.dtype.type(1), one(function)(*batch))

    monkeypatch.setattr(jax, "vmap", wrong)
    with pytest.raises(ValueError, match="proof 0 differs"):
        small_proofs.measured("product", 2, 3, repeat=1)


def test_the_leaves_add_up_to_zero(benchmark):
    small_proofs = benchmark("small_proofs")
    _, leaves, _ = small_proofs.logup_operands(np.random.default_rng(3), 5)
    root = fraction_tree(jax.tree.map(jax.numpy.asarray, leaves))[0]
    assert root.p.to_list() == [0] and root.q.to_list() != [0]


@pytest.mark.slow
def test_logups(benchmark):
    benchmark("small_proofs").measured("logup", 3, 4, repeat=1)
