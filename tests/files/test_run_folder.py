"""The public part and the secret part of a run stay apart, and a run is replaced whole or not at all."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from zkjax.files import CannotWrite, Kind, MissingFile, RunFolder, atomic

PARAMETERS = bytes(32)
DIGEST = b"d" * 32


def fill(folder, number, previous=None):
    """Write run number `number` into `folder`."""
    text = str(number).encode()
    folder.write_run(
        PARAMETERS,
        statement=b"statement " + text,
        proof=b"proof " + text,
        secrets={"after": (Kind.COMMITMENT_OPENING, b"weights " + text)},
        report=b"{}",
        previous=previous,
    )


def contents(folder):
    """(statement, proof, opening) as they can be read."""
    return (
        folder.read_statement(max_payload=100).payload,
        folder.read_proof(max_payload=100).payload,
        folder.read_secret("after", Kind.COMMITMENT_OPENING, max_payload=100).payload,
    )


def run(number):
    text = str(number).encode()
    return b"statement " + text, b"proof " + text, b"weights " + text


def test_public_and_secret_stay_apart(tmp_path):
    folder = RunFolder(tmp_path / "deep" / "run")
    with folder.writing():
        folder.ledger.reserve(DIGEST, 1)
        fill(folder, 1)
    assert contents(folder) == run(1)
    assert sorted(os.listdir(folder.path)) == ["proof.zkjax", "secret", "statement.zkjax"]
    assert sorted(os.listdir(folder.secret)) == [".gitignore", "after.zkjax", "openings.ledger", "report.json"]
    assert folder.secret.stat().st_mode & 0o777 == 0o700
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in folder.secret.iterdir())


def test_a_public_artefact_is_no_secret(tmp_path):
    with RunFolder(tmp_path).writing() as folder:
        with pytest.raises(ValueError, match="is public"):
            folder.write_run(PARAMETERS, statement=b"", proof=b"", secrets={"a": (Kind.PROOF, b"")}, report=b"")
    assert sorted(os.listdir(tmp_path)) == ["secret"]
    assert os.listdir(folder.secret) == [".gitignore"]


def test_a_run_is_replaced_and_its_ledger_stays(tmp_path):
    with RunFolder(tmp_path).writing() as folder:
        folder.ledger.reserve(DIGEST, 2)
        fill(folder, 1)
        fill(folder, 2)
    assert contents(folder) == run(2)
    assert folder.ledger.used(DIGEST) == 1


def test_a_missing_folder(tmp_path):
    with pytest.raises(MissingFile, match="no such folder"):
        RunFolder(tmp_path / "nowhere").read_proof(max_payload=100)


def test_one_writer_at_a_time(tmp_path):
    with RunFolder(tmp_path).writing():
        with pytest.raises(CannotWrite, match="another process"):
            with RunFolder(tmp_path).writing():
                pass
    with RunFolder(tmp_path).writing():
        pass


def test_a_command_that_fails_leaves_no_folder(tmp_path):
    with pytest.raises(ZeroDivisionError):
        with RunFolder(tmp_path / "run").writing():
            1 / 0  # noqa: B018
    assert os.listdir(tmp_path) == []


def test_a_full_disk_leaves_no_folder(tmp_path, monkeypatch):
    def write_all(descriptor, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic, "write_all", write_all)
    with pytest.raises(CannotWrite, match="No space left"):
        with RunFolder(tmp_path / "run").writing():
            pass
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not shutil.which("git"), reason="there is no git")
def test_secrets_are_not_put_under_version_control(tmp_path):
    """Whoever adds the run to a repository adds what is public; even before there is a run."""

    def added() -> list[str]:
        git = ["git", "-C", str(tmp_path)]
        subprocess.run([*git, "add", "--all"], check=True, capture_output=True)
        staged = subprocess.run([*git, "ls-files"], check=True, capture_output=True, text=True)
        return staged.stdout.split()

    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True, capture_output=True)
    with RunFolder(tmp_path / "run").writing() as folder:
        folder.ledger.reserve(DIGEST, 1)
        assert added() == []
        fill(folder, 1)
    assert added() == ["run/proof.zkjax", "run/statement.zkjax"]
    with folder.writing():
        fill(folder, 2)
    assert folder.ignore.read_text() == "*\n"


def test_a_command_that_fails_keeps_what_was_there(tmp_path):
    with RunFolder(tmp_path / "run").writing() as folder:
        fill(folder, 1)
    with pytest.raises(ZeroDivisionError):
        with folder.writing():
            1 / 0  # noqa: B018
    assert contents(folder) == run(1)


def test_what_a_killed_writer_left_is_removed(tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / ".proof.zkjax.0123456789abcdef.part").write_bytes(b"half")
    (tmp_path / "secret" / ".weights.zkjax.0123456789abcdef.part").write_bytes(b"half")
    with RunFolder(tmp_path).writing():
        pass
    assert os.listdir(tmp_path) == ["secret"]
    assert os.listdir(tmp_path / "secret") == [".gitignore"]


@pytest.mark.parametrize("failing", [1, 2, 3, 4])
def test_a_full_disk_leaves_the_old_run_whole(tmp_path, monkeypatch, failing):
    calls = []

    def write_all(descriptor, content):
        calls.append(content)
        if len(calls) == failing:
            raise OSError(28, "No space left on device")
        real(descriptor, content)

    real = atomic.write_all
    with RunFolder(tmp_path).writing() as folder:
        fill(folder, 1)
        before = sorted(os.listdir(tmp_path)), sorted(os.listdir(folder.secret))
        monkeypatch.setattr(atomic, "write_all", write_all)
        with pytest.raises(CannotWrite, match="No space left"):
            fill(folder, 2)
    assert contents(folder) == run(1)
    assert (sorted(os.listdir(tmp_path)), sorted(os.listdir(folder.secret))) == before


def test_a_crash_between_the_renames_leaves_no_proof(tmp_path, monkeypatch):
    def replace(self, target):
        if target.name == "proof.zkjax":
            raise KeyboardInterrupt
        return real(self, target)

    real = atomic.Path.replace
    with RunFolder(tmp_path).writing() as folder:
        fill(folder, 1)
        monkeypatch.setattr(atomic.Path, "replace", replace)
        with pytest.raises(KeyboardInterrupt):
            fill(folder, 2)
    assert not folder.proof.exists()
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".part")]


def test_a_chain_shares_one_ledger(tmp_path):
    first, second = RunFolder(tmp_path / "first"), RunFolder(tmp_path / "second")
    with first.writing():
        first.ledger.reserve(DIGEST, 8)
        fill(first, 1)
    with second.writing():
        fill(second, 2, previous=first)
        fill(second, 3, previous=first)
    second.ledger.reserve(DIGEST, 8)
    assert first.ledger.used(DIGEST) == second.ledger.used(DIGEST) == 2
    assert sorted(os.listdir(second.secret)) == [".gitignore", "after.zkjax", "openings.ledger", "report.json"]


def test_a_chain_over_two_file_systems_is_refused(tmp_path, monkeypatch):
    def hardlink_to(self, target):
        raise OSError(18, "Invalid cross-device link")

    first, second = RunFolder(tmp_path / "first"), RunFolder(tmp_path / "second")
    with first.writing():
        first.ledger.reserve(DIGEST, 8)
        fill(first, 1)
    with second.writing():
        fill(second, 1)
        monkeypatch.setattr(atomic.Path, "hardlink_to", hardlink_to)
        with pytest.raises(CannotWrite, match="cross-device"):
            fill(second, 2, previous=first)
    assert contents(second) == run(1)


def test_a_path_that_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CannotWrite, match="is a file, expected a folder"):
        with RunFolder(tmp_path / "file").writing():
            pass
    with pytest.raises(MissingFile, match="is a file, expected the folder of a run"):
        RunFolder(tmp_path / "file").read_proof(max_payload=100)
