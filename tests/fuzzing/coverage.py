"""Fuzzing that follows the coverage of the code, with atheris: `python -m tests.fuzzing.coverage TARGET [options]`.

What reaches new code joins the corpus in `build/fuzzing`; it begins from the committed one and from the target's own
inputs. Half of the mutations keep the structure of the input, as those of `run.py` do. Options are libFuzzer's.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["zkjax.statement", "zkjax.transcript", "zkjax.verifier", "zkjax.files"]):
    from tests.fuzzing.run import CORPUS, FINDINGS, mutator
    from tests.fuzzing.targets import targets

GROWING = Path(__file__).parents[2] / "build" / "fuzzing"
LIMITS = ["-timeout=10", "-rss_limit_mb=1024", "-max_len=65536"]


def main() -> None:
    name, *options = sys.argv[1:]
    target, seeds = targets()[name]
    folder = GROWING / name
    folder.mkdir(parents=True, exist_ok=True)
    FINDINGS.mkdir(exist_ok=True)
    for number, seed in enumerate(seeds):
        (folder / f"seed-{number}").write_bytes(seed)
    change = mutator(name)

    def mutated(data: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if rng.random() < 0.5:
            return atheris.Mutate(data, most)
        return change(rng, data or seeds[0], list(seeds))[:most]

    known = [str(CORPUS / name)] if (CORPUS / name).is_dir() else []
    arguments = [sys.argv[0], *LIMITS, f"-artifact_prefix={FINDINGS}/{name}-", *options, str(folder), *known]
    atheris.Setup(arguments, target, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
