"""Mutate the verifier, one check at a time, and report how many mutants the tests kill.

python -m tests.mutation.run                   all modules
python -m tests.mutation.run verifier.merkle   some
python -m tests.mutation.run --every 10        a sample

A mutant runs in a forked process in which one module is imported from changed source; no file is
changed. It is tried on a few proofs of the corpus, on the tests of its module, then on the rest of the corpus. It is
killed if a proof is judged otherwise or a test fails. Survivors must be known, with a reason (`known.py`).
"""

from __future__ import annotations

import argparse
import ast
import importlib.abc
import importlib.util
import os
import signal
import sys
import time
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path

from tests.conftest import ROOT
from tests.mutation import corpus
from tests.mutation.known import KNOWN
from tests.mutation.operators import Mutant, mutants

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
    "statement.circuit": ("statement/test_encoding.py", "statement/test_legality.py"),
    "statement.claims": ("statement/test_claims.py", "soundness/test_hostile_statements.py"),
    "statement.commitment": ("statement/test_statement.py",),
    "statement.filters": ("statement/test_claims.py", "statement/test_legality.py"),
    "statement.formulas": ("statement/test_formulas.py", "statement/test_tables.py"),
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
    # Not those that look up lines of its source, which is written otherwise in a mutant.
    "statement.ranges": ("statement/test_ranges.py",),
    "statement.relations": ("soundness/test_challenges.py",),
    "statement.soundness": ("statement/test_soundness.py",),
    "statement.statement": ("statement/test_statement.py", "soundness/test_hostile_statements.py"),
    "statement.tables": ("statement/test_tables.py", "statement/test_ranges.py"),
    "transcript.channel": ("transcript/test_channel.py",),
    "transcript.hidden": ("transcript/test_hidden.py",),
    "transcript.sponge": ("transcript/test_sponge.py", "vectors/test_frozen.py"),
}
PRELOADED = ("numpy", "hypothesis", "pytest", "jax", "jax.numpy", "flax", "optax")
SECONDS = 300
FIRST = 12  # of the corpus: the frozen proofs and one of each of the commonest rejections
SURVIVED, KILLED = 0, 1


class Changed(importlib.abc.MetaPathFinder, SourceFileLoader):
    """Finds one module, with other source."""

    def __init__(self, name: str, source: str):
        super().__init__(name, str(path_of(name)))
        self.source = source

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return importlib.util.spec_from_file_location(name, self.path, loader=self) if name == self.name else None

    def get_code(self, fullname: str) -> object:  # type: ignore[override]
        return compile(self.source, self.path, "exec")


def path_of(module: str) -> Path:
    return ROOT / (module.replace(".", "/") + ".py")


def tried(module: str, source: str, samples: list[corpus.Sample]) -> str:
    """Who kills a module of this source, or "". In this process, which is spoilt by it."""
    sys.meta_path.insert(0, Changed(f"zkjax.{module}", source))
    return _by_samples(samples[:FIRST]) or _by_tests(module) or _by_samples(samples[FIRST:])


def _by_samples(samples: list[corpus.Sample]) -> str:
    try:
        for sample in samples:
            said = corpus.judged(sample.statement, sample.proof)
            if said != sample.said:
                return f"{sample.name}: {said}, not {sample.said}"
    except Exception as error:  # noqa: BLE001  such as an import that fails
        return f"{type(error).__name__}: {error}"
    return ""


def _by_tests(module: str) -> str:
    import pytest

    class Failures:
        first = ""

        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            if report.failed and not self.first:
                self.first = report.nodeid.rpartition("/")[2]

    failures = Failures()
    arguments = ["-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", "-W", "default"]
    status = pytest.main([*arguments, *(f"tests/{path}" for path in TESTS[module])], plugins=[failures])
    return failures.first or (f"pytest ends with {status}" if status else "")


@dataclass
class Child:
    module: str
    mutant: Mutant
    pipe: int
    began: float


def start(module: str, mutant: Mutant, samples: list[corpus.Sample]) -> tuple[int, Child]:
    reading, writing = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, Child(module, mutant, reading, time.monotonic())
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.setsid()
    signal.alarm(SECONDS)
    os.write(writing, tried(module, mutant.source, samples)[:1000].encode())
    os._exit(0)


def finish(pid: int, status: int, child: Child) -> str:
    with os.fdopen(child.pipe, "rb") as pipe:
        killer = pipe.read().decode()
    return killer or (f"ends with status {status}" if status else "")


def run(work: list[tuple[str, Mutant]], jobs: int, samples: list[corpus.Sample]) -> dict[tuple[str, str], str]:
    """Who kills each mutant, "" where nobody does."""
    killers: dict[tuple[str, str], str] = {}
    running: dict[int, Child] = {}
    pending = list(work)
    while pending or running:
        while pending and len(running) < jobs:
            pid, child = start(*pending.pop(0), samples)
            running[pid] = child
        pid, status = os.wait()
        child = running.pop(pid)
        killer = finish(pid, status, child)
        killers[child.module, child.mutant.name] = killer
        seconds = time.monotonic() - child.began
        print(f"{child.module}:{child.mutant.line} {child.mutant.name}", flush=True)
        print(f"    {seconds:.0f} s, {'killed by ' + killer if killer else 'SURVIVED'}", flush=True)
    return killers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", help="such as verifier.merkle; by default all")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--every", type=int, default=1, help="try one mutant in so many")
    parser.add_argument("--samples", type=int, default=60, help="how much of the corpus to try a mutant on")
    parser.add_argument("--no-baseline", action="store_true", help="do not try the unchanged modules first")
    parser.add_argument("--only", default="", help="try mutants whose name contains this")
    options = parser.parse_args()
    samples = corpus.load()[: options.samples]
    modules = options.modules or list(TESTS)
    work: list[tuple[str, Mutant]] = []
    for module in modules:
        source = path_of(f"zkjax.{module}").read_text()
        found = [mutant for mutant in mutants(source) if options.only in mutant.name]
        work += [(module, mutant) for mutant in found[:: options.every]]
    for name in PRELOADED:
        importlib.import_module(name)
    unchanged = [
        (module, Mutant("unchanged", 0, ast.parse(path_of(f"zkjax.{module}").read_text()))) for module in modules
    ]
    baseline = [] if options.no_baseline else unchanged
    broken = {key: killer for key, killer in run(baseline, options.jobs, samples).items() if killer}
    if broken:
        raise SystemExit(f"without any mutation: {broken}")
    killers = run(work, options.jobs, samples)
    survivors = {key for key, killer in killers.items() if not killer}
    for module in modules:
        own = [killer for (where, _), killer in killers.items() if where == module]
        print(f"{module}: {sum(map(bool, own))} of {len(own)} killed")
    print(f"all: {len(killers) - len(survivors)} of {len(killers)} killed")
    for key in sorted(survivors):
        print(f"survived: {key[0]} {key[1]}: {KNOWN.get(key, 'UNKNOWN')}")
    revived = {key for key in KNOWN if killers.get(key)}
    for key in sorted(revived):
        print(f"killed, though known to survive: {key[0]} {key[1]}")
    if survivors - KNOWN.keys() or revived:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
