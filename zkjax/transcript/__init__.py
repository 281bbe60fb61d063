"""The Fiat-Shamir transcript: SHA-256, one definition for both sides.

`sponge`  standard library only: the definition, used by prover and verifier.
`sha256`  the same bits in JAX, for loops that must not leave the device between two challenges.

Importing this package imports neither NumPy nor JAX.
"""

from zkjax.transcript.sponge import Transcript

__all__ = ["Transcript"]
