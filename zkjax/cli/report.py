"""Tables for people. Every figure comes from the run that is being reported."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from zkjax.cli.remarks import condensed
from zkjax.files import RunFolder

Row = tuple[str, str]
RULE: Row = ("", "")
UNWRAPPED = 200
SHOWN_STEPS = 16
SHOWN = ("Tracing", "Compiling", "Witness", "Commitment", "Lookups", "Claims", "Opening")


def print_rows(title: str, rows: Iterable[Row], *, justify: Literal["left", "right"] = "right") -> None:
    """A table of names and figures on stdout; `RULE` draws a line between two groups."""
    rows = list(rows)
    table = Table(title=Text(title, style="bold"), show_header=False, title_justify="left")
    table.add_column()
    table.add_column(justify=justify, overflow="fold")
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        if row != RULE:
            table.add_row(Text(row[0]), Text(row[1]), end_section=following == RULE)
    # Where nobody looks on, nothing is wrapped: digests are there to be compared.
    _Console(soft_wrap=True, width=None if sys.stdout.isatty() else UNWRAPPED).print(table)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # which rich would turn into the exit status of a rejection


def proving_rows(result: dict[str, Any]) -> list[Row]:
    """The table of `zkjax prove`."""
    stages = result["stage_seconds"]
    parts = result["proof_parts"]
    return [
        ("parameters", count(result["parameters"])),
        ("steps", count(result["steps"])),
        ("committed elements", count(result["committed_elements"])),
        ("lookups", count(result["lookups"])),
        RULE,
        *((f"time: {name.lower()}", seconds(stages[name])) for name in SHOWN),
        ("time: witness to opening, without compiling", seconds(result["prove_seconds"])),
        ("time: the whole command", seconds(result["total_seconds"])),
        ("peak memory", size(result["peak_rss_bytes"])),
        RULE,
        *((f"proof: {name}", size(taken)) for name, taken in parts.items()),
        ("proof: file", size(result["proof_bytes"])),
        ("statement: file", size(result["statement_bytes"])),
        RULE,
        ("proven soundness", bits(result["soundness_bits"])),
        ("accuracy after these steps, proved integers", share(result["accuracy_integer"])),
        ("accuracy after these steps, float32", share(result["accuracy_float"])),
    ]


def verification_rows(result: dict[str, Any]) -> list[Row]:
    """The table of `zkjax verify`: what was proved, of which commitments, and how sure it is."""
    return [
        ("steps", count(result["steps"])),
        ("rows of a batch, of the data set", f"{count(result['batch'])}, {count(result['rows'])}"),
        ("parameters", count(result["parameters"])),
        RULE,
        ("digest of the circuit", result["circuit_digest"]),
        ("commitment to the data set", result["data"]),
        ("commitment to the weights before", result["weights_before"]),
        ("commitment to the weights after", result["weights_after"]),
        RULE,
        ("proven soundness", bits(result["soundness_bits"])),
        ("proof: file", size(result["proof_bytes"])),
        ("time: verification", seconds(result["verify_seconds"])),
    ]


def print_outputs(outputs: dict[str, list[Any]], floats: dict[str, list[Any]] | None = None) -> None:
    """The published numbers of every step, beside those of `floats` where they are given."""
    if not outputs:
        return
    columns = [(f"{name}, published", values) for name, values in outputs.items()]
    columns += [(f"{name}, float32", values) for name, values in (floats or {}).items()]
    columns.sort(key=lambda column: list(outputs).index(column[0].rpartition(",")[0]))
    table = Table(title=Text("Outputs", style="bold"), title_justify="left")
    for heading in ("step", *(heading for heading, _ in columns)):
        table.add_column(Text(heading), justify="right")
    steps = len(columns[0][1])
    for step in range(steps):
        if steps > SHOWN_STEPS and step == SHOWN_STEPS // 2:
            table.add_row("...")
        if min(step, steps - 1 - step) < SHOWN_STEPS // 2:
            table.add_row(str(step), *(Text(number(values[step])) for _, values in columns))
    _Console(soft_wrap=True, width=None if sys.stdout.isatty() else UNWRAPPED).print(table)


def print_remarks(remarks: Sequence[str]) -> None:
    """What whoever made the circuit says of it: the proof binds the text, and nothing checks it."""
    shown = condensed(remarks)
    if shown:
        print("Remarks of the prover, which are not checked:")
    for remark in shown:
        print(f"  {remark}")
    if shown != list(remarks):
        print("  (Numbers are rounded. Word for word: --json, or zkjax inspect --circuit.)")


def demo_table(proved: dict[str, Any], verified: dict[str, Any]) -> None:
    """One table of a run that was proved and then verified in another process."""
    rows = proving_rows(proved)
    verification = ("time: verification, without JAX", seconds(verified["verify_seconds"]))
    print_rows("Proved and verified", [*rows[:-3], verification, *rows[-3:]])


def print_places(folder: RunFolder) -> None:
    """Which files of a run may be given away."""
    print(f"Public: {folder.statement}, {folder.proof}")
    print(f"Secret, opens the commitments: {folder.secret}/")


def number(value: Any) -> str:
    """A published number, or the numbers of one step."""
    return ", ".join(map(number, value)) if isinstance(value, list) else f"{value:.6g}"


def count(value: int) -> str:
    return f"{value:,}"


def seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 0.1 else f"{1000 * value:.1f} ms"


def size(value: int) -> str:
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if value >= scale:
            return f"{value / scale:.2f} {unit}"
    return f"{value} B"


def bits(value: float) -> str:
    return f"{value:.1f} bits"


def share(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.4f}"
