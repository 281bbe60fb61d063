"""What XLA makes of the programs: no whole piece is copied in a loop, and their number is small."""

from __future__ import annotations

import logging
import re
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.compute.oracle import random_elements
from zkjax.compute import blocked, leaves, split_weights
from zkjax.compute.backend import DEFAULT
from zkjax.compute.blocked import PIECE
from zkjax.compute.fractions import Children, Fractions
from zkjax.compute.leaves import Column, Columns
from zkjax.fields.mersenne61 import K
from zkjax.fields.vectors import Ext, ext_add, ext_mul, ext_scale, ext_sub, ext_sum


def piece(size: int = PIECE) -> Ext:
    return Ext(jnp.zeros(size, jnp.uint64), jnp.zeros(size, jnp.uint64))


def children() -> Children:
    return Children(piece(), piece(), piece(), piece())


def arguments(name: str) -> tuple:
    number, r = np.int64(PIECE // 4), piece(1)[0]
    return {
        "layer_round": (children(), children(), number, r, piece(2 * PIECE)),
        "product_round": ((piece(), piece()), (piece(), piece()), number, r),
        "join_within": (Fractions(piece(), piece()), number, Fractions(piece(), piece())),
        "start_within": (Fractions(piece(), piece()), children(), number, r),
    }[name]


@pytest.mark.parametrize("name", ["layer_round", "product_round", "join_within", "start_within"])
def test_no_loop_copies_a_piece(name):
    text = getattr(blocked, name).lower(*arguments(name)).compile().as_text()
    computations = re.split(r"\n(?=%|ENTRY)", text)
    bodies = [part for part in computations if not part.startswith("ENTRY") and "fusion(" in part]
    assert bodies
    copied = [line for part in bodies for line in part.splitlines() if re.search(rf"u64\[{PIECE}\]\S* copy\(", line)]
    assert copied == []


def over_pieces(name: str) -> jax.stages.Lowered:
    nodes, two, r = Fractions(piece(), piece()), (piece(), piece()), piece(1)[0]
    integers = np.zeros(PIECE, np.int16)
    match name:
        case "folded":
            return blocked.folded.lower(two, two, r, two)
        case "join_pieces":
            return blocked.join_pieces.lower(nodes, nodes, nodes)
        case "join_constant":
            return blocked.join_constant.lower(*nodes, np.uint64(1), np.uint64(1), nodes)
        case "mixed":
            return blocked.mixed.lower(piece(), piece(), r, piece())
        case "denominators":
            return leaves.denominators.lower(integers, None, integers, piece(1), r, piece())
        case "weights":
            return split_weights._doubled_weights.lower(piece(), piece(), r, r, piece())
        case "outer":
            return split_weights._outer.lower(piece(2), piece(PIECE // 2), piece())
        case _:
            return split_weights._added_outer.lower(piece(), piece(2), piece(PIECE // 2), piece())


OVER_PIECES = ["folded", "join_pieces", "join_constant", "mixed", "denominators", "weights", "outer", "added outer"]


@pytest.mark.parametrize("name", OVER_PIECES)
def test_no_program_over_pieces_is_shared_out(name):
    """On a machine of several cores XLA would cut a plain program in parts for threads of its own, copies included."""
    text = over_pieces(name).compile().as_text()
    assert "while(" in text
    assert "outer_dimension_partitions" not in text
    assert re.findall(rf"u64\[{PIECE}\]\S* copy\(", text) == []


def run_product(bits: int) -> None:
    """A product sumcheck over many sizes, against whole tables in NumPy."""
    generator = np.random.default_rng(bits)
    f, g = (Ext(*generator.integers(0, 2**61 - 1, (2, 1 << bits), dtype=np.uint64)) for _ in range(2))
    sumcheck = DEFAULT.product(f, g)
    for r in random_elements(bits, bits, edges=False):
        half = f.size // 2
        steps = [ext_sub(table[half:], table[:half]) for table in (f, g)]
        expected = ext_sum(ext_mul(f[:half], g[:half])).item(), ext_sum(ext_mul(*steps)).item()
        assert sumcheck.sums() == expected
        sumcheck.fold(r)
        f, g = (ext_add(t[:half], ext_scale(step, r)) for t, step in zip((f, g), steps, strict=True))
    assert sumcheck.values() == (f.to_list(), g.to_list())


def run_tree(row_bits: int, column_bits: int) -> None:
    """A tree of equal fractions 1/c, whose layers are known."""
    constant = random_elements(1, 1, edges=False)[0]
    depth = row_bits + column_bits
    columns = (Column(1, constant),) * (1 << column_bits)
    tree = DEFAULT.tree(Columns(columns, row_bits, column_bits, K.ONE))
    q = constant ** (1 << depth)
    assert tree.root() == ((1 << depth) * q / constant, q)
    point = random_elements(2, depth - 1, edges=False)
    for number in range(depth - 2):
        tree.layer(number, point[:number], K.ONE)
    number = depth - 2
    half = constant**2
    layer = tree.layer(number, point[:number], K(7))
    for r in random_elements(3, number, edges=False):
        # Constant tables: p0 = p1 = 2 c, q0 = q1 = c^2, and the equality weights add up to one.
        assert layer.sums() == (4 * constant * half + 7 * half * half, K.ZERO)
        layer.fold(r)
    assert layer.children() == (2 * constant, 2 * constant, half, half)


def test_sizes_share_programs(caplog):
    """One program per step, whatever the size; two of them for two tables and for four."""
    with jax.log_compiles(), caplog.at_level(logging.WARNING, logger="jax"):
        for bits in (1, 5, 13, 14, 15, 17):
            run_product(bits)
        for row_bits, column_bits in ((11, 0), (11, 2), (14, 0), (11, 5), (15, 2)):
            run_tree(row_bits, column_bits)
    names = re.findall(r"Finished XLA compilation of jit\((\w+)\)", caplog.text)
    counts = Counter(name for name in names if hasattr(blocked, name))
    assert counts.pop("folded", 0) <= 2
    assert set(counts.values()) <= {1}, counts
