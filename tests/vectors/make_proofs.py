"""Write proofs/: small runs as files, of the current format. To be run when the format changes.

make frozen
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from tests.soundness.block import SHAPE, Case
from tests.soundness.test_wrong_functions import softmax_case
from tests.soundness.test_wrong_public import masked_case
from zkjax.files.artefact import Kind, encode
from zkjax.prover.prove import prove_block
from zkjax.statement.statement import parameter_hash
from zkjax.verifier import verify

FOLDER = Path(__file__).with_name("proofs")


def cases() -> dict[str, Case]:
    """A network of one layer, one of two, one that ends in a softmax, and one with public tensors."""
    one = replace(SHAPE, widths=(3, 2), batch=2, steps=1, rows=3)
    return {
        "one-layer": Case.make(shape=one, openings=1),
        "two-layers": Case.make(openings=1),
        "softmax": softmax_case(openings=1),
        "masked": masked_case(openings=1),
    }


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    for name, case in cases().items():
        statement, proof = prove_block(case.lowered, case.witness, case.commitments, case.plan)
        verify(statement, proof)
        folder = FOLDER / name
        folder.mkdir(parents=True)
        (folder / "statement.zkjax").write_bytes(encode(Kind.STATEMENT, parameter_hash(), statement.to_bytes()))
        (folder / "proof.zkjax").write_bytes(encode(Kind.PROOF, parameter_hash(), proof.to_bytes()))
        print(f"{name}: {statement!r}, {proof!r}")


if __name__ == "__main__":
    main()
