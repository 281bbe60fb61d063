"""Arrays over the extension field in JAX: `Ext` pytrees of two planes.

The planes are canonical uint64 arrays of one shape; the conventions of `arrays` hold for each. A
product is schoolbook with one lazy reduction per plane: the planes are separate kernels on a CPU,
so that the shared products of Karatsuba would be recomputed in each.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import lax

from zkjax.fields import arrays
from zkjax.fields.arrays import (
    Array,
    accumulate,
    checked,
    lazy_dot,
    lazy_mul,
    partial_reduce,
    same_shape,
)
from zkjax.fields.mersenne61 import K, P
from zkjax.fields.vectors import Ext

_P = np.uint64(P)
_LOW_VARIABLES = 11


def asarray(value: Ext | K | int | Sequence[K]) -> Ext:
    """JAX planes of an `Ext`, of one element (no axes), or of a sequence of elements (one axis)."""
    if isinstance(value, int):
        value = K(value)
    if isinstance(value, K):
        value = Ext(np.uint64(value.re), np.uint64(value.im))
    elif not isinstance(value, Ext):
        value = Ext.from_list(value)
    return Ext(checked(value.re), checked(value.im))


def from_base(a: Array) -> Ext:
    """The embedding of an array over F."""
    return Ext(checked(a), jnp.zeros_like(a))


def zeros(shape: int | tuple[int, ...]) -> Ext:
    """Zeros of a shape."""
    return Ext(jnp.zeros(shape, jnp.uint64), jnp.zeros(shape, jnp.uint64))


def ones(shape: int | tuple[int, ...]) -> Ext:
    """Ones of a shape."""
    return Ext(jnp.ones(shape, jnp.uint64), jnp.zeros(shape, jnp.uint64))


def concatenate(parts: Sequence[Ext], axis: int = 0) -> Ext:
    """Concatenate along an axis."""
    return Ext(jnp.concatenate([x.re for x in parts], axis), jnp.concatenate([x.im for x in parts], axis))


def stack(parts: Sequence[Ext], axis: int = 0) -> Ext:
    """Stack along a new axis."""
    return Ext(jnp.stack([x.re for x in parts], axis), jnp.stack([x.im for x in parts], axis))


def where(condition: Array, a: Ext, b: Ext) -> Ext:
    """a where the condition holds, else b."""
    return Ext(jnp.where(condition, a.re, b.re), jnp.where(condition, a.im, b.im))


def equal(a: Ext, b: Ext) -> Array:
    """Entry by entry, a boolean array."""
    return (a.re == b.re) & (a.im == b.im)


def add(a: Ext, b: Ext) -> Ext:
    """a + b."""
    return Ext(arrays.add(a.re, b.re), arrays.add(a.im, b.im))


def sub(a: Ext, b: Ext) -> Ext:
    """a - b."""
    return Ext(arrays.sub(a.re, b.re), arrays.sub(a.im, b.im))


def neg(a: Ext) -> Ext:
    """-a."""
    return Ext(arrays.neg(a.re), arrays.neg(a.im))


def conjugate(a: Ext) -> Ext:
    """re - im i."""
    return Ext(checked(a.re), arrays.neg(a.im))


def lazy_mul_planes(a: Ext, b: Ext) -> Ext:
    """Unreduced planes of a b.

    Each leaves room in 64 bits for one more addend below 2^61 + 2^32: an element, or an
    accumulator reduced partially.
    """
    return Ext(
        lazy_dot(checked(a.re), checked(b.re), checked(a.im), _P - checked(b.im)),
        lazy_dot(a.re, b.im, a.im, b.re),
    )


def mul(a: Ext, b: Ext) -> Ext:
    """a b."""
    lazy = lazy_mul_planes(a, b)
    return Ext(arrays.reduce(lazy.re), arrays.reduce(lazy.im))


def mul_add(a: Ext, b: Ext, c: Ext) -> Ext:
    """a b + c, each plane reduced once."""
    lazy = lazy_mul_planes(a, b)
    return Ext(
        arrays.reduce(lazy.re + checked(c.re)),
        arrays.reduce(lazy.im + checked(c.im)),
    )


def mul_base(a: Ext, b: Array) -> Ext:
    """a b for b over F."""
    return Ext(arrays.mul(a.re, b), arrays.mul(a.im, b))


def mul_i(a: Ext) -> Ext:
    """i a."""
    return Ext(arrays.neg(a.im), checked(a.re))


def square(a: Ext) -> Ext:
    """a^2."""
    return Ext(
        arrays.mul(arrays.add(a.re, a.im), arrays.sub(a.re, a.im)),
        arrays.mul(arrays.add(a.re, a.re), a.im),
    )


def scale(a: Ext, factor: Ext | K | int) -> Ext:
    """Every entry times one element, which may be traced."""
    return mul(a, asarray(factor))


def norm(a: Ext) -> Array:
    """re^2 + im^2, over F."""
    return arrays.dot(a.re, a.re, a.im, a.im)


def inverse(a: Ext) -> Ext:
    """The inverse, entry by entry, by the norm; zero goes to zero.

    Soundness: a caller that divides by a value the other side chose rejects zero itself.
    """
    return mul_base(conjugate(a), arrays.inverse(norm(a)))


def batch_inverse(a: Ext) -> Ext:
    """The inverses of all entries, any shape; zero goes to zero.

    The batch inverse of the norms, so about nine multiplications over F an entry.
    """
    return mul_base(conjugate(a), arrays.batch_inverse(norm(a)))


def fold(low: Ext, high: Ext, r: Ext) -> Ext:
    """low + r (high - low): a multilinear table with its most significant variable set to r."""
    return mul_add(asarray(r), sub(high, low), low)


def fold_base(low: Array, high: Array, r: Ext) -> Ext:
    """`fold` of a table over F by r over K, which moves the table to K."""
    r, difference = asarray(r), arrays.sub(high, low)
    return Ext(arrays.mul_add(r.re, difference, low), arrays.mul(r.im, difference))


def total(a: Ext, axis: int | tuple[int, ...] | None = None) -> Ext:
    """The sum over `axis`, or over all; fewer than 2^32 terms."""
    return Ext(arrays.total(a.re, axis), arrays.total(a.im, axis))


def inner(a: Ext, b: Ext) -> Ext:
    """The sum of a_i b_i over all entries, without axes. Raises ValueError on unequal shapes."""
    same_shape(a, b)

    def step(sums: tuple[Array, ...], blocks: tuple[Array, ...]) -> tuple[Array, ...]:
        lazy = lazy_mul_planes(Ext(*blocks[:2]), Ext(*blocks[2:]))
        return partial_reduce(lazy.re + sums[0]), partial_reduce(lazy.im + sums[1])

    operands = (a.re.ravel(), a.im.ravel(), b.re.ravel(), b.im.ravel())
    return Ext(*accumulate(step, operands, planes=2))


def inner_base(a: Ext, b: Array) -> Ext:
    """The sum of a_i b_i, b over F, without axes. Raises ValueError on unequal shapes."""
    same_shape(a, b)

    def step(sums: tuple[Array, ...], blocks: tuple[Array, ...]) -> tuple[Array, ...]:
        re, im, base = blocks
        return (
            partial_reduce(lazy_mul(re, base) + sums[0]),
            partial_reduce(lazy_mul(im, base) + sums[1]),
        )

    return Ext(*accumulate(step, (a.re.ravel(), a.im.ravel(), b.ravel()), planes=2))


def _tensor_block(zero: Ext, one: Ext) -> Ext:
    variables = zero.shape[0]
    index = jnp.arange(1 << variables, dtype=jnp.uint64)

    shifts = jnp.arange(variables, dtype=jnp.uint64)[::-1]

    def body(weights: Ext, variable: tuple[Array, Ext, Ext]) -> tuple[Ext, None]:
        shift, at_zero, at_one = variable
        bit = (index >> shift) & np.uint64(1)
        return mul(weights, where(bit == 1, at_one, at_zero)), None

    return lax.scan(body, ones(1 << variables), (shifts, zero, one))[0]


def tensor_weights(zero: Ext, one: Ext) -> Ext:
    """The 2^n products of one factor per variable, [n] and [n] to [2^n].

    Variable v contributes `one[v]` where its bit of the index is set and `zero[v]` elsewhere; most
    significant variable first: bit n-1 belongs to variable 0.
    """
    zero, one = asarray(zero), asarray(one)
    split = max(zero.shape[0] - _LOW_VARIABLES, 0)
    lower = _tensor_block(zero[split:], one[split:])
    if split == 0:
        return lower
    upper = _tensor_block(zero[:split], one[:split])
    width = lower.shape[0]

    # A loop over rows: XLA does not vectorise a product of two axes that is flattened.
    def body(row: Array, weights: Ext) -> Ext:
        values = mul(upper[row], lower)
        return Ext(*(lax.dynamic_update_slice(x, y, (row * width,)) for x, y in zip(weights, values, strict=True)))

    return lax.fori_loop(0, upper.shape[0], body, zeros(upper.shape[0] * width))


def equality_weights(point: Ext) -> Ext:
    """The weights eq(point, index) of all 2^n indices, for a point [n].

    Most significant variable first: bit n-1 of the index belongs to `point[0]`.
    """
    point = asarray(point)
    return tensor_weights(sub(ones(point.shape), point), point)


def powers(element: Ext, count: int) -> Ext:
    """1, x, x^2, ... as an array [count], for x without axes."""
    variables = max(count - 1, 0).bit_length()

    def body(power: Ext, _: None) -> tuple[Ext, Ext]:
        return square(power), power

    _, squares = lax.scan(body, asarray(element), None, length=variables, reverse=True)
    return tensor_weights(ones(variables), squares)[:count]


def evaluate_multilinear(table: Array | Ext, point: Ext) -> Ext:
    """The multilinear extension of `table`, extended by zero to 2^n entries, at a point [n].

    `table` has one axis of any length d <= 2^n, over F or K. Most significant variable first:
    bit n-1 of the index belongs to `point[0]`. The result has no axes. Raises ValueError for
    another shape.
    """
    point = asarray(point)
    variables = point.shape[0]
    if table.ndim != 1 or table.shape[0] > 1 << variables:
        raise ValueError(f"a table of shape {table.shape} has no extension in {variables} variables")
    table = table if isinstance(table, Ext) else Ext(table, None)  # one plane for a base table
    split = max(variables - _LOW_VARIABLES, 0)
    width = 1 << (variables - split)
    rows = -(-table.re.shape[0] // width)
    low = equality_weights(point[split:])
    high = equality_weights(point[:split])[:rows]
    full, rest = divmod(table.re.shape[0], width)

    def term(sums: Ext, weight: Ext, row: Ext) -> Ext:
        # One scalar of `high` times a row of the table; `low` is multiplied in once, at the end.
        if row.im is None:
            lazy = Ext(lazy_mul(weight.re, row.re), lazy_mul(weight.im, row.re))
        else:
            lazy = lazy_mul_planes(weight, row)
        return Ext(partial_reduce(lazy.re + sums.re), partial_reduce(lazy.im + sums.im))

    def take(plane: Array | None, start: Array | int, length: int) -> Array | None:
        return None if plane is None else lax.dynamic_slice(checked(plane), (start,), (length,))

    def body(row: Array, sums: Ext) -> Ext:
        return term(sums, high[row], Ext(*(take(x, row * width, width) for x in table)))

    sums = lax.fori_loop(0, full, body, zeros(width)) if full else zeros(width)
    if rest:
        tail = Ext(*(take(x, full * width, rest) for x in table))
        head = term(sums[:rest], high[full], tail)
        sums = concatenate([head, sums[rest:]])
    return inner(Ext(arrays.reduce(sums.re), arrays.reduce(sums.im)), low)
