"""A round of the product sumcheck over K: fold two tables and sum for the next round in one pass.

The most significant variable is bound first. A product of two multilinear tables has the round
polynomial s(X) = sum over x of f(X, x) g(X, x) of degree two; the kernels give its coefficients
of X^0 and X^2, and the claim s(0) + s(1) gives the middle one. One pass reads each table once and
writes its half: the entries x, x + n/2 of the folded tables, which the sums need, come from the
four entries x + k n/2, 0 <= k < 4, of the tables read.

Sums leave as partials, one column per program; `partials.combine_partials` adds them.

*Soundness*: nothing here is checked; the verifier's round checks are elsewhere.
Source: Thaler, "Proofs, Arguments, and Zero-Knowledge", section 4.1 (sumcheck), and Cormode,
Mitzenmacher, Thaler, ITCS 2012 (linear-time provers by folding).
"""

from __future__ import annotations

import jax

from pallas_kernels import field_mul, launch, partials

Pair = tuple[jax.Array, jax.Array]


def product_round_sums(
    f: Pair,
    g: Pair,
    *,
    block: int | None = None,
    num_warps: int = launch.DEFAULT_WARPS,
    interpret: bool = False,
) -> jax.Array:
    """The sums of the first round, nothing folded; means `reference.product_round_sums`.

    f, g: K[n], n a power of two of at least 2, canonical.
    block: indices x < n/2 per program, a power of two at most n/2.
    Returns partials uint64[4, n / 2 / block]: rows re, im of the sum of f[x] g[x] and of the sum
    of (f[x + n/2] - f[x]) (g[x + n/2] - g[x]), canonical, a column per program.
    Raises TypeError for planes that are not uint64, ValueError for shapes or blocks that do not
    fit, and JAX's error where the backend cannot run the kernel.
    """
    size = launch.table_length(2, f=f, g=g) // 2
    block = launch.choose_block(block, size)
    (sums,) = launch.call(
        _product_round_sums_kernel,
        [*launch.view(f, 2), *launch.view(g, 2)],
        in_specs=[launch.columns(block, 2)] * 4,
        out_specs=[launch.columns(1, 4)],
        out_shapes=[(4, size // block)],
        programs=size // block,
        num_warps=num_warps,
        interpret=interpret,
    )
    return sums


def product_round(
    f: Pair,
    g: Pair,
    challenge: Pair,
    *,
    block: int | None = None,
    num_warps: int = launch.DEFAULT_WARPS,
    interpret: bool = False,
) -> tuple[Pair, Pair, jax.Array]:
    """Bind the challenge and sum for the next round; means `reference.product_round`.

    f, g: K[2n], n a power of two of at least 2; challenge: K[]; canonical.
    block: indices x < n/2 per program, a power of two at most n/2.
    Returns (f', g', partials): f' = f[:n] + challenge (f[n:] - f[:n]) in K[n], likewise g', and
    the partials uint64[4, n / 2 / block] that `product_round_sums(f', g')` would give.
    Raises as `product_round_sums` does.
    """
    size = launch.table_length(4, f=f, g=g) // 4
    block = launch.choose_block(block, size)
    f_re, f_im, g_re, g_im, sums = launch.call(
        _product_round_kernel,
        [
            *launch.view(f, 4),
            *launch.view(g, 4),
            *launch.scalar_operands(challenge=challenge),
        ],
        in_specs=[launch.columns(block, 4)] * 4 + [launch.broadcast_scalar()] * 2,
        out_specs=[launch.columns(block, 2)] * 4 + [launch.columns(1, 4)],
        out_shapes=[(2, size)] * 4 + [(4, size // block)],
        programs=size // block,
        num_warps=num_warps,
        interpret=interpret,
    )
    return (f_re.reshape(-1), f_im.reshape(-1)), (g_re.reshape(-1), g_im.reshape(-1)), sums


def _product_round_sums_kernel(f_re, f_im, g_re, g_im, partials_ref):
    f_low, f_high = (f_re[0], f_im[0]), (f_re[1], f_im[1])
    g_low, g_high = (g_re[0], g_im[0]), (g_re[1], g_im[1])
    _write_sums(partials_ref, f_low, f_high, g_low, g_high)


def _product_round_kernel(
    f_re, f_im, g_re, g_im, challenge_re, challenge_im, f_re_out, f_im_out, g_re_out, g_im_out,
    partials_ref,
):  # fmt: skip
    challenge = challenge_re[0], challenge_im[0]
    f_low, f_high = fold_quarters(f_re, f_im, challenge, f_re_out, f_im_out)
    g_low, g_high = fold_quarters(g_re, g_im, challenge, g_re_out, g_im_out)
    _write_sums(partials_ref, f_low, f_high, g_low, g_high)


def fold_quarters(re, im, challenge: Pair, re_out, im_out) -> tuple[Pair, Pair]:
    """Inside a kernel: fold a [4, block] table, write the [2, block] result and return its rows."""
    quarter = [(re[k], im[k]) for k in range(4)]
    low = field_mul.interpolate(quarter[0], quarter[2], challenge)
    high = field_mul.interpolate(quarter[1], quarter[3], challenge)
    re_out[0], im_out[0] = low
    re_out[1], im_out[1] = high
    return low, high


def _write_sums(partials_ref, f_low: Pair, f_high: Pair, g_low: Pair, g_high: Pair) -> None:
    at_zero = field_mul.extension_multiply_unreduced(f_low, g_low)
    leading = field_mul.extension_multiply_unreduced(
        field_mul.extension_subtract(f_high, f_low), field_mul.extension_subtract(g_high, g_low)
    )
    partials.write_block_sums(partials_ref, at_zero, leading)
