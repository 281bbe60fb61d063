"""Arrays over the base field in JAX.

An array over F is uint64 and canonical: every entry in [0, p). Inputs must be canonical and
outputs are, except where a name says `lazy` or `partial`. Every function is pure and works under
`jit` and `vmap`; operands broadcast. x64 mode must be on: the callers scope it with
`jax.enable_x64(True)`. Anything but uint64 raises TypeError, which is also what happens without
x64 mode.

Products are taken in two limbs of 31 and 30 bits and reduced once, as in `vectors`. Sums of
products run over cache-sized blocks with a vector of accumulators that is reduced once at the end:
XLA does not vectorise a multiplication fused into a full reduction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from zkjax.fields.mersenne61 import P

Array = jax.Array

BLOCK = 4096

_P = np.uint64(P)
_M30 = np.uint64((1 << 30) - 1)
_M31 = np.uint64((1 << 31) - 1)
_M32 = np.uint64((1 << 32) - 1)
_ONE = np.uint64(1)
_30 = np.uint64(30)
_31 = np.uint64(31)
_32 = np.uint64(32)
_61 = np.uint64(61)


def checked(array: Any) -> Array:
    """`array` as a JAX array, once it is known to be uint64.

    Raises TypeError for another dtype, and outside x64 mode, where JAX has no uint64.
    """
    dtype = getattr(array, "dtype", None)
    if dtype != np.uint64:
        got = type(array).__name__ if dtype is None else dtype
        raise TypeError(f"field arrays are uint64, got {got}; call under jax.enable_x64(True)")
    if not jax.config.jax_enable_x64:  # type: ignore[attr-defined]
        raise TypeError("field arrays need x64 mode; call under jax.enable_x64(True)")
    return jnp.asarray(array)


def _final(x: Any) -> Array:
    """The canonical representative of x < 2p: the wrapped difference is huge when x < p."""
    return jnp.minimum(x, x - _P)


def partial_reduce(x: Array) -> Array:
    """A representative below 2^61 + 7 of any uint64."""
    return (x & _P) + (x >> _61)


def reduce(x: Array) -> Array:
    """The canonical representative of any uint64."""
    return _final(partial_reduce(checked(x)))


def lazy_mul(a: Array, b: Array) -> Array:
    """A representative below 2^63 of a b, for entries in [0, p]."""
    a0, a1, b0, b1 = a & _M31, a >> _31, b & _M31, b >> _31
    middle = a0 * b1 + a1 * b0
    return a0 * b0 + ((a1 * b1) << _ONE) + (middle >> _30) + ((middle & _M30) << _31)


def lazy_dot(a: Array, b: Array, c: Array, d: Array) -> Array:
    """A representative of a b + c d, for entries in [0, p].

    It leaves room in 64 bits for one more addend below 2^61 + 2^32.
    """
    a0, a1, b0, b1 = a & _M31, a >> _31, b & _M31, b >> _31
    c0, c1, d0, d1 = c & _M31, c >> _31, d & _M31, d >> _31
    low = a0 * b0 + c0 * d0
    high = a1 * b1 + c1 * d1
    middle = a0 * b1 + a1 * b0 + c0 * d1 + c1 * d0
    return low + (high << _ONE) + (middle >> _30) + ((middle & _M30) << _31)


def from_signed(values: Array) -> Array:
    """The residues of any int64 array. Raises TypeError for another dtype."""
    if getattr(values, "dtype", None) != np.int64:
        raise TypeError(f"signed values are int64, got {getattr(values, 'dtype', type(values))}")
    values = jnp.asarray(values)
    folded = (values & np.int64(P)) + (values >> np.int64(61))
    folded = jnp.where(folded < 0, folded + np.int64(P), folded)
    return _final(checked(folded.astype(jnp.uint64)))


def to_signed(a: Array) -> Array:
    """The representatives of least magnitude, in (-p/2, p/2), as int64."""
    a = checked(a)
    signed = a.astype(jnp.int64)
    return jnp.where(a > np.uint64(P // 2), signed - np.int64(P), signed)


def add(a: Array, b: Array) -> Array:
    """a + b."""
    return _final(checked(a) + checked(b))


def sub(a: Array, b: Array) -> Array:
    """a - b."""
    return _final(checked(a) + (_P - checked(b)))


def neg(a: Array) -> Array:
    """-a."""
    return _final(_P - checked(a))


def mul(a: Array, b: Array) -> Array:
    """a b."""
    return _final(partial_reduce(lazy_mul(checked(a), checked(b))))


def square(a: Array) -> Array:
    """a^2."""
    a = checked(a)
    a0, a1 = a & _M31, a >> _31
    middle = (a0 * a1) << _ONE
    lazy = a0 * a0 + ((a1 * a1) << _ONE) + (middle >> _30) + ((middle & _M30) << _31)
    return _final(partial_reduce(lazy))


def mul_add(a: Array, b: Array, c: Array) -> Array:
    """a b + c, reduced once."""
    return _final(partial_reduce(lazy_mul(checked(a), checked(b)) + checked(c)))


def dot(a: Array, b: Array, c: Array, d: Array) -> Array:
    """a b + c d, reduced once."""
    lazy = lazy_dot(checked(a), checked(b), checked(c), checked(d))
    return _final(partial_reduce(lazy))


def fold(low: Array, high: Array, r: Array) -> Array:
    """low + r (high - low): a multilinear table with its most significant variable set to r."""
    return mul_add(r, sub(high, low), low)


def inverse(a: Array) -> Array:
    """The inverse as the power p - 2, entry by entry; zero goes to zero.

    About 120 multiplications an entry: for many entries see `batch_inverse`.
    Soundness: a caller that divides by a value the other side chose rejects zero itself.
    """
    a = checked(a)
    # p - 2 = 2^61 - 3 is 59 ones, a zero and a one.
    ones = lax.fori_loop(0, 58, lambda _, x: mul(square(x), a), a)
    return mul(square(square(ones)), a)


def batch_inverse(a: Array) -> Array:
    """The inverses of all entries, any shape; zero goes to zero.

    Montgomery's trick along columns of up to 256 lanes, about five multiplications an entry.
    """
    a = checked(a)
    return batched_inverse(a.ravel(), jnp.ones((), jnp.uint64), mul, inverse).reshape(a.shape)


def batched_inverse(flat: Any, one: Any, multiply: Callable, invert: Callable) -> Any:
    """Montgomery's trick over a pytree of arrays [n], for either field.

    `one` is the unit without axes; an entry is zero where all its leaves are.
    """
    n = jax.tree.leaves(flat)[0].shape[0]
    if n == 0:
        return flat
    lanes = min(n, 256)
    rows = -(-n // lanes)
    is_zero = jnp.all(jnp.stack([leaf == 0 for leaf in jax.tree.leaves(flat)]), axis=0)
    filled = jax.tree.map(lambda x, u: jnp.where(is_zero, u, x), flat, one)
    # The padding is made of ones as well: it must not spoil the products.
    grid = jax.tree.map(
        lambda x, u: jnp.concatenate([x, jnp.full(rows * lanes - n, u)]).reshape(rows, lanes),
        filled,
        one,
    )
    start = jax.tree.map(lambda u: jnp.full(lanes, u), one)

    def forward(product: Any, row: Any) -> tuple[Any, Any]:
        return multiply(product, row), product

    def backward(inverted: Any, entry: tuple[Any, Any]) -> tuple[Any, Any]:
        row, before = entry
        return multiply(inverted, row), multiply(inverted, before)

    product, before = lax.scan(forward, start, grid)
    _, result = lax.scan(backward, invert(product), (grid, before), reverse=True)
    return jax.tree.map(lambda x: jnp.where(is_zero, np.uint64(0), x.ravel()[:n]), result)


def total(a: Array, axis: int | tuple[int, ...] | None = None) -> Array:
    """The sum over `axis`, or over all; fewer than 2^32 terms, any uint64 terms."""
    a = checked(a)
    if axis is None and a.size > BLOCK:
        return accumulate(lambda sums, blocks: (partial_reduce(sums[0] + reduce(blocks[0])),), (a.ravel(),), 1)[0]
    low = jnp.sum(a & _M32, axis=axis, dtype=jnp.uint64)
    high = jnp.sum(a >> _32, axis=axis, dtype=jnp.uint64)
    return mul_add(reduce(high), jnp.full((), 1 << 32, jnp.uint64), reduce(low))


def accumulate(
    step: Callable[[tuple[Array, ...], tuple[Array, ...]], tuple[Array, ...]],
    operands: Sequence[Array],
    planes: int,
    block: int = BLOCK,
) -> tuple[Array, ...]:
    """Sum terms over arrays [n] by blocks, into `planes` canonical scalars.

    `step(accumulators, blocks)` takes arrays of one common length and returns the accumulators
    with the terms of these blocks added, reduced at least partially. It must act entry by entry.
    """
    operands = tuple(checked(operand) for operand in operands)
    n = operands[0].shape[0]
    width = min(n, block)
    full, rest = divmod(n, width) if n else (0, 0)
    accumulators = tuple(jnp.zeros(width, jnp.uint64) for _ in range(planes))

    def body(at: Array, accumulators: tuple[Array, ...]) -> tuple[Array, ...]:
        blocks = tuple(lax.dynamic_slice(x, (at * width,), (width,)) for x in operands)
        return step(accumulators, blocks)

    if full == 1:
        accumulators = step(accumulators, tuple(x[:width] for x in operands))
    elif full:
        accumulators = lax.fori_loop(0, full, body, accumulators)
    sums = tuple(total(x) for x in accumulators)
    if not rest:
        return sums
    tail = step(
        tuple(jnp.zeros(rest, jnp.uint64) for _ in range(planes)),
        tuple(x[n - rest :] for x in operands),
    )
    return tuple(add(x, total(y)) for x, y in zip(sums, tail, strict=True))


def inner(a: Array, b: Array) -> Array:
    """The sum of a_i b_i over all entries. Raises ValueError unless the shapes are equal."""
    same_shape(a, b)

    def step(sums: tuple[Array, ...], blocks: tuple[Array, ...]) -> tuple[Array, ...]:
        return (partial_reduce(sums[0] + lazy_mul(*blocks)),)

    return accumulate(step, (a.ravel(), b.ravel()), planes=1)[0]


def same_shape(a: Any, b: Any) -> None:
    """Raises ValueError unless the shapes are equal."""
    if a.shape != b.shape:
        raise ValueError(f"inner products take equal shapes, got {a.shape} and {b.shape}")
