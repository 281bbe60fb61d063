"""The two ends of the channel: one census, exact lengths, one error per deviation."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkjax.errors import VerificationError
from zkjax.fields.mersenne61 import ELEMENT_BYTES, K, P
from zkjax.transcript.channel import (
    NONCE_BYTES,
    CanonicalError,
    ProofLengthError,
    ProverChannel,
    VerifierChannel,
    WorkError,
)
from zkjax.transcript.sponge import Transcript

SEED = b"zkjax channel tests, seed number1"[:32]
SETTINGS = settings(max_examples=100, derandomize=True, deadline=None, database=None)
WORK_BITS = 4


def elements(rng: random.Random, count: int) -> list[K]:
    return [K(rng.randrange(P), rng.randrange(P)) for _ in range(count)]


class Script:
    """A random conversation, played by either end."""

    def __init__(self, seed: int, length: int = 12):
        rng = random.Random(seed)
        self.pads = elements(rng, 200)
        self.moves = [
            (
                rng.choice(
                    ["hidden", "public", "bytes", "take", "work", "challenge", "challenges", "nonzero", "reserve"]
                ),
                rng.choice(["one", "two", "a longer label"]),
                elements(rng, rng.randrange(4)),
                rng.choice(["first", "second"]),
            )
            for _ in range(length)
        ]

    def prove(self) -> tuple[ProverChannel, list]:
        channel = ProverChannel(Transcript(SEED, log=[]), self.pads)
        seen: list = []
        for kind, label, values, section in self.moves:
            channel.begin(section)
            data = b"".join(value.to_bytes() for value in values)
            match kind:
                case "hidden":
                    forms = channel.send_hidden(label, values)
                    assert [channel.plaintext(form) for form in forms] == values
                    seen.append([form.linear_form() for form in forms])
                case "public":
                    channel.send_public(label, values)
                    seen.append(values)
                case "bytes":
                    channel.send_bytes(label, data)
                    seen.append(data)
                case "take":
                    channel.append(data)
                    seen.append(data)
                case "work":
                    channel.work(label, WORK_BITS)
                case _:
                    seen.append(self._draw(channel, kind, label, len(values)))
        return channel, seen

    def verify(self, proof: bytes) -> tuple[VerifierChannel, list]:
        channel = VerifierChannel(Transcript(SEED, log=[]), proof)
        seen: list = []
        for kind, label, values, section in self.moves:
            channel.begin(section)
            match kind:
                case "hidden":
                    seen.append([form.linear_form() for form in channel.receive_hidden(label, len(values))])
                case "public":
                    seen.append(channel.receive_public(label, len(values)))
                case "bytes":
                    seen.append(channel.receive_bytes(label, len(values) * ELEMENT_BYTES))
                case "take":
                    seen.append(channel.take(label, len(values) * ELEMENT_BYTES))
                case "work":
                    channel.work(label, WORK_BITS)
                case _:
                    seen.append(self._draw(channel, kind, label, len(values)))
        channel.finish()
        return channel, seen

    @staticmethod
    def _draw(channel, kind, label, count):
        match kind:
            case "challenge":
                return channel.challenge(label)
            case "challenges":
                return channel.challenges(label, count)
            case "nonzero":
                return channel.nonzero_challenge(label)
            case "reserve":
                return channel.reserve_pads(count)


@pytest.mark.parametrize("seed", range(30))
def test_both_ends_share_one_census(seed):
    script = Script(seed)
    prover, sent = script.prove()
    verifier, received = script.verify(bytes(prover.proof))
    assert received == sent
    assert verifier.transcript.log == prover.transcript.log
    assert verifier.transcript.state == prover.transcript.state
    assert verifier.pads_used == prover.pads_used
    assert verifier.sections == prover.sections
    assert sum(prover.sections.values()) == len(prover.proof)


@pytest.mark.parametrize("seed", range(10))
def test_every_truncation_is_a_length_error(seed):
    script = Script(seed)
    proof = bytes(script.prove()[0].proof)
    for length in range(len(proof)):
        with pytest.raises(ProofLengthError, match="ends within message") as caught:
            script.verify(proof[:length])
        assert caught.value.expected > caught.value.got


@pytest.mark.parametrize("extra", [b"\0", b"\0" * 16, b"more"])
def test_bytes_left_over_are_a_length_error(extra):
    script = Script(0)
    with pytest.raises(ProofLengthError, match="bytes left over") as caught:
        script.verify(bytes(script.prove()[0].proof) + extra)
    assert caught.value.got == len(extra)


@pytest.mark.parametrize("part", [0, 8])
@pytest.mark.parametrize("value", [P, P + 1, (1 << 64) - 1, 1 << 61])
@pytest.mark.parametrize("method", ["receive_hidden", "receive_public"])
def test_an_element_has_one_encoding(part, value, method):
    for place in range(3):
        data = bytearray(3 * ELEMENT_BYTES)
        start = place * ELEMENT_BYTES + part
        data[start : start + 8] = value.to_bytes(8, "little")
        channel = VerifierChannel(Transcript(SEED), bytes(data))
        with pytest.raises(CanonicalError, match="message 'values'"):
            getattr(channel, method)("values", 3)


def test_a_nonce_without_work_is_a_work_error():
    prover = ProverChannel(Transcript(SEED))
    prover.work("grind", 8)
    nonce = int.from_bytes(prover.proof, "little")
    for wrong in range(nonce):
        with pytest.raises(WorkError, match=r"^the proof is of another statement, .* not show 8 bits of work"):
            VerifierChannel(Transcript(SEED), wrong.to_bytes(NONCE_BYTES, "little")).work("grind", 8)
    VerifierChannel(Transcript(SEED), bytes(prover.proof)).work("grind", 8)


def test_work_is_bound_to_its_label_and_its_place():
    prover = ProverChannel(Transcript(SEED))
    prover.work("grind", 16)
    for channel in (
        VerifierChannel(Transcript(SEED), bytes(prover.proof)),
        VerifierChannel(Transcript(bytes(32)), bytes(prover.proof)),
    ):
        label = "grind" if channel.transcript.state != SEED else "other"
        with pytest.raises(WorkError):
            channel.work(label, 16)


def test_the_nonce_enters_the_next_challenge():
    found = []
    for nonce in range(200):
        channel = VerifierChannel(Transcript(SEED), nonce.to_bytes(NONCE_BYTES, "little"))
        try:
            channel.work("grind", 3)
        except WorkError:
            continue
        found.append(channel.challenge("after"))
    assert len(set(found)) == len(found) > 10


@pytest.mark.parametrize("kind", ["hidden", "public", "bytes"])
def test_what_is_sent_enters_the_next_challenge(kind):
    def challenge(value: K) -> K:
        channel = ProverChannel(Transcript(SEED), [K(5)] * 2)
        match kind:
            case "hidden":
                channel.send_hidden("x", [value, K.ONE])
            case "public":
                channel.send_public("x", [value, K.ONE])
            case "bytes":
                channel.send_bytes("x", value.to_bytes())
        return channel.challenge("y")

    drawn = [challenge(K(re, im)) for re in range(4) for im in range(4)]
    assert len(set(drawn)) == 16


def test_columns_are_not_absorbed():
    """`append` and `take` are for what no challenge depends on."""
    channel = ProverChannel(Transcript(SEED))
    channel.append(b"column")
    assert channel.transcript.state == SEED


def test_each_hidden_value_has_a_pad_of_its_own():
    pads = elements(random.Random(1), 10)
    channel = ProverChannel(Transcript(SEED), pads)
    first = channel.send_hidden("x", [K.ONE] * 3)
    reserved = channel.reserve_pads(2)
    second = channel.send_hidden("y", [K.ONE] * 2)
    used = [pad for form in first + second for pad in form.linear_form()[1]]
    assert used == [0, 1, 2, 5, 6]
    assert reserved == [3, 4]
    sent = [K.from_bytes(channel.proof[at : at + ELEMENT_BYTES]) for at in range(0, len(channel.proof), ELEMENT_BYTES)]
    assert [cipher - pads[pad] for cipher, pad in zip(sent, used, strict=True)] == [K.ONE] * 5


def test_values_beyond_the_pads_are_not_sent():
    channel = ProverChannel(Transcript(SEED), [K(5)])
    with pytest.raises(IndexError):
        channel.send_hidden("x", [K.ONE, K.ONE])
    assert not channel.proof


@SETTINGS
@given(st.binary(max_size=300), st.integers(0, 30))
def test_arbitrary_bytes_end_in_a_typed_error_or_in_nothing(proof, seed):
    try:
        Script(seed).verify(proof)
    except VerificationError as error:
        assert isinstance(error, ProofLengthError | CanonicalError | WorkError)


@SETTINGS
@given(st.data())
def test_a_changed_byte_changes_what_follows(data):
    script = Script(data.draw(st.integers(0, 20)), length=8)
    proof = bytearray(script.prove()[0].proof)
    if not proof:
        return
    proof[data.draw(st.integers(0, len(proof) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    prover, sent = script.prove()
    try:
        verifier, received = script.verify(bytes(proof))
    except VerificationError:
        return
    assert received != sent or verifier.transcript.state != prover.transcript.state
