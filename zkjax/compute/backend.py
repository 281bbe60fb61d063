"""Which programs carry out the sumchecks: a name chosen by the caller, never a silent fallback.

`blocked`    for CPUs: pieces of fixed size, so that few programs are compiled
`reference`  the definitions, jitted; any device, one program per table size
"""

from __future__ import annotations

from typing import Protocol

from zkjax.compute.leaves import Columns
from zkjax.compute.pieces import PieceLayer, PieceProduct, PieceTree
from zkjax.compute.reference import ReferenceKernels
from zkjax.compute.whole import Kernels, WholeLayer, WholeProduct, WholeTree
from zkjax.fields.vectors import Ext

Tree = PieceTree | WholeTree
Layer = PieceLayer | WholeLayer
Product = PieceProduct | WholeProduct


class Backend(Protocol):
    """A way to carry out sumchecks; call under a scoped x64 mode."""

    name: str

    def tree(self, columns: Columns) -> Tree:
        """The tree of fractions over these leaves."""

    def product(self, f: Ext, g: Ext, lanes: int = 1) -> Product:
        """The product sumcheck of two tables K[2^n lanes], stopped when `lanes` entries are left."""


class WholeBackend:
    """A backend made of kernels on whole tables."""

    def __init__(self, name: str, kernels: Kernels):
        self.name, self._kernels = name, kernels

    def tree(self, columns: Columns) -> WholeTree:
        return WholeTree(self._kernels, columns)

    def product(self, f: Ext, g: Ext, lanes: int = 1) -> WholeProduct:
        return WholeProduct(self._kernels, f, g, lanes)


class BlockedBackend:
    """The programs of `blocked`, driven by `pieces`."""

    name = "blocked"

    def tree(self, columns: Columns) -> PieceTree:
        return PieceTree(columns)

    def product(self, f: Ext, g: Ext, lanes: int = 1) -> PieceProduct:
        return PieceProduct(f, g, lanes)


REFERENCE = WholeBackend("reference", ReferenceKernels())
BLOCKED = BlockedBackend()
DEFAULT: Backend = BLOCKED
