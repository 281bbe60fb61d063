"""What the documentation shows is true: the README's Python runs, links lead somewhere, commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


def blocks(language: str) -> list[str]:
    """The fenced blocks of the README in one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_the_python_runs_as_written(run_python):
    """All of it in one process, as a reader pastes it."""
    result = run_python("-c", "\n".join(blocks("python")))
    assert result.returncode == 0, result.stderr
    last = result.stdout.splitlines()[-1]
    assert re.fullmatch(r"4 steps, 10\d\.\d bits", last)
    assert "Dense_0/pre_activation" in result.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path):
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)", "\n".join([*blocks("sh"), *re.findall(r"`[^`\n]+`", README)])))
    assert {"demo", "test", "venv", "bench", "kernels"} <= named <= targets


def test_the_options_of_the_commands_exist(run_python):
    commands = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("zkjax ")]
    assert commands
    for name in {line.split()[1] for line in commands}:
        options = run_python("-m", "zkjax.cli", name, "--help").stdout
        for line in commands:
            if line.split()[1] == name:
                assert all(option in options for option in re.findall(r" (--[a-z-]+)", line.split("#")[0]))
