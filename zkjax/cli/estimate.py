"""`zkjax report`: how accurate a block is beside float32, what room it leaves, what a proof costs. Proves nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zkjax.cli.experiment import load_experiment
from zkjax.cli.process import keep_compiled_programs


def report(path: Path, steps: int, headroom: int, public_constants: bool, *, quiet: bool) -> dict[str, Any]:
    """Run the first `steps` batches of an experiment in integers and in float32; returns what `--json` prints.

    Raises:
        UserError: the experiment cannot be proved as it is
        WitnessError: the run left its proven ranges
    """
    keep_compiled_programs()
    import zkjax

    experiment = load_experiment(path)
    schedule = experiment.batches(0, steps)
    batches = [experiment.rows(numbers) for numbers in schedule]
    program = zkjax.compile(
        experiment.train_step,
        experiment.state,
        batches[0],
        steps=steps,
        calibration=batches,
        dataset=experiment.dataset,
        headroom=headroom,
        public_constants=public_constants,
        outputs=experiment.outputs,
    )
    found = program.report(experiment.state, experiment.dataset, schedule)
    if not quiet:
        print(found)
    return found.as_dict()
