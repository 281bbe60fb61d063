"""The verifier: NumPy and the standard library only. It imports neither JAX nor the prover."""

from zkjax.verifier.verify import Summary, verify

__all__ = ["Summary", "verify"]
