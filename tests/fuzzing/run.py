"""Millions of inputs, in one process: `python -m tests.fuzzing.run [--inputs N] [--seconds S] [target ...]`.

Inputs keep some of their structure: bytes, words, lengths and JSON values are changed, parts of other inputs put in.
Each is timed, and the memory of the process is watched. What a target does not answer as it should is written
to `tests/fuzzing/findings` and ends the run.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import random
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from tests.fuzzing.targets import targets
from zkjax.cli.process import peak_memory
from zkjax.fields.mersenne61 import P

HERE = Path(__file__).parent
CORPUS, FINDINGS = HERE / "corpus", HERE / "findings"
SLOWEST_SECONDS, MOST_BYTES = 10, 1 << 30
WORDS = (0, 1, 2, P - 1, P, P + 1, (1 << 61) + 7, (1 << 31) - 1, 1 << 32, 1 << 63, (1 << 64) - 1)
LENGTHS = (1, 2, 4, 8, 16, 32, 64, 300)
VALUES = (
    None, True, False, 0, 1, -1, 2, 7, 1 << 16, 1 << 22, 1 << 31, 1 << 60, -(1 << 60), 1 << 64, 10**400, 0.5, 1e308,
    "", "data", "advice", "range", "relu", "gated", "function", "exp(x)", "1/x", "x" * 300, "\ud800", [], {}, [[]],
)  # fmt: skip


def changed_bytes(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """One to three edits."""
    result = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        at, length = rng.randint(0, len(result)), rng.choice(LENGTHS)
        match rng.randrange(9):
            case 0:
                at -= at % 8
                result[at : at + 8] = rng.choice(WORDS).to_bytes(8, "little")
            case 1:
                result[at : at + length] = rng.randbytes(length)
            case 2:
                del result[at : at + length]
            case 3:
                result[at:at] = rng.randbytes(length)
            case 4:
                result[at:at] = result[at : at + length]
            case 5:
                del result[at:]
            case 6 if at < len(result):
                result[at] ^= 1 << rng.randrange(8)
            case 7:
                other = rng.choice(others)
                start = rng.randint(0, len(other))
                result[at : at + length] = other[start : start + length]
            case _:
                result[at : at + 4] = (len(result) + rng.randint(-3, 3) & 0xFFFFFFFF).to_bytes(4, "little")
    return bytes(result)


def changed_json(rng: random.Random, text: bytes) -> bytes:
    """One to three values of a document replaced, moved, doubled or dropped."""
    document = json.loads(text)
    for _ in range(rng.randint(1, 3)):
        inside = document
        while True:
            keys = list(inside) if isinstance(inside, dict) else list(range(len(inside)))
            if not keys:
                break
            key = rng.choice(keys)
            if isinstance(inside[key], list | dict) and inside[key] and rng.random() < 0.8:
                inside = inside[key]
                continue
            match rng.randrange(6):
                case 0 | 1:
                    inside[key] = copy.deepcopy(rng.choice(VALUES))
                case 2 | 3 if type(inside[key]) is int:
                    inside[key] += rng.choice((-2, -1, 1, 2))
                case 4:
                    inside[key] = copy.deepcopy(inside[rng.choice(keys)])
                case _:
                    del inside[key]
            break
    return json.dumps(document, separators=(",", ":")).encode()


def changed_statement(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """The circuit inside changed, and its length told; or bytes anywhere."""
    start = 16 + 32 + 8 + 96
    size = int.from_bytes(data[start : start + 8], "little")
    if rng.random() < 0.4 or size > len(data):
        return changed_bytes(rng, data, others)
    try:
        inside = changed_json(rng, data[start + 8 : start + 8 + size])
    except ValueError:
        return changed_bytes(rng, data, others)
    return data[:start] + len(inside).to_bytes(8, "little") + inside + data[start + 8 + size :]


def mutator(name: str) -> Callable[[random.Random, bytes, list[bytes]], bytes]:
    def of_circuit(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
        try:
            return changed_json(rng, data) if rng.random() < 0.7 else changed_bytes(rng, data, others)
        except (ValueError, TypeError):
            return changed_bytes(rng, data, others)

    def of_both(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
        size = int.from_bytes(data[:4], "little")
        inside, rest = data[4 : 4 + size], data[4 + size :]
        if rng.random() < 0.5:
            inside = changed_statement(rng, inside, others)
        else:
            rest = changed_bytes(rng, rest, others)
        return len(inside).to_bytes(4, "little") + inside + rest

    return {"circuit": of_circuit, "statement": changed_statement, "whole": of_both}.get(name, changed_bytes)


def fuzz(name: str, inputs: int, seconds: float, seed: int) -> tuple[int, float, float]:
    """How many inputs, in how many seconds, and the longest; raises SystemExit on a finding."""
    target, given = targets()[name]
    saved = [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]
    begin, rng, change = [*given, *saved], random.Random(seed), mutator(name)
    began, slowest = time.monotonic(), 0.0
    for count in range(1, inputs + 1):
        data = change(rng, rng.choice(begin), begin)
        started = time.process_time()
        try:
            target(data)
        except Exception:  # noqa: BLE001  whatever it is, it is a finding
            found(name, data, traceback.format_exc())
        took = time.process_time() - started
        slowest = max(slowest, took)
        if took > SLOWEST_SECONDS:
            found(name, data, f"{took:.1f} s of processor time")
        if count % 256 == 0:
            if peak_memory() > MOST_BYTES:
                found(name, data, "more than 1 GB, by this input or one of the 256 before")
            if time.monotonic() - began > seconds:
                break
    return count, time.monotonic() - began, slowest


def found(name: str, data: bytes, what: str) -> None:
    FINDINGS.mkdir(exist_ok=True)
    path = FINDINGS / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    sys.exit(f"{what}\n{name}: the input is in {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", help="by default all")
    parser.add_argument("--inputs", type=int, default=100_000, help="of each target")
    parser.add_argument("--seconds", type=float, default=600, help="for each target at most")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    total = 0
    for name in options.targets or targets():
        count, took, slowest = fuzz(name, options.inputs, options.seconds, options.seed)
        total += count
        print(f"{name:12} {count:>9,} inputs in {took:6.1f} s, the longest {slowest * 1000:.0f} ms", flush=True)
    print(f"{total:,} inputs, {peak_memory() >> 20} MB at most, no findings")


if __name__ == "__main__":
    main()
