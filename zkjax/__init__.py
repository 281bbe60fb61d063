"""Prove in zero knowledge that a neural network was trained as claimed.

The stages, in the order in which data flows through them:

    training step -> jaxpr (frontend) -> formats and ranges (fixedpoint) -> circuit -> witness
    -> commitment, lookups and sumchecks, opening (prover) -> proof -> verifier

Every name is imported on first use, so that `zkjax.verifier` works where JAX does not exist.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from zkjax.errors import FileError, UserError, VerificationError, WitnessError, ZkjaxError

if TYPE_CHECKING:
    from zkjax.api import Checkpoint, Program, Run, commit, compile, prove
    from zkjax.recompile import audit
    from zkjax.statement.proof import Proof
    from zkjax.statement.statement import Statement
    from zkjax.verifier import verify

__version__ = "0.1.0"

__all__ = [
    "Checkpoint",
    "FileError",
    "Program",
    "Proof",
    "Run",
    "Statement",
    "UserError",
    "VerificationError",
    "WitnessError",
    "ZkjaxError",
    "audit",
    "commit",
    "compile",
    "prove",
    "verify",
]

_HOME = {
    "compile": "zkjax.api",
    "Program": "zkjax.api",
    "Run": "zkjax.api",
    "commit": "zkjax.api",
    "Checkpoint": "zkjax.api",
    "prove": "zkjax.api",
    "Statement": "zkjax.statement.statement",
    "Proof": "zkjax.statement.proof",
    "verify": "zkjax.verifier",
    "audit": "zkjax.recompile",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'zkjax' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
