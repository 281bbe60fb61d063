"""The mutants are what they say, and the script that tries them knows every module of the verifier's half."""

from __future__ import annotations

import ast

import pytest

from tests.mutation.operators import mutants
from tests.mutation.run import TESTS, path_of
from tests.mutation.trials import exchange

CHECKED = """
def check(x, low, high, kinds):
    _require(low <= x < high and x != 3, "range", x)
    if not isinstance(x, int) or x > 9:
        raise ValueError(x)
    legal = all(0 < entry for entry in kinds)
    total = low
    for entry in kinds:
        total = total + entry
    bound = max(total, high)
    return bound if legal else low
"""
EXPECTED = {
    "check: without _require(low <= x < high and x != 3, 'range', x)",
    "check: without low <= x < high",
    "check: without x != 3",
    "check: without low <= x of low <= x < high",
    "check: without x < high of low <= x < high",
    "check: low < x < high, not low <= x < high",
    "check: low <= x <= high, not low <= x < high",
    "check: never not isinstance(x, int) or x > 9",
    "check: without not isinstance(x, int)",
    "check: without x > 9",
    "check: x >= 9, not x > 9",
    "check: 0 <= entry, not 0 < entry",
    "check: without total = total + entry",
    "check: total for total + entry",
    "check: entry for total + entry",
    "check: total for max(total, high)",
    "check: high for max(total, high)",
    "check: bound for bound if legal else low",
    "check: low for bound if legal else low",
}


def test_every_check_of_a_function_is_weakened_in_every_way():
    found = mutants(CHECKED)
    assert {mutant.name for mutant in found} == EXPECTED
    assert len(found) == len(EXPECTED)


def test_a_mutant_differs_in_one_place_and_is_a_module():
    before = ast.unparse(ast.parse(CHECKED)).splitlines()
    for mutant in mutants(CHECKED):
        after = mutant.source.splitlines()
        assert len(after) == len(before)
        assert sum(a != b for a, b in zip(before, after, strict=True)) == 1, mutant.name


def test_the_code_of_a_module_is_exchanged_where_it_is_in_use(tmp_path):
    """What others have imported is changed as well; a traceback still names the line."""
    path = tmp_path / "module.py"
    path.write_text(CHECKED)
    namespace: dict = {}
    exec(compile(CHECKED, str(path), "exec"), namespace | {"_require": int}, namespace)
    check = namespace["check"]
    (mutant,) = (mutant for mutant in mutants(CHECKED) if mutant.name == "check: never not isinstance(x, int) or x > 9")
    assert list(mutant.lines) == [4]
    lines = list(check.__code__.co_lines())
    exchange(str(path), mutant.tree)
    assert {line for *_, line in check.__code__.co_lines()} == {line for *_, line in lines} - {5}
    exchange(str(path), ast.parse(CHECKED))
    assert list(check.__code__.co_lines()) == lines


@pytest.mark.parametrize("module", TESTS)
def test_names_of_mutants_are_unique(module):
    found = mutants(path_of(f"zkjax.{module}").read_text())
    assert len({mutant.name for mutant in found}) == len(found) > 0


def test_every_module_of_the_verifier_is_mutated():
    modules = {
        f"{folder}.{path.stem}"
        for folder in ("verifier", "statement", "transcript")
        for path in path_of(f"zkjax.{folder}.x").parent.glob("*.py")
        if path.stem != "__init__"
    }
    # The transcript in JAX is the prover's; what is printed, and how long a proof will be, is for people.
    assert modules - {"transcript.sha256", "statement.printing", "statement.size"} == TESTS.keys()


def test_the_tests_of_every_module_exist():
    for paths in TESTS.values():
        for path in paths:
            assert (path_of("tests.x").parent / path).is_file()
