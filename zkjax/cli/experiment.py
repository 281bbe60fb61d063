"""Experiment files: plain Python with `experiment()`, checked before any work starts."""

from __future__ import annotations

import importlib.util
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from zkjax.errors import UsageError

MODULE = "zkjax_experiment"
PARTS = ("train_step", "state", "dataset", "schedule")


class BadExperiment(UsageError):
    """The experiment file cannot be run, or does not return what a block needs."""

    def __init__(self, path: Path, message: str):
        super().__init__(f"{path}: {message}")


@dataclass(frozen=True)
class Experiment:
    """What an experiment file defines. `schedule` is an int array [steps, batch].

    `evaluate`, where the file defines it, maps a state to an accuracy; `outputs` names what the step returns and a
    proof publishes.
    """

    path: Path
    train_step: Callable[..., Any]
    state: Any
    dataset: Any
    schedule: np.ndarray
    evaluate: Callable[[Any], float] | None = None
    outputs: bool | tuple[str, ...] = ()

    def batches(self, first: int, steps: int) -> np.ndarray:
        """`steps` batches of the schedule from number `first` on.

        Raises:
            BadExperiment: the schedule has too few
        """
        last = first + steps
        if len(self.schedule) < last:
            need = f"--steps {steps}" + (f" after {first} steps" if first else "")
            raise BadExperiment(self.path, f"schedule has {len(self.schedule)} batches, too few for {need}")
        return self.schedule[first:last]

    def rows(self, numbers: np.ndarray) -> Any:
        """The batch that consists of the rows `numbers` of the data set."""
        import jax

        return jax.tree.map(lambda leaf: leaf[numbers], self.dataset)

    def accuracy(self, state: Any) -> float | None:
        """The file's own accuracy of `state`, or None if it defines none.

        Raises:
            BadExperiment: `evaluate` raised, or returned no number
        """
        evaluate = self.evaluate
        if evaluate is None:
            return None
        value = _run_users_code(self.path, "evaluate()", lambda: evaluate(state))
        try:
            return float(value)
        except (TypeError, ValueError) as error:
            raise BadExperiment(self.path, f"evaluate() returned {type(value).__name__}, expected a number") from error


def load_step(path: Path) -> tuple[Callable[..., Any], Any, Any, Any]:
    """What the file's `experiment()` returns: train_step, state, dataset, schedule; only the first is checked.

    Raises:
        BadExperiment
    """
    return _made(path, _load_module(path))


def load_experiment(path: Path) -> Experiment:
    """Run the file and its `experiment()`, and check what it returns.

    Raises:
        BadExperiment
    """
    module = _load_module(path)
    train_step, state, dataset, schedule = _made(path, module)
    rows = _count_rows(path, dataset)
    schedule = _checked_schedule(path, schedule, rows)
    evaluate = getattr(module, "evaluate", None)
    if evaluate is not None and not callable(evaluate):
        raise BadExperiment(path, "evaluate is not a function")
    return Experiment(path, train_step, state, dataset, schedule, evaluate, _outputs(path, module))


def _outputs(path: Path, module: ModuleType) -> bool | tuple[str, ...]:
    """The file's `outputs`: names, or True for all that the step returns beside the state."""
    outputs = getattr(module, "outputs", ())
    if isinstance(outputs, bool):
        return outputs
    names = (outputs,) if isinstance(outputs, str) else outputs
    if not isinstance(names, tuple | list) or not all(isinstance(name, str) for name in names):
        raise BadExperiment(path, f"outputs is {outputs!r}, expected names such as ('loss', 'accuracy'), or True")
    return tuple(names)


def _made(path: Path, module: ModuleType) -> tuple[Callable[..., Any], Any, Any, Any]:
    make = getattr(module, "experiment", None)
    if not callable(make):
        raise BadExperiment(path, "defines no function experiment()")
    train_step, state, dataset, schedule = _parts(path, _run_users_code(path, "experiment()", make))
    if not callable(train_step):
        raise BadExperiment(path, f"train_step is {type(train_step).__name__}, not a function")
    return train_step, state, dataset, schedule


def _load_module(path: Path) -> ModuleType:
    if not path.is_file():
        raise BadExperiment(path, "is a folder, not a Python file" if path.is_dir() else "there is no such file")
    specification = importlib.util.spec_from_file_location(MODULE, path)
    if specification is None or specification.loader is None:
        raise BadExperiment(path, "is not a Python file (its name must end in .py)")
    module = importlib.util.module_from_spec(specification)
    loader = specification.loader
    # As when Python runs a script: its neighbours can be imported, and it can be looked up.
    sys.path.insert(0, str(path.resolve().parent))
    sys.modules[MODULE] = module
    _run_users_code(path, "the file", lambda: loader.exec_module(module))
    return module


def _run_users_code(path: Path, what: str, call: Callable[[], Any]) -> Any:
    """Call into the user's file; whatever it raises becomes one message with its line there."""
    try:
        return call()
    except (Exception, SystemExit) as error:
        if os.environ.get("ZKJAX_DEBUG"):
            traceback.print_exception(error)
        if isinstance(error, SyntaxError):
            message = f"line {error.lineno}: {error.msg}"
        else:
            own = [
                frame.lineno
                for frame in traceback.extract_tb(error.__traceback__)
                if Path(frame.filename).resolve() == path.resolve()
            ]
            line = f" at line {own[-1]}" if own else ""
            message = f"{what} raised {type(error).__name__}{line}: {error}"
        raise BadExperiment(path, message) from error


def _parts(path: Path, returned: Any) -> tuple[Any, Any, Any, Any]:
    if isinstance(returned, dict):
        missing = [name for name in PARTS if name not in returned]
        if missing:
            raise BadExperiment(path, f"experiment() returned no {', '.join(missing)}")
        return tuple(returned[name] for name in PARTS)
    if not isinstance(returned, tuple | list) or len(returned) != len(PARTS):
        count = f" of {len(returned)}" if isinstance(returned, tuple | list) else ""
        raise BadExperiment(
            path,
            f"experiment() returned a {type(returned).__name__}{count}, expected {', '.join(PARTS)}",
        )
    return tuple(returned)


def _count_rows(path: Path, dataset: Any) -> int:
    import jax

    rows = {}
    for key, leaf in jax.tree_util.tree_leaves_with_path(dataset):
        name = f"dataset{jax.tree_util.keystr(key)}"
        array = np.asarray(leaf)
        if array.ndim == 0:
            raise BadExperiment(path, f"{name} is a single {type(leaf).__name__}, expected an array of rows")
        if array.dtype.kind == "f" and not (finite := np.isfinite(array)).all():
            place = tuple(int(at) for at in np.argwhere(~finite)[0])
            raise BadExperiment(path, f"{name}{list(place)} is {array[place]}")
        rows[name] = len(array)
    if not rows:
        raise BadExperiment(path, "dataset holds no arrays")
    if len(set(rows.values())) > 1:
        counts = ", ".join(f"{name} has {count}" for name, count in rows.items())
        raise BadExperiment(path, f"the arrays of dataset differ in their rows: {counts}")
    return next(iter(rows.values()))


def _checked_schedule(path: Path, schedule: Any, rows: int) -> np.ndarray:
    schedule = np.asarray(schedule)
    if schedule.ndim != 2 or schedule.dtype.kind not in "iu":
        raise BadExperiment(
            path,
            f"schedule is {schedule.dtype}{list(schedule.shape)}, expected integers [steps, batch]",
        )
    if schedule.shape[1] == 0:
        raise BadExperiment(path, "schedule has empty batches")
    outside = np.argwhere((schedule < 0) | (schedule >= rows))
    if len(outside):
        step, place = outside[0]
        raise BadExperiment(
            path,
            f"schedule[{step}, {place}] is {schedule[step, place]}, but dataset has {rows} rows",
        )
    return schedule
