"""Shared by all tests: strict JAX, the repository's root, and Python in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# Promotions of dtype and rank that nobody wrote are errors in tests. Set before anything imports JAX.
STRICT = {"JAX_NUMPY_DTYPE_PROMOTION": "strict", "JAX_NUMPY_RANK_PROMOTION": "raise"}
os.environ.update(STRICT)

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture
def run_python(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run Python code or a module as a user would, not strict: `run_python("-c", code)`."""
    users = {name: value for name, value in os.environ.items() if name not in STRICT}

    def run(*arguments: str, timeout: float = 300, **environment: str):
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env={**users, "PYTHONPATH": str(ROOT), **environment},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run
