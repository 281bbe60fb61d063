"""`zkjax inspect`: what a file is, and what it holds as far as it says so itself. No JAX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zkjax.cli.report import count, print_rows, size
from zkjax.cli.verify import MAX_PROOF_BYTES
from zkjax.errors import ZkjaxError
from zkjax.files import Artefact, Kind, read


def inspect(path: Path, *, quiet: bool) -> dict[str, Any]:
    """Describe the artefact at `path`; returns what `--json` prints. Values of secrets stay unread.

    Raises:
        FileError: it is missing, foreign, truncated or damaged
    """
    artefact = read(path, max_payload=MAX_PROOF_BYTES)
    result: dict[str, Any] = {
        "kind": artefact.kind.title,
        "secret": artefact.kind.secret,
        "version": artefact.version,
        "parameters": artefact.parameters.hex(),
        "bytes": path.stat().st_size,
    }
    try:
        result |= _contents(artefact)
    except ZkjaxError as error:
        result["undecodable"] = str(error)
    if not quiet:
        rows = [(name.replace("_", " "), _shown(name, value)) for name, value in result.items()]
        print_rows(str(path), rows, justify="left")
    return result


def _contents(artefact: Artefact) -> dict[str, Any]:
    if artefact.kind is not Kind.STATEMENT:
        return {}
    from zkjax.statement.statement import OBJECTS, Statement

    statement = Statement.from_bytes(artefact.payload)
    circuit = statement.circuit
    return {
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


def _shown(name: str, value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case int() if name == "bytes":
            return size(value)
        case int():
            return count(value)
        case list():
            return "\n".join(map(str, value)) or "none"
        case _:
            return str(value)
