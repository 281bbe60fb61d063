"""SHA-256 and the transcript in JAX: `hashlib` and `sponge.Transcript`, bit for bit.

Messages have a fixed length, known when the program is traced. Rounds and blocks are loops: an
unrolled hash makes the compiler explode. Every function is pure and works under `jit` and `vmap`.
Elements are uint64 and need x64 mode, scoped by the caller; the hash itself does not.

The transcript is a bare state uint32[8], the eight big-endian words of the 32 bytes of
`sponge.Transcript.state`; `sponge` holds the definition and what the caller must still do.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from zkjax.fields.arrays import checked
from zkjax.fields.mersenne61 import P
from zkjax.fields.vectors import Ext

Array = jax.Array

STATE_WORDS = 8
_BLOCK_BYTES = 64
_ABSORB, _DRAW = b"\x01", b"\x02"


def _root_fraction(prime: int, power: int) -> int:
    """The first 32 bits of the fraction of the square (power 2) or cube (3) root of a prime."""
    scaled = prime << (32 * power)
    root = round(scaled ** (1 / power))
    while root**power > scaled:
        root -= 1
    while (root + 1) ** power <= scaled:
        root += 1
    return root & 0xFFFFFFFF


_PRIMES = [n for n in range(2, 312) if all(n % d for d in range(2, math.isqrt(n) + 1))]
_INITIAL = np.array([_root_fraction(prime, 2) for prime in _PRIMES[:8]], dtype=np.uint32)
_ROUND = np.array([_root_fraction(prime, 3) for prime in _PRIMES], dtype=np.uint32)


def _rotate(x: Array, count: int) -> Array:
    return (x >> np.uint32(count)) | (x << np.uint32(32 - count))


def compress(state: Array, block: Array) -> Array:
    """The compression function: state uint32[8] and block uint32[16] to state uint32[8]."""

    def one_round(carry: tuple[Array, Array], constant: Array) -> tuple[tuple[Array, Array], None]:
        variables, schedule = carry
        a, b, c, d, e, f, g, h = variables
        sigma1 = _rotate(e, 6) ^ _rotate(e, 11) ^ _rotate(e, 25)
        first = h + sigma1 + ((e & f) ^ (~e & g)) + constant + schedule[0]
        sigma0 = _rotate(a, 2) ^ _rotate(a, 13) ^ _rotate(a, 22)
        second = sigma0 + ((a & b) ^ (a & c) ^ (b & c))
        variables = jnp.stack([first + second, a, b, c, d + first, e, f, g])
        # A ring of 16 words: word t+16 of the schedule enters as word t leaves.
        x, y = schedule[1], schedule[14]
        small0 = _rotate(x, 7) ^ _rotate(x, 18) ^ (x >> np.uint32(3))
        small1 = _rotate(y, 17) ^ _rotate(y, 19) ^ (y >> np.uint32(10))
        entering = schedule[0] + small0 + schedule[9] + small1
        return (variables, jnp.concatenate([schedule[1:], entering[None]])), None

    (variables, _), _ = lax.scan(one_round, (state, block), jnp.asarray(_ROUND), unroll=4)
    return state + variables


def digest(message: Array) -> Array:
    """SHA-256 of the bytes uint8[length]: the digest as big-endian words, uint32[8].

    Raises TypeError for another dtype, ValueError for another number of axes.
    """
    if getattr(message, "dtype", None) != np.uint8:
        raise TypeError(f"messages are uint8, got {getattr(message, 'dtype', type(message))}")
    if message.ndim != 1:
        raise ValueError(f"a message has one axis, got shape {message.shape}")
    length = message.shape[0]
    zeros = -(length + 9) % _BLOCK_BYTES
    padding = b"\x80" + bytes(zeros) + (8 * length).to_bytes(8, "big")
    return _digest_padded(words_from_bytes(jnp.concatenate([message, _bytes(padding)])))


def digest_words(message: Array) -> Array:
    """SHA-256 of 4 count bytes, given as big-endian words uint32[count]: the digest, uint32[8].

    Raises TypeError for another dtype, ValueError for another number of axes.
    """
    if getattr(message, "dtype", None) != np.uint32:
        raise TypeError(f"message words are uint32, got {getattr(message, 'dtype', type(message))}")
    if message.ndim != 1:
        raise ValueError(f"a message has one axis, got shape {message.shape}")
    count = message.shape[0]
    zeros = -(count + 3) % 16
    bits = 32 * count
    padding = [0x80000000] + [0] * zeros + [bits >> 32, bits & 0xFFFFFFFF]
    return _digest_padded(jnp.concatenate([message, jnp.asarray(np.array(padding, np.uint32))]))


def _digest_padded(words: Array) -> Array:
    def one_block(state: Array, block: Array) -> tuple[Array, None]:
        return compress(state, block), None

    return lax.scan(one_block, jnp.asarray(_INITIAL), words.reshape(-1, 16))[0]


def _bytes(data: bytes) -> Array:
    return jnp.asarray(np.frombuffer(data, dtype=np.uint8))


def words_from_bytes(data: Array) -> Array:
    """The big-endian words uint32[length / 4] of bytes uint8[length], length a multiple of 4."""
    quads = data.reshape(-1, 4).astype(jnp.uint32)
    a, b, c, d = (quads[:, at] for at in range(4))
    return (a << np.uint32(24)) | (b << np.uint32(16)) | (c << np.uint32(8)) | d


def bytes_from_words(words: Array) -> Array:
    """The bytes uint8[4 count] of big-endian words uint32[count]."""
    shifts = jnp.asarray(np.array([24, 16, 8, 0], dtype=np.uint32))
    return ((words[:, None] >> shifts[None, :]) & np.uint32(0xFF)).astype(jnp.uint8).ravel()


def bytes_from_elements(elements: Ext) -> Array:
    """The concatenated encodings uint8[16 n] of elements [n], as `K.to_bytes`."""
    planes = jnp.stack([checked(elements.re), checked(elements.im)], axis=-1).ravel()
    shifts = jnp.arange(0, 64, 8, dtype=jnp.uint64)
    return ((planes[:, None] >> shifts[None, :]) & np.uint64(0xFF)).astype(jnp.uint8).ravel()


def state_from_bytes(state: bytes) -> Array:
    """The words uint32[8] of `sponge.Transcript.state`. Raises ValueError on another length."""
    if len(state) != 4 * STATE_WORDS:
        raise ValueError(f"a state has {4 * STATE_WORDS} bytes, got {len(state)}")
    return jnp.asarray(np.frombuffer(state, dtype=">u4").astype(np.uint32))


def state_to_bytes(state: Any) -> bytes:
    """The 32 bytes of a state uint32[8]."""
    return np.asarray(state).astype(">u4").tobytes()


def _name(label: str) -> bytes:
    encoded = label.encode("ascii")
    if len(encoded) > 255:
        raise ValueError(f"a label has at most 255 bytes, got {len(encoded)}")
    return bytes([len(encoded)]) + encoded


def absorb(state: Array, label: str, payload: Array) -> Array:
    """`Transcript.absorb` of bytes uint8[length]."""
    header = _ABSORB + _name(label) + payload.shape[0].to_bytes(8, "little")
    return digest(jnp.concatenate([bytes_from_words(state), _bytes(header), payload]))


def absorb_elements(state: Array, label: str, elements: Ext) -> Array:
    """`Transcript.absorb_elements` of elements [n], or of one without axes."""
    if elements.ndim == 0:
        elements = Ext(elements.re[None], elements.im[None])
    return absorb(state, label, bytes_from_elements(elements))


def draw(state: Array, label: str) -> Array:
    """`Transcript.draw`: the new state, which is the digest."""
    return digest(jnp.concatenate([bytes_from_words(state), _bytes(_DRAW + _name(label))]))


def _byte_swap(x: Array) -> Array:
    x = ((x & np.uint32(0x00FF00FF)) << np.uint32(8)) | ((x >> np.uint32(8)) & np.uint32(0x00FF00FF))
    return (x << np.uint32(16)) | (x >> np.uint32(16))


def _parts(state: Array) -> tuple[Array, Ext]:
    """Whether a digest holds two canonical parts, and the first two."""
    little = _byte_swap(state).astype(jnp.uint64).reshape(4, 2)
    words = (little[:, 0] | (little[:, 1] << np.uint64(32))) & np.uint64(P)
    good = words != np.uint64(P)
    first = jnp.argmax(good)
    others = good & (jnp.arange(4) != first)
    return jnp.any(others), Ext(words[first], words[jnp.argmax(others)])


def challenge(state: Array, label: str) -> tuple[Array, Ext]:
    """`Transcript.challenge`: the new state and an element without axes."""

    def rejected(state: Array) -> Array:
        return jnp.logical_not(_parts(state)[0])

    state = lax.while_loop(rejected, lambda state: draw(state, label), draw(state, label))
    return state, _parts(state)[1]


def challenges(state: Array, label: str, count: int) -> tuple[Array, Ext]:
    """`Transcript.challenges`: the new state and elements [count]."""

    def one(state: Array, _: None) -> tuple[Array, Ext]:
        return challenge(state, label)

    return lax.scan(one, state, None, length=count)
