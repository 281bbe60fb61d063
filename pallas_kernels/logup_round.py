"""A round of the fractional-sum sumcheck (LogUp-GKR) over K, weighted by equality values.

A layer adds fractions: (p0, q0) + (p1, q1) = (p0 q1 + p1 q0, q0 q1). Its sumcheck runs over

    e[x] (a (p0 q1 + p1 q0) + b q0 q1)(X, x) = e[x] (u0 q1 + u1 q0)(X, x),

with u0 = a p0 + b q0 and u1 = a p1. The scalars a and b join the claims on numerator and
denominator; e holds the equality weights of the variables after X, and the factor of X itself
is the caller's. The kernels give the degree-two polynomial in X at 0, at 1 and its coefficient
of X^2. The most significant variable is bound first; sums leave as partials.

*Soundness*: nothing here is checked; the verifier's round checks are elsewhere.
Source: Papini, Haboeck, "Improving logarithmic derivative lookups using GKR" (2023/1284);
Gruen, "Some improvements for the PIOP for ZeroCheck" (2024/108) for the equality factor.
"""

from __future__ import annotations

import jax

from pallas_kernels import field_mul, launch, partials
from pallas_kernels.sumcheck_round import fold_quarters

# Two entries a thread, the default elsewhere, compile to 130 registers here and one to 70.
DEFAULT_BLOCK = 128

Pair = tuple[jax.Array, jax.Array]


def logup_round_sums(
    p0: Pair,
    p1: Pair,
    q0: Pair,
    q1: Pair,
    equality: Pair,
    a: Pair,
    b: Pair,
    *,
    block: int | None = None,
    num_warps: int = launch.DEFAULT_WARPS,
    interpret: bool = False,
) -> jax.Array:
    """The sums of the first round, nothing folded; means `reference.logup_round_sums`.

    p0, p1, q0, q1: K[n], n a power of two of at least 2; equality: K[n/2]; a, b: K[]; canonical.
    block: indices x < n/2 per program, a power of two at most n/2.
    Returns partials uint64[6, n / 2 / block]: rows re, im of the sum at X = 0, at X = 1 and of
    the coefficient of X^2, canonical, a column per program.
    Raises TypeError for planes that are not uint64, ValueError for shapes or blocks that do not
    fit, and JAX's error where the backend cannot run the kernel.
    """
    size = launch.table_length(2, p0=p0, p1=p1, q0=q0, q1=q1) // 2
    _check_equality(equality, size)
    block = launch.choose_block(block, size, DEFAULT_BLOCK)
    (sums,) = launch.call(
        _logup_round_sums_kernel,
        [
            *(plane for table in (p0, p1, q0, q1) for plane in launch.view(table, 2)),
            *launch.view(equality),
            *launch.scalar_operands(a=a, b=b),
        ],
        in_specs=[launch.columns(block, 2)] * 8 + [launch.columns(block)] * 2 + [launch.broadcast_scalar()] * 4,
        out_specs=[launch.columns(1, 6)],
        out_shapes=[(6, size // block)],
        programs=size // block,
        num_warps=num_warps,
        interpret=interpret,
    )
    return sums


def logup_round(
    p0: Pair,
    p1: Pair,
    q0: Pair,
    q1: Pair,
    equality: Pair,
    a: Pair,
    b: Pair,
    challenge: Pair,
    *,
    block: int | None = None,
    num_warps: int = launch.DEFAULT_WARPS,
    interpret: bool = False,
) -> tuple[Pair, Pair, Pair, Pair, jax.Array]:
    """Bind the challenge and sum for the next round; means `reference.logup_round`.

    p0, p1, q0, q1: K[2n], n a power of two of at least 2; equality: K[n/2], the weights of the
    variables that remain after the next one; a, b, challenge: K[]; canonical.
    block: indices x < n/2 per program, a power of two at most n/2.
    Returns (p0', p1', q0', q1', partials): folded tables in K[n] and the partials
    uint64[6, n / 2 / block] that `logup_round_sums` of them would give.
    Raises as `logup_round_sums` does.
    """
    size = launch.table_length(4, p0=p0, p1=p1, q0=q0, q1=q1) // 4
    _check_equality(equality, size)
    block = launch.choose_block(block, size, DEFAULT_BLOCK)
    *planes, sums = launch.call(
        _logup_round_kernel,
        [
            *(plane for table in (p0, p1, q0, q1) for plane in launch.view(table, 4)),
            *launch.view(equality),
            *launch.scalar_operands(a=a, b=b, challenge=challenge),
        ],
        in_specs=[launch.columns(block, 4)] * 8 + [launch.columns(block)] * 2 + [launch.broadcast_scalar()] * 6,
        out_specs=[launch.columns(block, 2)] * 8 + [launch.columns(1, 6)],
        out_shapes=[(2, size)] * 8 + [(6, size // block)],
        programs=size // block,
        num_warps=num_warps,
        interpret=interpret,
    )
    flat = [plane.reshape(-1) for plane in planes]
    return (flat[0], flat[1]), (flat[2], flat[3]), (flat[4], flat[5]), (flat[6], flat[7]), sums


def _logup_round_sums_kernel(*refs):
    tables, (e_re, e_im, a_re, a_im, b_re, b_im, partials_ref) = refs[:8], refs[8:]
    low = [(tables[2 * k][0], tables[2 * k + 1][0]) for k in range(4)]
    high = [(tables[2 * k][1], tables[2 * k + 1][1]) for k in range(4)]
    _write_sums(partials_ref, low, high, (e_re[0], e_im[0]), (a_re[0], a_im[0]), (b_re[0], b_im[0]))


def _logup_round_kernel(*refs):
    tables, scalars, outs, partials_ref = refs[:8], refs[8:16], refs[16:24], refs[24]
    e_re, e_im, a_re, a_im, b_re, b_im, challenge_re, challenge_im = scalars
    challenge = challenge_re[0], challenge_im[0]
    low, high = [], []
    for k in range(0, 8, 2):
        bottom, top = fold_quarters(tables[k], tables[k + 1], challenge, outs[k], outs[k + 1])
        low.append(bottom)
        high.append(top)
    _write_sums(partials_ref, low, high, (e_re[0], e_im[0]), (a_re[0], a_im[0]), (b_re[0], b_im[0]))


def _write_sums(partials_ref, low: list[Pair], high: list[Pair], equality: Pair, a: Pair, b: Pair) -> None:
    """low, high: the rows (p0, p1, q0, q1) at X = 0 and at X = 1."""
    at_zero, at_one = _joined(low, a, b), _joined(high, a, b)
    difference = [field_mul.extension_subtract(top, bottom) for bottom, top in zip(at_zero, at_one, strict=True)]
    partials.write_block_sums(
        partials_ref,
        *(_weighted(equality, factors) for factors in (at_zero, at_one, difference)),
    )


def _joined(rows: list[Pair], a: Pair, b: Pair) -> tuple[Pair, Pair, Pair, Pair]:
    """(u0, u1, q0, q1); linear in the rows, so the same map holds for their differences."""
    p0, p1, q0, q1 = rows
    u0 = field_mul.extension_multiply_add(a, p0, field_mul.extension_multiply(b, q0))
    return u0, field_mul.extension_multiply(a, p1), q0, q1


def _weighted(equality: Pair, factors: tuple[Pair, Pair, Pair, Pair] | list[Pair]) -> Pair:
    """e (u0 q1 + u1 q0), unreduced."""
    u0, u1, q0, q1 = factors
    value = field_mul.extension_multiply_add(u0, q1, field_mul.extension_multiply(u1, q0))
    return field_mul.extension_multiply_unreduced(equality, value)


def _check_equality(equality: Pair, size: int) -> None:
    got = launch.table_length(1, equality=equality)
    if got != size:
        raise ValueError(f"equality weights must have length {size}, got {got}")
