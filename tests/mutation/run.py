"""Mutate the verifier, one check at a time, and report how many mutants the tests kill.

python -m tests.mutation.run                   all modules
python -m tests.mutation.run verifier.merkle   some
python -m tests.mutation.run --every 10        a sample

A mutant runs in a forked process in which one module is changed; no file is. It is tried on the proofs of
the corpus and on the tests of its module that run the changed lines, the quickest first (`trials.py`).
It is killed if a proof is judged otherwise or a test fails. What survives is tried on all of them in a process
that imports the changed module. Survivors must be known, with a reason (`known.py`).
"""

from __future__ import annotations

import argparse
import ast
import importlib
import os
import pickle
import signal
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from tests.conftest import ROOT
from tests.mutation import corpus
from tests.mutation.known import KNOWN
from tests.mutation.operators import Mutant, mutants
from tests.mutation.trials import Changed, Failures, Trial, exchange, killer, measured, traced

# The tests of a module beside the corpus: those that kill most come first.
TESTS: dict[str, tuple[str, ...]] = {
    "verifier.claims": (
        "vectors/test_proofs.py",
        "soundness/test_challenges.py",
    ),
    "verifier.lookup": (
        "vectors/test_proofs.py",
        "soundness/test_challenges.py",
    ),
    "verifier.merkle": ("soundness/test_tampering.py",),
    "verifier.opening": ("vectors/test_proofs.py", "soundness/test_tampering.py", "soundness/test_challenges.py"),
    "verifier.products": (
        "vectors/test_proofs.py",
        "soundness/test_challenges.py",
    ),
    "verifier.verify": (
        "vectors/test_proofs.py",
        "soundness/test_hostile_statements.py",
        "soundness/test_errors.py",
        "soundness/test_challenges.py",
    ),
    "statement.circuit": ("statement/test_encoding.py", "statement/test_legality.py", "statement/test_public.py"),
    "statement.claims": ("statement/test_claims.py", "soundness/test_hostile_statements.py"),
    "statement.commitment": ("statement/test_statement.py",),
    "statement.filters": ("statement/test_claims.py", "statement/test_legality.py"),
    "statement.formulas": (
        "statement/test_formula_errors.py",
        "statement/test_formulas.py",
        "statement/test_tables.py",
    ),
    "statement.layout": ("statement/test_layout.py", "statement/test_opening.py"),
    "statement.legality": ("statement/test_legality.py", "statement/test_encoding.py"),
    "statement.lookup": ("statement/test_lookup.py", "soundness/test_challenges.py"),
    "statement.opening": ("statement/test_opening.py", "soundness/test_errors.py"),
    "statement.parameters": ("statement/test_statement.py", "statement/test_soundness.py"),
    "statement.phases": (
        "statement/test_claims.py",
        "soundness/test_wrong_outputs.py",
        "soundness/test_challenges.py",
    ),
    "statement.plan": (
        "statement/test_plan.py",
        "statement/test_soundness.py",
        "soundness/test_hostile_statements.py",
    ),
    "statement.products": ("soundness/test_challenges.py",),
    "statement.proof": ("statement/test_statement.py",),
    "statement.public": ("statement/test_public.py", "soundness/test_wrong_public.py"),
    "statement.ranges": ("statement/test_ranges.py",),
    "statement.relations": ("soundness/test_challenges.py",),
    "statement.soundness": ("statement/test_soundness.py",),
    "statement.statement": ("statement/test_statement.py", "soundness/test_hostile_statements.py"),
    "statement.tables": ("statement/test_tables.py", "statement/test_ranges.py"),
    "transcript.channel": ("transcript/test_channel.py",),
    "transcript.hidden": ("transcript/test_hidden.py",),
    "transcript.sponge": ("transcript/test_sponge.py", "vectors/test_frozen.py"),
}
PRELOADED = ("numpy", "hypothesis", "jax", "jax.numpy", "flax", "optax")
SECONDS = 300
PYTEST = ("-q", "-s", "-m", "not slow", "-p", "no:cacheprovider", "-W", "default", "--disable-warnings")


def path_of(module: str) -> Path:
    return ROOT / (module.replace(".", "/") + ".py")


class Module:
    """A module of the verifier's half, and what its mutants are tried on."""

    def __init__(self, name: str, samples: list[corpus.Sample], jobs: int):
        self.name = name
        self.path = str(path_of(f"zkjax.{name}"))
        self.mutants = mutants(Path(self.path).read_text())
        self.samples = samples
        self.jobs = jobs

    def killers(self, found: list[Mutant]) -> dict[str, str]:
        """Who kills each mutant, "" where nobody does."""
        print(f"{self.name}: {len(found)} mutants", flush=True)
        quickly: dict[str, str] = result(forked(partial(self.by_exchange, found), seconds=0, quiet=False))
        left = [mutant for mutant in found if not quickly[mutant.name]]
        same = {"unchanged": partial(self.by_import, self.mutants[0].module)} if left else {}
        later = each(same | {mutant.name: partial(self.by_import, mutant.tree) for mutant in left}, self.jobs)
        if later.pop("unchanged", ""):
            raise SystemExit(f"{self.name}: a test fails where nothing is changed")
        return quickly | later

    def by_exchange(self, found: list[Mutant]) -> dict[str, str]:
        """Who kills each mutant, in processes that share what this one imports."""
        killers: dict[str, str] = {}

        def attempt(trials: list[Trial], failures: Failures) -> None:
            seen = result(forked(partial(measured, trials, failures), seconds=0))
            lines = result(forked(partial(traced, trials, failures, self.path), seconds=0))
            for trial, (seconds, failure), own in zip(trials, seen, lines, strict=True):
                trial.seconds, trial.lines = seconds, own
                if failure:
                    raise SystemExit(f"{self.name}: where nothing is changed, {failure} fails")
            trials.sort(key=lambda trial: trial.seconds)

            def exchanged(mutant: Mutant) -> str:
                try:
                    exchange(self.path, mutant.tree)
                except ValueError:  # a function with other variables of the one around it
                    return ""
                return killer([trial for trial in trials if trial.lines & set(mutant.lines)], failures)

            print(f"{len(trials)} tests and samples, {sum(trial.seconds for trial in trials):.0f} s", flush=True)
            killers.update(each({mutant.name: partial(exchanged, mutant) for mutant in found}, self.jobs))

        self.collected(attempt)
        return killers

    def by_import(self, tree: ast.Module) -> str:
        """Who kills the module with other contents, imported as any is. This process is spoilt by it."""
        killers = []
        sys.meta_path.insert(0, Changed(f"zkjax.{self.name}", self.path, tree))
        self.collected(lambda trials, failures: killers.append(killer(trials, failures)))
        return killers[0] if killers else "the tests cannot be imported"

    def collected(self, attempt: Callable[[list[Trial], Failures], None]) -> None:
        """Collect the tests in this process, and attempt them with the samples inside of pytest."""

        class Loop(Failures):
            def pytest_runtestloop(loop, session: pytest.Session) -> bool:
                if not session.testsfailed:
                    attempt([Trial(what) for what in (*session.items, *self.samples)], loop)
                return True

        pytest.main([*PYTEST, *(f"tests/{path}" for path in TESTS[self.name])], plugins=[Loop()])


def forked(work: Callable[[], object], *, seconds: int = SECONDS, quiet: bool = True) -> tuple[int, BinaryIO]:
    """A process of its own for work: its number, and the file in which it leaves the pickled result."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, os.fdopen(reading, "rb")
    status = 1
    try:
        if quiet:
            nowhere = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(nowhere, descriptor)
            os.setsid()
        signal.alarm(seconds)
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(work(), pipe)
        status = 0
    except BaseException:  # noqa: BLE001  it is this process that ends
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def result(process: tuple[int, BinaryIO]) -> Any:
    with process[1] as pipe:
        written = pipe.read()
    _, status = os.waitpid(process[0], 0)
    if status:
        raise SystemExit(f"a process ends with status {status}")
    return pickle.loads(written)


def each(attempts: dict[str, Callable[[], str]], jobs: int) -> dict[str, str]:
    """What every attempt says, each in a process of its own, some at a time; how it ends if it says nothing."""
    said: dict[str, str] = {}
    running: dict[int, tuple[str, BinaryIO, float]] = {}
    pending = list(attempts.items())
    while pending or running:
        while pending and len(running) < jobs:
            name, attempt = pending.pop(0)
            pid, pipe = forked(attempt)
            running[pid] = name, pipe, time.monotonic()
        pid, status = os.wait()
        name, pipe, began = running.pop(pid)
        with pipe:
            written = pipe.read()
        said[name] = f"ends with status {status}" if status else pickle.loads(written)
        seconds = time.monotonic() - began
        print(f"{name}\n    {seconds:.1f} s, {'killed by ' + said[name] if said[name] else 'not killed'}", flush=True)
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", help="such as verifier.merkle; by default all")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--every", type=int, default=1, help="try one mutant in so many")
    parser.add_argument("--samples", type=int, default=60, help="how much of the corpus to try a mutant on")
    parser.add_argument("--only", default="", help="try mutants whose name contains this")
    options = parser.parse_args()
    samples = corpus.load()[: options.samples]
    for name in PRELOADED:
        importlib.import_module(name)
    killers: dict[tuple[str, str], str] = {}
    for name in options.modules or TESTS:
        module = Module(name, samples, options.jobs)
        found = [mutant for mutant in module.mutants if options.only in mutant.name][:: options.every]
        own = module.killers(found)
        print(f"{name}: {sum(map(bool, own.values()))} of {len(own)} killed", flush=True)
        killers |= {(name, mutant): killer for mutant, killer in own.items()}
    survivors = sorted(key for key, killer in killers.items() if not killer)
    print(f"all: {len(killers) - len(survivors)} of {len(killers)} killed")
    for key in survivors:
        print(f"survived: {key[0]} {key[1]}: {KNOWN.get(key, 'UNKNOWN')}")
    revived = sorted(key for key in KNOWN if killers.get(key))
    for key in revived:
        print(f"killed, though known to survive: {key[0]} {key[1]}")
    if revived or not KNOWN.keys() >= set(survivors):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
