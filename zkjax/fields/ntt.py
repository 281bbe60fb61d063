"""Reed-Solomon encoding over K in JAX: evaluate many polynomials at the 2^k-th roots of unity.

Layout [position, row]: the rows are independent polynomials and serve as lanes, so that twiddles
are scalars. Decimation in frequency, output in bit-reversed order and left there: nothing
downstream needs another order.

A transform of 2^k positions runs as passes of up to six levels. With n = r q, a pass takes blocks
of r positions at distance q into a small scratch buffer, transforms them there by radix 4, and
multiplies by the twiddles that join them to the next pass, which works on q contiguous positions.
So each pass reads and writes the whole array once, and positions whose distance is a power of two
never compete for the same cache sets while they are worked on. Between levels entries are reduced
partially, to below 2^61 + 7. Loops run on one core: to use two, call a compiled transform on the two
halves of the rows from two threads.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import lax

from zkjax.fields import extension
from zkjax.fields.arrays import Array, lazy_dot, partial_reduce, reduce
from zkjax.fields.mersenne61 import P, bit_reverse, root_of_unity
from zkjax.fields.vectors import Ext, powers

_P = np.uint64(P)
_2P = np.uint64(2 * P)
_PASS_LEVELS = 6
_BLOCK_SYMBOLS = 1 << 15


def transform(coefficients: Ext, log_n: int) -> Ext:
    """Evaluate each column of coefficients at all 2^log_n-th roots of unity.

    `coefficients` is [k, rows], lowest degree first, k <= n = 2^log_n. The result is [n, rows]:
    position j holds the values at `mersenne61.evaluation_point(j, log_n)`. Raises ValueError for
    another shape.
    """
    n = 1 << log_n
    if coefficients.ndim != 2 or coefficients.shape[0] > n:
        raise ValueError(f"coefficients of shape {coefficients.shape} do not fit {n} points")
    k, rows = coefficients.shape
    filled = extension.concatenate([extension.asarray(coefficients), extension.zeros((n - k, rows))])
    tables = blank((n, rows), mark=0), blank((n, rows), mark=1)
    return transform_within(filled, tables, log_n, k)[passes(log_n) % 2] if log_n else filled


def present(k: int, log_n: int) -> int:
    """How many positions the first butterfly reads: it skips quarters (halves, if n is two) without coefficients."""
    part = max((1 << log_n) // 4, 1)
    return max(-(-k // part), 1) * part


def passes(log_n: int) -> int:
    """How often a transform goes through the whole array."""
    return -(-log_n // _PASS_LEVELS)


def transform_within(coefficients: Ext, tables: tuple[Ext, Ext], log_n: int, k: int) -> tuple[Ext, Ext]:
    """`transform` of [n, rows], canonical, with two tables of that shape to write to, the second one first.

    Coefficients from k on are zero, and those from `present(k, log_n)` on are not read; they may lie in the first
    table. Returns both tables: the result is the one of number `passes(log_n) % 2`.
    """
    n = 1 << log_n
    twiddles = powers(root_of_unity(log_n), n)
    first, second = tables
    source = coefficients
    level, filled = 0, present(k, log_n)
    for index in range(passes(log_n)):
        levels = (log_n - level) // (passes(log_n) - index)
        # A pass never writes the table it reads.
        if index % 2:
            source = first = _pass(source, first, twiddles, n, level, levels, filled)
        else:
            source = second = _pass(source, second, twiddles, n, level, levels, filled)
        level, filled = level + levels, n
    return first, second


def _pass(source: Ext, target: Ext, twiddles: Ext, n: int, level: int, levels: int, filled: int) -> Ext:
    """Levels `level` to `level + levels` of the transform, from [n, rows] to [n, rows]; `filled` are read."""
    rows = source.shape[1]
    groups, size = 1 << level, 1 << levels
    distance = n // (groups * size)
    present = filled // (groups * distance)
    source = source.reshape(groups, size, distance, rows)
    wanted = max(_BLOCK_SYMBOLS // (size * rows), 1)
    width = min(1 << (wanted.bit_length() - 1), distance)
    depth = min(max((1 << (wanted.bit_length() - 1)) // width, 1), groups)
    steps = distance // width
    radices = [4] * (levels // 2) + [2] * (levels % 2)
    joining = _joining_twiddles(twiddles, level, levels, distance)

    def block(step: Array, carry: tuple[Ext, Ext, Ext]) -> tuple[Ext, Ext, Ext]:
        target, current, other = carry
        group, offset = (step // steps) * depth, (step % steps) * width
        strided = _slice(source, (group, 0, offset, 0), (depth, present, width, rows))
        current = _update(current, strided, (0, 0, 0, 0))
        done = 0
        for radix in radices[:-1]:
            filled = present if done == 0 else size
            result = _stage(current, other, radix, size >> done, 1 << done, filled, twiddles)
            current, other = result, current
            done += radix.bit_length() - 1
        target = _last_stage(current, target, radices[-1], size, present, joining, group, offset)
        return target, current, other

    # One position more than a block: XLA would take an update of the whole buffer for the slice
    # itself, and read the strided source again in every kernel.
    scratch = (depth, size + 1, width, rows)
    carry = (target.reshape(groups, size, distance, rows), blank(scratch, mark=0), blank(scratch, mark=1))
    return lax.fori_loop(0, (groups // depth) * steps, block, carry)[0].reshape(n, rows)


def _stage(source: Ext, target: Ext, radix: int, size: int, groups: int, filled: int, twiddles: Ext) -> Ext:
    """One level of radix 4, inside a block, for `groups` transforms of `size` positions."""
    depth, _, width, rows = source.shape
    distance = size // radix
    stride = twiddles.shape[0] // size
    factors = [twiddles[stride * k * np.arange(distance)] for k in (2, 1, 3)]

    def butterflies(group: Array | int, target: Ext) -> Ext:
        base = group * size
        shape = (depth, distance, width, rows)
        inputs = [_slice(source, (0, base + at, 0, 0), shape) for at in range(0, min(size, filled), distance)]
        first, *others = _butterfly(inputs, radix)
        target = _update(target, _partial(first), (0, base, 0, 0))
        for index, (value, factor) in enumerate(zip(others, factors, strict=True), start=1):
            factor = Ext(*(jnp.asarray(plane).reshape(1, distance, 1, 1) for plane in factor))
            target = _update(target, _times(value, factor), (0, base + index * distance, 0, 0))
        return target

    return butterflies(0, target) if groups == 1 else lax.fori_loop(0, groups, butterflies, target)


def _last_stage(
    source: Ext, target: Ext, radix: int, size: int, filled: int, joining: Ext | None, group: Array, offset: Array
) -> Ext:
    """The last level of a pass: butterflies of neighbours, times the joining twiddles, written out."""
    depth, _, width, rows = source.shape

    def butterflies(index: Array | int, target: Ext) -> Ext:
        base = index * radix
        shape = (depth, 1, width, rows)
        inputs = [_slice(source, (0, base + at, 0, 0), shape) for at in range(min(radix, filled))]
        for at, value in enumerate(_butterfly(inputs, radix)):
            if joining is not None:
                factor = _slice(joining, (base + at, offset), (1, width))
                value = _times(value, factor.reshape(1, 1, width, 1))
            else:
                value = Ext(reduce(value.re), reduce(value.im))
            target = _update(target, value, (group, base + at, offset, 0))
        return target

    return lax.fori_loop(0, size // radix, butterflies, target)


def _joining_twiddles(twiddles: Ext, level: int, levels: int, distance: int) -> Ext | None:
    """The factors [2^levels, distance] between a pass and the next, none after the last."""
    if distance == 1:
        return None
    frequencies = np.array([bit_reverse(at, levels) for at in range(1 << levels)])
    exponents = np.outer(frequencies, np.arange(distance)) << level
    return Ext(jnp.asarray(twiddles.re[exponents]), jnp.asarray(twiddles.im[exponents]))


def _butterfly(inputs: Sequence[Ext], radix: int) -> list[Ext]:
    """The transform of 2 or 4 partially reduced values, in bit-reversed order; missing inputs are zero.

    Results are below 2^64, congruent and not reduced.
    """
    zero = extension.zeros(inputs[0].shape)
    values = [*inputs, *[zero] * (radix - len(inputs))]
    if radix == 2:
        a, b = values
        return [Ext(a.re + b.re, a.im + b.im), Ext(a.re + _minus(b.re), a.im + _minus(b.im))]
    a, b, c, d = values
    # i (re, im) = (-im, re). Two of four terms are below 2^61 + 7, the others at most 2^62.
    return [
        Ext(a.re + b.re + c.re + d.re, a.im + b.im + c.im + d.im),
        Ext(a.re + _minus(b.re) + c.re + _minus(d.re), a.im + _minus(b.im) + c.im + _minus(d.im)),
        Ext(a.re + _minus(b.im) + _minus(c.re) + d.im, a.im + b.re + _minus(c.im) + _minus(d.re)),
        Ext(a.re + b.im + _minus(c.re) + _minus(d.im), a.im + _minus(b.re) + _minus(c.im) + d.re),
    ]


def _minus(x: Array) -> Array:
    """-x for x below 2^61 + 7, at most 2^62."""
    return _2P - x


def _partial(value: Ext) -> Ext:
    return Ext(partial_reduce(value.re), partial_reduce(value.im))


def _times(value: Ext, factor: Ext) -> Ext:
    """A product with canonical factors, both value and result reduced partially."""
    value = _partial(value)
    return Ext(
        partial_reduce(lazy_dot(value.re, factor.re, value.im, _P - factor.im)),
        partial_reduce(lazy_dot(value.re, factor.im, value.im, factor.re)),
    )


def blank(shape: tuple[int, ...], mark: int) -> Ext:
    """A buffer to be overwritten. Equal constants would be made once and then copied."""
    return Ext(jnp.full(shape, 2 * mark, jnp.uint64), jnp.full(shape, 2 * mark + 1, jnp.uint64))


def _slice(source: Ext, start: Sequence[Array | int], shape: Sequence[int]) -> Ext:
    return Ext(*(lax.dynamic_slice(plane, start, shape) for plane in source))


def _update(target: Ext, value: Ext, start: Sequence[Array | int]) -> Ext:
    return Ext(*(lax.dynamic_update_slice(plane, part, start) for plane, part in zip(target, value, strict=True)))
