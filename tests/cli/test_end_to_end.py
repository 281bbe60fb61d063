"""Two chained blocks proved by the command line, verified without JAX, and everything that goes wrong."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from zkjax.cli.remarks import condensed
from zkjax.files import Kind, RunFolder, encode, write
from zkjax.statement.statement import parameter_hash

pytestmark = pytest.mark.xdist_group("command line")

EXPERIMENT = Path(__file__).with_name("small_experiment.py")
FIGURES = {
    "prove": {
        "prove_seconds",
        "compile_seconds",
        "witness_seconds",
        "peak_rss_bytes",
        "proof_bytes",
        "soundness_bits",
        "accuracy_integer",
        "accuracy_float",
    },
    "verify": {"verify_seconds", "proof_bytes", "soundness_bits", "steps"},
}


class CommandLine:
    """Runs commands in one folder, with one cache of compiled programs."""

    def __init__(self, folder: Path, root: Path):
        self.folder = folder
        strict = ("JAX_NUMPY_DTYPE_PROMOTION", "JAX_NUMPY_RANK_PROMOTION")
        users = {name: value for name, value in os.environ.items() if name not in strict}
        self.environment = {**users, "PYTHONPATH": str(root), "XDG_CACHE_HOME": str(folder / "cache")}

    def __call__(self, *arguments, module="zkjax.cli", prefix=()):
        return subprocess.run(
            [*prefix, sys.executable, "-m", module, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )

    def json(self, *arguments, **options):
        result = self(*arguments, "--json", **options)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def zkjax(tmp_path_factory, root):
    return CommandLine(tmp_path_factory.mktemp("command-line"), root)


def test_a_report_costs_no_proof(zkjax, first):
    """Errors, room and costs of the block that `prove` proves; as a table, and for machines."""
    found = zkjax.json("report", EXPERIMENT, "--steps", "2")
    assert found["cost"]["lookups"] == first["lookups"]
    assert found["cost"]["committed_elements"] == first["committed_elements"]
    assert abs(found["cost"]["proof_bytes"] / first["proof_bytes"] - 1) < 0.05
    assert all(leaf["error"] < 0.05 for leaf in found["state"])
    printed = zkjax("report", EXPERIMENT, "--steps", "2", "--headroom", "2")
    assert printed.returncode == 0
    assert "State after the block, beside float32" in printed.stdout
    assert "params/Dense_1/kernel" in printed.stdout


@pytest.fixture(scope="module")
def first(zkjax):
    return zkjax.json("prove", EXPERIMENT, "--steps", "2", "--out", "first")


@pytest.fixture(scope="module")
def second(zkjax, first):
    return zkjax.json("prove", EXPERIMENT, "--steps", "2", "--out", "second", "--resume-from", "first")


@pytest.fixture
def published(zkjax, first, tmp_path):
    """A copy of the public part of the first run."""
    for name in ("statement.zkjax", "proof.zkjax"):
        shutil.copy(zkjax.folder / "first" / name, tmp_path)
    return tmp_path


def test_the_figures_of_a_proof(first, second):
    for result in (first, second):
        assert FIGURES["prove"] <= result.keys()
        assert result["soundness_bits"] >= 100
        assert result["accuracy_integer"] == pytest.approx(result["accuracy_float"], abs=0.01)
    assert (first["steps_in_chain"], second["steps_in_chain"]) == (2, 4)


def test_the_public_part_verifies_without_jax(zkjax, published):
    result = zkjax.json("verify", published, module="zkjax.cli.without_jax")
    assert FIGURES["verify"] <= result.keys()
    assert result["steps"] == 2
    assert result["proof_bytes"] == (published / "proof.zkjax").stat().st_size


def test_the_second_block_starts_where_the_first_one_ended(zkjax, first, second):
    proved = zkjax.json("verify", "second")
    assert proved["data"] == first["data"]
    assert proved["weights_before"] == first["weights_after"] != second["weights_after"]
    ledgers = [RunFolder(zkjax.folder / name).ledger for name in ("first", "second")]
    assert [ledger.used(bytes.fromhex(first["data"])) for ledger in ledgers] == [2, 2]
    assert [ledger.used(bytes.fromhex(first["weights_after"])) for ledger in ledgers] == [2, 2]


def test_the_two_parts_of_a_run_folder(zkjax, first):
    folder = RunFolder(zkjax.folder / "first")
    assert sorted(os.listdir(folder.path)) == ["proof.zkjax", "secret", "statement.zkjax"]
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in folder.secret.iterdir())
    key = folder.read_secret("after", Kind.COMMITMENT_OPENING, max_payload=1 << 30).payload
    for public in (folder.statement, folder.proof):
        assert key[-64:] not in public.read_bytes()


def test_inspect(zkjax, first):
    statement = zkjax.json("inspect", "first/statement.zkjax")
    assert (statement["kind"], statement["secret"], statement["steps"]) == ("statement", False, 2)
    assert statement["circuit_digest"] == first["circuit_digest"]
    assert statement["commitment_after"] == first["weights_after"]
    assert statement["soundness_bits"] == round(first["soundness_bits"], 2)
    assert list(statement["committed_data"]) == ["x", "y"]
    assert statement["committed_before"] == statement["committed_after"]
    assert zkjax.json("inspect", "first") == statement
    shown = zkjax("inspect", "first").stdout
    leaves = re.findall(r"(params\S+) \[", shown)
    assert leaves == 2 * list(statement["committed_before"]) != [*leaves[:4], *statement["committed_after"]]
    assert all(f"\n{word}: " in shown for word in ("Public", "Hidden", "Not proved"))
    assert zkjax.json("inspect", "first/proof.zkjax")["bytes"] == first["proof_bytes"]
    assert zkjax.json("inspect", "first/secret/after.zkjax")["secret"] is True


def test_the_published_loss(zkjax, first, second):
    """It is the run's, near float32's, in every command that shows a statement; what was not asked for is nowhere."""
    for name, proved in (("first", first), ("second", second)):
        assert proved["outputs"].keys() == {"loss"}
        assert proved["outputs"]["loss"] == pytest.approx(proved["outputs_float"]["loss"], rel=0.05)
        for command in ("verify", "inspect"):
            assert zkjax.json(command, name)["outputs"] == proved["outputs"]
            shown = zkjax(command, name, module="zkjax.cli.without_jax").stdout
            assert "loss, published" in shown
            assert f"{proved['outputs']['loss'][1]:.6g}" in shown
    assert zkjax.json("audit", EXPERIMENT, "first")["outputs"] == ["loss"]
    (zkjax.folder / "silent.py").write_text(EXPERIMENT.read_text().replace('{"loss": loss, ', "{"))
    result = zkjax("audit", "silent.py", "first")
    assert result.returncode == 1
    assert "publishes what the step does not return" in result.stderr


def test_the_statement_in_full(zkjax, first):
    shown = zkjax("inspect", "first/statement.zkjax", "--circuit", module="zkjax.cli.without_jax").stdout
    assert shown.count("committed advice") > 3
    assert shown.count("rows of step") == 2
    assert first["remarks"][0] in shown[shown.index("Remarks of the prover, which are not checked:") :]
    result = zkjax("inspect", "first/proof.zkjax", "--circuit")
    assert result.returncode == 2
    assert "only a statement has a circuit" in result.stderr


def test_the_openings_that_are_left(zkjax, first, second):
    openings = zkjax.json("inspect", "second/secret/openings.ledger")["openings"]
    assert openings[first["data"]] == {"used": 2, "budget": 8}
    assert openings[second["weights_after"]] == {"used": 1, "budget": 8}
    assert f"{first['data']}: 2 of 8" in zkjax("inspect", "second/secret/openings.ledger").stdout


def test_people_see_what_was_proved_and_of_what(zkjax, first):
    shown = zkjax("verify", "first").stdout
    for digest in ("circuit_digest", "data", "weights_before", "weights_after"):
        assert f" {first[digest]} " in shown
    assert "which are not checked:\n  " + "\n  ".join(condensed(first["remarks"])) in shown


def test_audit(zkjax, second):
    """The step compiled again, in the formats of the second block of a chain."""
    source = EXPERIMENT.read_text()
    assert zkjax.json("audit", EXPERIMENT, "second")["first_batch"] == 2
    (zkjax.folder / "other.py").write_text(source.replace("nn.relu(", "nn.leaky_relu("))
    result = zkjax("audit", "other.py", "second")
    assert result.returncode == 1
    assert "rejected: the training step " in result.stderr
    assert re.search(r"\n    (in what is made )?at other.py:\d+", result.stderr)


@pytest.mark.parametrize("place", [60, 2000, -5000, -1])
def test_a_changed_proof_is_rejected(zkjax, published, place):
    payload = bytearray(RunFolder(published).read_proof(max_payload=1 << 30).payload)
    payload[place] ^= 1
    write(published / "proof.zkjax", Kind.PROOF, parameter_hash(), bytes(payload))
    result = zkjax("verify", published)
    assert (result.returncode, result.stdout) == (1, "")
    assert "zkjax verify: rejected: " in result.stderr
    assert "Traceback" not in result.stderr


def test_a_damaged_or_truncated_or_missing_file(zkjax, published):
    whole = (published / "proof.zkjax").read_bytes()
    for content, message in [(whole[:-1000], "has "), (whole[:-1] + b"?", "checksum"), (whole + b"?", "after its end")]:
        (published / "proof.zkjax").write_bytes(content)
        result = zkjax("verify", published)
        assert result.returncode == 1
        assert message in result.stderr
    (published / "proof.zkjax").unlink()
    assert zkjax("verify", published).returncode == 2


def test_a_proof_of_another_statement_is_rejected(zkjax, published, second):
    shutil.copy(zkjax.folder / "second" / "statement.zkjax", published)
    result = zkjax("verify", published)
    assert result.returncode == 1
    assert "rejected: " in result.stderr
    assert "rejected: the proof is of another statement, or was changed" in result.stderr


def test_a_statement_that_is_no_statement(zkjax, published):
    (published / "statement.zkjax").write_bytes(encode(Kind.STATEMENT, parameter_hash(), b"nothing"))
    result = zkjax("verify", published)
    assert result.returncode == 1
    assert "not a statement" in result.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("    model = Network()", "    x[3, 2] = np.nan\n    model = Network()"), "dataset['x'][3, 2] is nan"),
        (("nn.relu(", "jax.numpy.cbrt("), "line 13"),
        (("(20, 4)) / 16", "(3, 4)) / 16"), "has 3, dataset['y'] has 20"),
        (('batch["x"])', 'batch["x"][:, :2])'), "the training step fails on this state and batch"),
    ],
)
def test_what_cannot_be_proved_leaves_nothing(zkjax, tmp_path, change, message):
    source = EXPERIMENT.read_text()
    assert change[0] in source
    (tmp_path / "bad.py").write_text(source.replace(*change))
    result = zkjax("prove", tmp_path / "bad.py", "--steps", "2", "--out", tmp_path / "run")
    assert result.returncode == 2
    assert message.replace("line 13", "bad.py:13") in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_block_that_does_not_fit_the_chain(zkjax, first, published):
    result = zkjax("prove", EXPERIMENT, "--steps", "2", "--out", "next", "--resume-from", published)
    assert result.returncode == 2
    assert "state.zkjax: there is no such file" in result.stderr
    result = zkjax("prove", EXPERIMENT, "--steps", "7", "--out", "next", "--resume-from", "first")
    assert result.returncode == 2
    assert "too few for --steps 7 after 2 steps" in result.stderr
    result = zkjax("prove", EXPERIMENT, "--steps", "2", "--out", "first", "--resume-from", "first")
    assert result.returncode == 2
    assert "are both first" in result.stderr
    (zkjax.folder / "other.py").write_text(EXPERIMENT.read_text().replace("nn.Dense(8)", "nn.Dense(9)"))
    result = zkjax("prove", "other.py", "--steps", "2", "--out", "next", "--resume-from", "first")
    assert result.returncode == 2
    assert re.search(r"wrong use: first: its state.* is float32.*, the experiment's is float32", result.stderr)
    assert not (zkjax.folder / "next").exists()


def test_a_chain_whose_commitments_are_used_up(zkjax, first, tmp_path):
    shutil.copytree(zkjax.folder / "first", tmp_path / "first")
    ledger = RunFolder(tmp_path / "first").ledger
    while ledger.used(bytes.fromhex(first["data"])) < 8:
        ledger.reserve(bytes.fromhex(first["data"]), 8)
    arguments = ("--steps", "2", "--out", tmp_path / "next", "--resume-from", tmp_path / "first")
    result = zkjax("prove", EXPERIMENT, *arguments)
    assert result.returncode == 2
    assert "the commitment to the data set has served 8 proofs" in result.stderr
    assert "--openings" in result.stderr
    assert not (tmp_path / "next").exists()


def test_nobody_reads_on(zkjax, first):
    closed = ("bash", "-c", '"$@" | true; exit $PIPESTATUS', "bash")
    result = zkjax("inspect", "first/statement.zkjax", "--circuit", prefix=closed)
    assert (result.returncode, result.stderr) == (141, "")


def test_a_full_disk_keeps_the_run_that_was_there(zkjax, first, second):
    before = zkjax.json("verify", "second")
    small = ("bash", "-c", 'ulimit -f 100; exec "$@"', "bash")
    arguments = ("prove", EXPERIMENT, "--steps", "2", "--out", "second", "--resume-from", "first")
    result = zkjax(*arguments, prefix=small)
    assert result.returncode == 1
    assert "proof.zkjax: cannot write" in result.stderr
    after = zkjax.json("verify", "second")
    assert after["weights_after"] == before["weights_after"]
    assert not list((zkjax.folder / "second").rglob("*.part"))
