"""The statement of one block: circuit, schedule, published outputs, and the commitments it speaks about.

Whoever accepts a statement must know that the circuit is the one meant (recompile and compare the
digest) and where the commitments come from; the proof says nothing about either.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from zkjax.errors import VerificationError
from zkjax.statement.circuit import MAX_CIRCUIT_BYTES, MAX_OUTPUT_ENTRIES, MAX_SCHEDULE, Circuit
from zkjax.statement.commitment import CommitmentType
from zkjax.statement.parameters import (
    COMBINATION_GRINDING_BITS,
    DIGEST_BYTES,
    FORMAT_VERSION,
    LOG_BLOWUP,
    LOOKUP_GRINDING_BITS,
    MAX_LOG_MESSAGE,
    MAX_OPENINGS,
    MIN_LOG_MESSAGE,
    MIN_LOOKUP_ROW_BITS,
    OPENING_GRINDING_BITS,
    QUERY_TARGET_BITS,
    SALT_BYTES,
    SHORT_LOG_MESSAGE,
    SHORT_MAX_QUERIES,
)
from zkjax.statement.plan import Plan

OBJECTS = ("data", "before", "after")
_HEAD = b"zkjax statement\0"
MAX_STATEMENT_BYTES = MAX_CIRCUIT_BYTES + 4 * MAX_SCHEDULE + 8 * MAX_OUTPUT_ENTRIES + (1 << 8)


class StatementError(VerificationError):
    """The statement is malformed or of another version."""


def parameter_hash() -> bytes:
    """Hash of the format version and of every constant that shapes a proof."""
    parameters = {
        "version": FORMAT_VERSION,
        "field": "p=2^61-1, K=F[i]/(i^2+1)",
        "hash": "SHA-256",
        "log_blowup": LOG_BLOWUP,
        "short_codes": [SHORT_LOG_MESSAGE, SHORT_MAX_QUERIES],
        "query_target_bits": QUERY_TARGET_BITS,
        "opening_grinding_bits": OPENING_GRINDING_BITS,
        "combination_grinding_bits": COMBINATION_GRINDING_BITS,
        "lookup_grinding_bits": LOOKUP_GRINDING_BITS,
        "min_lookup_row_bits": MIN_LOOKUP_ROW_BITS,
        "log_message": [MIN_LOG_MESSAGE, MAX_LOG_MESSAGE],
        "max_openings": MAX_OPENINGS,
        "salt_bytes": SALT_BYTES,
    }
    return hashlib.sha256(b"zkjax parameters" + json.dumps(parameters, sort_keys=True).encode()).digest()


@dataclass(frozen=True, eq=False)
class Statement:
    """`roots` are the Merkle roots of data, state before and state after; schedule is [steps, batch].

    `openings` and `log_message` are the code of the three commitments, by default the one that
    suits the circuit. `outputs` are the values of the circuit's outputs, in their order: integers of the nodes'
    shapes, whose first axis counts the steps.
    """

    circuit: Circuit
    schedule: np.ndarray
    openings: int
    roots: tuple[bytes, bytes, bytes]
    log_message: int | None = None
    outputs: tuple[np.ndarray, ...] = ()

    def __repr__(self) -> str:
        circuit = self.circuit
        return f"<statement of {circuit.steps} steps of batch {circuit.batch} on {circuit.rows} rows>"

    @cached_property
    def plan(self) -> Plan:
        return Plan(self.circuit, self.openings, self.log_message)

    def object_digest(self, name: str) -> bytes:
        """Digest of the commitment in the role `name`, with its type."""
        kind = CommitmentType.of(self.circuit, self.plan.code, self.plan.layout.oracle(name))
        return kind.digest(self.roots[OBJECTS.index(name)])

    def protocol_id(self) -> bytes:
        """What the transcript starts from: everything public, so that no challenge precedes it."""
        parts = [
            parameter_hash(),
            self.circuit.digest(),
            hashlib.sha256(self._schedule_bytes()).digest(),
            hashlib.sha256(self._output_bytes()).digest(),
            self.openings.to_bytes(8, "little"),
            self.plan.code.log_message.to_bytes(8, "little"),
            *(self.object_digest(name) for name in OBJECTS),
            *self.roots,
        ]
        return hashlib.sha256(b"zkjax protocol" + b"".join(parts)).digest()

    def digest(self) -> bytes:
        """Digest of the whole statement."""
        return self.protocol_id()

    def _schedule_bytes(self) -> bytes:
        return np.ascontiguousarray(self.schedule, dtype="<u4").tobytes()

    def _output_bytes(self) -> bytes:
        return b"".join(np.ascontiguousarray(values, dtype="<i8").tobytes() for values in self.outputs)

    def published(self) -> dict[str, np.ndarray]:
        """The numbers that the outputs stand for, by name: float64, correctly rounded where they are longer."""
        named = zip(self.circuit.outputs, self.outputs, strict=True)
        return {output.name: np.ldexp(values.astype(np.float64), -output.fraction_bits) for output, values in named}

    def to_bytes(self) -> bytes:
        """Canonical encoding: header, code, roots, circuit, schedule, outputs."""
        circuit = self.circuit.to_bytes()
        return b"".join(
            [
                _HEAD,
                parameter_hash(),
                self.openings.to_bytes(4, "little"),
                self.plan.code.log_message.to_bytes(4, "little"),
                *self.roots,
                len(circuit).to_bytes(8, "little"),
                circuit,
                self._schedule_bytes(),
                self._output_bytes(),
            ]
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Statement:
        """Strict inverse of `to_bytes`. Raises StatementError or CircuitError."""
        fixed = len(_HEAD) + 32 + 8 + 3 * DIGEST_BYTES + 8
        if not fixed <= len(data) <= MAX_STATEMENT_BYTES or not data.startswith(_HEAD):
            raise StatementError("not a statement", expected=f"{_HEAD!r} and at least {fixed} bytes", got=len(data))
        position = len(_HEAD)
        if data[position : position + 32] != parameter_hash():
            raise StatementError("statement of another format version or parameter set")
        position += 32
        openings = int.from_bytes(data[position : position + 4], "little")
        log_message = int.from_bytes(data[position + 4 : position + 8], "little")
        position += 8
        roots = [data[position + i * DIGEST_BYTES : position + (i + 1) * DIGEST_BYTES] for i in range(3)]
        position += 3 * DIGEST_BYTES
        size = int.from_bytes(data[position : position + 8], "little")
        position += 8
        if size > len(data) - position:
            raise StatementError("the statement ends within its circuit", expected=size, got=len(data) - position)
        circuit = Circuit.from_bytes(data[position : position + size])
        position += size
        shapes = [circuit.output_shape(output) for output in circuit.outputs]
        scheduled = 4 * circuit.steps * circuit.batch
        expected = scheduled + 8 * sum(map(prod, shapes))
        if len(data) - position != expected:
            raise StatementError("schedule and outputs of another length", expected=expected, got=len(data) - position)
        schedule = data[position : position + scheduled]
        position += scheduled
        outputs = []
        for shape in shapes:
            values = np.frombuffer(data, "<i8", count=prod(shape), offset=position).reshape(shape)
            outputs.append(values.astype(np.int64))
            position += values.nbytes
        rows = np.frombuffer(schedule, dtype="<u4").reshape(circuit.steps, circuit.batch).astype(np.int64)
        statement = cls(circuit, rows, openings, (roots[0], roots[1], roots[2]), log_message, tuple(outputs))
        statement.check()
        return statement

    def check(self) -> None:
        """Raise unless circuit, schedule, outputs and code are legal. Soundness: ranges are checked by `verify`."""
        self.circuit.check()
        self.plan.check_work()
        if type(self.schedule) is not np.ndarray:  # a masked array would hide rows from the checks below
            raise StatementError("schedule of another type", expected=np.ndarray, got=type(self.schedule))
        if self.schedule.shape != (self.circuit.steps, self.circuit.batch):
            raise StatementError(
                "schedule of another shape", expected=(self.circuit.steps, self.circuit.batch), got=self.schedule.shape
            )
        if not np.issubdtype(self.schedule.dtype, np.integer):
            raise StatementError("schedule of another type", expected="integers", got=self.schedule.dtype)
        if not (int(self.schedule.min()) >= 0 and int(self.schedule.max()) < self.circuit.rows):
            raise StatementError(
                "schedule names a row that the data set lacks",
                expected=f"0..{self.circuit.rows - 1}",
                got=f"{self.schedule.min()}..{self.schedule.max()}",
            )
        shapes = [self.circuit.output_shape(output) for output in self.circuit.outputs]
        if len(self.outputs) != len(shapes) or any(type(values) is not np.ndarray for values in self.outputs):
            raise StatementError("not one array for each output", expected=len(shapes), got=len(self.outputs))
        if any(values.dtype != np.int64 for values in self.outputs):
            raise StatementError("outputs of another type", expected="int64", got=[v.dtype for v in self.outputs])
        if [values.shape for values in self.outputs] != shapes:
            raise StatementError("outputs of another shape", expected=shapes, got=[v.shape for v in self.outputs])
        if len(self.roots) != len(OBJECTS) or any(type(root) is not bytes for root in self.roots):
            raise StatementError("not one root for each commitment", expected=f"{len(OBJECTS)} byte strings")
        if any(len(root) != DIGEST_BYTES for root in self.roots):
            raise StatementError("a root has another length", expected=DIGEST_BYTES)
        if not self.plan.code.is_legal():
            got = f"{self.openings} openings, 2^{self.plan.code.log_message} columns"
            raise StatementError("no code of these parameters fits the circuit", got=got)
        if self.plan.pads > self.plan.code.message:
            raise StatementError(
                "the pads do not fit in a row", expected=f"<= {self.plan.code.message}", got=self.plan.pads
            )
