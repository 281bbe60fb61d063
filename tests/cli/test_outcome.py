"""Exit status and message of every family of errors; the JSON object on the last line."""

from __future__ import annotations

import json

import pytest
import typer

from zkjax.cli.outcome import outcome
from zkjax.errors import UsageError, UserError, VerificationError, WitnessError
from zkjax.files import CannotWrite, DamagedFile, MissingFile


def ended(capsys, error, as_json=False):
    """(exit status, stdout, stderr) of a command whose body raises `error`."""
    with pytest.raises(typer.Exit) as caught:
        with outcome("verify", as_json):
            raise error
    return caught.value.exit_code, *capsys.readouterr()


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (VerificationError("bad sum", expected=1, got=2), 1, "rejected: bad sum (expected 1, got 2)"),
        (UsageError("both are a"), 2, "wrong use: both are a"),
        (ModuleNotFoundError("No module named 'jax'", name="jax"), 2, "wrong use: No module named 'jax'; only verify"),
        (UsageError("both are a"), 2, "wrong use: both are a"),
        (ModuleNotFoundError("No module named 'jax'", name="jax"), 2, "wrong use: No module named 'jax'; only verify"),
        (UserError("line 3 divides"), 2, "cannot be proved: line 3 divides"),
        (WitnessError("step 7"), 1, "left its proven ranges: step 7"),
        (DamagedFile("a", "is damaged"), 1, "file: a: is damaged"),
        (MissingFile("a", "is missing"), 2, "file: a: is missing"),
        (CannotWrite("a", "disk full"), 1, "file: a: disk full"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 1, "out of memory"),
        (ZeroDivisionError("by zero"), 1, "internal error: ZeroDivisionError: by zero (ZKJAX_DEBUG=1"),
    ],
)
def test_status_and_message(capsys, monkeypatch, error, status, message):
    monkeypatch.delenv("ZKJAX_DEBUG", raising=False)
    code, out, err = ended(capsys, error)
    assert (code, out) == (status, "")
    assert err.startswith(f"zkjax verify: {message}")
    assert "Traceback" not in err
    assert err.count("\n") == 1


def test_an_error_as_json(capsys):
    code, out, _ = ended(capsys, VerificationError("bad sum"), as_json=True)
    value = json.loads(out.splitlines()[-1])
    assert (code, value["status"], value["error"]) == (1, 1, "VerificationError")


def test_debugging_shows_the_traceback(capsys, monkeypatch):
    monkeypatch.setenv("ZKJAX_DEBUG", "1")
    assert "Traceback" in ended(capsys, UserError("line 3"))[2]


def test_success(capsys):
    with outcome("verify", True) as result:
        result["steps"] = 16
    assert json.loads(capsys.readouterr().out) == {"command": "verify", "status": 0, "steps": 16}


def test_markup_in_a_message_is_printed_as_it_is(capsys):
    assert "[bold]x[/bold] dataset['y']" in ended(capsys, UserError("[bold]x[/bold] dataset['y']"))[2]
