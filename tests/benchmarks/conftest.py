"""Benchmarks are scripts: their folder is put on the path, as Python does for a script."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def benchmark(root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """A benchmark as a module, by name."""
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    return importlib.import_module
