"""SHA-256 and the transcript in JAX against hashlib and against the definition."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zkjax.fields.mersenne61 import K, P
from zkjax.fields.vectors import Ext
from zkjax.transcript import Transcript, sha256

START = bytes(range(32))


@pytest.fixture(autouse=True)
def strict_x64():
    with (
        jax.enable_x64(True),
        jax.numpy_dtype_promotion("strict"),
        jax.numpy_rank_promotion("raise"),
    ):
        yield


@pytest.fixture
def generator():
    return np.random.default_rng(3)


@pytest.mark.parametrize("length", [0, 1, 55, 56, 63, 64, 119, 120, 300])
def test_digests_of_bytes(generator, length):
    message = generator.integers(0, 256, length, dtype=np.uint8)
    expected = hashlib.sha256(message.tobytes()).digest()
    assert sha256.state_to_bytes(jax.jit(sha256.digest)(message)) == expected


@pytest.mark.parametrize("count", [0, 1, 13, 14, 16, 29, 30])
def test_digests_of_words(generator, count):
    message = generator.integers(0, 1 << 32, count, dtype=np.uint32)
    expected = hashlib.sha256(message.astype(">u4").tobytes()).digest()
    assert sha256.state_to_bytes(jax.jit(sha256.digest_words)(message)) == expected


def test_digests_map_over_a_batch(generator):
    messages = generator.integers(0, 256, (2, 3, 100), dtype=np.uint8)
    digests = jax.jit(jax.vmap(jax.vmap(sha256.digest)))(messages)
    for index in np.ndindex(2, 3):
        expected = hashlib.sha256(messages[index].tobytes()).digest()
        assert sha256.state_to_bytes(digests[index]) == expected


def test_digests_without_x64_mode(generator):
    message = generator.integers(0, 256, 70, dtype=np.uint8)
    with jax.enable_x64(False):
        digest = sha256.state_to_bytes(jax.jit(sha256.digest)(message))
    assert digest == hashlib.sha256(message.tobytes()).digest()


def test_messages_of_another_kind_are_refused():
    for function, good in ((sha256.digest, np.uint8), (sha256.digest_words, np.uint32)):
        with pytest.raises(TypeError, match="uint"):
            function(np.zeros(4, dtype=np.uint64))
        with pytest.raises(ValueError, match="one axis"):
            function(np.zeros((2, 2), dtype=good))
    with pytest.raises(ValueError, match="32 bytes"):
        sha256.state_from_bytes(bytes(31))


def test_words_and_bytes_are_inverse(generator):
    words = generator.integers(0, 1 << 32, 9, dtype=np.uint32)
    data = sha256.bytes_from_words(jnp.asarray(words))
    assert np.asarray(data).tobytes() == words.astype(">u4").tobytes()
    assert np.array_equal(sha256.words_from_bytes(data), words)
    assert sha256.state_to_bytes(sha256.state_from_bytes(START)) == START


def test_a_protocol_in_one_program(generator):
    """Rounds of absorbing and drawing inside a scan equal the definition, state and values."""
    rounds = 5
    planes = generator.integers(0, P, (2, rounds, 3), dtype=np.uint64)
    planes[:, 0] = [[0, P - 1, 1 << 60], [P - 1, 0, 1]]

    @jax.jit
    def run(state, messages):
        def one(state, message):
            state = sha256.absorb_elements(state, "round", message)
            return sha256.challenge(state, "challenge")

        state, values = jax.lax.scan(one, state, messages)
        state, more = sha256.challenges(state, "", 2)
        return sha256.absorb_elements(state, "single", more[0]), values, more

    state, values, more = run(sha256.state_from_bytes(START), Ext(*planes))
    transcript = Transcript(START)
    for at in range(rounds):
        transcript.absorb_elements("round", Ext(*planes[:, at]).to_list())
        assert values[at].item() == transcript.challenge("challenge")
    assert more.to_list() == transcript.challenges("", 2)
    transcript.absorb_elements("single", [more[0].item()])
    assert sha256.state_to_bytes(state) == transcript.state


def test_transcripts_map_over_a_batch(generator):
    states = generator.integers(0, 1 << 32, (4, 8), dtype=np.uint32)
    planes = generator.integers(0, P, (2, 4, 2), dtype=np.uint64)

    def step(state, elements):
        return sha256.challenge(sha256.absorb_elements(state, "e", elements), "c")

    new_states, values = jax.jit(jax.vmap(step))(states, Ext(*planes))
    for at in range(4):
        transcript = Transcript(sha256.state_to_bytes(states[at]))
        transcript.absorb_elements("e", Ext(*planes[:, at]).to_list())
        assert values[at].item() == transcript.challenge("c")
        assert sha256.state_to_bytes(new_states[at]) == transcript.state


def state_of(*words: int):
    return sha256.state_from_bytes(b"".join(word.to_bytes(8, "little") for word in words))


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ((1, 2, 3, 4), K(1, 2)),
        ((P, 2, 3, 4), K(2, 3)),
        ((1, P, 3, 4), K(1, 3)),
        ((2**64 - 1, P, 3, 4), K(3, 4)),
        ((1, P, P, 7 << 61 | 4), K(1, 4)),
        ((P, 1, P, P), None),
        ((P, P, P, P), None),
    ],
)
def test_rejection_of_words_equal_to_p(words, value):
    accepted, parts = sha256._parts(state_of(*words))
    assert bool(accepted) == (value is not None)
    if value is not None:
        assert parts.item() == value


def test_a_rejected_digest_is_drawn_again(monkeypatch):
    """The loop goes on from the rejected state, under the same label."""
    true_draw, bad = sha256.draw, state_of(P, P, P, 3)

    def draw(state, label):
        first = jnp.all(state == sha256.state_from_bytes(START))
        return jnp.where(first, bad, true_draw(state, label))

    monkeypatch.setattr(sha256, "draw", draw)
    state, value = sha256.challenge(sha256.state_from_bytes(START), "c")
    transcript = Transcript(sha256.state_to_bytes(bad))
    assert value.item() == transcript.challenge("c")
    assert sha256.state_to_bytes(state) == transcript.state


@pytest.mark.parametrize("label", ["l" * 256, "é"])
def test_labels_are_short_ascii(label):
    with pytest.raises(ValueError, match=r"255|ascii"):
        sha256.challenge(sha256.state_from_bytes(START), label)
