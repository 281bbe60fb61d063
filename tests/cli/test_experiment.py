"""Experiment files: what is wrong with one is one message that names the file and the line."""

from __future__ import annotations

import sys
import textwrap

import jax
import numpy as np
import pytest

import zkjax
from zkjax.cli.experiment import MODULE, BadExperiment, load_experiment

GOOD = """
import numpy as np

def experiment():
    dataset = {"x": np.zeros((5, 2)), "y": np.zeros(5)}
    return (lambda state, batch: state), 1.0, dataset, np.array([[0, 1], [2, 3], [4, 0]])

def evaluate(state):
    return np.float32(state / 2)
"""


@pytest.fixture(autouse=True)
def nothing_stays(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop(MODULE, None)


@pytest.fixture
def write(tmp_path):
    def write_file(text, name="experiment.py"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text))
        return path

    return write_file


def test_a_good_file(write):
    experiment = load_experiment(write(GOOD))
    assert experiment.state == 1.0
    np.testing.assert_array_equal(experiment.batches(1, 2), [[2, 3], [4, 0]])
    np.testing.assert_array_equal(experiment.rows(experiment.schedule[0])["y"], [0, 0])
    assert experiment.accuracy(1.0) == 0.5


def test_evaluate_is_optional(write):
    experiment = load_experiment(write(GOOD.replace("def evaluate", "def other")))
    assert experiment.accuracy(1.0) is None


def test_parts_by_name(write):
    named = GOOD.replace("return (lambda", "step = (lambda").replace(
        ", 1.0, dataset, np.array([[0, 1], [2, 3], [4, 0]])",
        "\n    return dict(train_step=step, state=1.0, dataset=dataset, schedule=np.array([[0]]))",
    )
    assert load_experiment(write(named)).schedule.shape == (1, 1)


def test_neighbours_can_be_imported(write):
    write("VALUE = 1.0", "neighbour_of_the_experiment.py")
    text = "from neighbour_of_the_experiment import VALUE\n" + GOOD
    assert load_experiment(write(text)).state == 1.0
    del sys.modules["neighbour_of_the_experiment"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("def experiment", "def experiments"), r"defines no function experiment\(\)"),
        (("return (lambda", "return [(lambda"), "line 6"),
        (("import numpy as np", "import numpyy as np"), r"the file raised ModuleNotFoundError at line 2: .*numpyy"),
        (("np.zeros(5)}", "np.zero(5)}"), r"experiment\(\) raised AttributeError at line 5"),
        (("(lambda state, batch: state)", "3"), "train_step is int, not a function"),
        ((", 1.0, dataset,", ", 1.0,"), r"a tuple of 3, expected train_step, state, dataset, schedule"),
        (("return (lambda state, batch: state), 1.0, dataset, ", "return "), "returned a ndarray, expected"),
        (("np.zeros(5)}", "np.zeros(6)}"), r"differ in their rows: dataset\['x'\] has 5, dataset\['y'\] has 6"),
        (("np.zeros(5)}", "np.array([0, 0, np.inf, 0, 0])}"), r"dataset\['y'\]\[2\] is inf"),
        (("np.zeros(5)}", "3.0}"), r"dataset\['y'\] is a single float"),
        (('{"x": np.zeros((5, 2)), "y": np.zeros(5)}', "{}"), "holds no arrays"),
        (("[4, 0]", "[4, 5]"), r"schedule\[2, 1\] is 5, but dataset has 5 rows"),
        (("[4, 0]", "[-1, 0]"), r"schedule\[2, 0\] is -1"),
        (("[[0, 1], [2, 3], [4, 0]]", "[0, 1]"), r"schedule is int64\[2\], expected integers"),
        (("[[0, 1], [2, 3], [4, 0]]", "[[0.5]]"), "schedule is float64"),
        (("[[0, 1], [2, 3], [4, 0]]", "[[], [], []], int"), "empty batches"),
        (("def evaluate(state):\n    return np.float32(state / 2)", "evaluate = 3"), "evaluate is not a function"),
        (("def experiment():", "def experiment():\n    raise SystemExit(0)"), "raised SystemExit"),
    ],
)
def test_bad_files(write, change, message):
    assert change[0] in GOOD
    path = write(GOOD.replace(*change))
    with pytest.raises(BadExperiment, match=message) as caught:
        load_experiment(path)
    assert str(caught.value).startswith(str(path))


def test_too_few_batches(write):
    experiment = load_experiment(write(GOOD))
    with pytest.raises(BadExperiment, match="3 batches, too few for --steps 4"):
        experiment.batches(0, 4)
    with pytest.raises(BadExperiment, match="3 batches, too few for --steps 2 after 2 steps"):
        experiment.batches(2, 2)


def test_evaluate_that_fails(write):
    experiment = load_experiment(write(GOOD))
    with pytest.raises(BadExperiment, match=r"evaluate\(\) raised TypeError at line 9"):
        experiment.accuracy("a")
    experiment = load_experiment(write(GOOD.replace("np.float32(state / 2)", "None")))
    with pytest.raises(BadExperiment, match="returned NoneType, expected a number"):
        experiment.accuracy(1.0)


def test_missing_and_misnamed(tmp_path, write):
    with pytest.raises(BadExperiment, match="no such file"):
        load_experiment(tmp_path / "none.py")
    with pytest.raises(BadExperiment, match="not a Python file"):
        load_experiment(write(GOOD, "experiment.txt"))


def test_a_folder(tmp_path):
    with pytest.raises(BadExperiment, match="is a folder, not a Python file"):
        load_experiment(tmp_path)


def test_the_bundled_experiment(root):
    experiment = load_experiment(root / "examples" / "digits_mlp.py")
    assert experiment.schedule.shape == (440, 64)
    assert 0.0 <= experiment.accuracy(experiment.state) <= 1.0
    source = (root / "examples" / "digits_mlp.py").read_text()
    assert "import zkjax" not in source
    assert "from zkjax" not in source


def test_the_bundled_experiment_with_outputs(root):
    """It compiles with what it publishes, and its outputs are those of the step."""
    path = root / "examples" / "digits_dropout.py"
    experiment = load_experiment(path)
    assert "import zkjax" not in path.read_text()
    assert experiment.outputs == ("loss", "accuracy")
    schedule = experiment.schedule[:2]
    batches = [{name: leaf[rows] for name, leaf in experiment.dataset.items()} for rows in schedule]
    options = {"calibration": batches, "dataset": experiment.dataset, "outputs": experiment.outputs}
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # as users have them
        program = zkjax.compile(experiment.train_step, experiment.state, batches[0], steps=2, **options)
        run = program.run(experiment.state, experiment.dataset, schedule)
        expected = run.float_outputs
    for name in experiment.outputs:
        np.testing.assert_allclose(run.outputs[name], expected[name], atol=1 / 64)
