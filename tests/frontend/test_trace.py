"""The flat program: inlining, dead code, constants, source lines."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from zkjax.frontend.trace import Constant, live, run, trace


def traced(function, *arguments):
    program, _ = trace(function, *arguments)
    return live(program, program.outputs)


def test_calls_are_inlined_however_deep():
    @jax.custom_jvp
    def twice(x):
        return jax.jit(lambda y: y + y)(x)

    twice.defjvp(lambda p, t: (twice(*p), 2.0 * t[0]))
    program = traced(jax.jit(lambda x: jax.checkpoint(twice)(jax.jit(twice)(x))), jnp.ones(3))
    assert [equation.name for equation in program.equations] == ["add", "add"]
    np.testing.assert_array_equal(run(program, [np.ones(3, np.float32)])[0], np.full(3, 4.0))


def test_dead_equations_are_dropped():
    program, _ = trace(lambda x: (x * 2.0, jnp.sin(x), jnp.sort(x)), jnp.ones(3))
    assert [equation.name for equation in live(program, program.outputs[:1]).equations] == ["mul"]


def test_constants_are_folded_in_the_users_precision():
    program = traced(lambda x: x * (jnp.float32(1) / jnp.float32(3)) * jnp.ones((2, 3)).sum(), jnp.ones((2, 3)))
    (first, second) = program.equations
    constants = [atom for equation in (first, second) for atom in equation.inputs if isinstance(atom, Constant)]
    assert float(constants[0].uniform()) == float(np.float32(1) / np.float32(3))
    assert float(constants[1].uniform()) == 6.0


def test_uniform_constants_take_no_memory():
    program = traced(lambda x: x + jnp.broadcast_to(jnp.float32(2), (1 << 14, 1 << 14)).sum(), jnp.ones(2))
    assert len(program.equations) <= 3


def test_closed_over_arrays_are_known_even_inside_of_calls():
    hidden = np.arange(3.0, dtype=np.float32)
    program = traced(jax.jit(lambda x: x + hidden), jnp.ones(3))
    (constant,) = (atom for atom in program.equations[0].inputs if isinstance(atom, Constant))
    assert constant.closed_over
    assert constant.uniform() is None


def test_lines_are_the_users_own():
    program = traced(lambda x: jax.nn.relu(x) + 1.0, jnp.ones(3))
    for equation in program.equations:
        assert "test_trace.py:" in equation.line
