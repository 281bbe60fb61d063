"""The prover's randomness: 256-bit keys from the operating system, expanded by SHAKE-256.

Masks, pads and salts of a commitment are all expanded from one key, each under a label of its own,
so that a commitment is its tensors and 32 secret bytes. `jax.random` is not cryptographic and is
never used for secrets.
"""

from __future__ import annotations

import hashlib
import os
from math import prod

import numpy as np

from zkjax.fields.mersenne61 import P
from zkjax.fields.vectors import Base, Ext

KEY_BYTES = 32
_WORD = 8


class Randomness:
    """Streams that nobody can tell from uniform without the key; one stream per label.

    The same key and label always give the same stream, and a longer request begins with what a
    shorter one returns: a label is asked for once. `Randomness()` draws a fresh key; a key is
    passed only to reopen a commitment, never to make a new one.
    """

    def __init__(self, key: bytes | None = None):
        self.key = os.urandom(KEY_BYTES) if key is None else bytes(key)
        if len(self.key) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes, got {len(self.key)}")

    def __repr__(self) -> str:
        return "Randomness(secret)"

    def __reduce__(self) -> tuple:
        raise TypeError("randomness is secret and is not pickled")

    def bytes(self, label: str, count: int) -> bytes:
        """`count` uniform bytes."""
        name = label.encode("ascii")
        seed = b"zkjax randomness" + self.key + len(name).to_bytes(8, "little") + name
        return hashlib.shake_256(seed).digest(count)

    def base(self, label: str, count: int) -> Base:
        """`count` uniform elements of F: the low 61 bits of 64-bit words, those equal to p dropped."""
        spare = 0
        while True:
            words = np.frombuffer(self.bytes(label, (count + spare) * _WORD), dtype="<u8")
            elements = kept_words(words)
            if elements.size >= count:
                return elements[:count]
            spare += 1 + count - elements.size

    def extension(self, label: str, *shape: int) -> Ext:
        """An array of uniform elements of K."""
        planes = self.base(label, 2 * prod(shape)).reshape(2, *shape)
        return Ext(planes[0], planes[1])


def kept_words(words: np.ndarray) -> Base:
    """The low 61 bits of each word, without those that are no canonical element."""
    masked = words.astype(np.uint64) & np.uint64(P)
    rejected = masked == np.uint64(P)
    return masked[~rejected] if rejected.any() else masked
