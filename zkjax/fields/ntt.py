"""Reed-Solomon encoding over K in JAX: evaluate many polynomials at the 2^k-th roots of unity.

Layout [position, row]: the rows are independent polynomials and serve as lanes. Decimation in
frequency, output in bit-reversed order and left there: nothing downstream needs another order.
"""

from __future__ import annotations

import jax.numpy as jnp

from zkjax.fields import extension
from zkjax.fields.mersenne61 import root_of_unity
from zkjax.fields.vectors import Ext, powers


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
    values = extension.asarray(coefficients)
    values = extension.concatenate([values, extension.zeros((n - k, rows))])
    twiddles = powers(root_of_unity(log_n), max(n // 2, 1))
    for level in range(log_n):
        half = n >> (level + 1)
        pairs = values.reshape(1 << level, 2, half, rows)
        upper, lower = pairs[:, 0], pairs[:, 1]
        factor = twiddles[:: 1 << level].reshape(1, half, 1)
        turned = extension.mul(extension.sub(upper, lower), Ext(jnp.asarray(factor.re), jnp.asarray(factor.im)))
        values = extension.stack([extension.add(upper, lower), turned], axis=1)
    return values.reshape(n, rows)
