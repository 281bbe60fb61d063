"""Fashion-MNIST at a tiny width on made-up images: files are read, integers follow float32, one error is clear."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import jax
import numpy as np
import pytest


def write_idx(file: Path, array: np.ndarray) -> None:
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    file.write_bytes(gzip.compress(head + array.astype(np.uint8).tobytes()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Images whose class is the brightest of ten patches."""
    folder, random = tmp_path_factory.mktemp("fashion"), np.random.default_rng(0)
    for part, count in (("train", 256), ("t10k", 100)):
        labels = random.integers(0, 10, count)
        images = random.integers(0, 120, (count, 28, 28))
        for image, label in zip(images, labels, strict=True):
            image[2 * label : 2 * label + 4, 4:24] = 255
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", labels)
    return folder


def test_idx_files_are_read(benchmark, folder, monkeypatch):
    monkeypatch.setenv("FASHION_MNIST", "")
    fashion = benchmark("fashion_mnist").experiment_module(folder)
    train, test = fashion.load()
    assert train["image"].shape == (256, 784) and test["label"].shape == (100, 10)
    assert train["image"].max() == (255 - 73) / 256 and train["label"].sum(axis=1).tolist() == [1] * 256
    assert fashion.shuffled_batches(256).shape == (40, 64)


def test_integers_follow_float32(root, run_python, folder, tmp_path):
    file = tmp_path / "result.json"
    options = ["--path", str(folder), "--width", "16", "--layers", "3", "--block", "2", "--json", str(file)]
    ran = run_python(str(root / "benchmarks" / "fashion_mnist.py"), *options)
    assert ran.returncode == 0, ran.stderr
    result = json.loads(file.read_text())
    assert (result["steps"], result["steps_of_an_epoch"]) == (4, 4)
    assert result["accuracy_integer"] > result["accuracy_before"]
    assert abs(result["accuracy_integer"] - result["accuracy_float"]) <= 0.02
    assert "accuracy after these steps, integers" in ran.stdout


def test_outgrown_formats_are_chosen_anew(benchmark, folder, monkeypatch):
    monkeypatch.setenv("FASHION_MNIST", "")
    module = benchmark("fashion_mnist")
    fashion = module.experiment_module(folder)
    train_step, state, dataset, schedule = fashion.experiment(8, 2)
    training = module.IntegerTraining(train_step, state, dataset, 2)
    with module.CompileClock() as clock:
        training.block(schedule[:2], clock)
        assert training.programs == 1
        larger = jax.tree.map(lambda leaf: 4 * leaf, training.state.params)
        training.state = training.state.replace(params=larger)
        run = training.block(schedule[2:4], clock)
    assert training.programs == 2
    assert sum(run.saturations.values()) == training.clipped == 0


def test_missing_files_name_the_package(root, run_python, tmp_path):
    ran = run_python(str(root / "benchmarks" / "fashion_mnist.py"), "--path", str(tmp_path / "nothing"))
    assert ran.returncode != 0
    assert "apt-get install dataset-fashion-mnist" in ran.stderr and "Traceback" not in ran.stderr
