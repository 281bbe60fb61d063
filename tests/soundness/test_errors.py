"""Every class of rejection is met: raised by verification or decoding, named after its check."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable
from dataclasses import replace
from unittest.mock import PropertyMock, patch

import pytest

import zkjax.statement
import zkjax.transcript
import zkjax.verifier
from tests.soundness.block import Case, named
from tests.soundness.cheating import Forgery, forge
from tests.soundness.test_mutants import plus_p
from zkjax.errors import VerificationError
from zkjax.statement import parameters
from zkjax.statement.circuit import Circuit
from zkjax.statement.plan import Plan
from zkjax.statement.proof import Proof
from zkjax.statement.statement import Statement
from zkjax.verifier import verify

VERIFY = sys.modules[verify.__module__]


def subclasses(kind: type) -> set[type]:
    return {kind, *(found for child in kind.__subclasses__() for found in subclasses(child))}


def all_rejections() -> set[str]:
    """Every class of rejection that the verifier's half of the package defines."""
    for package in (zkjax.statement, zkjax.transcript, zkjax.verifier):
        for module in pkgutil.iter_modules(package.__path__):
            if module.name != "sha256":  # the transcript in JAX, which the verifier does without
                importlib.import_module(f"{package.__name__}.{module.name}")
    found = subclasses(VerificationError) - {VerificationError}
    # An audit, which another test of this process may have imported, has rejections of its own.
    halves = tuple(f"{package.__name__}." for package in (zkjax.statement, zkjax.transcript, zkjax.verifier))
    return {kind.__name__ for kind in found if kind.__module__.startswith(halves)}


def lied(case: Case) -> dict:
    node = named(case.circuit)["advice/layer0/gate"]
    values = case.values[node].copy()
    values[0, 0, 0] ^= 1
    return {**case.committed, node: values}


def consistency(case: Case, honest: Forgery) -> None:
    forge(case, committed=lied(case)).verify()


def proximity(case: Case, honest: Forgery) -> None:
    forge(case, committed=lied(case), bend="rows").verify()


def pad_proximity(case: Case, honest: Forgery) -> None:
    forge(case, committed=lied(case), bend="pads").verify()


def merkle(case: Case, honest: Forgery) -> None:
    data = honest.proof.data
    verify(honest.statement, Proof(data[:-1] + bytes([data[-1] ^ 1])))


def canonical(case: Case, honest: Forgery) -> None:
    with plus_p("lookup root"):
        forged = forge(case)
    forged.verify()


def length(case: Case, honest: Forgery) -> None:
    verify(honest.statement, Proof(honest.proof.data + b"\0"))


def work(case: Case, honest: Forgery) -> None:
    nonce = int.from_bytes(honest.proof.data[32:40], "little")
    for other in range(nonce):  # the least nonce that works is the prover's
        verify(honest.statement, Proof(honest.proof.data[:32] + other.to_bytes(8, "little") + honest.proof.data[40:]))
    verify(honest.statement, Proof(honest.proof.data[:32] + b"\xff" * 8 + honest.proof.data[40:]))


def soundness(case: Case, honest: Forgery) -> None:
    with patch.object(parameters, "QUERY_TARGET_BITS", 60):
        verify(replace(honest.statement), honest.proof)


def ranges(case: Case, honest: Forgery) -> None:
    """Without its lookup the state before is bounded by nothing."""
    circuit = honest.statement.circuit
    lookups = tuple(lookup for lookup in circuit.lookups if not lookup.name.startswith("before/counter"))
    verify(replace(honest.statement, circuit=replace(circuit, lookups=lookups)), honest.proof)


def illegal_circuit(case: Case, honest: Forgery) -> None:
    Circuit.from_bytes(honest.statement.circuit.to_bytes()[:-1])


def statement(case: Case, honest: Forgery) -> None:
    Statement.from_bytes(honest.statement.to_bytes()[:-1])


def proof_format(case: Case, honest: Forgery) -> None:
    Proof.from_bytes(b"PK\3\4" + honest.proof.to_bytes())


def open_end(case: Case, honest: Forgery) -> None:
    """Nothing that is read can cause it: a plan that counts fewer pads than the messages use."""
    with patch.object(Plan, "pads", PropertyMock(return_value=3)):
        verify(replace(honest.statement), honest.proof)


CAUSES: dict[str, Callable[[Case, Forgery], None]] = {
    "ConsistencyError": consistency,
    "ProximityError": proximity,
    "PadProximityError": pad_proximity,
    "MerkleError": merkle,
    "CanonicalError": canonical,
    "ProofLengthError": length,
    "WorkError": work,
    "SoundnessError": soundness,
    "RangeError": ranges,
    "CircuitError": illegal_circuit,
    "StatementError": statement,
    "ProofFormatError": proof_format,
    "OpenEndError": open_end,
}


def test_every_class_has_a_cause():
    assert all_rejections() == set(CAUSES)


@pytest.mark.parametrize("name", CAUSES)
def test_a_rejection_of_every_class(case, honest, name):
    with pytest.raises(VerificationError) as caught:
        CAUSES[name](case, honest)
    assert type(caught.value).__name__ == name
    assert str(caught.value)


def test_rejections_say_what_was_expected(case, honest):
    for name in ("WorkError", "ProofLengthError", "MerkleError", "SoundnessError"):
        with pytest.raises(VerificationError) as caught:
            CAUSES[name](case, honest)
        assert caught.value.expected is not None
        assert caught.value.got is not None
        assert "expected" in str(caught.value)
