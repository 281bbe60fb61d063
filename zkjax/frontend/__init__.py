"""Reads the user's training step: trace, inline, drop dead code, translate by one rule per primitive."""

from zkjax.frontend.read import Reading, read_step
from zkjax.frontend.unsupported import Problem, UnsupportedError

__all__ = ["Problem", "Reading", "UnsupportedError", "read_step"]
