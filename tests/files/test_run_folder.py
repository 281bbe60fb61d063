"""The public part and the secret part of a run stay apart, and neither is left half-written."""

from __future__ import annotations

import os

import pytest

from zkjax.files import CannotWrite, Kind, MissingFile, RunFolder
from zkjax.files import run_folder as run_folder_module

PARAMETERS = bytes(32)


def test_public_and_secret_stay_apart(tmp_path):
    folder = RunFolder(tmp_path / "deep" / "run")
    with folder.writing():
        folder.write_secret("weights", Kind.COMMITMENT_OPENING, PARAMETERS, b"weights")
        folder.write_public(PARAMETERS, b"statement", b"proof")
        folder.write_report(b"{}")
        folder.ledger.reserve(bytes(32), 1)
    assert sorted(os.listdir(folder.path)) == ["proof.zkjax", "secret", "statement.zkjax"]
    assert folder.secret.stat().st_mode & 0o777 == 0o700
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in folder.secret.iterdir())
    assert folder.read_statement(max_payload=100).payload == b"statement"
    assert folder.read_proof(max_payload=100).payload == b"proof"
    opening = folder.read_secret("weights", Kind.COMMITMENT_OPENING, max_payload=100)
    assert opening.payload == b"weights"
    with pytest.raises(ValueError, match="is public"):
        folder.write_secret("proof", Kind.PROOF, PARAMETERS, b"")


def test_a_missing_folder(tmp_path):
    with pytest.raises(MissingFile, match="no such folder"):
        RunFolder(tmp_path / "nowhere").read_proof(max_payload=100)


def test_one_writer_at_a_time(tmp_path):
    with RunFolder(tmp_path).writing(), pytest.raises(CannotWrite, match="another process"):
        with RunFolder(tmp_path).writing():
            pass
    with RunFolder(tmp_path).writing():
        pass


def test_what_a_killed_writer_left_is_removed(tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / ".proof.zkjax.0123456789abcdef.part").write_bytes(b"half")
    (tmp_path / "secret" / ".weights.zkjax.0123456789abcdef.part").write_bytes(b"half")
    with RunFolder(tmp_path).writing():
        pass
    assert os.listdir(tmp_path) == ["secret"]
    assert os.listdir(tmp_path / "secret") == []


def test_a_failure_between_statement_and_proof_leaves_neither(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path)
    real = run_folder_module.write

    def write(path, kind, *rest):
        if kind is Kind.PROOF:
            raise CannotWrite(path, "No space left on device")
        return real(path, kind, *rest)

    with folder.writing():
        folder.write_public(PARAMETERS, b"old statement", b"old proof")
        monkeypatch.setattr(run_folder_module, "write", write)
        with pytest.raises(CannotWrite):
            folder.write_public(PARAMETERS, b"statement", b"proof")
    assert os.listdir(tmp_path) == ["secret"]
    assert not folder.holds_a_run()


def test_a_path_that_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CannotWrite), RunFolder(tmp_path / "file").writing():
        pass
