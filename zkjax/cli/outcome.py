"""How a command ends: one exit status, one clear message or one JSON object."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console

from zkjax.errors import FileError, UsageError, UserError, VerificationError, WitnessError, ZkjaxError
from zkjax.files import MissingFile

ACCEPTED = 0
REJECTED = 1
WRONG_USE = 2
INTERRUPTED = 130
READER_GONE = 141
OUT_OF_MEMORY = "out of memory; prove fewer steps a block"
PROVERS_PACKAGES = ("jax", "jaxlib", "flax", "optax", "chex")


def status_of(error: BaseException) -> int:
    """The exit status for an error: wrong use where the user must call it differently."""
    return WRONG_USE if isinstance(error, UserError | MissingFile) else REJECTED


def family_of(error: BaseException) -> str:
    """What to call an error in front of its message."""
    match error:
        case VerificationError():
            return "rejected"
        case UsageError():
            return "wrong use"
        case UserError():
            return "cannot be proved"
        case WitnessError():
            return "left its proven ranges"
        case FileError():
            return "file"
        case ZkjaxError():
            return "error"
        case _:
            return "internal error"


@contextmanager
def outcome(command: str, as_json: bool) -> Iterator[dict[str, Any]]:
    """Run a command: what it puts into the yielded dict is its JSON; every error ends here.

    Whatever happens, an exit status of 0 means that the body ran to its end.
    """
    result: dict[str, Any] = {}
    try:
        yield result
        if as_json:
            print_json({"command": command, "status": ACCEPTED, **result})
        sys.stdout.flush()
    except KeyboardInterrupt:
        _fail(command, as_json, "interrupted", None, INTERRUPTED)
    except BrokenPipeError:  # as of `zkjax inspect ... | head`: nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(READER_GONE) from None
    except ZkjaxError as error:
        _fail(command, as_json, f"{family_of(error)}: {error}", error, status_of(error))
    except MemoryError as error:
        _fail(command, as_json, OUT_OF_MEMORY, error, REJECTED)
    except Exception as error:  # noqa: BLE001  the outermost boundary: a defect of zkjax itself
        if isinstance(error, ModuleNotFoundError) and error.name in PROVERS_PACKAGES:
            message = f"wrong use: {error}; only verify and inspect do without: install zkjax with its dependencies"
            _fail(command, as_json, message, UsageError(message), WRONG_USE)
        if "RESOURCE_EXHAUSTED" in str(error):  # what XLA raises in place of MemoryError
            _fail(command, as_json, OUT_OF_MEMORY, error, REJECTED)
        message = f"{family_of(error)}: {type(error).__name__}: {error}"
        _fail(command, as_json, message, error, REJECTED)


def print_json(value: dict[str, Any]) -> None:
    """One line on stdout. Not through rich, which would wrap it."""
    sys.stdout.write(json.dumps(value, allow_nan=False) + "\n")
    sys.stdout.flush()


def _fail(command: str, as_json: bool, message: str, error: BaseException | None, status: int) -> None:
    if error is not None and os.environ.get("ZKJAX_DEBUG"):
        traceback.print_exception(error)
    elif error is not None and not isinstance(error, ZkjaxError):
        message += " (ZKJAX_DEBUG=1 shows where)"
    Console(stderr=True).print(
        f"zkjax {command}: {message}",
        style="bold red",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    if as_json:
        name = type(error).__name__ if error is not None else "Interrupted"
        print_json({"command": command, "status": status, "error": name, "message": message})
    raise typer.Exit(status)
