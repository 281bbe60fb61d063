"""The commands and their options; each delegates to the module of its own name.

Only `prove`, `report` and `audit` import JAX, and only once their options are known to be good.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zkjax.cli.outcome import outcome
from zkjax.statement.parameters import DEFAULT_OPENINGS, MAX_OPENINGS

app = typer.Typer(
    help="Prove in zero knowledge that a neural network was trained as claimed.",
    epilog="Exit status: 0 accepted, 1 rejected, 2 wrong use. ZKJAX_DEBUG=1 shows where an error comes from.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on the last line, for machines.")]


@app.callback(invoke_without_command=True)
def common(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        import zkjax

        typer.echo(f"zkjax {zkjax.__version__}")
        raise typer.Exit


@app.command("prove")
def prove_command(
    experiment: Annotated[
        Path,
        typer.Argument(
            help="A Python file whose experiment() returns train_step, state, dataset, schedule.",
            metavar="EXPERIMENT.py",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="The run folder; a run in it is replaced.", metavar="DIR")],
    steps: Annotated[int, typer.Option("--steps", min=1, help="How many steps to train and prove as one block.")] = 16,
    resume_from: Annotated[
        Path | None,
        typer.Option(
            "--resume-from",
            help="The run folder of the block before: start from its committed weights.",
            metavar="DIR",
        ),
    ] = None,
    openings: Annotated[
        int,
        typer.Option(
            "--openings",
            min=1,
            max=MAX_OPENINGS,
            help="How many proofs may open each new commitment: at least the blocks of the chain.",
        ),
    ] = DEFAULT_OPENINGS,
    headroom: Annotated[
        int,
        typer.Option(
            "--headroom",
            min=0,
            max=8,
            help="Bits by which values may grow beyond calibration, more than usual; a run that needs some says so.",
        ),
    ] = 0,
    public_constants: Annotated[
        bool,
        typer.Option("--public-constants", help="Everybody may see the arrays that the training step closes over."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Train and prove one block of steps; write statement, proof and secrets to a run folder."""
    with outcome("prove", as_json) as result:
        from zkjax.cli.prove import prove

        result.update(
            prove(
                experiment,
                steps,
                openings,
                out,
                resume_from,
                headroom,
                public_constants=public_constants,
                quiet=as_json,
            )
        )


@app.command("report")
def report_command(
    experiment: Annotated[
        Path,
        typer.Argument(
            help="A Python file whose experiment() returns train_step, state, dataset, schedule.",
            metavar="EXPERIMENT.py",
        ),
    ],
    steps: Annotated[int, typer.Option("--steps", min=1, help="How many steps to run as one block.")] = 16,
    headroom: Annotated[
        int,
        typer.Option(
            "--headroom",
            min=0,
            max=8,
            help="Bits by which values may grow beyond calibration, more than usual; a run that needs some says so.",
        ),
    ] = 0,
    public_constants: Annotated[
        bool,
        typer.Option("--public-constants", help="Everybody may see the arrays that the training step closes over."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Run one block in integers and in float32: errors, room in bits, what a proof would cost. Proves nothing."""
    with outcome("report", as_json) as result:
        from zkjax.cli.estimate import report

        result.update(report(experiment, steps, headroom, public_constants, quiet=as_json))


@app.command("verify")
def verify_command(
    folder: Annotated[Path, typer.Argument(help="A run folder; its secret part is not needed.", metavar="DIR")],
    as_json: Json = False,
) -> None:
    """Check a proof against its statement. Needs no JAX and no secret."""
    with outcome("verify", as_json) as result:
        from zkjax.cli.verify import verify

        result.update(verify(folder, quiet=as_json))


@app.command("audit")
def audit_command(
    experiment: Annotated[
        Path,
        typer.Argument(
            help="A Python file whose experiment() returns train_step, state, dataset, schedule. Shapes and types of "
            "state and dataset are enough (jax.ShapeDtypeStruct); values serve to judge the formats.",
            metavar="EXPERIMENT.py",
        ),
    ],
    folder: Annotated[Path, typer.Argument(help="A run folder; only its statement is read.", metavar="DIR")],
    least_bits: Annotated[
        float | None,
        typer.Option(
            help="Refuse formats in which an activation, a gradient, a change of weights or a learning rate cannot "
            "have so many bits, whatever the data are. By default 4."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compile a training step again, and say whether a statement is about it. Needs no data."""
    with outcome("audit", as_json) as result:
        from zkjax.cli.audit import audit

        result.update(audit(experiment, folder, least_bits=least_bits, quiet=as_json))


@app.command("inspect")
def inspect_command(
    file: Annotated[
        Path, typer.Argument(help="A file of a run folder, or the folder: then its statement.", metavar="FILE")
    ],
    circuit: Annotated[
        bool,
        typer.Option("--circuit", help="Of a statement: every node, lookup and zero, and the rows of every batch."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Say what a file is and what it holds, without judging it."""
    with outcome("inspect", as_json) as result:
        from zkjax.cli.inspect import inspect

        result.update(inspect(file, circuit=circuit, quiet=as_json))
