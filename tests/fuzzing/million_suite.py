"""The fuzzing of the whole verifier judges what it says, and notices what it must."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.fuzzing import million, run
from tests.fuzzing.deep import MODES, Pair, judged, knowing, pairs, weakened, weakened_verifier
from tests.fuzzing.million import Judge, Tally, difference, inputs_of
from zkjax.transcript.channel import VerifierChannel
from zkjax.verifier import opening

NUMBER = next(number for number, pair in enumerate(pairs()) if pair.name == "masked")
PAIR = pairs()[NUMBER]


def judge(mode: str, count: int, seed: int = 1, pair: Pair = PAIR) -> Tally:
    tally = Tally()
    Judge(mode, pair, tally).run(inputs_of(random.Random(seed), mode, pairs().index(pair), count))
    return tally


@pytest.mark.parametrize("mode", MODES)
def test_a_few_inputs(mode):
    tally = judge(mode, 24)
    assert tally.count == tally.said[mode].total() == 24
    assert f"{mode}: 24 inputs" in str(tally)


def test_a_fork_says_what_a_run_from_the_start_says(monkeypatch):
    """In every mode of proofs, of inputs that change anywhere."""
    for mode in MODES[1:]:
        monkeypatch.setattr(million, "DIRECT", ())
        resumed = judge(mode, 12, seed=5).said
        monkeypatch.setattr(million, "DIRECT", (PAIR.messages[-1].section,))
        assert judge(mode, 12, seed=5).said == resumed


def test_every_check_of_the_opening_is_met():
    met = set(judge("answered", 40).said["answered"]) | set(judge("opened", 24).said["opened"])
    assert {"ConsistencyError", "MerkleError", "CanonicalError", "ProximityError"} <= met


def test_the_unchanged_pairs_are_accepted_in_every_mode():
    for mode in MODES:
        with weakened(knowing(mode, PAIR)):
            assert judged(PAIR.encoded, PAIR.data) == "accepted"


def hung(*_: object) -> None:
    while True:
        pass


def leaves_over(_channel: VerifierChannel) -> None:
    """Instead of `finish`."""


BROKEN: dict[str, tuple[object, str, Callable, str]] = {
    "an acceptance": (VerifierChannel, "finish", leaves_over, "accepted"),
    "an untyped exception": (opening, "transform", lambda *_: {}[1], "KeyError"),
    "a process that ends": (opening, "_differing", lambda *_: __import__("os")._exit(3), "ends with status"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_must_not_be_is_a_finding(name, tmp_path, monkeypatch):
    owner, attribute, broken, told = BROKEN[name]
    monkeypatch.setattr(run, "FINDINGS", tmp_path)
    changed = PAIR.data + b"\0" if name == "an acceptance" else PAIR.data[:-1] + bytes([PAIR.data[-1] ^ 1])
    mode = "proof" if name == "an acceptance" else "opened"
    one = million.Input(mode, NUMBER, changed, difference(changed, PAIR.data))
    honest = getattr(owner, attribute)

    def only_in_forks(*arguments: object) -> object:
        return broken(*arguments) if judging.pipe is not None else honest(*arguments)

    judging = Judge(mode, PAIR, Tally())
    monkeypatch.setattr(owner, attribute, only_in_forks)
    with pytest.raises(SystemExit, match=told):
        judging.run([one])
    (found,) = tmp_path.iterdir()
    monkeypatch.setattr(owner, attribute, honest)
    if name == "an acceptance":
        weakened_verifier(found.read_bytes())


@pytest.mark.parametrize("mode", ["statement", "proof"])
def test_a_hang_is_a_finding(mode, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "FINDINGS", tmp_path)
    monkeypatch.setattr(million, "SLOWEST_SECONDS", 0.2)
    monkeypatch.setattr(opening, "pad_form", hung)
    changed = PAIR.data[:40] + bytes([PAIR.data[40] ^ 1]) + PAIR.data[41:]
    if mode == "statement":
        changed = PAIR.encoded[:60] + bytes([PAIR.encoded[60] ^ 1]) + PAIR.encoded[61:]
    with pytest.raises(SystemExit, match="TimeoutError"):
        Judge(mode, PAIR, Tally()).run([million.Input(mode, NUMBER, changed, 40)])


def test_the_first_difference():
    assert difference(b"abc", b"abd") == 2
    assert difference(b"abc", b"abc") is None
    assert difference(b"ab", b"abc") == difference(b"abc", b"ab") == 2
    assert difference(b"", b"a") == 0
