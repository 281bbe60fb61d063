"""What a mutant is tried on: the tests of its module and samples of the corpus, the quickest first.

All is imported and collected once. What runs which lines of the module is seen once, on the unchanged
source; a mutant is tried on what runs the lines that it changes. It is tried in a forked process, in
which the code of the module's functions is exchanged for the changed one. What only happens when the
module is imported is not changed by that: a survivor is tried again, on everything, where the changed
module is imported (`run.py`).
"""

from __future__ import annotations

import ast
import gc
import importlib.abc
import importlib.util
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, FrameType, FunctionType

import pytest

from tests.mutation import corpus

PATIENCE = 20  # times the processor's seconds that the unchanged source takes, and as many seconds


class Failures:
    """A plugin of pytest that keeps the first test that failed."""

    def __init__(self) -> None:
        self.first = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.first:
            self.first = report.nodeid.rpartition("/")[2]


@dataclass
class Trial:
    """A test or a sample. Of the unchanged source: how long it takes and which lines of the module it runs."""

    what: pytest.Item | corpus.Sample
    seconds: float = 0.0
    lines: set[int] = field(default_factory=set)

    def failure(self, following: pytest.Item | None, failures: Failures) -> str:
        """Why this tells the module from the unchanged one, or ""; `following` is the test to be run next."""
        if isinstance(self.what, corpus.Sample):
            said = corpus.judged(self.what.statement, self.what.proof)
            return "" if said == self.what.said else f"{self.what.name}: {said}, not {self.what.said}"
        failures.first = ""
        self.what.ihook.pytest_runtest_protocol(item=self.what, nextitem=following)
        return failures.first


def outcomes(trials: list[Trial], failures: Failures, *, patience: float = 0.0) -> Iterator[tuple[Trial, str]]:
    """Each trial with why it fails, or "". With patience, a trial that takes much longer ends this process."""
    for place, trial in enumerate(trials):
        following = (later.what for later in trials[place + 1 :] if isinstance(later.what, pytest.Item))
        signal.setitimer(signal.ITIMER_PROF, patience * (1 + trial.seconds))
        yield trial, trial.failure(next(following, None), failures)


def measured(trials: list[Trial], failures: Failures) -> list[tuple[float, str]]:
    """The processor's seconds and the failure of each trial."""
    found = []
    before = time.process_time()
    for _, failure in outcomes(trials, failures):
        found.append((time.process_time() - before, failure))
        before = time.process_time()
    return found


def traced(trials: list[Trial], failures: Failures, path: str) -> list[set[int]]:
    """The lines of `path` that each trial runs, in a process in which nothing is cached yet."""
    lines: list[set[int]] = [set()]

    def line(frame: FrameType, event: str, _: object) -> Callable[..., object]:
        lines[-1].add(frame.f_lineno)
        return line

    def called(frame: FrameType, event: str, _: object) -> Callable[..., object] | None:
        return line(frame, event, None) if frame.f_code.co_filename == path else None

    sys.settrace(called)
    for _ in outcomes(trials, failures):
        lines.append(set())
        sys.settrace(called)  # again: a recursion too deep for the tracer ends the tracing
    sys.settrace(None)
    return lines[:-1]


def killer(trials: list[Trial], failures: Failures) -> str:
    """The first failure, or ""."""
    tried = outcomes(trials, failures, patience=PATIENCE)
    return next((failure for _, failure in tried if failure), "")


class Changed(importlib.abc.MetaPathFinder, SourceFileLoader):
    """Finds one module, with other contents."""

    def __init__(self, name: str, path: str, tree: ast.Module):
        super().__init__(name, path)
        self.tree = tree

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return importlib.util.spec_from_file_location(name, self.path, loader=self) if name == self.name else None

    def get_code(self, fullname: str) -> object:  # type: ignore[override]
        return compile(self.tree, self.path, "exec")


def exchange(path: str, tree: ast.Module) -> None:
    """Give every function of the module at `path` the code that it has in `tree`. Raises ValueError."""
    codes = list(_codes(compile(tree, path, "exec")))
    seen = Counter(map(_place, codes))
    changed = {_place(code): code for code in codes if seen[_place(code)] == 1}
    for function in gc.get_objects():
        if isinstance(function, FunctionType) and function.__code__.co_filename == path:
            function.__code__ = changed.get(_place(function.__code__), function.__code__)


def _place(code: CodeType) -> tuple[str, int]:
    return code.co_qualname, code.co_firstlineno


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)
