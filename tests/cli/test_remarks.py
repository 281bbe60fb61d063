"""Remarks as they are printed: fewer, shorter, and never another number."""

from __future__ import annotations

import random

from zkjax.cli.remarks import condensed
from zkjax.cli.report import print_remarks

LARGE = 32451857300124027296279133841


def test_long_fractions_are_rounded():
    said = f"change times {LARGE // 2**29}/{LARGE}, in the training step 1.56250007e-05: w"
    (shown,) = condensed([said])
    assert shown == "change times 1.863e-09, in the training step 1.56250007e-05: w"
    for short in (
        "learning rate 1/4 = 0.25, in the training step 0.25: all weights",
        "the factor 0.1 is 3277/2^15 off",
    ):
        assert condensed([short]) == [short]


def test_filters_are_shown_by_their_ends():
    said = "gradients count [128, 115, 104, 93, 84, 76, 64] by steps since, in units of 2^-7: m/a"
    assert condensed([said]) == ["gradients count [1, 0.8984, 0.8125, 0.7266, ..., 0.5] by steps since: m/a"]


def test_leaves_that_differ_by_what_was_rounded_share_a_line():
    said = [
        f"the constant 1e-08 as epsilon is, counts as 1/2^{power} in units of the root (relative error {error}): {name}"
        for power, error, name in ((21, "4.7e+01", "nu/a"), (26, "4.9e-01", "nu/b"), (24, "5.0e+00", "nu/c"))
    ]
    assert condensed(["first", *said, "last"]) == [
        "first",
        "the constant 1e-08 as epsilon is, counts as 1/2^26 to 1/2^21 in units of the root (relative error 4.9e-01 to "
        "4.7e+01): nu/{a, b, c}",
        "last",
    ]
    taken = [
        f"takes over {of} of opt/trace/{name} from before the block, exactly -0.5: params/{name}"
        for of, name in (("-141/256", "a/w"), ("-281/512", "b/w"))
    ]
    assert condensed(taken) == [
        "takes over -141/256 to -281/512 of opt/trace/* from before the block, exactly -0.5: params/{a/w, b/w}"
    ]


def test_leaves_that_the_step_moves_differently_do_not():
    said = [
        f"change times 3/4, in the training step {rate}: {name}" for rate, name in ((0.75, "mu"), (0.7500001, "nu"))
    ]
    assert condensed(said) == said
    data = [f"data {name}: integers in [0, {hi}] times 2^-{bits}" for name, hi, bits in (("x", 256, 8), ("y", 9, 0))]
    counters = ["counter count: 0 at the start", "public key: 0 7 at the start", "public key: 0 8 at the start"]
    assert condensed([*data, *counters]) == [*data, *counters]


def test_what_anybody_may_have_written():
    """Text of a foreign statement: no error, no large number that is worked out, nothing slow."""
    foreign = [
        "",
        ": ",
        "1/0: w",
        "1/0: v",
        f"{'9' * 400}/1: w",
        "1/2^9999: w",
        "1/2^99999999999999: w",
        "1/11e+1: w",
        "9" * 5000 + ": w",
        "[" * 5000 + ": w",
    ]
    foreign += ["takes over 1/2 of a from before the block: " + "b, " * 5000, "[1], in units of 2^-9999: a", "]: a, "]
    alphabet, at = (
        ["1", "/", "2^", "-", ".", "e+", "[", "]", ", ", ": ", " of ", "w", ", in units of 2^-"],
        random.Random(5),
    )
    foreign += ["".join(at.choices(alphabet, k=40)) for _ in range(500)]
    assert len(condensed(foreign)) <= len(foreign)


def test_where_the_exact_numbers_stand(capsys):
    print_remarks(["data x: integers in [0, 256] times 2^-8"])
    assert "Word for word" not in capsys.readouterr().out
    print_remarks([f"change times 1/{LARGE}, in the training step 0.1: w"])
    assert "Word for word: --json, or zkjax inspect --circuit" in capsys.readouterr().out
