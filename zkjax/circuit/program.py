"""The compiled program: a circuit, its recipes, and the roles of its tensors.

`Lowered` is what the compiler hands to the witness and to the prover; the user-facing `Program`
wraps it together with the user's pytrees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from zkjax.circuit.recipes import Recipe
from zkjax.statement.circuit import Circuit


@dataclass(frozen=True)
class Lowered:
    """A circuit with the prover's recipes, keyed by node index.

    Recipes cover every committed node of the oracles advice and after. `lookup_values` lists the
    nodes whose values the lookups read, which the witness must return.
    """

    circuit: Circuit
    recipes: Mapping[int, Recipe]

    @property
    def lookup_values(self) -> tuple[int, ...]:
        nodes = {index for lookup in self.circuit.lookups for index in lookup.coordinates}
        return tuple(sorted(nodes))
