"""Sums of fractions as a tree, and a round of a layer's sumcheck: the definition for every backend.

A fraction is (p, q) for p/q. Node x of a layer has the children (0, x) and (1, x) of the next one,

    p = p0 q1 + p1 q0,    q = q0 q1,

and the layer's sumcheck runs over eq(point, x) (p0 q1 + p1 q0 + ratio q0 q1)(x). Tables are K[2^n],
most significant variable first. A round takes the equality weights of the variables after its own,
whose own factor is left out. Pure functions, for `jit` and `vmap`; x64 mode is the caller's.

Source: Papini and Haboeck, eprint 2023/1284; Gruen, eprint 2024/108 for the equality factor.
"""

from __future__ import annotations

from typing import NamedTuple

from zkjax.compute.product import fold, halves
from zkjax.fields import extension
from zkjax.fields.vectors import Ext


class Fractions(NamedTuple):
    """Numerators and denominators, K[2^n] each."""

    p: Ext
    q: Ext


class Children(NamedTuple):
    """Both children of every node of a layer, K[2^n] each."""

    p0: Ext
    p1: Ext
    q0: Ext
    q1: Ext

    @classmethod
    def of(cls, layer: Fractions) -> Children:
        """The children of a layer are the halves of the next."""
        return cls(*halves(layer.p), *halves(layer.q))


def join(children: Children) -> Fractions:
    """The sum of each pair of fractions."""
    p0, p1, q0, q1 = children
    return Fractions(extension.mul_add(p0, q1, extension.mul(p1, q0)), extension.mul(q0, q1))


def fraction_tree(leaves: Fractions) -> list[Fractions]:
    """All layers, the root K[1] first, the leaves last."""
    layers = [leaves]
    while layers[-1].p.shape[0] > 1:
        layers.append(join(Children.of(layers[-1])))
    return layers[::-1]


def layer_sums(children: Children, equality: Ext, ratio: Ext) -> tuple[Ext, Ext]:
    """The round polynomial at X = 0 and its coefficient of X^2; equality: K[2^(n-1)]."""
    parts = [halves(table) for table in children]
    low = Children(*(part[0] for part in parts))
    step = Children(*(extension.sub(part[1], part[0]) for part in parts))

    def weighted(tables: Children) -> Ext:
        p, q = join(tables)
        return extension.inner(equality, extension.mul_add(extension.asarray(ratio), q, p))

    return weighted(low), weighted(step)


def fold_layer(children: Children, r: Ext) -> Children:
    """Set the most significant variable to r in all four tables."""
    return Children(*(fold(table, r) for table in children))
