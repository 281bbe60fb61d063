"""Write transcript.json: known answers of the transcript from hashlib alone, without zkjax.

python tests/vectors/make_transcript.py
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

PRIME = (1 << 61) - 1


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def name(label: str) -> bytes:
    return bytes([len(label)]) + label.encode()


def absorb(state: bytes, label: str, payload: bytes) -> bytes:
    return sha(state, b"\x01", name(label), len(payload).to_bytes(8, "little"), payload)


def draw(state: bytes, label: str) -> bytes:
    return sha(state, b"\x02", name(label))


def challenge(state: bytes, label: str) -> tuple[bytes, tuple[int, int]]:
    # A part equal to p has probability 2^-61: none occurs here, and main checks it.
    state = draw(state, label)
    re, im = (int.from_bytes(state[at : at + 8], "little") & PRIME for at in (0, 8))
    assert PRIME not in (re, im)
    return state, (re, im)


def main() -> None:
    steps = []
    state = hashlib.sha256(b"zkjax test vectors").digest()
    start = state

    def record(kind: str, label: str, **rest: object) -> None:
        steps.append({"kind": kind, "label": label, **rest, "state": state.hex()})

    for label, payload in (("empty", b""), ("", b"no label"), ("l" * 255, bytes(range(256)))):
        state = absorb(state, label, payload)
        record("absorb", label, payload=payload.hex())

    elements = [(0, 0), (1, PRIME - 1), (1 << 60, 12345)]
    payload = b"".join(x.to_bytes(8, "little") for pair in elements for x in pair)
    state = absorb(state, "elements", payload)
    record("absorb_elements", "elements", elements=elements)

    state = absorb(state, "zeros", bytes(100_000))
    record("absorb_zeros", "zeros", count=100_000)

    for label in ("alpha", "beta", "alpha"):
        state, value = challenge(state, label)
        record("challenge", label, value=value)

    drawn: list[int] = []
    while len(drawn) < 19:
        state = draw(state, "columns")
        drawn += [int.from_bytes(state[at : at + 4], "little") & ((1 << 15) - 1) for at in range(0, 32, 4)]
    record("indices", "columns", count=19, bound_log2=15, value=drawn[:19])

    nonce = 0
    while int.from_bytes(sha(state, b"\x03", name("work"), nonce.to_bytes(8, "little")), "little") & ((1 << 11) - 1):
        nonce += 1
    state = absorb(state, "work", nonce.to_bytes(8, "little"))
    record("work", "work", bits=11, nonce=nonce)

    answers = {"start": start.hex(), "steps": steps}
    target = Path(__file__).with_name("transcript.json")
    target.write_text(json.dumps(answers, indent=1) + "\n")


if __name__ == "__main__":
    main()
