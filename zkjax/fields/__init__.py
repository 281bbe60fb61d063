"""The field, three times: Python integers, NumPy, JAX.

F = GF(p) with p = 2^61 - 1, K = F[i]/(i^2 + 1).

`mersenne61`  Python integers, standard library only: the definition, and the verifier's scalars.
`vectors`     NumPy: the verifier's tables and host-side prover code.
`arrays`      JAX, base field.
`extension`   JAX, extension field as two planes.
`ntt`         JAX, Reed-Solomon encoding over K.

Importing this package imports neither NumPy nor JAX.
"""

from zkjax.fields.mersenne61 import K, P, to_field, to_signed

__all__ = ["K", "P", "to_field", "to_signed"]
