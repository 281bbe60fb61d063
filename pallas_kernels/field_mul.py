"""GF(p), p = 2^61 - 1, and K = F[i]/(i^2 + 1) inside a kernel body, and K products elementwise.

An element of F is a uint64; `canonical` means below p, `unreduced` means any uint64. K elements
are pairs `(re, im)`. Everything broadcasts as jnp does and is made of operations that Pallas
lowers to Triton: `mulhi` is not among them, so a product is four 32-bit by 32-bit products of
limbs a = a0 + 2^31 a1. The limbs are carried as uint32 because the compiler then emits one
widening multiply-add (IMAD.WIDE.U32) each; masked uint64 limbs compile to twice the multiplies.

Bounds. For any a <= p the limbs are a0 < 2^31 and a1 < 2^30, and with 2^61 = 1

    a b = a0 b0 + 2 a1 b1 + (mid >> 30) + ((mid mod 2^30) << 31),   mid = a0 b1 + a1 b0.

For the sum of two products, mid is summed first and then stays below 2^63 - 2^33; the four terms
are at most 2^63 - 2^33 + 2, 2^62 - 2^33 + 4, 2^33 and 2^61 - 2^31. One more element (<= p) still
fits: the total stays below 2^64. So a K product needs one reduction per plane, and so does a K
product plus a K element.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from pallas_kernels import launch

MODULUS = np.uint64(2**61 - 1)
_MASK_31 = np.uint64(2**31 - 1)
_MASK_30 = np.uint64(2**30 - 1)

Plane = jax.Array
Pair = tuple[jax.Array, jax.Array]
Limbs = tuple[jax.Array, jax.Array]


def reduce(value: Plane) -> Plane:
    """The canonical representative of an unreduced value."""
    folded = (value & MODULUS) + (value >> np.uint64(61))
    # Below the modulus the difference wraps to a huge number, so the minimum selects.
    return jnp.minimum(folded, folded - MODULUS)


def add(a: Plane, b: Plane) -> Plane:
    """a + b; canonical in, canonical out."""
    total = a + b
    return jnp.minimum(total, total - MODULUS)


def subtract(a: Plane, b: Plane) -> Plane:
    """a - b; canonical in, canonical out."""
    difference = a - b
    return jnp.minimum(difference, difference + MODULUS)


def split_limbs(a: Plane) -> Limbs:
    """(a mod 2^31, a >> 31) as uint32, for a <= p."""
    return (a & _MASK_31).astype(jnp.uint32), (a >> np.uint64(31)).astype(jnp.uint32)


def multiply(a: Plane, b: Plane) -> Plane:
    """a b; both at most p in, canonical out."""
    (a0, a1), (b0, b1) = split_limbs(a), split_limbs(b)
    return reduce(_recombine(_wide(a0, b0), _wide(a0, b1) + _wide(a1, b0), _wide(a1, b1)))


def extension_add(x: Pair, y: Pair) -> Pair:
    """x + y in K; canonical in, canonical out."""
    return add(x[0], y[0]), add(x[1], y[1])


def extension_subtract(x: Pair, y: Pair) -> Pair:
    """x - y in K; canonical in, canonical out."""
    return subtract(x[0], y[0]), subtract(x[1], y[1])


def extension_multiply_unreduced(x: Pair, y: Pair) -> Pair:
    """x y in K; canonical in, planes unreduced and at most 2^64 - 1 - p out."""
    re_x, im_x, re_y, im_y = map(split_limbs, (*x, *y))
    minus_im_x = split_limbs(MODULUS - x[1])  # in [1, p]: p itself stands for zero and fits
    re = _two_products(re_x, re_y, minus_im_x, im_y)
    im = _two_products(re_x, im_y, im_x, re_y)
    return re, im


def extension_multiply(x: Pair, y: Pair) -> Pair:
    """x y in K; canonical in, canonical out. Schoolbook: one reduction a plane."""
    re, im = extension_multiply_unreduced(x, y)
    return reduce(re), reduce(im)


def extension_multiply_add(x: Pair, y: Pair, z: Pair) -> Pair:
    """x y + z in K; canonical in, canonical out, still one reduction a plane."""
    re, im = extension_multiply_unreduced(x, y)
    return reduce(re + z[0]), reduce(im + z[1])


def interpolate(low: Pair, high: Pair, challenge: Pair) -> Pair:
    """low + challenge (high - low) in K; canonical in, canonical out."""
    return extension_multiply_add(challenge, extension_subtract(high, low), low)


def extension_product(
    x: Pair,
    y: Pair,
    *,
    block: int | None = None,
    num_warps: int = launch.DEFAULT_WARPS,
    interpret: bool = False,
) -> Pair:
    """The elementwise product in K, one program per block.

    x, y: K[n], n a power of two; canonical. Returns K[n], canonical.
    block: a power of two at most n. interpret: run the kernel body on the CPU instead.
    Raises TypeError for planes that are not uint64, ValueError for shapes or blocks that do not
    fit, and JAX's error where the backend cannot run the kernel.
    """
    size = launch.table_length(1, x=x, y=y)
    block = launch.choose_block(block, size)
    re, im = launch.call(
        _extension_product_kernel,
        [*launch.view(x), *launch.view(y)],
        in_specs=[launch.columns(block)] * 4,
        out_specs=[launch.columns(block)] * 2,
        out_shapes=[(1, size)] * 2,
        programs=size // block,
        num_warps=num_warps,
        interpret=interpret,
    )
    return re.reshape(size), im.reshape(size)


def _extension_product_kernel(x_re, x_im, y_re, y_im, out_re, out_im):
    out_re[0], out_im[0] = extension_multiply((x_re[0], x_im[0]), (y_re[0], y_im[0]))


def _wide(a: Plane, b: Plane) -> Plane:
    return a.astype(jnp.uint64) * b.astype(jnp.uint64)


def _two_products(a: Limbs, b: Limbs, c: Limbs, d: Limbs) -> Plane:
    (a0, a1), (b0, b1), (c0, c1), (d0, d1) = a, b, c, d
    middle = _wide(a0, b1) + _wide(a1, b0) + _wide(c0, d1) + _wide(c1, d0)
    return _recombine(_wide(a0, b0) + _wide(c0, d0), middle, _wide(a1, b1) + _wide(c1, d1))


def _recombine(low: Plane, middle: Plane, high: Plane) -> Plane:
    folded_middle = (middle >> np.uint64(30)) + ((middle & _MASK_30) << np.uint64(31))
    return low + (high << np.uint64(1)) + folded_middle
