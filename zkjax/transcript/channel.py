"""The only way between prover and verifier: a stream of messages, each absorbed as it passes.

Both channels offer the same vocabulary under the same labels. A *hidden* message is encrypted with
the next pads; a *public* one travels in clear. What is drawn depends on everything before it.
`begin` names the part of the proof that follows, for the report of sizes.
"""

from __future__ import annotations

from collections.abc import Sequence

from zkjax.errors import VerificationError
from zkjax.fields.mersenne61 import ELEMENT_BYTES, K
from zkjax.transcript.hidden import Hidden
from zkjax.transcript.sponge import Transcript

NONCE_BYTES = 8


class ProofLengthError(VerificationError):
    """The proof ends too early or has bytes left over."""


class CanonicalError(VerificationError):
    """A field element in the proof is not in canonical form."""


class WorkError(VerificationError):
    """A proof-of-work nonce does not do the work."""


class _Channel:
    def __init__(self, transcript: Transcript):
        self.transcript = transcript
        self.pads_used = 0
        self.sections: dict[str, int] = {}
        self._section = "header"

    def begin(self, section: str) -> None:
        """Count the bytes that follow under `section`."""
        self._section = section

    def challenge(self, label: str) -> K:
        """A uniform challenge."""
        return self.transcript.challenge(label)

    def nonzero_challenge(self, label: str) -> K:
        """A uniform nonzero challenge."""
        return self.transcript.nonzero_challenge(label)

    def challenges(self, label: str, count: int) -> list[K]:
        """`count` uniform challenges."""
        return self.transcript.challenges(label, count)

    def reserve_pads(self, count: int) -> list[int]:
        """Numbers of the next `count` pads, which are then the caller's."""
        first = self.pads_used
        self.pads_used += count
        return list(range(first, self.pads_used))

    def _count(self, size: int) -> None:
        self.sections[self._section] = self.sections.get(self._section, 0) + size


class ProverChannel(_Channel):
    """The prover's end: encrypts, absorbs and records.

    `pads` are the committed pads; `root` messages that must precede any hidden one are sent with
    `send_bytes`. The proof is `bytes(channel.proof)` at the end.
    """

    def __init__(self, transcript: Transcript, pads: Sequence[K] = ()):
        super().__init__(transcript)
        self.pads = pads
        self.proof = bytearray()

    def send_hidden(self, label: str, values: Sequence[K]) -> list[Hidden]:
        """Encrypt, absorb and send `values`; returns them as forms in the pads."""
        numbers = self.reserve_pads(len(values))
        ciphers = [value + self.pads[number] for value, number in zip(values, numbers, strict=True)]
        self.send_public(label, ciphers)
        return [Hidden.ciphertext(cipher, number) for cipher, number in zip(ciphers, numbers, strict=True)]

    def plaintext(self, value: Hidden) -> K:
        """The value of a linear form in the pads."""
        constant, coefficients = value.linear_form()
        return sum((weight * self.pads[pad] for pad, weight in coefficients.items()), constant)

    def send_public(self, label: str, values: Sequence[K]) -> None:
        """Absorb and send `values` in clear."""
        self.send_bytes(label, b"".join(value.to_bytes() for value in values))

    def send_bytes(self, label: str, data: bytes) -> None:
        """Absorb and send bytes whose length the verifier knows."""
        self.transcript.absorb(label, data)
        self.append(data)

    def append(self, data: bytes) -> None:
        """Send bytes that no later challenge depends on, without absorbing them."""
        self.proof += data
        self._count(len(data))

    def work(self, label: str, bits: int) -> None:
        """Grind, absorb and send a nonce."""
        self.append(self.transcript.prove_work(label, bits).to_bytes(NONCE_BYTES, "little"))


class VerifierChannel(_Channel):
    """The verifier's end: reads exactly what it expects, absorbs, and rejects anything else."""

    def __init__(self, transcript: Transcript, proof: bytes):
        super().__init__(transcript)
        self._proof = proof
        self._position = 0

    def receive_hidden(self, label: str, count: int) -> list[Hidden]:
        """`count` encrypted values as forms in the next pads."""
        numbers = self.reserve_pads(count)
        ciphers = self.receive_public(label, count)
        return [Hidden.ciphertext(cipher, number) for cipher, number in zip(ciphers, numbers, strict=True)]

    def receive_public(self, label: str, count: int) -> list[K]:
        """`count` values in clear. Raises CanonicalError, ProofLengthError."""
        data = self.receive_bytes(label, count * ELEMENT_BYTES)
        try:
            return [K.from_bytes(data[start : start + ELEMENT_BYTES]) for start in range(0, len(data), ELEMENT_BYTES)]
        except ValueError as error:
            raise CanonicalError(f"message {label!r}: {error}") from error

    def receive_bytes(self, label: str, size: int) -> bytes:
        """The next `size` bytes, absorbed. Raises ProofLengthError."""
        data = self.take(label, size)
        self.transcript.absorb(label, data)
        return data

    def take(self, label: str, size: int) -> bytes:
        """The next `size` bytes, not absorbed: nothing may be drawn after them."""
        data = self._proof[self._position : self._position + size]
        if len(data) != size:
            raise ProofLengthError(f"the proof ends within message {label!r}", expected=size, got=len(data))
        self._position += size
        self._count(size)
        return data

    def work(self, label: str, bits: int) -> None:
        """Read, check and absorb a nonce. Raises WorkError."""
        nonce = int.from_bytes(self.take(label, NONCE_BYTES), "little")
        if not self.transcript.check_work(label, bits, nonce):
            raise WorkError(
                "the proof is of another statement, or was changed: "
                f"nonce of {label!r} does not show {bits} bits of work",
                expected=f"{bits} bits",
                got=f"nonce {nonce}",
            )

    def finish(self) -> None:
        """Raise ProofLengthError if anything is left."""
        left = len(self._proof) - self._position
        if left:
            raise ProofLengthError("the proof has bytes left over", expected=0, got=left)
