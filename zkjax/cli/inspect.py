"""`zkjax inspect`: what a file is, and what it holds as far as it says so itself. No JAX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zkjax.cli.report import count, print_outputs, print_remarks, print_rows, size
from zkjax.errors import UsageError, ZkjaxError
from zkjax.files import Artefact, Kind, Ledger, RunFolder, read
from zkjax.files.run_folder import MAX_SECRET_BYTES
from zkjax.statement.circuit import Circuit, Committed, Public

LABELS = {
    "bytes": "size",
    "protocol_parameters": "hash of the protocol parameters",
    "openings": "proofs that a commitment has served",
    "openings_per_commitment": "proofs that one commitment may serve",
    "committed_data": "committed: data set",
    "committed_before": "committed: weights before",
    "committed_after": "committed: weights after",
    "soundness_bits": "proven soundness of a proof, bits",
    "circuit_digest": "digest of the circuit",
    "commitment_data": "commitment to the data set",
    "commitment_before": "commitment to the weights before",
    "commitment_after": "commitment to the weights after",
}
BELOW = ("outputs", "remarks", "circuit", "schedule")
SAID_OF_A_STATEMENT = """\
Public: all that stands here, and the rest of the circuit and the schedule (--circuit).
Hidden: the values of the committed tensors, and of everything that is computed from them.
Not proved: that this is the circuit of a given training step (zkjax audit), that data and first weights are
genuine, that this was the only run; docs/soundness.md has the whole list. Whether it is true: zkjax verify."""


class NoCircuit(UsageError):
    """Only a statement has a circuit to show."""


def inspect(path: Path, *, circuit: bool, quiet: bool) -> dict[str, Any]:
    """Describe the artefact at `path`, or the statement in a run folder; returns what `--json` prints.

    Values of secrets stay unread.

    `circuit` adds what a statement says in full: every node, lookup and zero of its circuit, and
    the rows of every batch.

    Raises:
        FileError: it is missing, foreign, truncated or damaged
        NoCircuit: `circuit` was asked for, and it is no statement
    """
    if path.is_dir() and RunFolder(path).statement.exists():
        path = RunFolder(path).statement
    ledger = Ledger(path)
    result = _openings(ledger) if ledger.is_one() else _artefact(path, circuit)
    if circuit and "circuit" not in result:
        raise NoCircuit(f"{path} is a {result['kind']}: only a statement has a circuit")
    if not quiet:
        rows = [(_label(name), _shown(name, value)) for name, value in _in_one_order(result).items()]
        print_rows(str(path), rows, justify="left")
        print_outputs(result.get("outputs", {}))
        print_remarks(result.get("remarks", ()))
        if "circuit_digest" in result:
            print(SAID_OF_A_STATEMENT)
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
    from zkjax.statement.soundness import soundness_bits
    from zkjax.statement.statement import OBJECTS, Statement

    statement = Statement.from_bytes(artefact.payload)
    circuit = statement.circuit
    result = {
        "steps": circuit.steps,
        "batch": circuit.batch,
        "rows": circuit.rows,
        "committed_elements": circuit.committed_elements,
        "lookups": circuit.lookup_entries,
        **{f"committed_{name}": _tensors(circuit, name) for name in OBJECTS},
        "public_arrays": _public_arrays(circuit),
        "openings_per_commitment": statement.openings,
        "soundness_bits": round(soundness_bits(statement.plan), 2),
        "circuit_digest": circuit.digest().hex(),
        **{f"commitment_{name}": statement.object_digest(name).hex() for name in OBJECTS},
        "outputs": {name: values.tolist() for name, values in statement.published().items()},
        "remarks": list(circuit.remarks),
    }
    if in_full:
        result["circuit"] = str(circuit).splitlines()
        result["schedule"] = [
            f"rows of step {step}: {' '.join(map(str, rows))}" for step, rows in enumerate(statement.schedule)
        ]
    return result


def _tensors(circuit: Circuit, name: str) -> dict[str, list[int]]:
    """Shapes by name of the tensors in one commitment."""
    nodes = [circuit.nodes[index] for index in circuit.committed(name)]
    return {node.name: list(node.shape) for node in nodes if isinstance(node, Committed)}


def _in_one_order(result: dict[str, Any]) -> dict[str, Any]:
    """What the table shows: the weights after in the order of those before, to be compared line by line."""
    shown = {name: value for name, value in result.items() if name not in BELOW}
    before, after = shown.get("committed_before", {}), shown.get("committed_after", {})
    if after:
        shown["committed_after"] = {name: after[name] for name in before if name in after} | after
    return shown


def _public_arrays(circuit: Circuit) -> list[str]:
    """Shape, range and size of every public tensor: masks, closed-over constants."""
    return [
        f"{list(node.shape)} of entries in [{node.low}, {node.low + (1 << node.bits) - 1}], {size(len(node.entries))}"
        for node in circuit.nodes
        if isinstance(node, Public)
    ]


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
        case list():
            return "\n".join(value) or "none"
        case dict() if name.startswith("committed_"):
            return "\n".join(f"{tensor} {shape}" for tensor, shape in value.items())
        case dict():
            return (
                "\n".join(f"{digest}: {each['used']} of {each['budget']}" for digest, each in value.items()) or "none"
            )
        case _:
            return str(value)
