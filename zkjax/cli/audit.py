"""`zkjax audit`: is the circuit of a statement that of a training step? Without the data."""

from __future__ import annotations

from dataclasses import asdict
from math import isinf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zkjax.cli.experiment import load_step
from zkjax.cli.process import keep_compiled_programs
from zkjax.cli.report import print_rows
from zkjax.files import RunFolder

if TYPE_CHECKING:
    from zkjax.fixedpoint.fineness import Fineness
    from zkjax.recompile import Start


KINDS = {
    "data": "bits of data",
    "activation": "bits of activations",
    "gradient": "bits of gradients",
    "state": "bits of weights",
    "memory": "bits of optimiser state",
    "move": "bits of their change in the block",
    "rate": "bits of learning rates",
}


def audit(experiment: Path, path: Path, *, least_bits: float | None, quiet: bool) -> dict[str, Any]:
    """Accept the statement in folder `path` as one about the file's training step, or raise; returns the JSON.

    Raises:
        VerificationError: it is about another step, no legal statement, or in formats too coarse to train anything
        UserError: the file is no experiment, or its step cannot be compiled at all
        FileError: the statement is missing, foreign, truncated or damaged
    """
    from zkjax.statement.statement import MAX_STATEMENT_BYTES, Statement, parameter_hash

    file = RunFolder(path).read_statement(parameters=parameter_hash(), max_payload=MAX_STATEMENT_BYTES)
    statement = Statement.from_bytes(file.payload)
    keep_compiled_programs()
    from zkjax.recompile import LEAST_BITS, examine

    floor = LEAST_BITS if least_bits is None else least_bits
    train_step, state, dataset, schedule = load_step(experiment)
    found = examine(train_step, state, dataset, statement, least_bits=floor)
    digest, first = found.digest, first_batch(statement.schedule, schedule)
    result = {"accepted": True, "circuit_digest": digest, "steps": statement.circuit.steps, "first_batch": first}
    outputs = [output.name for output in statement.circuit.outputs]
    result |= {"outputs": outputs, "least_bits": floor, "fineness": [_plain(each) for each in found.fineness]}
    result["starts"] = [asdict(each) for each in found.starts]
    if not quiet:
        last = None if first is None else first + statement.circuit.steps - 1
        rows = [
            ("digest of the circuit", digest),
            ("steps", str(statement.circuit.steps)),
            *([("outputs", ", ".join(outputs))] if outputs else []),
            ("schedule", "not in the file" if first is None else f"batches {first} to {last} of the file's"),
            *((f"{each.name} at the start", started(each)) for each in found.starts),
            *((label, shown(kind, found.fineness)) for kind, label in KINDS.items()),
        ]
        print_rows(f"{path} is about the training step of {experiment}", rows, justify="left")
        print(f"Whether it is true: zkjax verify {path}")
    return result


def started(start: Start) -> str:
    """Where a counter or key starts, beside the file's: another is a later block, or not the run that was meant."""
    stated = _integers(start.stated)
    if start.own is None or start.own == start.stated:
        return stated if start.own is None else f"{stated}, as in the file"
    return f"{stated}; {_integers(start.own)} in the file"


def _integers(value: int | tuple[int, ...]) -> str:
    return str(value) if isinstance(value, int) else " ".join(map(str, value))


def shown(kind: str, found: list[Fineness]) -> str:
    """The coarsest of one kind: how many bits it can have, and what the values at hand have."""
    own = [each for each in found if each.kind == kind]
    if not own:
        return "nothing is rounded"
    coarsest = min(own, key=lambda each: each.reach)
    most = "exact" if isinf(coarsest.reach) else f"at most {coarsest.reach:.3g}, {coarsest.name}"
    if coarsest.fraction_bits is not None:
        most += f" in units of 2^{-coarsest.fraction_bits}"
    seen = min((each for each in own if each.seen is not None), key=lambda each: each.seen or 0, default=None)
    return most if seen is None else f"{most}\n{seen.seen:.1f} with the file's values, {seen.name}"


def _plain(each: Fineness) -> dict[str, Any]:
    """For JSON, which has no infinity: what is exact has null bits."""
    return asdict(each) | {"reach": None if isinf(each.reach) else each.reach}


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
