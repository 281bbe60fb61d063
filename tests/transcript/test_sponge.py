"""The transcript: binding, unbiased sampling, proof of work, the census."""

import hashlib

import pytest

from zkjax.fields.mersenne61 import K, P
from zkjax.transcript import Transcript, sponge

START = bytes(range(32))


def digest_of(*words: int) -> bytes:
    return b"".join(word.to_bytes(8, "little") for word in words)


class Scripted(Transcript):
    """Draws given digests, to reach what a real hash reaches once in 2^61 times."""

    __slots__ = ("digests",)

    def draw(self, label: str) -> bytes:
        self.state = self.digests.pop(0)
        return self.state


def scripted(*digests: bytes) -> Scripted:
    transcript = Scripted(START)
    transcript.digests = list(digests)
    return transcript


def test_states_follow_the_definition():
    transcript = Transcript(START)
    transcript.absorb("ab", b"xyz")
    header = START + b"\x01" + b"\x02ab" + (3).to_bytes(8, "little")
    state = hashlib.sha256(header + b"xyz").digest()
    assert transcript.state == state
    drawn = transcript.draw("c")
    assert drawn == transcript.state == hashlib.sha256(state + b"\x02" + b"\x01c").digest()


def test_every_input_is_bound():
    """Moving a byte between label, length and payload, or changing the kind, changes the state."""
    calls = [
        lambda t: t.absorb("a", b"bc"),
        lambda t: t.absorb("ab", b"c"),
        lambda t: t.absorb("a", b"bc\x00"),
        lambda t: t.absorb("", b"abc"),
        lambda t: t.absorb("a", b""),
        lambda t: t.draw("a"),
        lambda t: (t.absorb("a", b"b"), t.absorb("a", b"c")),
        lambda t: (t.absorb("a", b"c"), t.absorb("a", b"b")),
        lambda t: t.absorb_zeros("a", 2),
        lambda t: t.absorb_zeros("a", 3),
    ]
    states = set()
    for call in calls:
        transcript = Transcript(START)
        call(transcript)
        states.add(transcript.state)
    assert len(states) == len(calls)
    assert Transcript(START).draw("a") != Transcript(START[::-1]).draw("a")


def test_elements_absorb_their_encodings():
    one, other = Transcript(START), Transcript(START)
    elements = [K(1, 2), K(P - 1), K(0)]
    one.absorb_elements("e", elements)
    other.absorb("e", b"".join(x.to_bytes() for x in elements))
    assert one.state == other.state


@pytest.mark.parametrize("count", [0, 1, 65535, 65536, 65537, 200_000])
def test_zeros_absorb_as_bytes_would(count):
    one, other = Transcript(START), Transcript(START)
    one.absorb_zeros("z", count)
    other.absorb("z", bytes(count))
    assert one.state == other.state


def test_challenges_read_little_endian_words():
    transcript = Transcript(START)
    value = transcript.clone().challenge("c")
    digest = transcript.draw("c")
    assert value.re == int.from_bytes(digest[:8], "little") & P
    assert value.im == int.from_bytes(digest[8:16], "little") & P


def test_the_top_three_bits_are_dropped():
    high = 7 << 61
    assert scripted(digest_of(high | 5, high | 6, 0, 0)).challenge("c") == K(5, 6)


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ((1, 2, 3, 4), K(1, 2)),
        ((P, 2, 3, 4), K(2, 3)),
        ((1, P, 3, 4), K(1, 3)),
        ((P, P, 3, 4), K(3, 4)),
        ((1, P, P, 4), K(1, 4)),
        ((2**64 - 1, 0, P, 9), K(0, 9)),
    ],
)
def test_words_equal_to_p_are_dropped(words, value):
    assert scripted(digest_of(*words)).challenge("c") == value


def test_a_digest_with_one_word_left_is_dropped_whole():
    transcript = scripted(digest_of(P, P, 7, P), digest_of(P, P, P, P), digest_of(8, 9, 1, 1))
    assert transcript.challenge("c") == K(8, 9)


def test_nonzero_challenges_skip_zero():
    transcript = scripted(digest_of(0, 0, 1, 1), digest_of(0, 3, 1, 1))
    assert transcript.nonzero_challenge("c") == K(0, 3)


def test_challenges_are_a_sequence_of_single_ones():
    one, other = Transcript(START), Transcript(START)
    assert one.challenges("c", 3) == [other.challenge("c") for _ in range(3)]
    assert one.state == other.state
    assert one.challenges("c", 0) == []


def test_indices_are_masked_words():
    one, other = Transcript(START), Transcript(START)
    drawn = one.indices("i", 11, 7)
    digests = other.draw("i") + other.draw("i")
    words = [int.from_bytes(digests[at : at + 4], "little") for at in range(0, 64, 4)]
    assert drawn == [word % 128 for word in words[:11]]
    assert one.state == other.state
    assert max(Transcript(START).indices("i", 400, 5)) == 31
    assert Transcript(START).indices("i", 3, 0) == [0, 0, 0]
    assert max(Transcript(START).indices("i", 64, 32)) >= 1 << 31
    assert Transcript(START).indices("i", 0, 5) == []


@pytest.mark.parametrize(("count", "bound_log2"), [(1, -1), (1, 33), (-1, 4)])
def test_indices_out_of_range_are_refused(count, bound_log2):
    with pytest.raises(ValueError, match="must"):
        Transcript(START).indices("i", count, bound_log2)


@pytest.mark.parametrize("bits", [0, 1, 5, 9])
def test_proof_of_work(bits):
    prover, verifier = Transcript(START), Transcript(START)
    prefix = START + b"\x03" + b"\x04work"
    nonce = prover.prove_work("work", bits)

    def works(candidate: int) -> bool:
        digest = hashlib.sha256(prefix + candidate.to_bytes(8, "little")).digest()
        return int.from_bytes(digest, "little") % (1 << bits) == 0

    assert works(nonce) and not any(works(smaller) for smaller in range(nonce))
    assert verifier.check_work("work", bits, nonce)
    assert prover.state == verifier.state
    absorbed = Transcript(START)
    absorbed.absorb("work", nonce.to_bytes(8, "little"))
    assert prover.state == absorbed.state


def test_wrong_work_is_seen_and_still_absorbed():
    transcript = Transcript(START)
    nonce = transcript.clone().prove_work("work", 8)
    other = transcript.clone()
    assert not other.check_work("work", 8, nonce + 1 << 20)
    assert other.state != transcript.state
    assert not transcript.clone().check_work("elsewhere", 8, nonce)
    moved = transcript.clone()
    moved.absorb("x", b"")
    assert not moved.check_work("work", 8, nonce)


@pytest.mark.parametrize("nonce", [-1, 1 << 64])
def test_a_nonce_has_64_bits(nonce):
    with pytest.raises(ValueError, match="64 bits"):
        Transcript(START).check_work("work", 8, nonce)


@pytest.mark.parametrize("bits", [-1, 65])
def test_work_out_of_range_is_refused(bits):
    for call in (Transcript(START).prove_work, lambda *a: Transcript(START).check_work(*a, 0)):
        with pytest.raises(ValueError, match="work bits"):
            call("work", bits)


def test_the_census_lists_every_absorb_and_draw():
    log: list = []
    transcript = Transcript(START, log)
    transcript.absorb("a", b"abc")
    transcript.absorb_elements("e", [K(1), K(2)])
    transcript.absorb_zeros("z", 7)
    transcript.challenges("c", 2)
    transcript.indices("i", 9, 4)
    nonce = transcript.clone().prove_work("w", 3)
    transcript.check_work("w", 3, nonce)
    transcript.clone().draw("unseen")
    assert log == [
        ("absorb", "a", 3),
        ("absorb", "e", 32),
        ("absorb", "z", 7),
        ("draw", "c", 32),
        ("draw", "c", 32),
        ("draw", "i", 32),
        ("draw", "i", 32),
        ("absorb", "w", 8),
    ]


def test_clones_part_ways():
    one = Transcript(START)
    other = one.clone()
    one.absorb("a", b"")
    assert other.state == START != one.state


@pytest.mark.parametrize("label", ["l" * 256, "é"])
def test_labels_are_short_ascii(label):
    with pytest.raises(ValueError, match=r"255|ascii"):
        Transcript(START).absorb(label, b"")
    with pytest.raises(ValueError, match=r"255|ascii"):
        Transcript(START).draw(label)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_protocol_id_has_32_bytes(length):
    with pytest.raises(ValueError, match="protocol id"):
        Transcript(bytes(length))


def test_nothing_but_the_state_is_remembered():
    assert set(Transcript.__slots__) == {"log", "state"}
    assert sponge.STATE_BYTES == 32
