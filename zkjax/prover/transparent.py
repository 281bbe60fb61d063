"""Arguments as pure functions: proved inside `jit`, and over a batch with `vmap`.

The prover of this package talks to a channel on the host. Here the transcript is part of the traced
program, so that an argument is a function from arrays to arrays, and any number of them run side by
side. The messages are those of the host's channel, bit for bit; pads are passed in, zeros for an
argument that hides nothing.

A table keeps its length while its variables are set, its live part in front: one compiled round
serves them all. Meant for small tables; call under a scoped x64 mode.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from zkjax.compute.fractions import Children, Fractions, fraction_tree
from zkjax.fields import extension
from zkjax.fields.ntt import transform
from zkjax.fields.vectors import Ext
from zkjax.transcript import sha256

Array = jax.Array


class ProductProof(NamedTuple):
    """state uint32[8] afterwards; ciphertexts K[n, 2] in the order sent; the point K[n] and both values."""

    state: Array
    ciphertexts: Ext
    point: Ext
    f: Ext
    g: Ext


class LogUpProof(NamedTuple):
    """state uint32[8] afterwards; all ciphertexts in the order sent; leaf point K[d], values p, q there."""

    state: Array
    ciphertexts: Ext
    point: Ext
    p: Ext
    q: Ext


def prove_product(state: Array, f: Ext, g: Ext, claim: Ext, pads: Ext, label: str) -> ProductProof:
    """The rounds of the product sumcheck sum of f g = claim, tables K[2^n], pads K[n, 2].

    `state` is the transcript's state, uint32[8]; each round sends its coefficients of X and X^2
    under `label` and draws its challenge under the same label.
    """
    size = f.shape[0]
    rounds = size.bit_length() - 1

    def one_round(carry: Any, step: tuple[Array, Ext]) -> Any:
        state, f, g, claim = carry
        half, pad = step
        (f_low, f_high), (g_low, g_high) = _halves(f, half), _halves(g, half)
        constant = _sum(extension.mul(f_low, g_low))
        square = _sum(extension.mul(extension.sub(f_high, f_low), extension.sub(g_high, g_low)))
        linear = extension.sub(extension.sub(claim, extension.add(constant, constant)), square)
        state, ciphertexts = _send(state, label, [linear, square], pad)
        state, r = sha256.challenge(state, label)
        f, g = extension.fold(f_low, f_high, r), extension.fold(g_low, g_high, r)
        return (state, f, g, _quadratic(constant, linear, square, r)), (ciphertexts, r)

    halves = jnp.asarray(size >> np.arange(1, rounds + 1, dtype=np.int64))
    (state, f, g, _), (ciphertexts, point) = lax.scan(one_round, (state, f, g, claim), (halves, pads))
    return ProductProof(state, ciphertexts, point, f[0], g[0])


def logup_pads(layers: Any) -> Any:
    """Number of elements sent by an argument of so many layers: root, inverse, rounds, children."""
    return 3 + layers * (layers - 1) + 4 * layers


def prove_logup(state: Array, leaves: Fractions, pads: Ext) -> LogUpProof:
    """The LogUp-GKR argument that the fractions K[2^d] add up to zero, d >= 1; pads K[logup_pads(d)].

    Sends what `prover.lookup` sends for a single class. The verifier checks that the sum is zero and
    that no denominator vanishes; nothing is checked here.
    """
    depth = leaves.p.shape[0].bit_length() - 1
    width = 1 << (depth - 1)
    tree = fraction_tree(leaves)
    # Layer k lies at [2^k, 2^(k+1)); the slices below are as long as half the leaves.
    nodes = Fractions(*(_heap([layer[which] for layer in tree], width) for which in (0, 1)))
    p, q = tree[0].p[0], tree[0].q[0]
    sent = extension.zeros(logup_pads(depth))
    state, ciphertexts = _send(state, "lookup root", [p, q], pads[:2])
    sent = _put(sent, ciphertexts, 0)
    state, ciphertexts = _send(state, "lookup inverse", [extension.inverse(q)], pads[2:3])
    sent = _put(sent, ciphertexts, 2)

    def one_layer(layer: Array, carry: Any) -> Any:
        state, sent, point, p, q = carry
        state, ratio = sha256.challenge(state, "lookup layer")
        claim = extension.add(p, extension.mul(ratio, q))
        count = jnp.int64(1) << layer
        starts = 2 * count, 3 * count
        children = Children(*(_take(table, start, width) for table in nodes for start in starts))
        equality = _masked_equality(point, layer)
        first = logup_pads(layer)

        def one_round(at: Array, carry: Any) -> Any:
            state, sent, claim, children, equality, challenges = carry
            half = count >> (at + 1)
            w = _entry(point, at)
            pairs = [_halves(table, half) for table in children]
            low, high = (Children(*(pair[side] for pair in pairs)) for side in (0, 1))
            step = Children(*(extension.sub(b, a) for a, b in zip(low, high, strict=True)))
            # The own variable's factors of the weights add up to one.
            weights = extension.add(*_halves(equality, half))
            constant, square = (_sum(extension.mul(weights, _joined(tables, ratio))) for tables in (low, step))
            linear = extension.sub(extension.mul(extension.sub(claim, constant), extension.inverse(w)), square)
            pad = _take(pads, first + 2 * at, 2)
            state, ciphertexts = _send(state, "lookup round", [linear, square], pad)
            state, r = sha256.challenge(state, "lookup round")
            children = Children(*(extension.fold(a, b, r) for a, b in zip(low, high, strict=True)))
            claim = _quadratic(constant, linear, square, r)
            challenges = _put(challenges, r[None], at)
            return state, _put(sent, ciphertexts, first + 2 * at), claim, children, weights, challenges

        start = (state, sent, claim, children, equality, extension.zeros(depth))
        state, sent, _, children, _, challenges = lax.fori_loop(jnp.int64(0), layer, one_round, start)
        p0, p1, q0, q1 = (table[0] for table in children)
        last = first + 2 * layer
        state, ciphertexts = _send(state, "lookup children", [p0, p1, q0, q1], _take(pads, last, 4))
        state, r = sha256.challenge(state, "lookup half")
        point = extension.concatenate([r[None], challenges[: depth - 1]])
        return state, _put(sent, ciphertexts, last), point, extension.fold(p0, p1, r), extension.fold(q0, q1, r)

    carry = (state, sent, extension.zeros(depth), p, q)
    return LogUpProof(*lax.fori_loop(jnp.int64(0), jnp.int64(depth), one_layer, carry))


def commit_rows(rows: Ext, salts: Array, log_length: int) -> Array:
    """The root uint32[8] of a commitment to rows K[r, k], each a coefficient vector with its masks.

    `salts` are uint8[2^log_length, 32]. The tree is that of `prover.commit`: SHA-256 of (0, salt, column) and of
    (1, left, right).
    """
    length = 1 << log_length
    codeword = transform(Ext(rows.re.T, rows.im.T), log_length)
    columns = jax.vmap(sha256.bytes_from_elements)(codeword)
    leaves = jnp.concatenate([jnp.zeros((length, 1), jnp.uint8), salts, columns], axis=1)
    nodes = jax.vmap(sha256.digest)(leaves)

    def inner_node(pair: Array) -> Array:
        return sha256.digest(jnp.concatenate([jnp.ones(1, jnp.uint8), sha256.bytes_from_words(pair)]))

    def one_level(_: Array, nodes: Array) -> Array:
        # Of each level, half is live; one compiled level serves them all.
        pairs = nodes.reshape(length // 2, 2 * sha256.STATE_WORDS)
        return jnp.concatenate([jax.vmap(inner_node)(pairs), jnp.zeros_like(pairs).reshape(nodes.shape)[: length // 2]])

    return lax.fori_loop(0, log_length, one_level, nodes)[0]


def _send(state: Array, label: str, values: list[Ext], pads: Ext) -> tuple[Array, Ext]:
    """Encrypt and absorb."""
    ciphertexts = extension.add(extension.stack(values), pads)
    return sha256.absorb_elements(state, label, ciphertexts), ciphertexts


def _quadratic(constant: Ext, linear: Ext, square: Ext, r: Ext) -> Ext:
    return extension.mul_add(r, extension.mul_add(r, square, linear), constant)


def _joined(tables: Children, ratio: Ext) -> Ext:
    """p0 q1 + p1 q0 + ratio q0 q1."""
    p0, p1, q0, q1 = tables
    mixed = extension.mul_add(ratio, q0, p0)
    return extension.mul_add(mixed, q1, extension.mul(p1, q0))


def _sum(table: Ext) -> Ext:
    return extension.total(table)


def _halves(table: Ext, half: Array) -> tuple[Ext, Ext]:
    """The entries [0, half) and [half, 2 half), each in front of zeros."""
    size = table.shape[0]
    live = jnp.arange(size) < half
    high = _take(extension.concatenate([table, extension.zeros(size)]), half, size)
    low, high = (extension.where(live, part, extension.zeros(size)) for part in (table, high))
    return low, high


def _masked_equality(point: Ext, count: Array) -> Ext:
    """Equality weights of the first `count` of d coordinates, in front of zeros, K[2^(d-1)]."""
    places = point.shape[0] - 1
    index = jnp.arange(places)
    used = index >= places - count
    shifted = _take(extension.concatenate([extension.zeros(places), point]), count, places)
    one = extension.where(used, shifted, extension.zeros(places))
    return extension.tensor_weights(extension.sub(extension.ones(places), one), one)


def _heap(layers: list[Ext], width: int) -> Ext:
    return extension.concatenate([extension.zeros(1), *layers, extension.zeros(width)])


def _take(table: Ext, start: Any, length: int) -> Ext:
    return Ext(*(lax.dynamic_slice(plane, (start,), (length,)) for plane in table))


def _put(table: Ext, part: Ext, start: Any) -> Ext:
    return Ext(*(lax.dynamic_update_slice(plane, x, (start,)) for plane, x in zip(table, part, strict=True)))


def _entry(table: Ext, at: Array) -> Ext:
    return Ext(*(lax.dynamic_index_in_dim(plane, at, keepdims=False) for plane in table))
