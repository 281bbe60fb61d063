"""The committed corpus and what was found with it: each input is answered as it should be."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.fuzzing.run import CORPUS, FINDINGS, VALUES, changed_json, fuzz, mutator
from tests.fuzzing.targets import targets

MAKEFILE = Path(__file__).parents[2] / "Makefile"


@pytest.mark.parametrize("name", targets())
def test_the_seeds_the_corpus_and_the_findings_are_answered(name):
    target, seeds = targets()[name]
    saved = [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]
    saved += [path.read_bytes() for path in sorted(FINDINGS.glob(f"{name}-*"))]
    for data in (*seeds, *saved, b""):
        target(data)


@pytest.mark.parametrize("name", targets())
def test_some_inputs_of_each_target(name):
    count, _, slowest = fuzz(name, 40, 60, seed=7)
    assert count == 40
    assert slowest < 10


@pytest.mark.parametrize("name", targets())
def test_mutations_change_the_input(name):
    _, seeds = targets()[name]
    changed = {mutator(name)(random.Random(seed), seeds[0], list(seeds)) for seed in range(40)}
    assert len(changed - {*seeds}) > 20


def test_changed_documents_share_no_values():
    """A value put in twice would change in both places, or come to hold itself."""
    given = str(VALUES)
    changed = b'{"a":[[1,[]],{"b":[2]}],"c":[[],{}]}'
    for seed in range(3000):
        document = changed_json(random.Random(seed), changed)
        changed = document if 4 < len(document) < 300 else changed
    assert str(VALUES) == given


def test_a_finding_ends_the_run(tmp_path, monkeypatch):
    from tests.fuzzing import run

    def fails(data: bytes) -> None:
        raise KeyError(data)

    monkeypatch.setattr(run, "targets", lambda: {"elements": (fails, (bytes(48),))})
    monkeypatch.setattr(run, "FINDINGS", tmp_path)
    with pytest.raises(SystemExit, match="KeyError"):
        run.fuzz("elements", 10, 10, seed=0)
    assert len(list(tmp_path.iterdir())) == 1


def test_the_makefile_names_every_target():
    line = next(line for line in MAKEFILE.read_text().splitlines() if line.startswith("FUZZ_TARGETS"))
    assert line.split(":= ")[1].split() == list(targets())
