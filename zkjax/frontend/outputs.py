"""Which leaves of aux are published: the user asks for them by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zkjax.errors import UserError
from zkjax.frontend.roles import Leaf, named_leaves

AUX = "aux"
Outputs = bool | str | Sequence[str]


class UnknownOutput(UserError):
    """The training step returns no such output."""


def asked_for(outputs: Outputs, aux: Any) -> tuple[Leaf, ...]:
    """The leaves of the pytree `aux` (shapes and types) that `outputs` names, in the order of the pytree.

    True stands for all of them. Leaves are called by their path, 'loss' or 'metrics/loss'; a single array 'aux'.
    `aux` is None for a step that returns the state alone.
    """
    if outputs is False or (not isinstance(outputs, bool) and not outputs):
        return ()
    if aux is None:
        raise UnknownOutput("outputs= needs a step that returns (state, aux): it returns the state alone")
    leaves = named_leaves(aux, AUX).leaves
    if outputs is True:
        return leaves
    wanted = [outputs] if isinstance(outputs, str) else list(outputs)
    if not all(isinstance(name, str) for name in wanted):
        raise UserError(f"outputs= takes names of leaves of aux, or True for all, not {outputs!r}")
    known = sorted(leaf.name for leaf in leaves)
    if unknown := [name for name in wanted if name not in known]:
        raise UnknownOutput(f"the step returns no output {unknown[0]!r}; it returns {', '.join(map(repr, known))}")
    return tuple(leaf for leaf in leaves if leaf.name in wanted)
