"""Which programs carry out the sumchecks: a name chosen by the caller, never a silent fallback.

`reference`  the definitions, jitted; any device, one program per table size
"""

from __future__ import annotations

from typing import Protocol

from zkjax.compute.leaves import Columns
from zkjax.compute.reference import ReferenceKernels
from zkjax.compute.whole import Kernels, WholeLayer, WholeProduct, WholeTree
from zkjax.fields.vectors import Ext

Tree = WholeTree
Layer = WholeLayer
Product = WholeProduct


class Backend(Protocol):
    """A way to carry out sumchecks; call under a scoped x64 mode."""

    name: str

    def tree(self, columns: Columns) -> Tree:
        """The tree of fractions over these leaves."""

    def product(self, f: Ext, g: Ext) -> Product:
        """The product sumcheck of two tables K[2^n]."""


class WholeBackend:
    """A backend made of kernels on whole tables."""

    def __init__(self, name: str, kernels: Kernels):
        self.name, self._kernels = name, kernels

    def tree(self, columns: Columns) -> WholeTree:
        return WholeTree(self._kernels, columns)

    def product(self, f: Ext, g: Ext) -> WholeProduct:
        return WholeProduct(self._kernels, f, g)


REFERENCE = WholeBackend("reference", ReferenceKernels())
DEFAULT: Backend = REFERENCE
