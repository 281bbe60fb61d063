"""`zkjax inspect`: what a file is, and what it holds as far as it says so itself. No JAX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zkjax.cli.report import count, print_remarks, print_rows, size
from zkjax.errors import UsageError, ZkjaxError
from zkjax.files import Artefact, Kind, Ledger, read
from zkjax.files.run_folder import MAX_SECRET_BYTES

LABELS = {
    "bytes": "size",
    "protocol_parameters": "hash of the protocol parameters",
    "openings": "proofs that a commitment has served",
    "openings_per_commitment": "proofs that one commitment may serve",
    "circuit_digest": "digest of the circuit",
    "commitment_data": "commitment to the data set",
    "commitment_before": "commitment to the weights before",
    "commitment_after": "commitment to the weights after",
}
BELOW = ("remarks", "circuit", "schedule")


class NoCircuit(UsageError):
    """Only a statement has a circuit to show."""


def inspect(path: Path, *, circuit: bool, quiet: bool) -> dict[str, Any]:
    """Describe the artefact at `path`; returns what `--json` prints. Values of secrets stay unread.

    `circuit` adds what a statement says in full: every node, lookup and zero of its circuit, and
    the rows of every batch.

    Raises:
        FileError: it is missing, foreign, truncated or damaged
        NoCircuit: `circuit` was asked for, and it is no statement
    """
    ledger = Ledger(path)
    result = _openings(ledger) if ledger.is_one() else _artefact(path, circuit)
    if circuit and "circuit" not in result:
        raise NoCircuit(f"{path} is a {result['kind']}: only a statement has a circuit")
    if not quiet:
        rows = [(_label(name), _shown(name, value)) for name, value in result.items() if name not in BELOW]
        print_rows(str(path), rows, justify="left")
        print_remarks(result.get("remarks", ()))
        for line in [*result.get("circuit", ()), *result.get("schedule", ())]:
            print(line)
    return result


def _artefact(path: Path, circuit: bool) -> dict[str, Any]:
    from zkjax.statement.proof import MAX_PROOF_BYTES
    from zkjax.statement.statement import MAX_STATEMENT_BYTES

    # Public files may come from anyone; secrets are the reader's own, and as large as the data set.
    limits = dict.fromkeys(Kind, MAX_SECRET_BYTES)
    limits |= {Kind.STATEMENT: MAX_STATEMENT_BYTES, Kind.PROOF: MAX_PROOF_BYTES}
    artefact = read(path, max_payload=limits)
    result: dict[str, Any] = {
        "kind": artefact.kind.title,
        "secret": artefact.kind.secret,
        "version": artefact.version,
        "protocol_parameters": artefact.parameters.hex(),
        "bytes": path.stat().st_size,
    }
    try:
        result |= _contents(artefact, circuit)
    except ZkjaxError as error:
        result["undecodable"] = str(error)
    return result


def _contents(artefact: Artefact, in_full: bool) -> dict[str, Any]:
    if artefact.kind is not Kind.STATEMENT:
        return {}
    from zkjax.statement.statement import OBJECTS, Statement

    statement = Statement.from_bytes(artefact.payload)
    circuit = statement.circuit
    result = {
        "steps": circuit.steps,
        "batch": circuit.batch,
        "rows": circuit.rows,
        "committed_elements": circuit.committed_elements,
        "lookups": circuit.lookup_entries,
        "openings_per_commitment": statement.openings,
        "circuit_digest": circuit.digest().hex(),
        **{f"commitment_{name}": statement.object_digest(name).hex() for name in OBJECTS},
        "remarks": list(circuit.remarks),
    }
    if in_full:
        result["circuit"] = str(circuit).splitlines()
        result["schedule"] = [
            f"rows of step {step}: {' '.join(map(str, rows))}" for step, rows in enumerate(statement.schedule)
        ]
    return result


def _openings(ledger: Ledger) -> dict[str, Any]:
    counts = ledger.counts()
    openings = {digest.hex(): {"used": used, "budget": budget} for digest, (used, budget) in counts.items()}
    return {"kind": "ledger of openings", "secret": True, "openings": openings}


def _label(name: str) -> str:
    return LABELS.get(name, name.replace("_", " "))


def _shown(name: str, value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case int() if name == "bytes":
            return size(value)
        case int():
            return count(value)
        case dict():
            return (
                "\n".join(f"{digest}: {each['used']} of {each['budget']}" for digest, each in value.items()) or "none"
            )
        case _:
            return str(value)
