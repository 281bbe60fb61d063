"""Two secrets that differ in one row of the data, or in one weight: no proof tells which one it is about.

The distinguisher knows both and everything public. On honest proofs it is right as often as a coin, and it
is right every time when the prover leaves out any one mask, pad, salt or padding.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from math import sqrt
from unittest.mock import patch

import numpy as np
import pytest

from tests.privacy.distinguisher import guess
from tests.privacy.recording import Recorded, record
from tests.privacy.test_distribution import LOWERED, seeded
from tests.soundness.block import Case, commit, named, residues
from tests.soundness.cheating import is_legal
from tests.witness.naive import interpret
from zkjax.prover.commit import AdviceOracle, Oracle, commit_advice
from zkjax.prover.randomness import Randomness
from zkjax.statement.parameters import SALT_BYTES
from zkjax.statement.plan import Plan

MANY, LEAKS = 64, 2


def secret(*, row: int = 0, weight: int = 0, openings: int = 2) -> Case:
    """One data set and one set of weights, with a row or a weight changed."""
    generator = np.random.default_rng(1)
    nodes = named(LOWERED.circuit)
    x = generator.integers(0, 7, LOWERED.circuit.nodes[nodes["data/x"]].shape)
    w = generator.integers(-90, 90, LOWERED.circuit.nodes[nodes["before/w"]].shape)
    x[2] += row
    w[1] += weight
    schedule = np.array([[0, 1], [2, 3]])
    values = tuple(
        residues(value) for value in interpret(LOWERED, {nodes["data/x"]: x, nodes["before/w"]: w}, schedule)
    )
    assert is_legal(LOWERED.circuit, values)
    return Case(LOWERED, Plan(LOWERED.circuit, openings), schedule, values)


PAIRS = {
    "a row of the data": lambda **options: (secret(**options), secret(row=1, **options)),
    "a weight": lambda **options: (secret(**options), secret(weight=1, **options)),
}


def proved(case: Case, advice: Callable = commit_advice) -> Recorded:
    return record(case, commitments=commit(case.plan, case.committed), advice=advice)


def right(pair: tuple[Case, Case], number: int, prove: Callable[[Case], Recorded]) -> tuple[int, set[str]]:
    """How often the distinguisher is right in so many proofs, and by what kinds of evidence."""
    coins, hits, kinds = random.Random(3), 0, set()
    for _ in range(number):
        truth = coins.randrange(2)
        one = prove(pair[truth])
        guessed = guess(pair, one.statement, one.proof)
        hits += guessed.number == truth
        kinds |= {kind for found in guessed.evidence for kind in found}
    return hits, kinds


def test_the_secrets_differ_in_one_place():
    for name, expected in (("a row of the data", ("data/x", 3)), ("a weight", ("before/w", 1))):
        first, second = PAIRS[name]()
        nodes = named(LOWERED.circuit)
        differ = {
            each: int((first.values[node] != second.values[node]).sum())
            for each, node in nodes.items()
            if each.startswith(("data", "before"))
        }
        assert {each: count for each, count in differ.items() if count} == dict([expected])


def test_a_few_honest_proofs_give_no_evidence():
    with seeded("few"):
        _, kinds = right(PAIRS["a weight"](), LEAKS, proved)
    assert not kinds


@pytest.mark.slow
@pytest.mark.parametrize("name", PAIRS)
def test_many_honest_proofs(name):
    """Right as often as a coin: within three standard deviations of half of the proofs."""
    with seeded(name):
        hits, kinds = right(PAIRS[name](), MANY, proved)
    print(f"{name}: {hits} of {MANY}")
    assert not kinds
    assert abs(hits - MANY / 2) <= 1.5 * sqrt(MANY)


# Provers that leave out one thing


def zeroed(label: str, start: int = 0, stop: int | None = None) -> Callable[[Case], Recorded]:
    """Some of the symbols of the advice's randomness of one label are zero."""
    honest = Randomness.extension

    def extension(self: Randomness, asked: str, *shape: int):
        drawn = honest(self, asked, *shape)
        if asked == label:
            for plane in drawn:
                plane.reshape(-1)[start:stop] = 0
        return drawn

    def advice(plan: Plan, tensors: dict) -> AdviceOracle:
        with patch.object(Randomness, "extension", extension):
            return commit_advice(plan, tensors)

    return lambda case: proved(case, advice)


def without_split_masks(case: Case) -> Recorded:
    honest = Randomness.base

    def base(self: Randomness, label: str, count: int):
        return honest(self, label, count) * np.uint64(label != "split masks")

    with patch.object(Randomness, "base", base):
        return proved(case)


def one_pad(kind: str) -> Callable[[Case], Recorded]:
    """One pad of a message, or of a factor, is zero."""
    usual = proved(PAIRS["a weight"]()[0])
    labels = [label for label, values in usual.plain.items() for _ in values]
    number = usual.pad_numbers[labels.index("lookup inverse")] if kind == "message" else usual.mask_numbers[0]
    return zeroed("pads", number, number + 1)


def a_pad_twice(case: Case) -> Recorded:
    honest = Randomness.extension

    def extension(self: Randomness, label: str, *shape: int):
        drawn = honest(self, label, *shape)
        for plane in drawn if label == "pads" else ():
            plane[31] = plane[30]
        return drawn

    with patch.object(Randomness, "extension", extension):
        return proved(case)


def without_padding(role: str) -> Callable[[Case], Recorded]:
    """The rows of one commitment are their message alone."""
    honest = Oracle.__init__

    def bare(self: Oracle, layout, code, message, randomness) -> None:
        drawn = Randomness.extension

        def extension(own: Randomness, label: str, *shape: int):
            made = drawn(own, label, *shape)
            for plane in made if layout.name == role and label == "masks" else ():
                plane[...] = 0
            return made

        with patch.object(Randomness, "extension", extension):
            honest(self, layout, code, message, randomness)

    def prove(case: Case) -> Recorded:
        with patch.object(Oracle, "__init__", bare):
            return proved(case)

    return prove


def without_salts(every: int) -> Callable[[Case], Recorded]:
    """One leaf in so many has no salt; for 0, none.

    Proofs in which positions coincide are made again: all masks follow only from as many columns.
    """
    honest = Randomness.bytes

    def salts(self: Randomness, label: str, size: int) -> bytes:
        drawn = bytearray(honest(self, label, size))
        if label == "salts" and every:
            for start in range(0, size, every * SALT_BYTES):
                drawn[start : start + SALT_BYTES] = bytes(SALT_BYTES)
        return bytes(drawn)

    def prove(case: Case) -> Recorded:
        with patch.object(Randomness, "bytes", salts):
            while True:
                one = proved(case)
                if len(one.positions) == case.plan.code.mask_symbols:
                    return one

    return prove


LEFT_OUT: dict[str, tuple[Callable[[], Callable[[Case], Recorded]], str]] = {
    "the mask row": (lambda: zeroed("mask row"), "row combination"),
    "one symbol of the mask row": (lambda: zeroed("mask row", 1, 2), "row combination"),
    "padding of the mask row": (lambda: zeroed("mask row", 1 << 11), "columns of the mask row"),
    "the mask of the pads": (lambda: zeroed("pad mask"), "pad combination"),
    "masks of the split": (lambda: without_split_masks, "split"),
    "one pad of a message": (lambda: one_pad("message"), "messages"),
    "one pad of a factor": (lambda: one_pad("factor"), "masked factors"),
    "a second pad": (lambda: a_pad_twice, "repetitions"),
    "padding of the state before": (lambda: without_padding("before"), "columns of before"),
    "padding of the advice": (lambda: without_padding("advice"), "columns of advice"),
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_left_out_tells(name):
    make, kind = LEFT_OUT[name]
    prove = make()
    with seeded(name):
        hits, kinds = right(PAIRS["a weight"](), LEAKS, prove)
    assert hits == LEAKS
    assert kind in kinds


@pytest.mark.parametrize(("name", "every"), [("a row of the data", 1), ("a weight", 8)])
def test_leaves_without_salts_tell_once_the_masks_are_used_up(name, every):
    """As many columns as masks: they say what the masks are, for a candidate, and then what the other leaves are."""
    with seeded("salts"):
        assert right(PAIRS[name](openings=1), LEAKS, without_salts(every)) == (LEAKS, {"leaves"})


def test_masks_that_are_used_up_do_not_tell_where_leaves_have_salts():
    with seeded("all columns"):
        _, kinds = right(PAIRS["a weight"](openings=1), LEAKS, without_salts(0))
    assert not kinds
