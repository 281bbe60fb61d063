"""The definitions, jitted: correct for every size and slow for large ones."""

from __future__ import annotations

import jax

from zkjax.compute import fractions, product
from zkjax.compute.fractions import Children
from zkjax.fields.vectors import Ext

_product_sums = jax.jit(product.round_sums)
_product_fold_and_sums = jax.jit(product.fold_and_sums)
_fold = jax.jit(product.fold)
_layer_sums = jax.jit(fractions.layer_sums)
_fold_layer = jax.jit(fractions.fold_layer)


@jax.jit
def _fold_layer_and_sums(children: Children, equality: Ext, ratio: Ext, r: Ext) -> tuple[Children, tuple[Ext, Ext]]:
    children = fractions.fold_layer(children, r)
    return children, fractions.layer_sums(children, equality, ratio)


class ReferenceKernels:
    """`whole.Kernels` by the definitions."""

    def product_sums(self, f: Ext, g: Ext) -> tuple[Ext, Ext]:
        return _product_sums(f, g)

    def product_fold(self, f: Ext, g: Ext, r: Ext) -> tuple[Ext, Ext]:
        return _fold(f, r), _fold(g, r)

    def product_fold_and_sums(self, f: Ext, g: Ext, r: Ext) -> tuple[Ext, Ext, tuple[Ext, Ext]]:
        return _product_fold_and_sums(f, g, r)

    def layer_sums(self, children: Children, equality: Ext, ratio: Ext) -> tuple[Ext, Ext]:
        return _layer_sums(children, equality, ratio)

    def layer_fold(self, children: Children, r: Ext) -> Children:
        return _fold_layer(children, r)

    def layer_fold_and_sums(
        self, children: Children, equality: Ext, ratio: Ext, r: Ext
    ) -> tuple[Children, tuple[Ext, Ext]]:
        return _fold_layer_and_sums(children, equality, ratio, r)
