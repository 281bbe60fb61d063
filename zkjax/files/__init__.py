"""Artefacts on disk: written whole or not at all, read strictly, secrets apart. JAX-free."""

from zkjax.files.artefact import Artefact, Kind, decode, encode, read, write
from zkjax.files.errors import (
    BudgetUsedUp,
    CannotRead,
    CannotWrite,
    DamagedFile,
    FileTooLarge,
    ForeignFile,
    InsecureSecret,
    MissingFile,
    OtherParameters,
    TruncatedFile,
    UnknownVersion,
)
from zkjax.files.ledger import Ledger
from zkjax.files.run_folder import RunFolder
from zkjax.files.tensors import decode_tensors, encode_tensors

__all__ = [
    "Artefact",
    "BudgetUsedUp",
    "CannotRead",
    "CannotWrite",
    "DamagedFile",
    "FileTooLarge",
    "ForeignFile",
    "InsecureSecret",
    "Kind",
    "Ledger",
    "MissingFile",
    "OtherParameters",
    "RunFolder",
    "TruncatedFile",
    "UnknownVersion",
    "decode",
    "decode_tensors",
    "encode",
    "encode_tensors",
    "read",
    "write",
]
