"""Statements and proofs with what the verifier says of them: what a mutant is tried on first.

Every call of `verify` that some tests of forged proofs make is recorded, then judged by the
unchanged verifier in a process of its own. `python -m tests.mutation.corpus` writes the file.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "build" / "mutation" / "corpus.pickle"
SOURCES = ("errors", "mutants", "wrong_messages", "wrong_commitments", "wrong_statement", "meaning")
FROZEN = ROOT / "tests" / "vectors" / "proofs"


class Sample(NamedTuple):
    """`said` is "accepted" or the class of the rejection."""

    name: str
    statement: bytes
    proof: bytes
    said: str


def judged(statement: bytes, proof: bytes) -> str:
    """What the verifier of this process says, from bytes on."""
    from zkjax.errors import VerificationError
    from zkjax.statement.proof import Proof
    from zkjax.statement.statement import Statement
    from zkjax.verifier import verify

    try:
        verify(Statement.from_bytes(statement), Proof.from_bytes(proof))
    except VerificationError as error:
        return type(error).__name__
    except Exception as error:  # noqa: BLE001  what a mutant does is not known
        return f"crashed with {type(error).__name__}"
    return "accepted"


class Recorder:
    """A plugin of pytest that notes all that is verified, and in which test."""

    def __init__(self) -> None:
        self.calls: dict[tuple[bytes, bytes], str] = {}
        self.test = ""

    def pytest_runtest_setup(self, item: object) -> None:
        self.test = item.name  # type: ignore[attr-defined]

    def pytest_collection_finish(self, session: object) -> None:
        import zkjax.verifier

        original = zkjax.verifier.verify

        def recording(statement, proof):  # type: ignore[no-untyped-def]
            try:
                self.calls.setdefault((statement.to_bytes(), proof.to_bytes()), self.test)
            except Exception:  # noqa: BLE001  a statement without an encoding is none for bytes
                pass
            return original(statement, proof)

        for name, module in list(sys.modules.items()):
            if name.startswith("tests.") and getattr(module, "verify", None) is original:
                module.verify = recording  # type: ignore[attr-defined]


def record() -> None:
    """Run the tests and leave what they verified, not yet judged."""
    import pytest

    recorder = Recorder()
    paths = [str(ROOT / "tests" / "soundness" / f"test_{name}.py") for name in SOURCES]
    if pytest.main(["-q", "-m", "not slow", "-p", "no:cacheprovider", *paths], plugins=[recorder]):
        raise SystemExit("the tests that the corpus is made from fail")
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.with_suffix(".calls").write_bytes(pickle.dumps(recorder.calls))


def judge() -> None:
    """Judge what was recorded; alternate between the verdicts, so that the first samples differ most."""
    calls = pickle.loads(FILE.with_suffix(".calls").read_bytes())
    by_verdict: dict[str, list[Sample]] = {}
    for (statement, proof), name in calls.items():
        said = judged(statement, proof)
        by_verdict.setdefault(said, []).append(Sample(name, statement, proof, said))
    frozen = []
    for folder in sorted(FROZEN.iterdir()):
        # Behind a header of 52 bytes, before a checksum of 32.
        files = [(folder / f"{name}.zkjax").read_bytes()[52:-32] for name in ("statement", "proof")]
        frozen.append(Sample(folder.name, files[0], files[1], judged(*files)))
    samples = frozen + [s for several in zip_longest(*by_verdict.values()) for s in several if s is not None]
    FILE.write_bytes(pickle.dumps(list(map(tuple, samples))))
    for said, found in sorted(by_verdict.items()):
        print(f"{said}: {len(found)}")


def load() -> list[Sample]:
    """The corpus; it is made where there is none."""
    if not FILE.exists():
        subprocess.run([sys.executable, "-m", "tests.mutation.corpus"], cwd=ROOT, check=True)
    return [Sample(*sample) for sample in pickle.loads(FILE.read_bytes())]


if __name__ == "__main__":
    if sys.argv[1:] == ["judge"]:
        judge()
    else:
        record()
        subprocess.run([sys.executable, "-m", "tests.mutation.corpus", "judge"], cwd=ROOT, check=True)
