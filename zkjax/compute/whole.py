"""Sumchecks over whole tables, one compiled program per table size: a backend's kernels, driven.

Holds for any backend that offers the kernels of `Kernels`. `blocked` has drivers of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import jax
import numpy as np

from zkjax.compute.fractions import Children, Fractions, fraction_tree
from zkjax.compute.leaves import Columns
from zkjax.fields import extension
from zkjax.fields.mersenne61 import K
from zkjax.fields.vectors import Ext

Sums = tuple[Ext, Ext]


class Kernels(Protocol):
    """What a backend computes; `product` and `fractions` hold the definitions."""

    def product_sums(self, f: Ext, g: Ext) -> Sums: ...

    def product_fold(self, f: Ext, g: Ext, r: Ext) -> tuple[Ext, Ext]: ...

    def product_fold_and_sums(self, f: Ext, g: Ext, r: Ext) -> tuple[Ext, Ext, Sums]: ...

    def layer_sums(self, children: Children, equality: Ext, ratio: Ext) -> Sums: ...

    def layer_fold(self, children: Children, r: Ext) -> Children: ...

    def layer_fold_and_sums(self, children: Children, equality: Ext, ratio: Ext, r: Ext) -> tuple[Children, Sums]: ...


_tree = jax.jit(fraction_tree)
_equality = jax.jit(extension.equality_weights)


class WholeTree:
    """A tree of fractions; `layer(k, ...)` starts the sumcheck of layer k, from the root on."""

    def __init__(self, kernels: Kernels, columns: Columns):
        self._kernels = kernels
        (leaves,) = columns.pieces(1 << columns.depth)
        self._layers: list[Fractions | None] = list(_tree(leaves))

    def root(self) -> tuple[K, K]:
        p, q = self._layers[0]  # type: ignore[misc]
        return p.item(), q.item()

    def layer(self, number: int, point: Sequence[K], ratio: K) -> WholeLayer:
        """The sumcheck of a layer, each once and in order: its tables are given up."""
        children = Children.of(self._layers[number + 1])  # type: ignore[arg-type]
        self._layers[number] = None
        return WholeLayer(self._kernels, children, point, ratio)


class WholeLayer:
    """The rounds of one layer of one tree: `sums`, then `fold`, for every variable; then `children`."""

    def __init__(self, kernels: Kernels, children: Children, point: Sequence[K], ratio: K):
        self._kernels, self._children = kernels, children
        self._left = list(point)
        self._ratio = extension.asarray(ratio)
        if self._left:
            self._sums = kernels.layer_sums(children, self._next_equality(), self._ratio)

    def _next_equality(self) -> Ext:
        """Weights of the variables after the coming round's own."""
        self._left.pop(0)
        return _equality(extension.asarray(Ext.from_list(self._left)))

    def sums(self) -> tuple[K, K]:
        """The round polynomial, equality factor left out, at zero and its coefficient of X^2."""
        return self._sums[0].item(), self._sums[1].item()

    def fold(self, r: K) -> None:
        """Set the variable to the challenge."""
        challenge = extension.asarray(r)
        if self._left:
            equality = self._next_equality()
            self._children, self._sums = self._kernels.layer_fold_and_sums(
                self._children, equality, self._ratio, challenge
            )
        else:
            self._children = self._kernels.layer_fold(self._children, challenge)

    def children(self) -> tuple[K, K, K, K]:
        """p0, p1, q0, q1 at the challenges, after the last round."""
        p0, p1, q0, q1 = (table.item() for table in self._children)
        return p0, p1, q0, q1


class WholeProduct:
    """The rounds of one product sumcheck: `sums`, then `fold`, for every variable; then `values`."""

    def __init__(self, kernels: Kernels, f: Ext, g: Ext, lanes: int = 1):
        self._kernels, self._lanes = kernels, lanes
        self._f, self._g = extension.asarray(f), extension.asarray(g)
        if f.shape[0] > lanes:
            self._sums = kernels.product_sums(self._f, self._g)

    def sums(self) -> tuple[K, K]:
        """The round polynomial at zero and its coefficient of X^2."""
        return self._sums[0].item(), self._sums[1].item()

    def fold(self, r: K) -> None:
        """Set the variable to the challenge."""
        challenge = extension.asarray(r)
        if self._f.shape[0] > 2 * self._lanes:
            self._f, self._g, self._sums = self._kernels.product_fold_and_sums(self._f, self._g, challenge)
        else:
            self._f, self._g = self._kernels.product_fold(self._f, self._g, challenge)

    def tables(self) -> tuple[Ext, Ext]:
        """f and g at the challenges, after the last round: NumPy arrays, one entry per lane."""
        f, g = (Ext(np.asarray(table.re), np.asarray(table.im)) for table in (self._f, self._g))
        return f, g

    def values(self) -> tuple[list[K], list[K]]:
        """The same as elements."""
        return self._f.to_list(), self._g.to_list()
