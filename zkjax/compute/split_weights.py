"""Kernels of the opening's prover: rank-one weights, the split of two lanes, the product rounds.

Two lanes of weights, wf on real parts and wg on imaginary parts of symbols h, make
P = (wf - i wg)/2 and Q = (conj wf - i conj wg)/2, so that <wf, Re h> + <wg, Im h> = <P, h> + conj<Q, h>.
All arrays have one axis of 2^n entries, most significant variable first. Call under a scoped x64 mode.
"""

from __future__ import annotations

import jax

from zkjax.fields import arrays, extension
from zkjax.fields.vectors import Ext


def _doubled(real: Ext, imaginary: Ext) -> tuple[Ext, Ext]:
    """2P and 2Q."""
    direct = Ext(arrays.add(real.re, imaginary.im), arrays.sub(real.im, imaginary.re))
    mirrored = Ext(arrays.sub(real.re, imaginary.im), arrays.neg(arrays.add(real.im, imaginary.re)))
    return direct, mirrored


@jax.jit
def split_sums(real: Ext, imaginary: Ext, symbols: Ext) -> tuple[Ext, Ext]:
    """2<P, h> and 2<Q, h>."""
    direct, mirrored = _doubled(real, imaginary)
    return extension.inner(direct, symbols), extension.inner(mirrored, symbols)


@jax.jit
def split_weights(real: Ext, imaginary: Ext, half: Ext, half_split: Ext) -> Ext:
    """P + split Q, given 1/2 and split/2."""
    direct, mirrored = _doubled(real, imaginary)
    return extension.mul_add(mirrored, half_split, extension.mul(direct, half))


@jax.jit
def add_outer(total: Ext, left: Ext, right: Ext) -> Ext:
    """total + left x right: [l, r], [l], [r]."""
    return extension.mul_add(left[:, None], right[None, :], total)


def _halves(table: Ext) -> tuple[Ext, Ext]:
    half = table.shape[0] // 2
    return table[:half], table[half:]


def _sums(weights: Ext, symbols: Ext) -> tuple[Ext, Ext]:
    (w0, w1), (h0, h1) = _halves(weights), _halves(symbols)
    return extension.inner(w0, h0), extension.inner(extension.sub(w1, w0), extension.sub(h1, h0))


@jax.jit
def round_sums(weights: Ext, symbols: Ext) -> tuple[Ext, Ext]:
    """Coefficients of 1 and X^2 of the round polynomial of sum of weights * symbols."""
    return _sums(weights, symbols)


@jax.jit
def fold_and_sum(weights: Ext, symbols: Ext, challenge: Ext) -> tuple[Ext, Ext, Ext, Ext]:
    """Both tables with their first variable set to `challenge`, and the next round's coefficients."""
    weights = extension.fold(*_halves(weights), challenge)
    symbols = extension.fold(*_halves(symbols), challenge)
    return weights, symbols, *_sums(weights, symbols)
