"""The simulator of docs/soundness.md, written out: statements and proofs without any witness.

It chooses the answers of the random oracle before the messages that they answer. Some are chosen before all
else: the row variables of the opening's point, zeta, and the positions of the columns. With them the columns can
be invented so that they agree with invented combinations, and roots can be made of them; a leaf that is not
opened is a random digest. Then the verifier itself runs, and a channel invents each message as it is asked
for: ciphertexts, masked factors, the split and the combinations are uniform, and the masked value is what the
verifier's first check makes of them. What was drawn on the way is kept as points of the oracle; with these points
the unchanged verifier accepts the bytes.

The simulator knows no kind of node and no order of messages: those it takes from the verifier. It knows the
public messages by their labels and fails on any that is new.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np

from zkjax.fields.mersenne61 import K
from zkjax.fields.vectors import Ext, equality_weights, inner, transform
from zkjax.prover.randomness import Randomness
from zkjax.statement.circuit import Circuit
from zkjax.statement.layout import EXTRA_ADVICE_ROWS
from zkjax.statement.parameters import DIGEST_BYTES, SALT_BYTES
from zkjax.statement.plan import Plan
from zkjax.statement.proof import Proof
from zkjax.statement.statement import OBJECTS, Statement
from zkjax.transcript import sponge
from zkjax.transcript.channel import NONCE_BYTES, VerifierChannel
from zkjax.transcript.hidden import Hidden
from zkjax.transcript.sponge import STATE_BYTES, Transcript
from zkjax.verifier import opening as verifier_opening
from zkjax.verifier import verify

VERIFY = sys.modules[verify.__module__]
Points = dict[bytes, bytes]


class NoRule(AssertionError):
    """The verifier asked for something that the simulator cannot invent: it needs a rule, and a reason to hide."""


def uniform(count: int) -> Ext:
    """Uniform elements of K."""
    return Randomness().extension("simulated", count)


def query(state: bytes, label: str) -> bytes:
    """What is hashed when a challenge is drawn."""
    return state + sponge._DRAW + sponge._name(label)


class Programmed(Transcript):
    """A transcript over an oracle that answers as it is told at some points, and as SHA-256 elsewhere."""

    __slots__ = ("points",)

    def __init__(self, protocol_id: bytes, points: Points, log: list | None = None):
        super().__init__(protocol_id, log)
        self.points = points

    def draw(self, label: str) -> bytes:
        answer = self.points.get(query(self.state, label))
        if answer is None:
            return super().draw(label)
        self.state = answer
        self._record("draw", label, STATE_BYTES)
        return answer


class Programming(Transcript):
    """A transcript whose answers are uniform or chosen before; each becomes a point of the oracle."""

    __slots__ = ("chosen", "points")

    def __init__(self, protocol_id: bytes, chosen: dict[str, deque[bytes]] | None = None):
        super().__init__(protocol_id)
        self.chosen, self.points = chosen or {}, {}

    def draw(self, label: str) -> bytes:
        before = self.chosen.get(label)
        answer = before.popleft() if before else os.urandom(STATE_BYTES)
        self.points[query(self.state, label)] = answer
        self.state = answer
        self._record("draw", label, STATE_BYTES)
        return answer


@dataclass(frozen=True)
class Coins:
    """What is chosen of one proof before its messages: answers by label, and what they mean."""

    answers: dict[str, deque[bytes]]
    rows: list[K]
    zeta: K
    positions: list[int]

    @classmethod
    def toss(cls, plan: Plan) -> Coins:
        answers: dict[str, deque[bytes]] = {}

        class Keeping(Programming):
            def draw(self, label: str) -> bytes:
                answers.setdefault(label, deque()).append(super().draw(label))
                return answers[label][-1]

        scratch = Keeping(bytes(STATE_BYTES))
        return cls(
            rows=scratch.challenges("opening round", plan.layout.row_variables),
            zeta=scratch.challenge("opening combination"),
            positions=sorted(set(scratch.indices("opening columns", plan.code.queries, plan.code.log_length))),
            answers=answers,
        )


class InventedOracle:
    """A commitment to nothing: salted leaves at some positions, random digests elsewhere."""

    def __init__(self, columns: dict[int, Ext], log_length: int):
        self.columns = {position: os.urandom(SALT_BYTES) + symbols.to_bytes() for position, symbols in columns.items()}
        leaves = [os.urandom(DIGEST_BYTES) for _ in range(1 << log_length)]
        for position, content in self.columns.items():
            leaves[position] = hashlib.sha256(b"\x00" + content).digest()
        self.levels = [leaves]
        while len(leaves) > 1:
            pairs = zip(leaves[::2], leaves[1::2], strict=True)
            leaves = [hashlib.sha256(b"\x01" + left + right).digest() for left, right in pairs]
            self.levels.append(leaves)

    @property
    def root(self) -> bytes:
        return self.levels[-1][0]

    def opened(self, positions: Iterable[int]) -> tuple[list[bytes], list[bytes]]:
        """Columns, and the siblings that cannot be computed from them, level by level."""
        known, siblings = sorted(positions), []
        columns = [self.columns[position] for position in known]
        for level in self.levels[:-1]:
            siblings += [level[position ^ 1] for position in known if position ^ 1 not in known]
            known = sorted({position >> 1 for position in known})
        return columns, siblings


@dataclass(frozen=True)
class Invented:
    """What one proof ends in, made before its messages: both combinations, and the advice that fits them."""

    combination: Ext
    pad_combination: Ext
    advice: InventedOracle

    @classmethod
    def of(cls, plan: Plan, coins: Coins, reused: Sequence[dict[int, Ext]]) -> Invented:
        """`reused` are the columns of data and states, by position."""
        code, layout = plan.code, plan.layout
        combination, pad_combination = uniform(code.dimension), uniform(plan.pads + code.mask_symbols)
        codeword, pad_codeword = (transform(row, code.log_length) for row in (combination, pad_combination))
        weights = equality_weights(coins.rows)
        columns = {}
        for position in coins.positions:
            own = uniform(layout.oracle("advice").rows)
            (pads,) = uniform(1).to_list()
            combined = K.ZERO
            for oracle, symbols in zip(layout.oracles, [*(each[position] for each in reused), own], strict=True):
                combined += inner(weights[oracle.first_row : oracle.first_row + oracle.rows], symbols)
            mask = codeword[position].item() - coins.zeta * combined
            pad_mask = pad_codeword[position].item() - coins.zeta * pads
            columns[position] = Ext.from_list([*own.to_list(), mask, pads, pad_mask])
        assert EXTRA_ADVICE_ROWS == 3
        return cls(combination, pad_combination, InventedOracle(columns, code.log_length))


class InventingChannel(VerifierChannel):
    """The verifier's end of a channel that has no other end."""

    def __init__(self, transcript: Programming, coins: Coins, invented: Invented, oracles: dict[str, InventedOracle]):
        super().__init__(transcript, b"")
        self.coins, self.invented = coins, invented
        self.proof = bytearray()
        self.forms: dict[str, object] = {}
        self.left: dict[str, deque[bytes]] = {}
        for name, oracle in {**oracles, "advice": invented.advice}.items():
            columns, siblings = oracle.opened(coins.positions)
            self.left |= {f"column of {name}": deque(columns), f"sibling in {name}": deque(siblings)}

    def receive_hidden(self, label: str, count: int) -> list[Hidden]:
        """A ciphertext is uniform, whatever it hides."""
        numbers = self.reserve_pads(count)
        ciphers = uniform(count)
        self._invent(label, ciphers.to_bytes(), absorbed=True)
        return [Hidden.ciphertext(cipher, pad) for cipher, pad in zip(ciphers.to_list(), numbers, strict=True)]

    def receive_public(self, label: str, count: int) -> list[K]:
        match label:
            case "masked factors" | "opening split":
                values = uniform(count)
            case "row combination":
                values = self.invented.combination
            case "pad combination":
                values = self.invented.pad_combination
            case "opening mask":
                values = Ext.from_list([self._masked_value()])
            case _:
                raise NoRule(f"message {label!r} is public and unknown")
        assert values.size == count
        self._invent(label, values.to_bytes(), absorbed=True)
        return values.to_list()

    def receive_bytes(self, label: str, size: int) -> bytes:
        if label != "advice root":
            raise NoRule(f"message {label!r} is unknown")
        return self._invent(label, self.invented.advice.root, absorbed=True)

    def take(self, label: str, size: int) -> bytes:
        if not self.left.get(label):
            raise NoRule(f"nothing is left of {label!r}")
        data = self.left[label].popleft()
        assert len(data) == size
        return self._invent(label, data, absorbed=False)

    def work(self, label: str, bits: int) -> None:
        nonce = self.transcript.prove_work(label, bits)
        self._invent(label, nonce.to_bytes(NONCE_BYTES, "little"), absorbed=False)

    def finish(self) -> None:
        assert not any(self.left.values())
        assert not any(self.transcript.chosen.values())

    def _masked_value(self) -> K:
        """What the verifier's check of the combinations asks for."""
        weight, (pad_weights, target) = self.forms["weight_at"], self.forms["pad_form"]
        message = self.invented.combination.size - (self.invented.pad_combination.size - pad_weights.size)
        columns = equality_weights(self.forms["columns"])
        value = weight * inner(columns, self.invented.combination[:message])
        value += inner(pad_weights, self.invented.pad_combination[: pad_weights.size])
        return value - self.coins.zeta * target

    def _invent(self, label: str, data: bytes, *, absorbed: bool) -> bytes:
        if absorbed:
            self.transcript.absorb(label, data)
        self.proof += data
        self._count(len(data))
        return data


@dataclass(frozen=True)
class Simulated:
    """Some proofs about one statement and, for each, the points at which the oracle is programmed."""

    statement: Statement
    proofs: list[Proof]
    points: list[Points]
    coins: list[Coins]

    def verify(self, number: int = 0, log: list | None = None) -> None:
        """The unchanged verifier, over the programmed oracle; raises what it raises."""

        def programmed(protocol_id: bytes) -> Transcript:
            return Programmed(protocol_id, self.points[number], log)

        with patch.object(VERIFY, "Transcript", programmed):
            verify(self.statement, self.proofs[number])


def simulate(
    circuit: Circuit,
    schedule: np.ndarray,
    openings: int,
    *,
    log_message: int | None = None,
    proofs: int = 1,
    outputs: tuple[np.ndarray, ...] | None = None,
) -> Simulated:
    """Proofs from one set of commitments, at most `openings`, without data, weights or advice.

    All that it is told of a run are the published `outputs`; zeros will do as well.
    """
    plan = Plan(circuit, openings, log_message)
    assert proofs <= openings
    coins = [Coins.toss(plan) for _ in range(proofs)]
    positions = sorted({position for each in coins for position in each.positions})
    columns = {name: {at: uniform(plan.layout.oracle(name).rows) for at in positions} for name in OBJECTS}
    oracles = {name: InventedOracle(columns[name], plan.code.log_length) for name in OBJECTS}
    roots = tuple(oracle.root for oracle in oracles.values())
    if outputs is None:
        outputs = tuple(np.zeros(circuit.output_shape(output), np.int64) for output in circuit.outputs)
    statement = Statement(circuit, schedule, openings, roots, plan.code.log_message, outputs)
    made = [_proof(statement, plan, each, oracles, list(columns.values())) for each in coins]
    return Simulated(statement, [proof for proof, _ in made], [points for _, points in made], coins)


def _proof(
    statement: Statement,
    plan: Plan,
    coins: Coins,
    oracles: dict[str, InventedOracle],
    columns: list[dict[int, Ext]],
) -> tuple[Proof, Points]:
    invented = Invented.of(plan, coins, columns)
    made: dict = {}

    def new_transcript(protocol_id: bytes) -> Transcript:
        return Programming(protocol_id, {label: deque(answers) for label, answers in coins.answers.items()})

    def new_channel(transcript: Programming, _: bytes) -> VerifierChannel:
        made["channel"] = InventingChannel(transcript, coins, invented, oracles)
        return made["channel"]

    def weight_at(*arguments: object) -> K:
        made["channel"].forms["columns"] = arguments[-1][plan.layout.row_variables :]  # type: ignore[index]
        made["channel"].forms["weight_at"] = weight_of(*arguments)  # type: ignore[arg-type]
        return made["channel"].forms["weight_at"]

    def pad_form(*arguments: object) -> tuple[Ext, K]:
        made["channel"].forms["pad_form"] = form_of(*arguments)  # type: ignore[arg-type]
        return made["channel"].forms["pad_form"]

    weight_of, form_of = verifier_opening.weight_at, verifier_opening.pad_form
    with (
        patch.object(VERIFY, "Transcript", new_transcript),
        patch.object(VERIFY, "VerifierChannel", new_channel),
        patch.object(verifier_opening, "weight_at", weight_at),
        patch.object(verifier_opening, "pad_form", pad_form),
    ):
        verify(statement, Proof(b""))
    channel = made["channel"]
    return Proof(bytes(channel.proof)), channel.transcript.points
