"""The roles of the user's leaves: weights, public counters, data; and their names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from zkjax.errors import UserError

NO_NUMBERS = "SUOMm"  # NumPy's kinds: bytes, text, objects, dates, durations
NAMED_LEAVES = 3


@dataclass(frozen=True)
class Leaf:
    """One leaf of a pytree of the user's: its name, and its place among the flattened leaves."""

    name: str
    index: int
    shape: tuple[int, ...]
    dtype: Any

    @property
    def is_float(self) -> bool:
        return bool(jnp.issubdtype(self.dtype, jnp.floating))

    @property
    def is_integer(self) -> bool:
        return bool(jnp.issubdtype(self.dtype, jnp.integer))


@dataclass(frozen=True)
class Tree:
    """The leaves of a pytree and its structure."""

    leaves: tuple[Leaf, ...]
    structure: Any

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(leaf.name for leaf in self.leaves)


def named_leaves(tree: Any, what: str) -> Tree:
    """The leaves of `tree`, named by their path: 'params/Dense_0/kernel'."""
    paths, structure = jax.tree_util.tree_flatten_with_path(tree)
    leaves = []
    for index, (path, value) in enumerate(paths):
        name = jax.tree_util.keystr(path, simple=True, separator="/") or what
        if not hasattr(value, "dtype"):
            if not isinstance(value, bool | int | float | np.ndarray):
                raise UserError(f"{what} leaf {name!r} is a {type(value).__name__}, not an array or a number")
            value = jnp.asarray(value)
        if isinstance(value.dtype, np.dtype) and value.dtype.kind in NO_NUMBERS:
            raise UserError(f"{what} leaf {name!r} holds values of type {value.dtype}, not numbers")
        leaves.append(Leaf(name, index, tuple(value.shape), value.dtype))
    if len({leaf.name for leaf in leaves}) != len(leaves):
        raise UserError(f"two leaves of the {what} have the same name: rename a key")
    return Tree(tuple(leaves), structure)


def difference(tree: Tree, given: Any) -> str:
    """How the leaves of the pytree `given` differ from those of `tree`, by name."""
    paths, _ = jax.tree_util.tree_flatten_with_path(given)
    names = {jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in paths}
    if names == {""} and tree.names:
        return f"is a single {type(given).__name__}, without the leaves {_listed(list(tree.names))}"
    missing, added = [name for name in tree.names if name not in names], sorted(names - set(tree.names))
    said = [f"{verb} {_listed(leaves)}" for verb, leaves in (("lacks", missing), ("has in addition", added)) if leaves]
    return " and ".join(said) or "has the same leaves in other containers"


def _listed(names: list[str]) -> str:
    rest = f" and {len(names) - NAMED_LEAVES} more" if len(names) > NAMED_LEAVES else ""
    return ", ".join(map(repr, names[:NAMED_LEAVES])) + rest
