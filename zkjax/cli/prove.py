"""`zkjax prove`: compile, run, prove, check, and only then write. The whole command in one function."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from zkjax.cli.compiling import CompileClock
from zkjax.cli.experiment import Experiment, load_experiment
from zkjax.cli.process import (
    keep_compiled_programs,
    keep_freed_memory,
    peak_memory,
    run_where_called,
    spare_what_exists,
)
from zkjax.cli.progress import Stages
from zkjax.cli.report import print_outputs, print_places, print_rows, proving_rows
from zkjax.cli.verify import describe
from zkjax.errors import UsageError
from zkjax.files import Kind, RunFolder
from zkjax.files.artefact import ENVELOPE_BYTES

# What each stage is expected to take, in seconds on a small machine; only their ratios matter.
EXPECTED = {
    "Loading": 4.0,
    "Tracing": 2.0,
    "Witness": 2.0,
    "Commitment": 4.0,
    "Lookups": 6.0,
    "Claims": 4.0,
    "Opening": 6.0,
    "Checking": 1.0,
    "Training in float32": 1.0,
    "Writing": 0.2,
}
PROVING = ("Witness", "Commitment", "Lookups", "Claims", "Opening")


class BadFolder(UsageError):
    """The run folders of this block and of the block before must differ."""


def prove(
    path: Path,
    steps: int,
    openings: int,
    out: Path,
    resume_from: Path | None,
    headroom: int = 0,
    *,
    public_constants: bool = False,
    quiet: bool,
) -> dict[str, Any]:
    """Train and prove the next `steps` batches of an experiment; returns what `--json` prints.

    Without `resume_from` these are the first ones, from the experiment's own state. With it, they
    are those after the block in that folder, from the weights committed there.

    Raises:
        UserError: the experiment cannot be proved as it is
        WitnessError: the run left its proven ranges
        FileError: a run folder cannot be read or written; nothing is half-written
    """
    began = time.perf_counter()
    if resume_from is not None and out.resolve() == resume_from.resolve():
        raise BadFolder(f"--out and --resume-from are both {out}")
    keep_freed_memory()
    run_where_called()
    keep_compiled_programs()
    import zkjax
    from zkjax.cli.chain import Start, resume, state_bytes
    from zkjax.statement.statement import parameter_hash

    with CompileClock() as clock, Stages(EXPECTED) as stages:
        stages.enter("Loading")
        experiment = load_experiment(path)
        start = Start(experiment.state) if resume_from is None else resume(resume_from, experiment.state)
        schedule = experiment.batches(start.steps, steps)
        with RunFolder(out).writing() as folder:
            ledger = (start.folder or folder).ledger

            stages.enter("Tracing")
            batches = [experiment.rows(numbers) for numbers in schedule]
            program = zkjax.compile(
                experiment.train_step,
                start.state,
                batches[0],
                steps=steps,
                calibration=batches,
                dataset=experiment.dataset,
                before=start.before,
                headroom=headroom,
                public_constants=public_constants,
                outputs=experiment.outputs,
            )

            stages.enter("Witness")
            run = program.run(start.state, experiment.dataset, schedule)
            spare_what_exists()

            stages.enter("Commitment")
            commitments = zkjax.commit(run, data=start.data, before=start.before, openings=openings)
            statement, proof = zkjax.prove(run, commitments, ledger=ledger, progress=stages.enter)

            stages.enter("Checking")
            summary = zkjax.verify(statement, proof)

            stages.enter("Training in float32")
            total = start.steps + steps
            accuracy_float = experiment.accuracy(train(experiment, total))
            accuracy_integer = experiment.accuracy(run.state)
            outputs_float = {name: values.tolist() for name, values in run.float_outputs.items()} if run.outputs else {}

            stages.enter("Writing")
            secrets = {
                "data": (Kind.COMMITMENT_OPENING, commitments.data.to_bytes()),
                "after": (Kind.COMMITMENT_OPENING, commitments.after.to_bytes()),
                "state": (Kind.STATE, state_bytes(run.state, total)),
            }
            stages.finish()
            took = stage_times(stages, clock)
            result = {
                "prove_seconds": sum(took[stage] for stage in PROVING),
                "compile_seconds": took["Compiling"],
                "witness_seconds": took["Witness"],
                "total_seconds": time.perf_counter() - began,
                "peak_rss_bytes": peak_memory(),
                "proof_bytes": ENVELOPE_BYTES + len(proof.to_bytes()),
                "statement_bytes": ENVELOPE_BYTES + len(statement.to_bytes()),
                "accuracy_integer": accuracy_integer,
                "accuracy_float": accuracy_float,
                "outputs_float": outputs_float,
                "steps_in_chain": total,
                "stage_seconds": took,
                **describe(summary),
            }
            folder.write_run(
                parameter_hash(),
                statement=statement.to_bytes(),
                proof=proof.to_bytes(),
                secrets=secrets,
                report=json.dumps(result, indent=2).encode(),
                previous=start.folder,
            )
    if not quiet:
        print_rows(f"Proved: {out}", proving_rows(result))
        print_outputs(result["outputs"], result["outputs_float"])
        print_places(folder)
    return result


def train(experiment: Experiment, steps: int) -> Any:
    """The state after the first `steps` batches in the experiment's own arithmetic."""
    import jax

    step = jax.jit(experiment.train_step)
    state = experiment.state
    structure: Any = jax.tree.structure(state)
    for numbers in experiment.batches(0, steps):
        returned = step(state, experiment.rows(numbers))
        state = returned if structure == jax.tree.structure(returned) else returned[0]
    return state


def stage_times(stages: Stages, clock: CompileClock) -> dict[str, float]:
    """Seconds of each stage without what it compiled, and what was compiled in all of them."""
    took: dict[str, float] = {}
    compiling = 0.0
    for stage, begin, end in stages.spans:
        compiled = clock.between(begin, end)
        compiling += compiled
        took[stage] = took.get(stage, 0.0) + end - begin - compiled
    return {**took, "Compiling": compiling}
