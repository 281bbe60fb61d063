"""The kernels of `pallas_kernels` as a backend: whole tables, one launch per round.

On a GPU they are compiled; on a CPU they run in Pallas' interpreter, only when that is asked for.
"""

from __future__ import annotations

from functools import partial

import jax

from pallas_kernels import fold, logup_round, sumcheck_round
from pallas_kernels.partials import combine_partials
from zkjax.compute.fractions import Children
from zkjax.fields import extension
from zkjax.fields.mersenne61 import K
from zkjax.fields.vectors import Ext


def _sums(partials: jax.Array, wanted: tuple[int, int]) -> tuple[Ext, Ext]:
    sums = [Ext(*pair) for pair in combine_partials(partials)]
    return sums[wanted[0]], sums[wanted[1]]


class PallasKernels:
    """`whole.Kernels` by Pallas."""

    def __init__(self, interpret: bool):
        one = jax.jit(partial(_fold, interpret=interpret))
        self._fold = one
        self._product_sums = jax.jit(partial(_product_sums, interpret=interpret))
        self._product_round = jax.jit(partial(_product_round, interpret=interpret))
        self._layer_sums = jax.jit(partial(_layer_sums, interpret=interpret))
        self._layer_round = jax.jit(partial(_layer_round, interpret=interpret))

    def product_sums(self, f: Ext, g: Ext) -> tuple[Ext, Ext]:
        return self._product_sums(f, g)

    def product_fold(self, f: Ext, g: Ext, r: Ext) -> tuple[Ext, Ext]:
        return self._fold(f, r), self._fold(g, r)

    def product_fold_and_sums(self, f: Ext, g: Ext, r: Ext) -> tuple[Ext, Ext, tuple[Ext, Ext]]:
        return self._product_round(f, g, r)

    def layer_sums(self, children: Children, equality: Ext, ratio: Ext) -> tuple[Ext, Ext]:
        return self._layer_sums(children, equality, ratio)

    def layer_fold(self, children: Children, r: Ext) -> Children:
        return Children(*(self._fold(table, r) for table in children))

    def layer_fold_and_sums(
        self, children: Children, equality: Ext, ratio: Ext, r: Ext
    ) -> tuple[Children, tuple[Ext, Ext]]:
        return self._layer_round(children, equality, ratio, r)


def _fold(table: Ext, r: Ext, *, interpret: bool) -> Ext:
    return Ext(*fold.fold(table, r, interpret=interpret))


def _product_sums(f: Ext, g: Ext, *, interpret: bool) -> tuple[Ext, Ext]:
    return _sums(sumcheck_round.product_round_sums(f, g, interpret=interpret), (0, 1))


def _product_round(f: Ext, g: Ext, r: Ext, *, interpret: bool) -> tuple[Ext, Ext, tuple[Ext, Ext]]:
    f_folded, g_folded, partials = sumcheck_round.product_round(f, g, r, interpret=interpret)
    return Ext(*f_folded), Ext(*g_folded), _sums(partials, (0, 1))


def _layer_sums(children: Children, equality: Ext, ratio: Ext, *, interpret: bool) -> tuple[Ext, Ext]:
    one = extension.asarray(K.ONE)
    # The kernel also gives the sum at X = 1, which the claim determines.
    return _sums(logup_round.logup_round_sums(*children, equality, one, ratio, interpret=interpret), (0, 2))


def _layer_round(
    children: Children, equality: Ext, ratio: Ext, r: Ext, *, interpret: bool
) -> tuple[Children, tuple[Ext, Ext]]:
    one = extension.asarray(K.ONE)
    *tables, partials = logup_round.logup_round(*children, equality, one, ratio, r, interpret=interpret)
    return Children(*(Ext(*table) for table in tables)), _sums(partials, (0, 2))
