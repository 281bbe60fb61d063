"""Secrets are arguments of compiled programs, never part of them: a cache on disk holds programs.

A program that had a secret in it, as a constant or as a static argument, would be traced anew for
another secret, or would give the first one's results again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import jax
import numpy as np
import pytest

from tests.privacy.test_distribution import secret
from tests.soundness.block import Case, commit
from tests.soundness.cheating import is_legal
from zkjax.prover.prove import prove_block
from zkjax.verifier import verify
from zkjax.witness.execute import execute, executor

COMPILING = ("trace", "mlir", "backend_compile")


def compilations(action: Callable[[], object]) -> list[str]:
    """Names of the stages of compilation that `action` causes."""
    seen: list[str] = []

    def listen(event: str, duration: float, **_: object) -> None:
        if any(part in event for part in COMPILING):
            seen.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        action()
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    return seen


def prove(case: Case) -> None:
    statement, proof = prove_block(case.lowered, case.witness, commit(case.plan, case.committed), case.plan)
    verify(statement, proof)


def run(case: Case) -> None:
    data, before = ({node: case.values[node] for node in case.circuit.committed(role)} for role in ("data", "before"))
    witness = execute(case.lowered, data, before, case.schedule)
    for node, value in witness.values.items():
        np.testing.assert_array_equal(value, case.values[node])


def test_the_listener_hears_compilations():
    @jax.jit
    def fresh(x):
        return x * 3 + 1

    assert compilations(lambda: fresh(np.arange(7)))
    assert not compilations(lambda: fresh(np.arange(7) + 5))
    constant = np.arange(7)
    assert compilations(lambda: jax.jit(lambda x: x + constant)(np.arange(7)))


@pytest.mark.parametrize("action", [prove, run], ids=["prover", "witness"])
def test_other_secrets_compile_nothing(action, case):
    action(case)
    assert not compilations(lambda: action(Case.make(seed=5)))


def test_the_program_of_the_witness_has_no_constants_of_secrets(case):
    """Its jaxpr is the same for other secrets, and closes over nothing larger than a scalar."""
    data, before = ({node: case.values[node] for node in case.circuit.committed(r)} for r in ("data", "before"))
    other = Case.make(seed=5)
    others = ({node: other.values[node] for node in case.circuit.committed(r)} for r in ("data", "before"))
    with jax.enable_x64(True):
        trace = executor(case.lowered).trace
        closed = jax.make_jaxpr(trace)(data, before, case.schedule, {})
        again = jax.make_jaxpr(trace)(*others, other.schedule, {})
    assert str(closed) == str(again)
    assert all(np.size(constant) <= 1 for constant in closed.consts)


SCRIPT = """
import sys, json, hashlib, pathlib, os
from tests.privacy.test_distribution import secret
from tests.privacy.test_programs import prove, run
case = secret(int(sys.argv[1]))
assert case.values[0].any() == bool(int(sys.argv[1]))
run(case)
prove(case)
"""


@pytest.mark.slow
def test_compiled_programs_are_the_same_text_for_all_secrets(run_python, tmp_path):
    """Everything that XLA is given, constants included, in two processes with different secrets."""
    programs = []
    for seed in ("0", "1"):
        folder = tmp_path / seed
        folder.mkdir()
        result = run_python("-c", SCRIPT, seed, JAX_DUMP_IR_TO=str(folder), JAX_DUMP_IR_MODES="stablehlo")
        assert result.returncode == 0, result.stderr
        texts = [path.read_bytes() for path in folder.iterdir()]
        assert len(texts) > 20
        programs.append(sorted(hashlib.sha256(text).hexdigest() for text in texts))
    assert programs[0] == programs[1], json.dumps([len(found) for found in programs])


def test_the_secrets_of_the_script_differ():
    assert is_legal(secret(0).circuit, secret(0).values)
    assert not all(np.array_equal(a, b) for a, b in zip(secret(0).values, secret(1).values, strict=True))
