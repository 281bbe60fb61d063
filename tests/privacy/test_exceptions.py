"""What is printed: representations, errors and logs say what a thing is, not what it holds."""

from __future__ import annotations

import logging
import pickle
import re
import traceback

import numpy as np
import pytest

from tests.privacy.recording import Recorded
from tests.soundness.block import Case, commit, named
from tests.soundness.cheating import forge
from zkjax.errors import VerificationError, ZkjaxError
from zkjax.fields.mersenne61 import K
from zkjax.prover.checkpoint import OtherCommitment
from zkjax.prover.commit import TensorError, commit_oracle
from zkjax.prover.prove import prove_block
from zkjax.prover.randomness import Randomness
from zkjax.statement.plan import Plan
from zkjax.transcript.channel import ProverChannel
from zkjax.transcript.sponge import Transcript
from zkjax.verifier import verify
from zkjax.witness import OutOfRangeError, Values, Witness, check_lookups
from zkjax.witness.multiplicities import multiplicities


def secret_numbers(case: Case, one: Recorded) -> set[str]:
    """Numbers that should be printed nowhere: pads, masks, keys, weights of five digits and more."""
    elements = [*one.advice.pads, *one.advice.mask_row.to_list()[:100]]
    elements += [value for values in one.plain.values() for value in values]
    numbers = {str(part) for element in elements for part in (element.re, element.im) if part > 1 << 32}
    weights = [case.values[node] for node in case.circuit.committed("before")]
    numbers |= {str(abs(int(value))) for tensor in weights for value in tensor.reshape(-1) if abs(value) >= 10_000}
    assert len(numbers) > 1000
    return numbers


def says_nothing(text: str, secrets: set[str]) -> bool:
    return not set(re.findall(r"\d+", text)) & secrets


def test_representations_say_nothing(case, recorded):
    secrets = secret_numbers(case, recorded)
    channel = ProverChannel(Transcript(bytes(32)), recorded.advice.pads)
    held = [
        recorded.advice,
        recorded.advice._randomness,
        case.commitments,
        case.commitments.data,
        case.commitments.before.oracle,
        case.witness,
        case.witness.values,
        channel,
    ]
    for value in held:
        for text in (repr(value), str(value), f"{value}"):
            assert says_nothing(text, secrets), text
            keys = [oracle.secret_key().hex() for oracle in (case.commitments.data.oracle,)]
            assert not any(key in text for key in (*keys, recorded.advice._randomness.key.hex()))


def test_secrets_are_not_pickled(case, recorded):
    for value in (recorded.advice, case.commitments.data, case.commitments.data.oracle, Randomness()):
        with pytest.raises(TypeError):
            pickle.dumps(value)


def errors(case: Case) -> list[ZkjaxError]:
    """Errors of the prover on secrets that it holds."""
    found: list[ZkjaxError] = []
    plan, tensors = case.plan, {node: case.values[node] for node in case.circuit.committed("before")}
    layout = plan.layout.oracle("before")
    node = next(iter(tensors))
    attempts = [
        lambda: commit_oracle(layout, plan.code, {node: tensors[node]}),
        lambda: commit_oracle(layout, plan.code, {**tensors, node: tensors[node].astype(float)}),
        lambda: commit_oracle(layout, plan.code, {**tensors, node: tensors[node][:1]}),
        lambda: commit(plan, case.committed).data.in_role(plan, "before"),
        lambda: commit(Plan(case.circuit, 5), case.committed).before.in_role(plan, "before"),
    ]
    for attempt in attempts:
        with pytest.raises((TensorError, OtherCommitment)) as caught:
            attempt()
        found.append(caught.value)
    return found


def test_errors_of_the_prover_say_nothing(case, recorded):
    secrets = secret_numbers(case, recorded)
    for error in errors(case):
        text = "".join(traceback.format_exception(error))
        assert says_nothing(text, secrets), text


def test_only_the_error_about_a_value_shows_it(case, recorded):
    """The user's own value, to the user; the counting of lookups that follows names the lookup alone."""
    secrets = secret_numbers(case, recorded)
    node = named(case.circuit)["advice/layer1/pre_activation"]
    values = dict(case.witness.values)
    values[node] = values[node].copy()
    values[node][1, 2, 0] = 77_777
    wrong = Witness(Values(values), case.schedule)
    with pytest.raises(OutOfRangeError) as caught:
        check_lookups(case.lowered, wrong)
    assert "77777" in str(caught.value)
    assert says_nothing(str(caught.value), secrets)
    with pytest.raises(ZkjaxError) as counted:
        multiplicities(case.lowered, wrong, lambda index: 12)
    assert "77777" not in str(counted.value)


def test_rejections_say_nothing_that_the_proof_does_not(case, recorded):
    """Even of a forged proof the verifier knows public values only."""
    secrets = secret_numbers(case, recorded)
    committed = dict(case.committed)
    node = named(case.circuit)["before/layer0/kernel"]
    committed[node] = case.values[node] + 1
    for bend in ("", "rows", "pads", "columns"):
        with pytest.raises(VerificationError) as caught:
            forge(case, committed=committed, bend=bend).verify()
        assert says_nothing("".join(traceback.format_exception(caught.value)), secrets)


def test_nothing_is_printed_or_logged(case, recorded, capfd, caplog):
    secrets = secret_numbers(case, recorded)
    with caplog.at_level(logging.DEBUG):
        statement, proof = prove_block(case.lowered, case.witness, case.commitments, case.plan)
        summary = verify(statement, proof)
    out, err = capfd.readouterr()
    assert out == err == ""
    assert says_nothing(caplog.text, secrets)
    assert says_nothing(repr(summary), secrets)


def test_the_numbers_that_are_looked_for_would_be_found(case, recorded):
    secrets = secret_numbers(case, recorded)
    pad = recorded.advice.pads[3]
    assert not says_nothing(f"pad {pad!r}", secrets)
    assert not says_nothing(repr(case.committed[named(case.circuit)["before/layer0/kernel"]]), secrets)
    assert says_nothing(repr(K(12)), secrets)
    assert np.unique(list(map(int, secrets))).size == len(secrets)
