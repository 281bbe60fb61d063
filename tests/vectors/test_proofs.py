"""Frozen proofs: what a release proved, its verifier accepts for ever, and no other one pretends to.

A change of the format makes them again: make frozen
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from zkjax.cli.verify import verify as verify_folder
from zkjax.errors import VerificationError
from zkjax.files import Kind, OtherParameters, RunFolder, UnknownVersion, artefact, read
from zkjax.statement import parameters, statement
from zkjax.statement.proof import MAX_PROOF_BYTES, Proof, ProofFormatError
from zkjax.statement.statement import MAX_STATEMENT_BYTES, Statement, StatementError, parameter_hash
from zkjax.verifier import verify

FOLDERS = sorted((Path(__file__).parent / "proofs").iterdir())


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def folder(request) -> Path:
    return request.param


def contents(folder: Path) -> tuple[bytes, bytes]:
    run = RunFolder(folder)
    return (
        run.read_statement(max_payload=MAX_STATEMENT_BYTES).payload,
        run.read_proof(max_payload=MAX_PROOF_BYTES).payload,
    )


def test_there_are_some():
    assert len(FOLDERS) >= 2


def test_a_frozen_proof_is_accepted(folder):
    made = read(RunFolder(folder).statement, kind=Kind.STATEMENT, max_payload=MAX_STATEMENT_BYTES).parameters
    assert made == parameter_hash(), "the format has changed: make frozen"
    assert verify_folder(folder, quiet=True)["accepted"]


def test_every_byte_is_counted_in_the_section_that_it_belongs_to(folder):
    sections = verify_folder(folder, quiet=True)["proof_parts"]
    assert list(sections) == ["advice", "lookups", "claims", "products", "opening", "columns"]
    assert sum(sections.values()) == len(Proof.from_bytes(contents(folder)[1]).data)
    assert sections["advice"] == 32 + 8
    assert all(sections.values())


def test_its_bytes_are_the_only_ones(folder):
    written, proof = contents(folder)
    assert Statement.from_bytes(written).to_bytes() == written
    assert Proof.from_bytes(proof).to_bytes() == proof


def test_another_proof_is_not_accepted(folder):
    other = FOLDERS[FOLDERS.index(folder) - 1]
    with pytest.raises(VerificationError):
        verify(Statement.from_bytes(contents(folder)[0]), Proof.from_bytes(contents(other)[1]))


def test_the_chained_blocks_share_a_data_set_and_a_state():
    first, second = (
        Statement.from_bytes(contents(FOLDERS[0].parent / f"chained-{name}")[0]) for name in ("first", "second")
    )
    assert first.object_digest("data") == second.object_digest("data")
    assert first.object_digest("after") == second.object_digest("before") != second.object_digest("after")


# Another version and another parameter set have names


def test_files_of_another_version_are_refused_by_name(folder):
    with patch.object(artefact, "VERSION", artefact.VERSION + 1), pytest.raises(UnknownVersion, match="format version"):
        verify_folder(folder, quiet=True)


@pytest.mark.parametrize(
    "name",
    ["FORMAT_VERSION", "QUERY_TARGET_BITS", "LOG_BLOWUP", "LOOKUP_GRINDING_BITS", "OPENING_GRINDING_BITS"],
)
def test_files_of_other_parameters_are_refused_by_name(folder, name):
    with patch.object(statement, name, getattr(parameters, name) + 1):
        with pytest.raises(OtherParameters, match="made under parameters"):
            verify_folder(folder, quiet=True)
        # Those who read the contents without their envelope are told as well.
        written, proof = contents(folder)
        with pytest.raises(StatementError, match="another format version or parameter set"):
            Statement.from_bytes(written)
        with pytest.raises(ProofFormatError, match="another format version or parameter set"):
            Proof.from_bytes(proof)


def test_a_proof_says_under_which_parameters_it_was_made(folder):
    """With the stamps of another parameter set, the transcript still starts from the verifier's own."""
    written, proof = contents(folder)
    decoded, data = Statement.from_bytes(written), Proof.from_bytes(proof)
    with patch.object(statement, "FORMAT_VERSION", parameters.FORMAT_VERSION + 1), pytest.raises(VerificationError):
        verify(replace(decoded), data)
