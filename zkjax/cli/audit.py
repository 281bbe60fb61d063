"""`zkjax audit`: is the circuit of a statement that of a training step? Without the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from zkjax.cli.experiment import load_step
from zkjax.cli.process import keep_compiled_programs
from zkjax.cli.report import print_rows
from zkjax.files import RunFolder


def audit(experiment: Path, path: Path, *, quiet: bool) -> dict[str, Any]:
    """Accept the statement in folder `path` as one about the file's training step, or raise; returns the JSON.

    Raises:
        VerificationError: it is about another step, or no legal statement
        UserError: the file is no experiment, or its step cannot be compiled at all
        FileError: the statement is missing, foreign, truncated or damaged
    """
    from zkjax.statement.statement import MAX_STATEMENT_BYTES, Statement, parameter_hash

    file = RunFolder(path).read_statement(parameters=parameter_hash(), max_payload=MAX_STATEMENT_BYTES)
    statement = Statement.from_bytes(file.payload)
    keep_compiled_programs()
    import zkjax

    train_step, state, dataset, schedule = load_step(experiment)
    digest = zkjax.audit(train_step, state, dataset, statement)
    first = first_batch(statement.schedule, schedule)
    result = {"accepted": True, "circuit_digest": digest, "steps": statement.circuit.steps, "first_batch": first}
    if not quiet:
        last = None if first is None else first + statement.circuit.steps - 1
        rows = [
            ("digest of the circuit", digest),
            ("steps", str(statement.circuit.steps)),
            ("schedule", "not in the file" if first is None else f"batches {first} to {last} of the file's"),
        ]
        print_rows(f"{path} is about the training step of {experiment}", rows, justify="left")
        print(f"Whether it is true: zkjax verify {path}")
    return result


def first_batch(published: np.ndarray, schedule: Any) -> int | None:
    """Where the batches of a statement, [steps, batch], begin in a file's own schedule; None if they do not occur."""
    try:
        own = np.asarray(schedule)
    except ValueError:
        return None
    steps = len(published)
    if own.ndim != 2 or own.shape[1] != published.shape[1]:
        return None
    return next((at for at in range(len(own) - steps + 1) if np.array_equal(own[at : at + steps], published)), None)
