"""The tamper manifest: every field of statement and proof, each way to tamper with it, and what must catch it.

A proof is a stream without framing: its fields are messages, told apart by their labels. They are
tampered with in a frozen proof, and nonces are taken as good except where they are the field: what is
named is the check that holds where luck with a proof of work does not. A statement's fields are those
of its encoding; the circuit's are the fields of its dataclasses.

`PROOF[label][way]` and `STATEMENT[field][way]` name classes of rejection.
"""

from __future__ import annotations

CANONICAL, CONSISTENCY, LENGTH, MERKLE, WORK = (
    "CanonicalError",
    "ConsistencyError",
    "ProofLengthError",
    "MerkleError",
    "WorkError",
)
PADS, ROWS = "PadProximityError", "ProximityError"
CIRCUIT, RANGE, STATEMENT_ERROR = "CircuitError", "RangeError", "StatementError"

# Ways to tamper with a message:
#   changed       another value, canonical where it is an element
#   swapped       with another message of its label, as long and not equal
#   repeated      the previous message of its label once more in its place
#   truncated     the proof ends one byte before the message does
#   extended      one byte more before the next message
#   non-canonical p added to a part of an element
_VALUE = {
    "changed": CONSISTENCY,
    "truncated": LENGTH,
    "extended": (CANONICAL, CONSISTENCY),
    "non-canonical": CANONICAL,
}
_SEVERAL = {"swapped": CONSISTENCY, "repeated": CONSISTENCY}
_NONCE = {"changed": WORK, "truncated": LENGTH, "extended": (CANONICAL, CONSISTENCY)}
# A changed combination also moves the columns that are asked for.
_MOVED = (MERKLE, CANONICAL, LENGTH)
_COLUMN = {
    "changed": MERKLE,
    "swapped": MERKLE,
    "repeated": MERKLE,
    "truncated": LENGTH,
    "extended": (MERKLE, CANONICAL),
    "non-canonical": CANONICAL,
}
_SIBLING = {
    "changed": MERKLE,
    "swapped": MERKLE,
    "repeated": MERKLE,
    "truncated": LENGTH,
    "extended": (MERKLE, CANONICAL),
}

Expected = str | tuple[str, ...]
PROOF: dict[str, dict[str, Expected]] = {
    "advice root": {"changed": CONSISTENCY, "truncated": LENGTH, "extended": (CANONICAL, CONSISTENCY)},
    "lookup challenges": _NONCE,
    "lookup root": {**_VALUE, **_SEVERAL},
    "lookup partial sum": _VALUE,
    "lookup inverse": _VALUE,
    "lookup round": {**_VALUE, **_SEVERAL},
    "lookup children": {**_VALUE, **_SEVERAL},
    "phase total": {**_VALUE, **_SEVERAL},
    "phase round": {**_VALUE, **_SEVERAL},
    "phase factors": {**_VALUE, **_SEVERAL},
    "product cross terms": _VALUE,
    "masked factors": _VALUE,
    "opening split": _VALUE,
    "opening round": {**_VALUE, **_SEVERAL},
    "opening round nonce": {**_NONCE, "swapped": WORK, "repeated": WORK},
    "opening mask": _VALUE,
    "opening combination": _NONCE,
    "row combination": {**_VALUE, "last changed": _MOVED},
    "pad combination": {**_VALUE, "last changed": _MOVED, "extended": (*_MOVED, CONSISTENCY)},
    "opening": {"changed": WORK, "truncated": LENGTH, "extended": (*_MOVED,)},
    **{f"column of {name}": _COLUMN for name in ("data", "before", "after", "advice")},
    **{f"sibling in {name}": _SIBLING for name in ("data", "before", "after", "advice")},
}

# The parts of a statement's encoding.
STATEMENT: dict[str, dict[str, Expected]] = {
    "head": {"changed": STATEMENT_ERROR, "truncated": STATEMENT_ERROR},
    "parameter hash": {"changed": STATEMENT_ERROR},
    "openings": {"changed": (CONSISTENCY, CANONICAL), "zero": STATEMENT_ERROR, "huge": STATEMENT_ERROR},
    "log_message": {"changed": (CONSISTENCY, CANONICAL), "zero": STATEMENT_ERROR, "huge": STATEMENT_ERROR},
    "root of data": {"changed": CONSISTENCY, "swapped": CONSISTENCY},
    "root of before": {"changed": CONSISTENCY, "swapped": CONSISTENCY},
    "root of after": {"changed": CONSISTENCY, "swapped": CONSISTENCY},
    "length of the circuit": {"changed": CIRCUIT, "huge": STATEMENT_ERROR},
    "circuit": {
        "truncated": CIRCUIT,
        "extended": CIRCUIT,
        "repeated": CIRCUIT,
        "space": CIRCUIT,
        "another order": CIRCUIT,
        "a field twice": CIRCUIT,
        "a field more": CIRCUIT,
    },
    "schedule": {
        "changed": CONSISTENCY,
        "swapped": CONSISTENCY,
        "out of range": STATEMENT_ERROR,
        "truncated": STATEMENT_ERROR,
        "extended": STATEMENT_ERROR,
        "repeated": STATEMENT_ERROR,
    },
    "outputs": {
        "changed": CONSISTENCY,
        "swapped": CONSISTENCY,
        "plus p": RANGE,
        "truncated": STATEMENT_ERROR,
        "extended": STATEMENT_ERROR,
        "repeated": STATEMENT_ERROR,
    },
}

# The fields of a circuit, changed to another value that is as good as possible. What it means is decided by
# the first rule that it breaks; where none is, the transcript is another one.
FIELDS: dict[str, Expected] = {
    "Circuit.steps": CIRCUIT,
    "Circuit.batch": CIRCUIT,
    "Circuit.rows": CIRCUIT,
    "Circuit.nodes": CIRCUIT,
    "Circuit.tables": CIRCUIT,
    "Circuit.lookups": RANGE,
    "Circuit.zeros": CONSISTENCY,
    "Circuit.remarks": CONSISTENCY,
    "Circuit.outputs": STATEMENT_ERROR,
    "Committed.shape": CIRCUIT,
    "Committed.oracle": CIRCUIT,
    "Committed.name": CIRCUIT,
    "Committed.fraction_bits": CIRCUIT,
    "Constant.shape": CIRCUIT,
    "Constant.value": CONSISTENCY,
    "Positions.shape": CIRCUIT,
    "Positions.axis": CIRCUIT,
    "Public.shape": CIRCUIT,
    "Public.low": CONSISTENCY,
    "Public.bits": CIRCUIT,
    "Public.entries": CONSISTENCY,
    "Combine.shape": CIRCUIT,
    "Combine.terms": CONSISTENCY,
    "Axes.shape": CIRCUIT,
    "Axes.node": CIRCUIT,
    "Axes.source": CIRCUIT,
    "Rows.shape": CIRCUIT,
    "Rows.node": CIRCUIT,
    "Filter.shape": CIRCUIT,
    "Filter.node": CIRCUIT,
    "Filter.rows": CONSISTENCY,
    "Contract.shape": CIRCUIT,
    "Contract.left": CIRCUIT,
    "Contract.right": CIRCUIT,
    "Contract.left_labels": CIRCUIT,
    "Contract.right_labels": CIRCUIT,
    "Contract.out_labels": CIRCUIT,
    "Lookup.table": CIRCUIT,
    "Lookup.re": CONSISTENCY,
    "Lookup.im": CIRCUIT,
    "Lookup.second": CIRCUIT,
    "Lookup.name": CONSISTENCY,
    "Output.name": CONSISTENCY,
    "Output.node": STATEMENT_ERROR,
    "Output.fraction_bits": CONSISTENCY,
    "Table.kind": CIRCUIT,
    "Table.lo": CONSISTENCY,
    "Table.hi": CONSISTENCY,
    "Table.limit": CIRCUIT,
    "Table.formula": CIRCUIT,
    "Table.input_fraction": CONSISTENCY,
    "Table.output_fraction": CONSISTENCY,
}
