"""The Fiat-Shamir transcript over SHA-256. Standard library only.

A state of 32 bytes. With || for concatenation, u8 and u64le for fixed-width integers, and
name = u8(len(label)) || label in ASCII:

    absorb   state = SHA256(state || 01 || name || u64le(len(payload)) || payload)
    draw     state = SHA256(state || 02 || name), and the new state is the digest
    work     SHA256(state || 03 || name || u64le(nonce)) has its low bits zero, as a little-endian
             integer; the nonce is absorbed afterwards as its 8 bytes under the same label

The state is the only memory: every challenge depends on everything absorbed and drawn before it.

Soundness: the caller absorbs every value the other side may choose before drawing the challenge
that must not depend on it, and starts from a protocol id that binds the statement.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from zkjax.fields.mersenne61 import K, P

STATE_BYTES = 32
_ABSORB, _DRAW, _WORK = b"\x01", b"\x02", b"\x03"
_ZERO_CHUNK = 1 << 16


def _name(label: str) -> bytes:
    encoded = label.encode("ascii")
    if len(encoded) > 255:
        raise ValueError(f"a label has at most 255 bytes, got {len(encoded)}")
    return bytes([len(encoded)]) + encoded


class Transcript:
    """A transcript that starts at `protocol_id`, 32 bytes.

    `state` is the current state. `log`, if a list is given, receives `(kind, label, length)` for
    every absorb (`"absorb"`, bytes of payload) and every digest drawn (`"draw"`, 32): the census
    that a prover and a verifier of one protocol must share.

    Raises ValueError for a protocol id of another length, and in every method for a label that is
    not ASCII or longer than 255 bytes.
    """

    __slots__ = ("log", "state")

    def __init__(self, protocol_id: bytes, log: list[tuple[str, str, int]] | None = None) -> None:
        if len(protocol_id) != STATE_BYTES:
            raise ValueError(f"a protocol id has {STATE_BYTES} bytes, got {len(protocol_id)}")
        self.state = bytes(protocol_id)
        self.log = log

    def clone(self) -> Transcript:
        """A transcript in the same state that goes its own way and keeps no log."""
        return Transcript(self.state)

    def _record(self, kind: str, label: str, length: int) -> None:
        if self.log is not None:
            self.log.append((kind, label, length))

    def absorb(self, label: str, payload: bytes) -> None:
        """Absorb bytes; their length is bound."""
        header = self.state + _ABSORB + _name(label) + len(payload).to_bytes(8, "little")
        hasher = hashlib.sha256(header)
        hasher.update(payload)
        self.state = hasher.digest()
        self._record("absorb", label, len(payload))

    def absorb_elements(self, label: str, elements: Sequence[K]) -> None:
        """Absorb the concatenated encodings of elements of K, 16 bytes each."""
        self.absorb(label, b"".join([element.to_bytes() for element in elements]))

    def absorb_zeros(self, label: str, count: int) -> None:
        """Absorb `count` zero bytes, as `absorb(label, bytes(count))` without holding them."""
        hasher = hashlib.sha256(self.state + _ABSORB + _name(label) + count.to_bytes(8, "little"))
        chunk = bytes(min(count, _ZERO_CHUNK))
        for _ in range(count // _ZERO_CHUNK):
            hasher.update(chunk)
        hasher.update(chunk[: count % _ZERO_CHUNK])
        self.state = hasher.digest()
        self._record("absorb", label, count)

    def draw(self, label: str) -> bytes:
        """Draw a digest of 32 bytes."""
        self.state = hashlib.sha256(self.state + _DRAW + _name(label)).digest()
        self._record("draw", label, STATE_BYTES)
        return self.state

    def challenge(self, label: str) -> K:
        """Draw an element, uniform over K up to the hash.

        A digest is four little-endian 64-bit integers masked to 61 bits; those equal to p are
        dropped, and the first two left are the parts. With fewer than two left, draw again.
        """
        while True:
            digest = self.draw(label)
            words = (int.from_bytes(digest[at : at + 8], "little") & P for at in range(0, 32, 8))
            parts = [word for word in words if word != P]
            if len(parts) >= 2:
                return K(parts[0], parts[1])

    def challenges(self, label: str, count: int) -> list[K]:
        """Draw `count` elements, one after the other."""
        return [self.challenge(label) for _ in range(count)]

    def nonzero_challenge(self, label: str) -> K:
        """Draw elements until one is not zero."""
        while True:
            element = self.challenge(label)
            if element:
                return element

    def indices(self, label: str, count: int, bound_log2: int) -> list[int]:
        """Draw `count` integers below 2^bound_log2, independent, hence with repetitions.

        Each digest gives eight little-endian 32-bit integers, masked; what the last digest has too
        many is dropped. Raises ValueError unless 0 <= bound_log2 <= 32 and count >= 0.
        """
        if not 0 <= bound_log2 <= 32:
            raise ValueError(f"bound_log2 must lie in [0, 32], got {bound_log2}")
        if count < 0:
            raise ValueError(f"count must not be negative, got {count}")
        mask = (1 << bound_log2) - 1
        drawn: list[int] = []
        while len(drawn) < count:
            digest = self.draw(label)
            drawn += [int.from_bytes(digest[at : at + 4], "little") & mask for at in range(0, 32, 4)]
        return drawn[:count]

    def _work_prefix(self, label: str, bits: int) -> hashlib._Hash:
        if not 0 <= bits <= 64:
            raise ValueError(f"work bits must lie in [0, 64], got {bits}")
        return hashlib.sha256(self.state + _WORK + _name(label))

    def prove_work(self, label: str, bits: int) -> int:
        """Find the smallest nonce with `bits` bits of work, absorb it, and return it.

        Takes about 2^bits hashes. Raises ValueError unless 0 <= bits <= 64.
        """
        prefix = self._work_prefix(label, bits)
        mask = (1 << bits) - 1
        nonce = 0
        while True:
            hasher = prefix.copy()
            hasher.update(nonce.to_bytes(8, "little"))
            if int.from_bytes(hasher.digest()[:8], "little") & mask == 0:
                break
            nonce += 1
        self.absorb(label, nonce.to_bytes(8, "little"))
        return nonce

    def check_work(self, label: str, bits: int, nonce: int) -> bool:
        """Whether `nonce` shows `bits` bits of work; absorbs it either way.

        Any nonce that works is accepted, smallest or not. Raises ValueError unless the nonce fits
        in 64 bits and 0 <= bits <= 64.

        Soundness: the caller rejects on False.
        """
        if not 0 <= nonce < 1 << 64:
            raise ValueError(f"a nonce has 64 bits, got {nonce}")
        hasher = self._work_prefix(label, bits)
        encoded = nonce.to_bytes(8, "little")
        hasher.update(encoded)
        self.absorb(label, encoded)
        return int.from_bytes(hasher.digest()[:8], "little") & ((1 << bits) - 1) == 0
