"""The verifier's half works in a process in which JAX and its companions cannot be imported."""

from __future__ import annotations

import textwrap

import pytest

BLOCK = """
import importlib.abc, sys

BLOCKED = {"jax", "jaxlib", "flax", "optax", "chex", "pallas_kernels"}

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ImportError(f"{name} is blocked")
        return None

sys.meta_path.insert(0, Blocker())
for name in BLOCKED:
    try:
        __import__(name)
    except ImportError:
        continue
    sys.exit(f"{name} could be imported")
"""

MODULES = [
    "zkjax",
    "zkjax.errors",
    "zkjax.fields",
    "zkjax.transcript",
    "zkjax.statement",
    "zkjax.files",
    "zkjax.verifier",
    "zkjax.cli",
    "zkjax.cli.verify",
    "zkjax.cli.inspect",
]


@pytest.mark.parametrize("module", MODULES)
def test_imports_without_jax(run_python, module):
    check = f"""
        import {module}
        loaded = sorted(BLOCKED & {{name.split(".")[0] for name in sys.modules}})
        assert loaded == [], loaded
        print("imported")
    """
    result = run_python("-c", BLOCK + textwrap.dedent(check))
    assert (result.returncode, result.stdout) == (0, "imported\n"), result.stderr


def test_importing_the_package_changes_no_global_state(run_python):
    code = """
        import os, sys, warnings
        before = (dict(os.environ), list(sys.path), list(sys.meta_path), list(warnings.filters))
        import zkjax
        after = (dict(os.environ), list(sys.path), list(sys.meta_path), list(warnings.filters))
        assert before == after
        assert "jax" not in sys.modules
        zkjax.UserError
        assert "jax" not in sys.modules
        print("unchanged")
    """
    result = run_python("-c", textwrap.dedent(code))
    assert (result.returncode, result.stdout) == (0, "unchanged\n"), result.stderr
