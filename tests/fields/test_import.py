"""Importing the fields and the transcript changes nothing outside them."""

import subprocess
import sys

import pytest

JAX_MODULES = [
    "zkjax.fields.arrays",
    "zkjax.fields.extension",
    "zkjax.fields.ntt",
    "zkjax.transcript.sha256",
]
NO_STATE = """
import jax
before = dict(jax.config.values)
for name in {names!r}:
    __import__(name)
assert dict(jax.config.values) == before
assert not jax.config.jax_enable_x64
assert jax.numpy.ones(1).dtype == jax.numpy.float32
"""
NO_BACKEND = """
import jax
for name in {names!r}:
    __import__(name)
from jax._src import xla_bridge
assert not xla_bridge.backends_are_initialized()
"""
FORBIDDEN = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {forbidden!r}:
            raise ImportError("forbidden: " + name)
sys.meta_path.insert(0, Refuse())
import {module}
"""


def run(script: str) -> None:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_jax_configuration_is_left_alone():
    run(NO_STATE.format(names=JAX_MODULES))


def test_no_backend_is_started():
    run(NO_BACKEND.format(names=JAX_MODULES))


@pytest.mark.parametrize("module", ["zkjax.fields.mersenne61", "zkjax.transcript.sponge"])
def test_the_definitions_need_neither_numpy_nor_jax(module):
    run(FORBIDDEN.format(forbidden=["numpy", "jax", "jaxlib"], module=module))


def test_vectors_need_no_jax():
    run(FORBIDDEN.format(forbidden=["jax", "jaxlib"], module="zkjax.fields.vectors"))
