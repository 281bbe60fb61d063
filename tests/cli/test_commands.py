"""The commands as a shell sees them: exit status, messages, and JAX nowhere but in `prove`."""

from __future__ import annotations

import json

import pytest

from zkjax.files import Kind, write
from zkjax.files.artefact import HEADER, VERSION
from zkjax.statement.statement import parameter_hash


@pytest.fixture
def zkjax(run_python):
    def run(*arguments, module="zkjax.cli"):
        return run_python("-m", module, *map(str, arguments))

    return run


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["prove"],
        ["prove", "a.py"],
        ["prove", "a.py", "--out", "run", "--steps", "0"],
        ["prove", "a.py", "--out", "run", "--steps", "many"],
        ["prove", "a.py", "--out", "run", "--unknown"],
        ["verify"],
        ["verify", "a", "b"],
        ["improve"],
    ],
)
def test_wrong_use(zkjax, tmp_path, arguments):
    result = zkjax(*arguments)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_missing_experiment_writes_nothing(zkjax, tmp_path):
    result = zkjax("prove", "none.py", "--out", "run", "--json")
    assert result.returncode == 2
    assert "none.py: there is no such file" in result.stderr
    assert json.loads(result.stdout.splitlines()[-1])["error"] == "BadExperiment"
    assert list(tmp_path.iterdir()) == []


def test_version(zkjax):
    assert zkjax("--version").stdout == "zkjax 0.1.0\n"


def test_verify_a_folder_that_is_not_there(zkjax):
    result = zkjax("verify", "nowhere")
    assert (result.returncode, result.stdout) == (2, "")
    assert "nowhere: there is no such folder" in result.stderr


def test_a_file_is_no_folder_and_a_folder_no_file(zkjax, tmp_path):
    (tmp_path / "proof.zkjax").write_bytes(b"")
    result = zkjax("verify", "proof.zkjax")
    assert result.returncode == 2
    assert "is a file, expected the folder of a run" in result.stderr
    result = zkjax("inspect", ".")
    assert result.returncode == 1
    assert "is a folder, not a plain file" in result.stderr


def test_verify_a_foreign_file(zkjax, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "statement.zkjax").write_bytes(b"PK\x03\x04" + bytes(100))
    result = zkjax("verify", "run")
    assert result.returncode == 1
    assert "not a file of zkjax" in result.stderr


@pytest.mark.parametrize("kind", [Kind.STATEMENT, Kind.PROOF])
def test_a_public_file_that_announces_more_than_its_kind_may_have_is_not_read(zkjax, tmp_path, kind):
    """Its checksum may be right: whoever made it wants the reader's memory."""
    path = tmp_path / "run" / f"{kind.title}.zkjax"
    path.parent.mkdir()
    write(path.with_name("statement.zkjax"), Kind.STATEMENT, parameter_hash(), b"no statement")
    size = 1 << 27
    with path.open("wb") as file:
        file.write(HEADER.pack(kind.magic, VERSION, parameter_hash(), size))
        file.truncate(HEADER.size + size + 32)
    for command in (("verify", "run"), ("inspect", path.relative_to(tmp_path))):
        result = zkjax(*command)
        assert result.returncode == 1
        assert "announces 134,217,728 bytes" in result.stderr


@pytest.mark.parametrize("command", [["verify", "run"], ["inspect", "run/proof.zkjax"]])
def test_without_jax(zkjax, tmp_path, command):
    (tmp_path / "run").mkdir()
    write(tmp_path / "run" / "statement.zkjax", Kind.STATEMENT, bytes(32), b"no statement")
    write(tmp_path / "run" / "proof.zkjax", Kind.PROOF, bytes(32), b"no proof")
    result = zkjax(*command, module="zkjax.cli.without_jax")
    assert "cannot be imported: jax, jaxlib" in result.stderr
    assert "internal error" not in result.stderr
    assert result.returncode == (1 if command[0] == "verify" else 0)


def test_proving_is_impossible_without_jax(zkjax, root):
    result = zkjax("prove", root / "examples" / "digits_mlp.py", "--out", "run", module="zkjax.cli.without_jax")
    assert result.returncode != 0
    assert "is blocked in this process" in result.stderr
