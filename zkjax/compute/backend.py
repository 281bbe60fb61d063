"""Which programs carry out the sumchecks: a name that the caller chooses, never a silent fallback.

`blocked`    for CPUs: pieces of one size, so that few programs are compiled
`reference`  the definitions, jitted: any device, one program per size of table
`pallas`     the kernels of `pallas_kernels`: GPUs, or Pallas' interpreter on request
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import jax

from zkjax.compute.forest import Forest, PieceForest, TreeByTree
from zkjax.compute.leaves import Columns
from zkjax.compute.piece_trees import PieceLayer, PieceTree
from zkjax.compute.pieced import Pieced, whole
from zkjax.compute.pieces import PieceProduct
from zkjax.compute.reference import ReferenceKernels
from zkjax.compute.whole import Kernels, WholeLayer, WholeProduct, WholeTree
from zkjax.errors import UserError
from zkjax.fields.vectors import Ext

Tree = PieceTree | WholeTree
Layer = PieceLayer | WholeLayer
Product = PieceProduct | WholeProduct


class Backend(Protocol):
    """A way to carry out sumchecks; call under a scoped x64 mode."""

    name: str

    def tree(self, columns: Columns) -> Tree:
        """The tree of fractions over these leaves."""

    def forest(self, columns: Sequence[Columns]) -> Forest:
        """The trees over the leaves of each of `columns`, to be walked through together."""

    def product(self, f: Ext | Pieced, g: Ext | Pieced, lanes: int = 1) -> Product:
        """The product sumcheck of two tables K[2^n lanes], over the n variables in front.

        `lanes`, a power of two, counts interleaved instances (`product.interleaved`).
        """


class BlockedBackend:
    """The programs of `blocked`, driven by `pieces`."""

    name = "blocked"

    def tree(self, columns: Columns) -> PieceTree:
        return PieceTree(columns)

    def forest(self, columns: Sequence[Columns]) -> Forest:
        return PieceForest(columns) if len(columns) > 1 else TreeByTree([*map(PieceTree, columns)])

    def product(self, f: Ext | Pieced, g: Ext | Pieced, lanes: int = 1) -> PieceProduct:
        return PieceProduct(f, g, lanes)


class WholeBackend:
    """A backend made of kernels on whole tables."""

    def __init__(self, name: str, kernels: Kernels):
        self.name, self._kernels = name, kernels

    def tree(self, columns: Columns) -> WholeTree:
        return WholeTree(self._kernels, columns)

    def forest(self, columns: Sequence[Columns]) -> Forest:
        return TreeByTree([*map(self.tree, columns)])

    def product(self, f: Ext | Pieced, g: Ext | Pieced, lanes: int = 1) -> WholeProduct:
        return WholeProduct(self._kernels, whole(f), whole(g), lanes)


DEFAULT: Backend = BlockedBackend()


def choose(name: str = "blocked", *, interpret: bool = False) -> Backend:
    """The backend of this name; `interpret` runs Pallas kernels in their interpreter.

    Raises UserError for another name, and for `pallas` where there is no GPU to run it.
    """
    match name:
        case "blocked":
            return DEFAULT
        case "reference":
            return WholeBackend(name, ReferenceKernels())
        case "pallas":
            if not interpret and jax.default_backend() != "gpu":
                raise UserError(
                    f"the pallas backend needs a GPU and JAX runs on {jax.default_backend()!r}; "
                    "choose 'blocked', or ask for the interpreter"
                )
            from zkjax.compute.pallas import PallasKernels

            return WholeBackend(name, PallasKernels(interpret))
        case _:
            raise UserError(f"no backend {name!r}: choose 'blocked', 'reference' or 'pallas'")
