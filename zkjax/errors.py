"""The three families of errors.

`UserError`: what the user gave cannot be compiled; it names the equation and the remedy.
`WitnessError`: a run left its proven ranges; it names layer, step, index, value and bound.
`VerificationError`: a proof was rejected; one subclass per check, with expected and got.
`FileError`: an artefact could not be read or written whole.
"""

from __future__ import annotations


class ZkjaxError(Exception):
    """Base of every error that zkjax raises on purpose."""


class UserError(ZkjaxError):
    """Base: the training step, the data or the options cannot be proved as they are."""


class UsageError(UserError):
    """Base: a command or function was called wrongly; what is to be proved is not at fault."""


class WitnessError(ZkjaxError):
    """Base: the integer run cannot be carried out inside its proven ranges."""


class VerificationError(ZkjaxError):
    """Base: the proof or the statement was rejected. Each check has its own subclass."""

    def __init__(self, message: str, *, expected: object = None, got: object = None):
        self.expected = expected
        self.got = got
        if expected is not None or got is not None:
            message = f"{message} (expected {expected}, got {got})"
        super().__init__(message)


class FileError(ZkjaxError):
    """Base: a file is foreign, truncated, of another version, or could not be written whole."""
