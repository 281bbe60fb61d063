"""docs/coverage.md is current, and what it says of errors holds: the examples run in integers, beside float32."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.conftest import ROOT
from tests.witness.naive import interpret
from zkjax.fixedpoint import nodes
from zkjax.frontend.rules import RULES

# The error of a tensor is multiplied by what the tensor is: here the reciprocal, and the square, by |z| < 2.
AMPLIFIED = {"div": 2.0, "integer_pow": 2.0}


@cache
def coverage():
    specification = importlib.util.spec_from_file_location("coverage_page", ROOT / "docs" / "coverage.py")
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module  # dataclasses look their module up
    specification.loader.exec_module(module)
    return module


def test_the_page_is_current(run_python):
    result = run_python(str(ROOT / "docs" / "coverage.py"))
    assert result.returncode == 0, result.stderr
    page = (ROOT / "docs" / "coverage.md").read_text()
    assert page == result.stdout, "run: python docs/coverage.py > docs/coverage.md"


def test_every_rule_has_an_example_and_every_node_a_meaning():
    assert coverage().EXAMPLES.keys() == RULES.keys(), "docs/coverage.py: one example for each primitive"
    assert set(coverage().MEANING) == set(get_args(nodes.RealNode)), "docs/coverage.py: one meaning for each node"


@pytest.mark.parametrize("primitive", sorted(RULES))
def test_the_error_is_that_of_the_page(primitive):
    """Half a unit of the last place for each tensor that is rounded or looked up, and no more."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        made = coverage().compiled(coverage().EXAMPLES[primitive], primitive)
        expected = np.asarray(made.train_step(*jax.tree.map(jnp.asarray, (made.state, made.batch)))["w"], np.float64)
    program, circuit = made.program, made.program.circuit
    given = {"data": program.quantize_dataset(made.batch), "before": program.quantize_state(made.state)}
    inputs = {node: given[oracle][circuit.nodes[node].name] for oracle in given for node in circuit.committed(oracle)}
    values = interpret(program.lowered, inputs, np.arange(len(made.batch["y"]))[None])
    (after,) = (values[node] for node in circuit.committed("after"))
    form = program.plan.weights["w"]
    step = program.plan.step
    allowed = 2.0 ** -(form.state_fraction + 1)
    for tensor in program.plan.tensors:
        node = step.nodes[tensor.node]
        if isinstance(node, nodes.Product) and isinstance(step.nodes[node.right], nodes.StateLeaf):
            continue  # z itself, which is exact here
        allowed += AMPLIFIED.get(primitive, 1.0) * 2.0 ** -(tensor.fraction_bits + 1)
    slack = 2.0**-20 * np.abs(expected) + 2.0**-21
    error = np.abs(after.astype(np.float64) * 2.0**-form.state_fraction - expected)
    assert (error <= allowed + slack).all(), (error.max(), allowed)
