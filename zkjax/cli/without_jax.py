"""Run the command line in a process in which JAX cannot be imported, and show that it cannot.

    python -m zkjax.cli.without_jax verify DIR

A stronger statement than that `zkjax verify` happens not to import it: every attempt fails.
"""

from __future__ import annotations

import importlib
import importlib.abc
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

BLOCKED = ("jax", "jaxlib", "flax", "optax", "chex", "pallas_kernels")


class Blocker(importlib.abc.MetaPathFinder):
    """The first finder on the path; it refuses the blocked packages and knows no others."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"{name} is blocked in this process", name=name)
        return None


def block() -> None:
    """Make the blocked packages impossible to import, and check it by trying each."""
    loaded = [name for name in BLOCKED if name in sys.modules]
    if loaded:
        raise RuntimeError(f"already imported: {', '.join(loaded)}")
    sys.meta_path.insert(0, Blocker())
    for name in BLOCKED:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            continue
        raise RuntimeError(f"{name} could be imported")


if __name__ == "__main__":
    block()
    print(f"In this process these cannot be imported: {', '.join(BLOCKED)}", file=sys.stderr)

    from zkjax.cli import main

    main()
