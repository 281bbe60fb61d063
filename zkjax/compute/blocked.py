"""Sumcheck programs over pieces of one size: few compiled programs, whatever the size of a table.

A table larger than a piece is a list of pieces, and a round works on pairs of pieces. A smaller one
lies at the start of a piece; how much of the piece is meant is a traced number, and what lies behind
is canonical and never counts. Programs walk through a piece in blocks that stay in cache. Their form
follows from what XLA does on a CPU:

- a loop body never reads the buffer that it writes, else the whole piece is copied every time: a
  fold writes to a spare piece, donated;
- a value with several consumers is computed once per consumer unless it crosses a loop: one loop
  folds, the next one evaluates, and a block's value is weighted one iteration later;
- sums are vectors of the block's length, reduced once after the loop;
- what is done to each entry of a whole piece is a loop as well, over spans: XLA would share a plain program
  out among its own threads, whose handing over costs more than it gains where the caller's threads keep
  all cores busy.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from zkjax.compute.fractions import Children, Fractions, join
from zkjax.fields import arrays, extension
from zkjax.fields.arrays import partial_reduce
from zkjax.fields.mersenne61 import P
from zkjax.fields.vectors import Ext

WIDE = {"xla_cpu_prefer_vector_width": "512"}
Array = jax.Array
Size = jax.Array | np.int64

LOG_PIECE = 17
PIECE = 1 << LOG_PIECE
BLOCK = 1 << 9
SPAN = 1 << 13
LOG_LOW = (LOG_PIECE + 1) // 2

_P = np.uint64(P)
_M30 = np.uint64((1 << 30) - 1)
_M31 = np.uint64((1 << 31) - 1)


def is_table(value: Any) -> bool:
    return isinstance(value, Ext)


def _tables(function: Any, *trees: Any) -> Any:
    """Apply to each table of equal pytrees of tables."""
    return jax.tree.map(function, *trees, is_leaf=is_table)


def _blocks(size: Size) -> Array:
    """How many blocks cover `size` entries."""
    return jnp.maximum(size // BLOCK, 1)


def _slice(table: Ext, start: Array) -> Ext:
    return Ext(*(lax.dynamic_slice(plane, (start,), (BLOCK,)) for plane in table))


def _update(table: Ext, part: Ext, start: Array) -> Ext:
    return Ext(*(lax.dynamic_update_slice(plane, x, (start,)) for plane, x in zip(table, part, strict=True)))


def in_spans(function: Any, spare: Any, *tables: Any) -> Any:
    """`function` of planes, SPAN entries at a time, written to `spare`.

    The first plane is as long as the result. An entry of a shorter one holds for as many of the result's as it is
    shorter; both lengths are powers of two.
    """
    size = jax.tree.leaves(tables)[0].shape[0]
    span = min(size, SPAN)

    def body(at: Array, out: Any) -> Any:
        def part(plane: Array) -> Array:
            length = plane.shape[0]
            return lax.dynamic_slice(plane, (at * span * length // size,), (max(span * length // size, 1),))

        values = function(*jax.tree.map(part, tables))
        return jax.tree.map(lambda plane, x: lax.dynamic_update_slice(plane, x, (at * span,)), out, values)

    return lax.fori_loop(np.int64(0), np.int64(size // span), body, spare)


def _zeros() -> Ext:
    return extension.zeros(BLOCK)


def _meant(table: Ext, start: Array, size: Array) -> Ext:
    """A block from `start` on, zero from `size` on."""
    lane = jnp.arange(BLOCK, dtype=np.int64)
    return extension.where(start + lane < size, table, _zeros())


def sum_of_products(*pairs: tuple[Array, Array]) -> Array:
    """The canonical sum of up to four products of entries in [0, p], reduced once."""
    limbs = [(a & _M31, a >> np.uint64(31), b & _M31, b >> np.uint64(31)) for a, b in pairs]
    low = _added([a0 * b0 for a0, _, b0, _ in limbs])
    high = _added([a1 * b1 for _, a1, _, b1 in limbs])
    middle = _added([a0 * b1 + a1 * b0 for a0, a1, b0, b1 in limbs])
    lazy = (low & _P) + (low >> np.uint64(61)) + (high << np.uint64(1))
    return arrays.reduce(lazy + (middle >> np.uint64(30)) + ((middle & _M30) << np.uint64(31)))


def _added(terms: list[Array]) -> Array:
    return sum(terms[1:], terms[0])


def _two_products(a: Ext, b: Ext, c: Ext, d: Ext) -> Ext:
    """a b + c d, one reduction a plane."""
    return Ext(
        sum_of_products((a.re, b.re), (a.im, _P - b.im), (c.re, d.re), (c.im, _P - d.im)),
        sum_of_products((a.re, b.im), (a.im, b.re), (c.re, d.im), (c.im, d.re)),
    )


def _accumulate(sums: Ext, a: Ext, b: Ext) -> Ext:
    lazy = extension.lazy_mul_planes(a, b)
    return Ext(partial_reduce(lazy.re + sums.re), partial_reduce(lazy.im + sums.im))


def _fold(tables: Any, half: Array, r: Ext, spare: Any) -> Any:
    """out[x] = t[x] + r (t[half + x] - t[x]) for x < half, within a piece, written to the spare one."""

    def body(at: Array, out: Any) -> Any:
        start = at * BLOCK

        def one(table: Ext, spare: Ext) -> Ext:
            return _update(spare, extension.fold(_slice(table, start), _slice(table, half + start), r), start)

        return _tables(one, tables, out)

    return lax.fori_loop(np.int64(0), _blocks(half), body, spare)


def _layer_sums(low: Children, high: Children, offset: Array, half: Array, pyramid: Ext) -> Array:
    """Sums over x < half of equality[x] (u0 q1 + p1 q0)(X, x), at X = 0 and the coefficient of X^2.

    `low` is at [x], `high` at [offset + x], equality at pyramid[half + x]; p0 holds u0 = p0 + ratio q0.
    Returns uint64[4]: both planes of both sums.
    """

    def body(at: Array, carry: Any) -> Any:
        sums, previous = carry
        weight = _meant(_slice(pyramid, half + (at - 1) * BLOCK), (at - 1) * BLOCK, half)
        sums = tuple(_accumulate(total, weight, x) for total, x in zip(sums, previous, strict=True))
        a = Children(*(_slice(table, at * BLOCK) for table in low))
        b = Children(*(_slice(table, offset + at * BLOCK) for table in high))
        step = Children(*(extension.sub(y, x) for x, y in zip(a, b, strict=True)))
        return sums, tuple(_two_products(t.p0, t.q1, t.p1, t.q0) for t in (a, step))

    start = (_zeros(), _zeros())
    # One block more than there are, so that the last one is weighted by the same program.
    sums, _ = lax.fori_loop(np.int64(0), _blocks(half) + 1, body, (start, start))
    return _totals(sums)


def _totals(sums: tuple[Ext, Ext]) -> Array:
    """uint64[4]: the planes of the sums over blocks."""
    return arrays.total(jnp.stack([plane for value in sums for plane in value]), axis=1)


@jax.jit
def fresh_piece() -> Ext:
    """A piece to write to."""
    return extension.zeros(PIECE)


@partial(jax.jit, compiler_options=WIDE)
def equality_pyramid(point: Ext) -> Ext:
    """Equality weights of the last k of LOG_PIECE coordinates at [2^k, 2^(k+1)), for every k <= LOG_PIECE."""
    width = 1 << LOG_LOW
    coordinates = Ext(*(jnp.pad(plane, (2 * LOG_LOW - LOG_PIECE, 0)).reshape(2, LOG_LOW) for plane in point))
    index = np.arange(2 * width)
    levels = np.array([max(entry.bit_length() - 1, 0) for entry in index.tolist()])

    def body(variable: Array, weights: Ext) -> Ext:
        r = Ext(*(lax.dynamic_index_in_dim(plane, LOG_LOW - 1 - variable, axis=1) for plane in coordinates))
        is_one = ((index >> variable) & 1 == 1)[None, :]
        factor = extension.where(is_one, r, extension.sub(extension.ones((2, 1)), r))
        within = (variable < levels)[None, :]
        return extension.mul(weights, extension.where(within, factor, extension.ones((1, 1))))

    both = lax.fori_loop(np.int64(0), np.int64(LOG_LOW), body, extension.ones((2, 2 * width)))
    high, low = both[0], both[1]

    def row(at: Array, out: Ext) -> Ext:
        product = extension.mul(Ext(*(plane[at] for plane in high)), low[width:])
        return _update(out, product, at * width)

    first = Ext(*(jnp.pad(plane[:width], (0, 2 * PIECE - width)) for plane in low))
    return lax.fori_loop(np.int64(1), np.int64(2 * PIECE // width), row, first)


@partial(jax.jit, donate_argnames="spare", compiler_options=WIDE)
def join_pieces(low: Fractions, high: Fractions, spare: Fractions) -> Fractions:
    """The parents of two pieces of a layer."""
    return in_spans(lambda a, b: join(Children(a.p, b.p, a.q, b.q)), spare, low, high)


@partial(jax.jit, donate_argnames="spare", compiler_options=WIDE)
def join_constant(q0: Ext, q1: Ext, c0: Array, c1: Array, spare: Fractions) -> Fractions:
    """The parents c0/q0 + c1/q1 of two pieces of leaves, c0 and c1 being 0 or 1."""

    def parents(q0: Ext, q1: Ext) -> Fractions:
        parts = (arrays.add(c0 * b, c1 * a) for a, b in zip(q0, q1, strict=True))
        return Fractions(Ext(*parts), extension.mul(q0, q1))

    return in_spans(parents, spare, q0, q1)


def _children(nodes: Fractions, start: Array, half: Array) -> Children:
    return Children(*(_slice(table, start + shift) for table in nodes for shift in (0, half)))


@partial(jax.jit, donate_argnames="spare", compiler_options=WIDE)
def join_within(nodes: Fractions, half: Array, spare: Fractions) -> Fractions:
    """The parents of a layer of 2 half nodes at the start of a piece."""

    def body(at: Array, out: Fractions) -> Fractions:
        parents = join(_children(nodes, at * BLOCK, half))
        return _tables(lambda table, part: _update(table, part, at * BLOCK), out, parents)

    return lax.fori_loop(np.int64(0), _blocks(half), body, spare)


@partial(jax.jit, donate_argnames="spare", compiler_options=WIDE)
def start_within(nodes: Fractions, spare: Children, half: Array, ratio: Ext) -> Children:
    """The tables of a layer's sumcheck from the 2 half nodes of the next one; p0 becomes u0."""

    def body(at: Array, out: Children) -> Children:
        children = _children(nodes, at * BLOCK, half)
        children = children._replace(p0=extension.mul_add(ratio, children.q0, children.p0))
        return _tables(lambda table, part: _update(table, part, at * BLOCK), out, children)

    return lax.fori_loop(np.int64(0), _blocks(half), body, spare)


@partial(jax.jit, donate_argnames="spare", compiler_options=WIDE)
def mixed(p0: Ext, q0: Ext, ratio: Ext, spare: Ext) -> Ext:
    """u0 = p0 + ratio q0 of a piece."""
    return in_spans(lambda p0, q0: extension.mul_add(ratio, q0, p0), spare, p0, q0)


@partial(jax.jit, donate_argnames="spare", compiler_options=WIDE)
def folded(low: Any, high: Any, r: Ext, spare: tuple[Ext, ...]) -> Any:
    """low + r (high - low) of each of several pieces, in a tuple of the kind of `low`."""

    def fold(low: Any, high: Any) -> Any:
        return _tables(lambda x, y: extension.fold(x, y, r), low, high)

    return in_spans(fold, jax.tree.unflatten(jax.tree.structure(low), jax.tree.leaves(spare)), low, high)


@partial(jax.jit, donate_argnames="spare", compiler_options=WIDE)
def expanded(a: Ext, b: Ext, ratio: Ext, c0: Ext, c1: Ext, spare: Children) -> Children:
    """u0, p1, q0, q1 of a = q0 + c0/ratio and b = q1 + c1/ratio, the numerators c0 and c1 being constants."""
    inverse = extension.inverse(ratio)
    shifts = extension.mul(c0, inverse), extension.mul(c1, inverse)

    def children(a: Ext, b: Ext) -> Children:
        p1 = Ext(*(jnp.broadcast_to(plane, a.shape) for plane in c1))
        return Children(extension.mul(ratio, a), p1, extension.sub(a, shifts[0]), extension.sub(b, shifts[1]))

    return in_spans(children, spare, a, b)


@partial(jax.jit, compiler_options=WIDE)
def factor_sums(low: tuple[Ext, Ext], high: tuple[Ext, Ext], pyramid: Ext) -> Array:
    """Sums over a piece of equality[x] (a b)(X, x), at X = 0 and the coefficient of X^2; uint64[4]."""

    def body(at: Array, carry: Any) -> Any:
        sums, previous = carry
        weight = _slice(pyramid, PIECE + jnp.maximum(at - 1, 0) * BLOCK)
        sums = tuple(_accumulate(total, weight, x) for total, x in zip(sums, previous, strict=True))
        (a, b), (a_high, b_high) = ([_slice(table, at * BLOCK) for table in tables] for tables in (low, high))
        steps = extension.sub(a_high, a), extension.sub(b_high, b)
        return sums, (extension.mul(a, b), extension.mul(*steps))

    start = (_zeros(), _zeros())
    # One block more than there are: the first one weights zeros, the last one makes a block that nothing reads.
    sums, _ = lax.fori_loop(np.int64(0), np.int64(PIECE // BLOCK + 1), body, (start, start))
    return _totals(sums)


@partial(jax.jit, compiler_options=WIDE)
def layer_sums(low: Children, high: Children, offset: Array, half: Array, pyramid: Ext) -> Array:
    """uint64[4]: the sums of `_layer_sums`."""
    return _layer_sums(low, high, offset, half, pyramid)


@partial(jax.jit, donate_argnames="spare", compiler_options=WIDE)
def layer_round(children: Children, spare: Children, half: Array, r: Ext, pyramid: Ext) -> tuple[Children, Array]:
    """Fold tables of 2 half entries within pieces; returns them and the sums of the next round."""
    folded = _fold(children, half, r, spare)
    return folded, _layer_sums(folded, folded, half // 2, half // 2, pyramid)


def _product_sums(low: tuple[Ext, Ext], high: tuple[Ext, Ext], offset: Array, half: Array) -> Array:
    """uint64[4]: sums over x < half of f g at X = 0 and the coefficient of X^2; `high` is at [offset + x]."""

    def body(at: Array, sums: tuple[Ext, Ext]) -> tuple[Ext, Ext]:
        start = at * BLOCK
        f, g = (_slice(table, start) for table in low)
        f_high, g_high = (_slice(table, offset + start) for table in high)
        f_step = _meant(extension.sub(f_high, f), start, half)
        f = _meant(f, start, half)
        return _accumulate(sums[0], f, g), _accumulate(sums[1], f_step, extension.sub(g_high, g))

    return _totals(lax.fori_loop(np.int64(0), _blocks(half), body, (_zeros(), _zeros())))


@partial(jax.jit, compiler_options=WIDE)
def product_sums(low: tuple[Ext, Ext], high: tuple[Ext, Ext], offset: Array, half: Array) -> Array:
    """uint64[4]: the sums of `_product_sums`."""
    return _product_sums(low, high, offset, half)


@partial(jax.jit, donate_argnames="spare", compiler_options=WIDE)
def product_round(
    tables: tuple[Ext, Ext], spare: tuple[Ext, Ext], half: Array, r: Ext
) -> tuple[tuple[Ext, Ext], Array]:
    """Fold tables of 2 half entries within pieces; returns them and the sums of the next round."""
    folded = _fold(tables, half, r, spare)
    return folded, _product_sums(folded, folded, half // 2, half // 2)
