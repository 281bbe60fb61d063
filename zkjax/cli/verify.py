"""`zkjax verify`: read statement and proof, check, and say what was proved. No JAX."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zkjax.cli.progress import Stages
from zkjax.cli.report import print_outputs, print_remarks, print_rows, verification_rows
from zkjax.files import RunFolder

if TYPE_CHECKING:
    from zkjax.verifier import Summary


def verify(path: Path, *, quiet: bool) -> dict[str, Any]:
    """Accept the run in folder `path`, or raise; returns what `--json` prints.

    Raises:
        VerificationError: rejected by a check
        FileError: a file is missing, foreign, truncated or damaged
    """
    from zkjax.statement.proof import MAX_PROOF_BYTES, Proof
    from zkjax.statement.statement import MAX_STATEMENT_BYTES, Statement, parameter_hash
    from zkjax.verifier import verify as check

    folder = RunFolder(path)
    with Stages({"Reading": 1.0, "Verifying": 20.0}) as stages:
        stages.enter("Reading")
        statement_file = folder.read_statement(parameters=parameter_hash(), max_payload=MAX_STATEMENT_BYTES)
        proof_file = folder.read_proof(parameters=parameter_hash(), max_payload=MAX_PROOF_BYTES)
        stages.enter("Verifying")
        began = time.perf_counter()
        statement = Statement.from_bytes(statement_file.payload)
        summary = check(statement, Proof.from_bytes(proof_file.payload))
        seconds = time.perf_counter() - began
    result = {
        "accepted": True,
        "verify_seconds": seconds,
        "proof_bytes": folder.proof.stat().st_size,
        "statement_bytes": folder.statement.stat().st_size,
        **describe(summary),
    }
    if not quiet:
        print_rows(f"Accepted: {path}", verification_rows(result), justify="left")
        print_outputs(result["outputs"])
        print_remarks(result["remarks"])
    return result


def describe(summary: Summary) -> dict[str, Any]:
    """What the verifier says about an accepted proof, as JSON."""
    return {
        "steps": summary.steps,
        "batch": summary.batch,
        "rows": summary.rows,
        "parameters": summary.parameters,
        "committed_elements": summary.committed_elements,
        "lookups": summary.lookups,
        "soundness_bits": summary.soundness_bits,
        "proof_parts": summary.proof_sections,
        "circuit_digest": summary.circuit_digest,
        "data": summary.data,
        "weights_before": summary.before,
        "weights_after": summary.after,
        "outputs": summary.outputs,
        "remarks": list(summary.remarks),
    }
