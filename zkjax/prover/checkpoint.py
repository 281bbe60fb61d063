"""Reusable commitments: a data set, a state between two blocks.

The state after one block is the state before the next: the same commitment in another role. A
commitment hides its tensors for as many proofs as its code has openings; each proof reserves one
before it leaves the process. Advice commitments are not checkpoints and have no serialised form.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from threading import Lock
from typing import Any

import numpy as np

from zkjax.errors import FileError, UserError
from zkjax.fields.vectors import to_signed
from zkjax.files.ledger import Ledger
from zkjax.files.tensors import decode_tensors, encode_tensors
from zkjax.prover.commit import Oracle, commit_oracle
from zkjax.prover.randomness import KEY_BYTES, Randomness
from zkjax.statement.commitment import KINDS, CommitmentType, Place
from zkjax.statement.layout import IMAGINARY, REAL, axis_bits
from zkjax.statement.parameters import Code
from zkjax.statement.plan import Plan

_KEY = "key"
_TENSOR = "tensor/"


class OpeningsUsedUp(UserError):
    """The commitment was opened as often as its hiding covers."""


class OpeningsUncounted(UserError):
    """Nobody in this process knows how often the commitment was opened."""


class OtherCommitment(UserError):
    """The commitment is of another type than the role in the proof asks for."""


class DamagedCheckpoint(FileError):
    """The secret of a checkpoint does not lead to its root."""


class Checkpoint:
    """A commitment with its secret: tensors of signed integers and 32 random bytes.

    `type` says what it is of, `digest` is its public name. Make one with `commit` or `from_bytes`.
    """

    def __init__(self, kind: CommitmentType, oracle: Oracle, *, used: int = 0, ledger_only: bool = False):
        self.type, self.oracle = kind, oracle
        self.digest = kind.digest(oracle.root)
        self._used, self._ledger_only = used, ledger_only
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"Checkpoint({self.type.kind}, {self.digest.hex()[:16]})"

    def __reduce__(self) -> tuple:
        raise TypeError("a checkpoint is secret; write `to_bytes` to a secret file instead of pickling it")

    @classmethod
    def commit(cls, plan: Plan, role: str, tensors: Mapping[int, np.ndarray]) -> Checkpoint:
        """Commit afresh to the tensors of `role` ("data", "before" or "after"), by node.

        Raises TensorError.
        """
        layout = plan.layout.oracle(role)
        return cls(CommitmentType.of(plan.circuit, plan.code, layout), commit_oracle(layout, plan.code, tensors))

    @property
    def root(self) -> bytes:
        return self.oracle.root

    @property
    def budget(self) -> int:
        """How many proofs may open it."""
        return self.type.code.openings

    @property
    def tensors(self) -> dict[str, np.ndarray]:
        """The committed integers by name: int64 arrays of the real shapes."""
        planes = {REAL: self.oracle.message.re, IMAGINARY: self.oracle.message.im}
        found = {}
        for place in self.type.tensors:
            padded = tuple(1 << axis_bits(size) for size in place.shape)
            start = place.offset
            symbols = planes[place.lane].reshape(-1)[start : start + int(np.prod(padded))].reshape(padded)
            found[place.name] = to_signed(symbols[tuple(slice(size) for size in place.shape)])
        return found

    def in_role(self, plan: Plan, role: str) -> Oracle:
        """The oracle in its role in a proof. Raises OtherCommitment unless the types are equal."""
        layout = plan.layout.oracle(role)
        needed = CommitmentType.of(plan.circuit, plan.code, layout)
        if needed != self.type:
            raise OtherCommitment(
                f"{self!r} cannot be {role!r}: {_difference(self.type, needed)}; commit to it again for this circuit"
            )
        return self.oracle.in_role(layout)

    def reserve(self, ledger: Ledger | None = None) -> int:
        """Use up one opening and return how many are used. Call before a proof leaves the process.

        With a ledger the reservation is on disk when this returns. Without one, this object counts;
        that is refused once the commitment exists elsewhere too, in a file or a ledger.

        Raises:
            OpeningsUsedUp, OpeningsUncounted
            BudgetUsedUp, CannotWrite and others: what `Ledger.reserve` raises
        """
        with self._lock:
            if ledger is not None:
                self._ledger_only = True
                while self._used:  # openings before there was a ledger
                    ledger.reserve(self.digest, self.budget)
                    self._used -= 1
                return ledger.reserve(self.digest, self.budget)
            if self._ledger_only:
                raise OpeningsUncounted(
                    f"{self!r} is also in a file, whose ledger counts its openings: pass that ledger"
                )
            if self._used >= self.budget:
                raise OpeningsUsedUp(
                    f"{self!r} was opened {self._used} times, all that its hiding covers; "
                    "begin afresh with a commitment that may be opened more often (openings=)"
                )
            self._used += 1
            return self._used

    def to_bytes(self) -> bytes:
        """The secret: whoever has it has the tensors. For files of mode 0600 only.

        From here on a ledger counts the openings.
        """
        with self._lock:
            self._ledger_only = True
            arrays = {_KEY: np.frombuffer(self.oracle.secret_key(), dtype=np.uint8)}
            arrays |= {_TENSOR + name: values for name, values in self.tensors.items()}
            code = self.type.code
            metadata = {
                "kind": self.type.kind,
                "code": [code.log_message, code.openings],
                "rows": self.type.rows,
                "places": [[place.fraction_bits, place.lane, place.offset] for place in self.type.tensors],
                "root": self.root.hex(),
                "used": self._used,
            }
            return encode_tensors(arrays, metadata)

    @classmethod
    def from_bytes(cls, content: bytes, path: str = "checkpoint") -> Checkpoint:
        """The checkpoint that `to_bytes` wrote: same masks, same salts, same root. `path` is for messages.

        Raises DamagedFile, DamagedCheckpoint.
        """
        arrays, metadata = decode_tensors(content, path)
        try:
            kind, key, used, root = _decoded(arrays, metadata)
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedCheckpoint(f"{path}: not a checkpoint ({type(error).__name__})") from error
        tensors = [values for name, values in arrays.items() if name != _KEY]
        oracle = commit_oracle(kind.layout(), kind.code, dict(enumerate(tensors)), Randomness(key))
        if oracle.root != root:
            raise DamagedCheckpoint(f"{path}: its tensors lead to root {oracle.root.hex()[:16]}, not {root.hex()[:16]}")
        return cls(kind, oracle, used=used, ledger_only=True)


def _decoded(arrays: dict[str, np.ndarray], metadata: Any) -> tuple[CommitmentType, bytes, int, bytes]:
    if json.dumps(sorted(metadata)) != json.dumps(["code", "kind", "places", "root", "rows", "used"]):
        raise ValueError("metadata of another form")
    key, names = arrays[_KEY], [name for name in arrays if name != _KEY]
    (log_message, openings), rows, used = metadata["code"], metadata["rows"], metadata["used"]
    code = Code(log_message, openings)
    places = []
    for name, (fraction_bits, lane, offset) in zip(names, metadata["places"], strict=True):
        if not name.startswith(_TENSOR) or arrays[name].dtype != np.int64 or lane not in (REAL, IMAGINARY):
            raise ValueError(f"array {name!r}")
        places.append(Place(name[len(_TENSOR) :], arrays[name].shape, fraction_bits, lane, offset))
    kind = CommitmentType(metadata["kind"], code, rows, tuple(places))
    integers = [rows, used, *(number for place in places for number in (place.fraction_bits, place.lane, place.offset))]
    if not code.is_legal() or any(type(number) is not int for number in integers) or kind.kind not in KINDS:
        raise ValueError("code, kind or numbers")
    ends = (block.offset + (1 << block.bits) for block in kind.layout().blocks)
    if key.dtype != np.uint8 or key.shape != (KEY_BYTES,) or used < 0 or max(ends) > rows << log_message:
        raise ValueError("key or places")
    if min(place.offset for place in places) < 0:
        raise ValueError("places")
    return kind, key.tobytes(), used, bytes.fromhex(metadata["root"])


def _difference(own: CommitmentType, needed: CommitmentType) -> str:
    for name in ("kind", "code", "rows", "tensors"):
        if getattr(own, name) != getattr(needed, name):
            return f"its {name} is {getattr(own, name)}, the proof needs {getattr(needed, name)}"
    return "no difference"
