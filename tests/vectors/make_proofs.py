"""Write proofs/: small runs as files, of the current format. To be run when the format changes.

make frozen

All of them, or those named (`python -m tests.vectors.make_proofs softmax`).
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

from tests.adaptive import adaptive_block, adaptive_inputs
from tests.masked import masked_block, masked_inputs
from tests.normalised import normalised_block, normalised_inputs
from tests.softmax import softmax_block, softmax_inputs
from tests.soundness.block import SHAPE, Case, Tensors, commit, inputs, named, small_block
from tests.soundness.lies import case_of
from zkjax.files.artefact import Kind, encode
from zkjax.prover.prove import Commitments, prove_block
from zkjax.statement.statement import parameter_hash
from zkjax.verifier import verify

FOLDER = Path(__file__).with_name("proofs")


ONE_LAYER = replace(SHAPE, widths=(3, 2), batch=2, steps=1, rows=3)


def cases() -> dict[str, Case]:
    """Networks of one layer and of two; outputs of a softmax; public tensors; normalisation; an adaptive optimiser."""
    hand_built = {
        "softmax": (softmax_block, softmax_inputs),
        "masked": (masked_block, masked_inputs),
        "normalised": (normalised_block, normalised_inputs),
        "adaptive": (adaptive_block, adaptive_inputs),
    }
    made = {"one-layer": Case.make(shape=ONE_LAYER, openings=1), "two-layers": Case.make(openings=1)}
    for name, (block, given) in hand_built.items():
        lowered = block()
        made[name] = case_of(lowered, *given(lowered, seed=4), openings=1)
    return made


def chain() -> tuple[Case, Case]:
    """Two blocks on one data set, of which the second begins with the weights that the first ends with."""
    lowered = small_block(ONE_LAYER)
    given, schedule = inputs(lowered.circuit, ONE_LAYER, seed=0)
    first = case_of(lowered, given, schedule)
    names = named(lowered.circuit)
    end: Tensors = {
        node: first.values[names[name.replace("before", "after")]] if name.startswith("before") else given[node]
        for name, node in names.items()
        if node in given
    }
    return first, case_of(lowered, end, schedule[:, ::-1].copy())


def write(name: str, case: Case, commitments: Commitments) -> None:
    statement, proof = prove_block(case.lowered, case.witness, commitments, case.plan)
    verify(statement, proof)
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "statement.zkjax").write_bytes(encode(Kind.STATEMENT, parameter_hash(), statement.to_bytes()))
    (folder / "proof.zkjax").write_bytes(encode(Kind.PROOF, parameter_hash(), proof.to_bytes()))
    print(f"{name}: {statement!r}, {proof!r}")


def main(only: list[str]) -> None:
    if not only:
        shutil.rmtree(FOLDER, ignore_errors=True)
    for name, case in cases().items():
        if not only or name in only:
            write(name, case, case.commitments)
    if not only or "chained" in only:
        first, second = chain()
        begin, end = first.commitments, commit(second.plan, second.committed).after
        write("chained-first", first, begin)
        write("chained-second", second, Commitments(begin.data, begin.after, end))


if __name__ == "__main__":
    main(sys.argv[1:])
