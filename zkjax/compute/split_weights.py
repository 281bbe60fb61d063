"""Kernels of the opening's prover: weights of rank one, and the split of two lanes.

Two lanes of weights, wf on real parts and wg on imaginary parts of symbols h, make
P = (wf - i wg)/2 and Q = (conj wf - i conj wg)/2, so that <wf, Re h> + <wg, Im h> = <P, h> + conj<Q, h>.
All tables are in pieces, so that there are few compiled programs. Call under a scoped x64 mode.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from zkjax.compute import host
from zkjax.compute.blocked import PIECE, SPAN, WIDE, in_spans
from zkjax.compute.cores import on_all_cores
from zkjax.compute.pieced import Pieced
from zkjax.compute.pieces import SPARES
from zkjax.fields import arrays, extension
from zkjax.fields.mersenne61 import K
from zkjax.fields.vectors import Ext, ext_add, outer, scalar

HALF = K(1) / 2
# Shorter right factors are multiplied on the host: a program would walk through them row by row.
LEAST_ROW = 1 << 8


def split_sums(real: Pieced, imaginary: Pieced, symbols: Pieced) -> tuple[K, K]:
    """(<P, h>, <Q, h>)."""

    def started(pieces: tuple[Ext | None, Ext | None, Ext]) -> jax.Array:
        wf, wg, h = pieces
        zero = host.zero_piece(h.size)
        return _doubled_sums(wf or zero, wg or zero, h)

    triples = zip(real.pieces, imaginary.pieces, symbols.pieces, strict=True)
    parts = on_all_cores(started, [(wf, wg, h) for wf, wg, h in triples if h is not None and not wf is wg is None])
    totals = [K.ZERO] * 4
    for part in parts:
        totals = [total + entry for total, entry in zip(totals, np.asarray(part).tolist(), strict=True)]
    return (totals[0] + K.I * totals[1]) * HALF, (totals[2] + K.I * totals[3]) * HALF


def split_weights(real: Pieced, imaginary: Pieced, split: K) -> Pieced:
    """P + split Q. Both lanes are given up, piece by piece."""
    half, half_split = scalar(HALF), scalar(HALF * split)

    def put_together(number: int) -> Ext | None:
        wf, wg = real.pieces[number], imaginary.pieces[number]
        real.pieces[number] = imaginary.pieces[number] = None
        some = wf or wg
        if some is None:
            return None
        zero = host.zero_piece(some.size)
        joined = _doubled_weights(wf or zero, wg or zero, half, half_split, _blank(some.size))
        SPARES.give([given for given in (wf, wg) if given])
        return joined

    return Pieced(real.size, on_all_cores(put_together, range(len(real.pieces))))


def add_outer(sums: Ext | None, left: Ext, right: Ext) -> Ext:
    """sums + left x right, flat: [l r], [l], [r]; without sums, the outer product alone. The sums are given up."""
    if right.size < LEAST_ROW:
        product = outer(left, right).reshape(-1)
        total = product if sums is None else ext_add(Ext(*map(np.asarray, sums)), product)
        return Ext(*map(host.aligned, total))
    spare = _blank(left.size * right.size)
    if sums is None:
        return _outer(left, right, spare)
    total = _added_outer(sums, left, right, spare)
    SPARES.give([sums])
    return total


def _blank(size: int) -> Ext:
    """A table to write to."""
    return SPARES.take(1)[0] if size == PIECE else host.zeros(size)


@partial(jax.jit, donate_argnames="spare", compiler_options=WIDE)
def _outer(left: Ext, right: Ext, spare: Ext) -> Ext:
    """By rows: XLA does not vectorise a product of two axes that is flattened."""

    def body(at: jax.Array, out: Ext) -> Ext:
        factor, part, start = _factors(left, right, at)
        return _put(out, extension.mul(factor, part), start)

    return lax.fori_loop(0, _parts(left, right), body, spare)


@partial(jax.jit, donate_argnames="spare", compiler_options=WIDE)
def _added_outer(sums: Ext, left: Ext, right: Ext, spare: Ext) -> Ext:
    def body(at: jax.Array, out: Ext) -> Ext:
        factor, part, start = _factors(left, right, at)
        old = Ext(*(lax.dynamic_slice(plane, (start,), part.shape) for plane in sums))
        return _put(out, extension.mul_add(factor, part, old), start)

    return lax.fori_loop(0, _parts(left, right), body, spare)


def _parts(left: Ext, right: Ext) -> int:
    """How many parts of a row, at most SPAN long, there are in all rows: a loop of few turns would be unrolled."""
    return left.shape[0] * max(right.shape[0] // SPAN, 1)


def _factors(left: Ext, right: Ext, at: jax.Array) -> tuple[Ext, Ext, jax.Array]:
    """The entry of `left` and the part of `right` that are multiplied in turn `at`, and where the result begins."""
    length = min(right.shape[0], SPAN)
    row, start = jnp.divmod(at * length, right.shape[0])
    return left[row], Ext(*(lax.dynamic_slice(plane, (start,), (length,)) for plane in right)), at * length


def _put(out: Ext, values: Ext, start: jax.Array) -> Ext:
    return Ext(*(lax.dynamic_update_slice(x, y, (start,)) for x, y in zip(out, values, strict=True)))


def _doubled(real: Ext, imaginary: Ext) -> tuple[Ext, Ext]:
    """2P and 2Q."""
    direct = Ext(arrays.add(real.re, imaginary.im), arrays.sub(real.im, imaginary.re))
    mirrored = Ext(arrays.sub(real.re, imaginary.im), arrays.neg(arrays.add(real.im, imaginary.re)))
    return direct, mirrored


@partial(jax.jit, compiler_options=WIDE)
def _doubled_sums(real: Ext, imaginary: Ext, symbols: Ext) -> jax.Array:
    """uint64[4]: the planes of both sums."""

    def step(sums: tuple[jax.Array, ...], blocks: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        wf, wg, h = Ext(*blocks[:2]), Ext(*blocks[2:4]), Ext(*blocks[4:])
        lazy = [plane for weights in _doubled(wf, wg) for plane in extension.lazy_mul_planes(weights, h)]
        return tuple(arrays.partial_reduce(term + total) for term, total in zip(lazy, sums, strict=True))

    return jnp.stack(arrays.accumulate(step, (*real, *imaginary, *symbols), planes=4))


@partial(jax.jit, donate_argnames="spare", compiler_options=WIDE)
def _doubled_weights(real: Ext, imaginary: Ext, half: Ext, half_split: Ext, spare: Ext) -> Ext:
    def weights(real: Ext, imaginary: Ext) -> Ext:
        direct, mirrored = _doubled(real, imaginary)
        return extension.mul_add(mirrored, half_split, extension.mul(direct, half))

    return in_spans(weights, spare, real, imaginary)
