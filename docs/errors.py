"""Prints docs/errors.md: every class of error that zkjax raises on purpose, from the classes themselves.

python docs/errors.py > docs/errors.md
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator

import zkjax
from zkjax.cli.outcome import status_of
from zkjax.errors import FileError, UsageError, UserError, VerificationError, WitnessError, ZkjaxError

HEAD = """\
# Errors

Made by `python docs/errors.py > docs/errors.md` from the classes; a test keeps it current.

Every error that zkjax raises on purpose is a `zkjax.ZkjaxError` of one of the families below. Its message names what is
wrong and where: equation and source line, leaf and index, layer, step, value and bound, or file, with what was expected
and found. On the command line it is printed with its family in front, and the exit status is that of the table; with
`--json` its class stands under `error`. `ZKJAX_DEBUG=1` shows where it was raised. An error of any other class is a
defect of zkjax: please report it.
"""

# Family, what its messages begin with on the command line, and what to do.
FAMILIES: dict[type[ZkjaxError], tuple[str, str]] = {
    UsageError: ("wrong use", "Call the command or the function as the message says."),
    UserError: (
        "cannot be proved",
        "Change the training step, the data or the options as the message says; nothing was written.",
    ),
    WitnessError: (
        "left its proven ranges",
        "The integers of this run grew beyond what calibration showed: calibrate on the batches of the block, from its "
        "state. (Of the classes below but `OutOfRangeError`: a defect of zkjax, please report it.)",
    ),
    VerificationError: (
        "rejected",
        "Do not believe the statement. Likely causes: proof and statement are not of one run, another release made "
        "them, or somebody changed them.",
    ),
    FileError: (
        "file",
        "Get the file again from where it was made, free the disk, set the permissions, or do as the message says; "
        "what the file held before is still there.",
    ),
}


def main() -> None:
    print(HEAD)
    classes = sorted(set(error_classes()), key=lambda each: (each.__module__, each.__name__))
    for family, (prefix, remedy) in FAMILIES.items():
        print(f"## {family.__name__}: `{prefix}: ...`\n\n{remedy}\n")
        print("| class | exit status | meaning |\n| --- | --- | --- |")
        for each in classes:
            if family_of(each) is family:
                module = each.__module__.removeprefix("zkjax.")
                print(f"| `{module}.{each.__name__}` | {exit_status(each)} | {meaning(each)} |")
        print()


def error_classes() -> Iterator[type[ZkjaxError]]:
    """Every subclass of ZkjaxError in any module of zkjax."""
    for module in pkgutil.walk_packages(zkjax.__path__, "zkjax."):
        if not module.name.endswith("__main__") and module.name != "zkjax.cli.without_jax":
            for value in vars(importlib.import_module(module.name)).values():
                if inspect.isclass(value) and issubclass(value, ZkjaxError) and value is not ZkjaxError:
                    yield value


def family_of(error: type[ZkjaxError]) -> type[ZkjaxError]:
    """The narrowest family of a class: UsageError before UserError."""
    return next(family for family in FAMILIES if issubclass(error, family))


def exit_status(error: type[ZkjaxError]) -> int:
    return status_of(error.__new__(error))


def meaning(error: type[ZkjaxError]) -> str:
    """The first sentence of the docstring."""
    first = (inspect.getdoc(error) or "").split("\n\n")[0].replace("\n", " ")
    first = first.removeprefix("Base: ").replace("|", "\\|")
    return first[:1].upper() + first[1:]


if __name__ == "__main__":
    main()
