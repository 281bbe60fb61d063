"""Pieces that are used again: never those that somebody else reads."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zkjax.compute.blocked import PIECE
from zkjax.compute.leaves import constant_planes
from zkjax.compute.pieces import Spares
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
    given = [Ext(zeros, own), Ext(own, ones), of_the_host, piece(PIECE // 2)]
    spares.give(given)
    taken = spares.take(len(given))
    assert not {id(plane) for table in taken for plane in table} & {id(plane) for table in given for plane in table}


@pytest.mark.parametrize("stay", [False, True])
def test_pieces_stay_only_on_request(stay):
    spares, own = Spares(), piece()
    spares.stay = stay
    with pytest.raises(ZeroDivisionError), spares.of_one_proof():
        spares.give([own])
        raise ZeroDivisionError
    assert (spares.take(1)[0] is own) == stay
