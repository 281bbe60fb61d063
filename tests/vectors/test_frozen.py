"""Known answers: the field and the transcript must never change their bytes."""

import json
from pathlib import Path

import jax
import pytest

from zkjax.fields import extension, vectors
from zkjax.fields.mersenne61 import K, root_of_unity
from zkjax.fields.vectors import Ext
from zkjax.transcript import Transcript

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def field():
    return json.loads((HERE / "field.json").read_text())


def elements(pairs) -> list[K]:
    return [K(*pair) for pair in pairs]


def test_products(field):
    left, right, products = (elements(column) for column in zip(*field["products"], strict=True))
    assert [a * b for a, b in zip(left, right, strict=True)] == products
    a, b = Ext.from_list(left), Ext.from_list(right)
    assert vectors.ext_mul(a, b).to_list() == products
    with jax.enable_x64(True):
        assert jax.jit(extension.mul)(a, b).to_list() == products


def test_inverses(field):
    values, inverses = (elements(column) for column in zip(*field["inverses"], strict=True))
    assert [a.inverse() for a in values] == inverses
    with jax.enable_x64(True):
        assert jax.jit(extension.inverse)(Ext.from_list(values)).to_list() == inverses


def test_roots_of_unity(field):
    assert [root_of_unity(k) for k in range(62)] == elements(field["roots"])


def test_transform(field):
    coefficients = Ext.from_list(elements(field["coefficients"]))
    assert vectors.transform(coefficients, 3).to_list() == elements(field["evaluations"])


def test_transcript():
    answers = json.loads((HERE / "transcript.json").read_text())
    transcript = Transcript(bytes.fromhex(answers["start"]))
    for step in answers["steps"]:
        kind, label = step["kind"], step["label"]
        before = transcript.clone()
        if kind == "absorb":
            transcript.absorb(label, bytes.fromhex(step["payload"]))
        elif kind == "absorb_elements":
            transcript.absorb_elements(label, elements(step["elements"]))
        elif kind == "absorb_zeros":
            transcript.absorb_zeros(label, step["count"])
        elif kind == "challenge":
            assert transcript.challenge(label) == K(*step["value"])
        elif kind == "indices":
            drawn = transcript.indices(label, step["count"], step["bound_log2"])
            assert drawn == step["value"]
        else:
            assert transcript.prove_work(label, step["bits"]) == step["nonce"]
            assert before.check_work(label, step["bits"], step["nonce"])
            assert before.state == transcript.state
        assert transcript.state.hex() == step["state"], kind


@pytest.mark.parametrize("name", ["field", "transcript"])
def test_the_files_are_what_their_scripts_write(name, tmp_path):
    script = (HERE / f"make_{name}.py").read_text()
    copy = tmp_path / f"make_{name}.py"
    namespace = {"__name__": "made", "__file__": str(copy)}
    exec(compile(script, str(copy), "exec"), namespace)
    namespace["main"]()
    assert (tmp_path / f"{name}.json").read_text() == (HERE / f"{name}.json").read_text()
