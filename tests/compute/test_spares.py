"""Pieces that are used again: never those that somebody else reads."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zkjax.compute.blocked import PIECE
from zkjax.compute.leaves import constant_planes
from zkjax.compute.pieces import SPARES, PieceProduct, Spares
from zkjax.fields.mersenne61 import K
from zkjax.fields.vectors import Ext


def piece(size: int = PIECE) -> Ext:
    return Ext(jnp.zeros(size, jnp.uint64), jnp.zeros(size, jnp.uint64))


@pytest.fixture(autouse=True)
def wide():
    with jax.enable_x64(True):
        yield


def test_the_last_piece_comes_first():
    spares, first, second = Spares(), piece(), piece()
    spares.give([first, second])
    a, b, fresh = spares.take(3)
    assert a is second
    assert b is first
    assert fresh.shape == (PIECE,)


def test_what_others_hold_is_left_alone():
    zeros, ones = constant_planes(PIECE)
    of_the_host = Ext(np.zeros(PIECE, np.uint64), np.zeros(PIECE, np.uint64))
    own = jnp.zeros(PIECE, jnp.uint64)
    spares = Spares()
    spares.give([Ext(zeros, own), Ext(own, ones), of_the_host, piece(PIECE // 2)])
    (taken,) = spares.take(1)
    assert not {id(plane) for plane in taken} & {id(zeros), id(ones), id(own)}
    assert taken.shape == (PIECE,)


@pytest.mark.parametrize("stay", [False, True])
def test_pieces_stay_only_on_request(stay):
    spares, own = Spares(), piece()
    spares.stay = stay
    with pytest.raises(ZeroDivisionError), spares.of_one_proof():
        spares.give([own])
        raise ZeroDivisionError
    assert (spares.take(1)[0] is own) == stay


def test_a_sumcheck_leaves_the_tables_of_its_caller_alone():
    values = np.random.default_rng(1).integers(0, 1 << 60, (2, 4 * PIECE), dtype=np.uint64)
    f, g = Ext(*values.copy()), Ext(*values[::-1].copy())
    before = [plane.copy() for plane in (*f, *g)]
    SPARES.give([piece() for _ in range(8)])
    product = PieceProduct(f, g)
    for r in range(2, 6):
        product.sums()
        product.fold(K(r))
    for plane, old in zip((*f, *g), before, strict=True):
        np.testing.assert_array_equal(plane, old)
