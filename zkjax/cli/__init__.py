"""The command line: `zkjax prove`, `zkjax verify`, `zkjax audit`, `zkjax inspect`."""

from __future__ import annotations


def main() -> None:
    """Entry point of the console script. Exit status: 0 accepted, 1 rejected, 2 wrong use."""
    try:
        from zkjax.cli.app import app
    except KeyboardInterrupt:  # before there is a command that could say so
        raise SystemExit(130) from None

    app(prog_name="zkjax")
