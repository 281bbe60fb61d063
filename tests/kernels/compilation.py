"""Compile quickly: these programs are small and run once, and XLA's CPU backend optimises them for
seconds each. On a GPU its own defaults hold."""

from __future__ import annotations

import functools
import inspect
import os

import jax

BACKEND = os.environ.get("ZKJAX_KERNELS", "interpret")
OPTIONS = {
    "xla_backend_optimization_level": 0,
    "xla_cpu_use_fusion_emitters": False,
    "xla_llvm_disable_expensive_passes": True,
}


def quick_jit(function, **arguments):
    """jax.jit with compilation as cheap as it gets."""
    options = OPTIONS if BACKEND == "interpret" else None
    return jax.jit(function, compiler_options=options, **arguments)


@functools.cache
def compiled(function):
    """A kernel or reference, its launch options static: tests of one shape share one program."""
    names = inspect.signature(function).parameters
    return quick_jit(function, static_argnames=[n for n in ("block", "interpret") if n in names])
