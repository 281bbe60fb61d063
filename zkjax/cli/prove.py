"""`zkjax prove`: compile, run, prove, check, and only then write. The whole command in one function."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from zkjax.cli.compiling import CompileClock
from zkjax.cli.experiment import Experiment, load_experiment
from zkjax.cli.process import keep_compiled_programs, keep_freed_memory, peak_memory
from zkjax.cli.progress import Stages
from zkjax.cli.report import print_rows, proving_rows
from zkjax.cli.verify import describe
from zkjax.files import RunFolder

# What each stage is expected to take, in seconds on a small machine; only their ratios matter.
EXPECTED = {
    "Loading": 2.0,
    "Tracing": 3.0,
    "Witness": 2.0,
    "Commitment": 3.0,
    "Lookups": 4.0,
    "Claims": 2.0,
    "Opening": 2.0,
    "Checking": 1.0,
    "Training in float32": 1.0,
}
PROVING = ("Commitment", "Lookups", "Claims", "Opening")


def prove(path: Path, steps: int, out: Path, resume_from: Path | None, *, quiet: bool) -> dict[str, Any]:
    """Train and prove the first `steps` batches of an experiment; returns what `--json` prints.

    Raises:
        UserError: the experiment cannot be proved as it is
        WitnessError: the run left its proven ranges
        FileError: the run folder cannot be read or written; nothing is half-written
    """
    keep_freed_memory()
    keep_compiled_programs()
    import zkjax
    from zkjax.statement.statement import parameter_hash

    with CompileClock() as clock, Stages(EXPECTED) as stages:
        stages.enter("Loading")
        experiment = load_experiment(path, steps)
        with RunFolder(out).writing() as folder:
            stages.enter("Tracing")
            program = zkjax.compile(experiment.train_step, experiment.state, experiment.batch(0), steps=steps)
            stages.enter("Witness")
            run = program.run(experiment.state, experiment.dataset, experiment.schedule)
            statement, proof = zkjax.prove(run, progress=stages.enter)
            stages.enter("Checking")
            summary = zkjax.verify(statement, proof)
            stages.enter("Training in float32")
            accuracy_float = experiment.accuracy(train(experiment))
            accuracy_integer = experiment.accuracy(run.state)
            folder.write_public(parameter_hash(), statement.to_bytes(), proof.to_bytes())
            took = stage_times(stages, clock)
            result = {
                "prove_seconds": sum(took[stage] for stage in PROVING),
                "compile_seconds": took["Compiling"],
                "witness_seconds": took["Witness"],
                "peak_rss_bytes": peak_memory(),
                "proof_bytes": folder.proof.stat().st_size,
                "statement_bytes": folder.statement.stat().st_size,
                "accuracy_integer": accuracy_integer,
                "accuracy_float": accuracy_float,
                "stage_seconds": took,
                **describe(summary),
            }
            folder.write_report(json.dumps(result, indent=2).encode())
    if not quiet:
        print_rows(f"Proved: {out}", proving_rows(result))
    return result


def train(experiment: Experiment) -> Any:
    """The state after the same batches in the experiment's own arithmetic."""
    import jax

    step = jax.jit(experiment.train_step)
    state = experiment.state
    structure: Any = jax.tree.structure(state)
    for number in range(len(experiment.schedule)):
        returned = step(state, experiment.batch(number))
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
