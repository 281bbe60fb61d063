"""Masked messages over a field small enough to see their distribution.

The same code runs with p = 7, a Mersenne prime that is 3 mod 4 like 2^61 - 1, so that K has 49
elements: whatever two witnesses send must then be distributed alike, and uniformly. A chi-square
test over many proofs with fresh pads sees a missing mask at once.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest

from zkjax.fields import mersenne61
from zkjax.fields.mersenne61 import K
from zkjax.prover.products import prove_products
from zkjax.statement.relations import Product, Quadratic, Relations, product_sumcheck_claim
from zkjax.transcript import sponge
from zkjax.transcript.channel import ProverChannel, VerifierChannel
from zkjax.transcript.sponge import Transcript
from zkjax.verifier.products import verify_products

SMALL = 7
ELEMENTS = SMALL * SMALL
PROOFS = 4000


@pytest.fixture(autouse=True)
def small_field(monkeypatch):
    monkeypatch.setattr(mersenne61, "P", SMALL)
    monkeypatch.setattr(sponge, "P", SMALL)


def uniform(rng: random.Random) -> K:
    return K(rng.randrange(SMALL), rng.randrange(SMALL))


class Recording(ProverChannel):
    """Keeps what travels, message by message; `leak` names a message that is sent without its pads."""

    def __init__(self, pads, leak: str = ""):
        super().__init__(Transcript(bytes(32)), pads)
        self.sent: list[K] = []
        self.leak = leak

    def send_hidden(self, label, values):
        if label != self.leak:
            return super().send_hidden(label, values)
        numbers = self.reserve_pads(len(values))
        self.pads = [K(0) if number in numbers else pad for number, pad in enumerate(self.pads)]
        self.pads_used = numbers[0]
        return super().send_hidden(label, values)

    def send_public(self, label, values):
        super().send_public(label, values)
        self.sent += values


def transcript_of(x: K, y: K, rng: random.Random, leak: str = "", unmasked: bool = False) -> list[K]:
    """All messages of a sumcheck round on a hidden claim and of the product argument for x y."""
    channel = Recording([uniform(rng) for _ in range(16)], leak)
    if unmasked:
        channel.pads = [*channel.pads[:6], K(0), *channel.pads[7:]]
    (claim,) = channel.send_hidden("claim", [x * y + x + y])
    coefficients = channel.send_hidden("round", [x, y])
    product_sumcheck_claim(claim, coefficients, channel.challenge("round"))
    left, right, result = channel.send_hidden("factors", [x, y, x * y])
    prove_products(channel, Relations(quadratics=[Quadratic((Product(K(1), left, right),), result)]))
    return channel.sent


def chi_square(counts: Counter, cells: int) -> float:
    """Standardised: about normal with mean 0 and deviation 1 under uniformity."""
    total = sum(counts.values())
    expected = total / cells
    statistic = sum((counts[cell] - expected) ** 2 / expected for cell in range(cells))
    return (statistic - (cells - 1)) / (2 * (cells - 1)) ** 0.5


def worst(x: K, y: K, seed: int, **options) -> float:
    """The largest standardised chi-square over single messages and over sums of two."""
    rng = random.Random(seed)
    runs = [transcript_of(x, y, rng, **options) for _ in range(PROOFS)]
    positions = range(len(runs[0]))
    statistics = []
    for position in positions:
        cells = Counter(run[position].re * SMALL + run[position].im for run in runs)
        statistics.append(chi_square(cells, ELEMENTS))
    for a, b in itertools.combinations(positions, 2):
        cells = Counter(((run[a] + 2 * run[b]).re % SMALL) * SMALL + (run[a] + 2 * run[b]).im % SMALL for run in runs)
        statistics.append(chi_square(cells, ELEMENTS))
    return max(statistics)


@pytest.mark.parametrize(("x", "y"), [((0, 0), (0, 0)), ((1, 0), (6, 6)), ((3, 5), (2, 1))])
def test_masked_messages_are_uniform_whatever_they_hide(x, y):
    assert worst(K(*x), K(*y), seed=1) < 5


@pytest.mark.parametrize("leak", ["claim", "round", "factors", "product cross terms"])
def test_a_message_without_its_pads_is_found(leak):
    assert worst(K(3, 5), K(2, 1), seed=2, leak=leak) > 8


def test_a_factor_without_its_mask_is_found():
    assert worst(K(3, 5), K(2, 1), seed=3, unmasked=True) > 50


def test_two_witnesses_give_the_same_number_of_messages():
    rng = random.Random(4)
    assert len(transcript_of(K(0), K(0), rng)) == len(transcript_of(K(3, 5), K(2, 1), rng))


# Against the simulator


class Inventing(VerifierChannel):
    """What `simulator.InventingChannel` does, over the small field: every message is uniform."""

    def __init__(self, rng: random.Random):
        super().__init__(Transcript(bytes(32)), b"")
        self.rng = rng
        self.sent: list[K] = []

    def receive_public(self, label: str, count: int) -> list[K]:
        values = [uniform(self.rng) for _ in range(count)]
        self.transcript.absorb(label, b"".join(value.to_bytes() for value in values))
        self.sent += values
        return values


def invented(rng: random.Random) -> list[K]:
    """The messages of `transcript_of`, from the verifier's half alone."""
    channel = Inventing(rng)
    (claim,) = channel.receive_hidden("claim", 1)
    coefficients = channel.receive_hidden("round", 2)
    product_sumcheck_claim(claim, coefficients, channel.challenge("round"))
    left, right, result = channel.receive_hidden("factors", 3)
    verify_products(channel, Relations(quadratics=[Quadratic((Product(K(1), left, right),), result)]))
    return channel.sent


def pairs(runs: list[list[K]], a: int, b: int) -> Counter:
    """How often each pair of values of two messages occurred."""
    return Counter((run[a].re, run[a].im, run[b].re, run[b].im) for run in runs)


def apart(first: Counter, second: Counter) -> float:
    """Chi-square of homogeneity of two samples of one size, standardised."""
    values = first.keys() | second.keys()
    statistic = sum((first[value] - second[value]) ** 2 / (first[value] + second[value]) for value in values)
    return (statistic - (len(values) - 1)) / (2 * (len(values) - 1)) ** 0.5


def most_apart(rng: random.Random, **options) -> float:
    """The two messages whose joint distribution differs most between real and invented transcripts."""
    real = [transcript_of(K(3, 5), K(2, 1), rng, **options) for _ in range(PROOFS)]
    made = [invented(rng) for _ in range(PROOFS)]
    assert {len(run) for run in real} == {len(run) for run in made}
    places = itertools.combinations(range(len(real[0])), 2)
    return max(apart(pairs(real, a, b), pairs(made, a, b)) for a, b in places)


def test_invented_transcripts_have_the_joint_distribution_of_real_ones():
    assert most_apart(random.Random(5)) < 5


@pytest.mark.parametrize("leak", ["claim", "round", "factors", "product cross terms"])
def test_a_leak_is_told_from_an_invented_transcript(leak):
    assert most_apart(random.Random(6), leak=leak) > 8
