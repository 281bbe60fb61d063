"""The whole verifier on a million inputs: `python -m tests.fuzzing.million [--inputs N] [--seconds S] [--seed K]`.

The inputs are those of `changes`, judged in the modes of `deep`. Until the first changed message the verifier
does on a changed proof what it does on the unchanged one: a run on the unchanged proof stops before each
message that is to be changed, and a fork of the process goes on with the changed one from there. Inputs that change
early are judged from the start on, which costs less than the fork.

Every input has 10 s of processor time and a gigabyte; what breaks a rule is written to `tests/fuzzing/findings`,
as an input of the target "verifier", and ends the run. Other seeds make other inputs: run one process for each core.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np

from tests.fuzzing.changes import changed_proof, changed_statement
from tests.fuzzing.deep import MODES, Pair, encoded, free, is_refusal, judged, knowing, pairs, weakened
from tests.fuzzing.run import MOST_BYTES, SLOWEST_SECONDS, found
from zkjax.cli.process import peak_memory
from zkjax.transcript.channel import VerifierChannel

SHARES = dict(zip(MODES, (40, 30, 27, 3), strict=True))
BATCH = 128  # inputs to one pair in one mode: as many share a run
DIRECT = ("advice", "lookups", "claims")  # sections from which on a run from the start costs less than a fork


@dataclass(frozen=True)
class Input:
    mode: str
    number: int
    changed: bytes
    first: int  # where it differs


class Tally:
    """What was said of how many inputs, by mode; the longest time and the largest memory of one."""

    def __init__(self) -> None:
        self.said: dict[str, Counter[str]] = {mode: Counter() for mode in MODES}
        self.slowest, self.largest = 0.0, 0

    def note(self, one: Input, said: str, seconds: float, size: int) -> None:
        self.slowest, self.largest = max(self.slowest, seconds), max(self.largest, size)
        pair = pairs()[one.number]
        if not is_refusal(said) and not (said == "accepted" and free(one.mode, pair, one.changed)):
            found("verifier", encoded(one.mode, one.number, one.changed), f"{one.mode}, {pair.name}: {said}")
        if size > MOST_BYTES or seconds > SLOWEST_SECONDS:
            found("verifier", encoded(one.mode, one.number, one.changed), f"{seconds:.1f} s, {size >> 20} MB")
        self.said[one.mode][said] += 1

    @property
    def count(self) -> int:
        return sum(counter.total() for counter in self.said.values())

    def __str__(self) -> str:
        lines = []
        for mode, counter in self.said.items():
            told = ", ".join(f"{name} {count:,}" for name, count in counter.most_common())
            lines.append(f"{mode}: {counter.total():,} inputs: {told}")
        most = f"the longest {self.slowest * 1000:.0f} ms of processor time, the largest {self.largest >> 20} MB"
        return "\n".join([*lines, f"all: {self.count:,} inputs, {most}, no findings"])


def difference(ours: bytes, theirs: bytes) -> int | None:
    """The first place at which they differ, None if nowhere."""
    length = min(len(ours), len(theirs))
    unlike = np.frombuffer(ours, np.uint8, length) != np.frombuffer(theirs, np.uint8, length)
    at = int(unlike.argmax()) if length else 0
    if length and unlike[at]:
        return at
    return None if len(ours) == len(theirs) else length


def inputs_of(rng: random.Random, mode: str, number: int, count: int) -> list[Input]:
    pair, made = pairs()[number], []
    while len(made) < count:
        if mode == "statement":
            changed, unchanged = changed_statement(rng, pair, pairs()), pair.encoded
        else:
            changed, unchanged = changed_proof(rng, pair, pairs(), mode), pair.data
        first = difference(changed, unchanged)
        if first is not None:
            made.append(Input(mode, number, changed, first))
    return made


class Judge:
    """Judges inputs of one pair in one mode."""

    def __init__(self, mode: str, pair: Pair, tally: Tally):
        self.mode, self.pair, self.tally = mode, pair, tally
        self.pending: list[Input] = []
        self.pipe: int | None = None  # of a fork, to its parent

    def run(self, inputs: list[Input]) -> None:
        direct = max((m.start + m.size for m in self.pair.messages if m.section in DIRECT), default=0)
        for one in inputs:
            if self.mode == "statement" or one.first < direct:
                self._direct(one)
        if self.mode == "statement":
            return
        self.pending = sorted((one for one in inputs if one.first >= direct), key=lambda one: -one.first)
        said = self._resumed() if self.pending else "accepted"
        if self.pipe is not None:
            os.write(self.pipe, said.encode())
            os._exit(0)
        if said != "accepted":
            raise SystemExit(f"{self.pair.name} unchanged: {said}")

    def _direct(self, one: Input) -> None:
        began = time.process_time()
        signal.signal(signal.SIGPROF, _too_long)
        signal.setitimer(signal.ITIMER_PROF, SLOWEST_SECONDS)
        with weakened(knowing(self.mode, self.pair)):
            if self.mode == "statement":
                said = judged(one.changed, self.pair.data)
            else:
                said = judged(self.pair.statement, one.changed)
        signal.setitimer(signal.ITIMER_PROF, 0)
        self.tally.note(one, said, time.process_time() - began, peak_memory())

    def _resumed(self) -> str:
        taken, finished, judge = VerifierChannel.take, VerifierChannel.finish, self

        def take(channel: VerifierChannel, label: str, size: int) -> bytes:
            judge._fork(channel, channel._position + size)
            return taken(channel, label, size)

        def finish(channel: VerifierChannel) -> None:
            judge._fork(channel, sys.maxsize)
            finished(channel)

        with (
            weakened(knowing(self.mode, self.pair)),
            patch.object(VerifierChannel, "take", take),
            patch.object(VerifierChannel, "finish", finish),
        ):
            return judged(self.pair.statement, self.pair.data)

    def _fork(self, channel: VerifierChannel, end: int) -> None:
        """Before the message that ends at `end` is read: one process for each input that changes it."""
        while self.pending and self.pending[-1].first < end:
            one = self.pending.pop()
            reading, writing = os.pipe()
            pid = os.fork()
            if pid == 0:
                signal.signal(signal.SIGPROF, signal.SIG_DFL)
                signal.setitimer(signal.ITIMER_PROF, SLOWEST_SECONDS)
                self.pending, self.pipe, channel._proof = [], writing, one.changed
                return
            os.close(writing)
            with os.fdopen(reading, "rb") as pipe:
                said = pipe.read().decode()
            _, status, used = os.wait4(pid, 0)
            said = said or f"ends with status {status}"
            self.tally.note(one, said, used.ru_utime + used.ru_stime, used.ru_maxrss << 10)


def _too_long(*_: object) -> None:
    raise TimeoutError(f"more than {SLOWEST_SECONDS} s of processor time")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    began, rng, tally = time.monotonic(), random.Random(options.seed), Tally()
    pairs()
    gc.collect()
    gc.freeze()  # what a fork does not touch is not copied
    last = began
    while tally.count < options.inputs and time.monotonic() - began < options.seconds:
        (mode,) = rng.choices(MODES, SHARES.values())
        number = rng.randrange(len(pairs()))
        count = min(BATCH, options.inputs - tally.count)
        Judge(mode, pairs()[number], tally).run(inputs_of(rng, mode, number, count))
        if time.monotonic() - last > 60:
            last = time.monotonic()
            print(f"seed {options.seed}, {last - began:.0f} s\n{tally}", flush=True)
    print(f"seed {options.seed}, {time.monotonic() - began:.0f} s, done\n{tally}", flush=True)


if __name__ == "__main__":
    main()
