"""The law battery on Python integers, NumPy and JAX, with and without `jit` and `vmap`."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from tests.laws.field_laws import LAWS, Implementation, Pair
from zkjax.fields import arrays, extension, mersenne61, vectors
from zkjax.fields.mersenne61 import K
from zkjax.fields.vectors import Ext


def load_base(pairs: list[Pair]) -> np.ndarray:
    return np.array([re for re, _ in pairs], dtype=np.uint64)


def unload_base(a) -> list[Pair]:
    assert a.dtype == np.uint64
    return [(x, 0) for x in np.asarray(a).tolist()]


def load_ext(pairs: list[Pair]) -> Ext:
    return Ext(load_base(pairs), np.array([im for _, im in pairs], dtype=np.uint64))


def unload_ext(a) -> list[Pair]:
    if not isinstance(a, Ext):  # a norm
        return unload_base(a)
    assert a.re.dtype == a.im.dtype == np.uint64
    return list(zip(np.asarray(a.re).tolist(), np.asarray(a.im).tolist(), strict=True))


def each(function):
    return lambda *lists: [function(*entry) for entry in zip(*lists, strict=True)]


PYTHON_BASE = Implementation(
    "python-F",
    extension=False,
    load=lambda pairs: [re for re, _ in pairs],
    unload=lambda a: [(x, 0) for x in a],
    add=each(lambda a, b: mersenne61.to_field(a + b)),
    sub=each(lambda a, b: mersenne61.to_field(a - b)),
    neg=each(lambda a: mersenne61.to_field(-a)),
    mul=each(lambda a, b: mersenne61.to_field(a * b)),
    unary={"inverse": each(mersenne61.inverse)},
)
PYTHON_EXT = Implementation(
    "python-K",
    extension=True,
    load=lambda pairs: [K(*pair) for pair in pairs],
    unload=lambda a: [(x.re, x.im) for x in a],
    add=each(lambda a, b: a + b),
    sub=each(lambda a, b: a - b),
    neg=each(lambda a: -a),
    mul=each(lambda a, b: a * b),
    unary={
        "square": each(lambda a: a**2),
        "inverse": each(lambda a: a.inverse()),
        "conjugate": each(lambda a: a.conjugate()),
        "mul_i": each(lambda a: a * K.I),
        "norm": each(lambda a: K(a.norm())),
    },
)
NUMPY_BASE = Implementation(
    "numpy-F",
    extension=False,
    load=load_base,
    unload=unload_base,
    add=vectors.add,
    sub=vectors.sub,
    neg=vectors.neg,
    mul=vectors.mul,
)
NUMPY_EXT = Implementation(
    "numpy-K",
    extension=True,
    load=load_ext,
    unload=unload_ext,
    add=vectors.ext_add,
    sub=vectors.ext_sub,
    neg=vectors.ext_neg,
    mul=vectors.ext_mul,
    unary={"conjugate": vectors.conjugate},
)


def jax_base(name: str, transform) -> Implementation:
    return Implementation(
        name,
        extension=False,
        load=load_base,
        unload=unload_base,
        add=transform(arrays.add),
        sub=transform(arrays.sub),
        neg=transform(arrays.neg),
        mul=transform(arrays.mul),
        unary={
            "square": transform(arrays.square),
            "inverse": transform(arrays.inverse),
            "batch_inverse": transform(arrays.batch_inverse),
        },
    )


def jax_ext(name: str, transform) -> Implementation:
    names = ("square", "inverse", "batch_inverse", "conjugate", "mul_i", "norm")
    return Implementation(
        name,
        extension=True,
        load=load_ext,
        unload=unload_ext,
        add=transform(extension.add),
        sub=transform(extension.sub),
        neg=transform(extension.neg),
        mul=transform(extension.mul),
        unary={name: transform(getattr(extension, name)) for name in names},
    )


def jit_vmap(function):
    return jax.jit(jax.vmap(function))


IMPLEMENTATIONS = [
    PYTHON_BASE,
    PYTHON_EXT,
    NUMPY_BASE,
    NUMPY_EXT,
    jax_base("jax-F", jax.jit),
    jax_ext("jax-K", jax.jit),
    jax_base("jax-F-vmap", jit_vmap),
    jax_ext("jax-K-vmap", jit_vmap),
]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS, ids=str)
def test_law(implementation, law):
    with (
        jax.enable_x64(True),
        jax.numpy_dtype_promotion("strict"),
        jax.numpy_rank_promotion("raise"),
    ):
        law(implementation)


def test_the_battery_sees_a_missing_reduction():
    """p instead of zero is the classic slip; each law set must notice an uncanonical output."""
    broken = Implementation(
        "broken",
        extension=False,
        load=load_base,
        unload=unload_base,
        add=vectors.add,
        sub=lambda a, b: a + (np.uint64(mersenne61.P) - b),
        neg=lambda a: np.uint64(mersenne61.P) - a,
        mul=vectors.mul,
    )
    for law in LAWS[:3]:
        with pytest.raises(AssertionError):
            law(broken)
