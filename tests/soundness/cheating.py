"""A cheating prover: the real course of a proof on a witness, a circuit and messages of its choice.

The prover's own code runs; `forge` replaces in it what a cheat is free to choose:

- the values it commits to, and apart from them the values of the lookups' leaves,
- the multiplicities: tuples that are no row are left out, or blamed on the nearest row,
- the circuit and schedule that it computes with, while the transcript starts from another statement,
- every message: one that is edited, or messages repaired so that the next check holds and the lie
  moves on to a later one, up to the last answers of the opening (`repairs`, `bend`).

`broken` decrypts: it names the relations among hidden values that a proof violates. All of them end
in one linear claim, so the verifier can only say ConsistencyError; the tests say which it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from unittest.mock import patch

import numpy as np

from tests.soundness.block import Case, Tensors, commit, required, residues
from tests.statement.evaluate import evaluate
from tests.witness import naive
from zkjax.circuit.program import Lowered
from zkjax.fields.mersenne61 import ELEMENT_BYTES, K
from zkjax.fields.vectors import Ext, equality_weights, ext_mul, ext_sum, from_signed, inner
from zkjax.prover import claims as prover_claims
from zkjax.prover import lookup as prover_lookup
from zkjax.prover import opening as prover_opening
from zkjax.prover import prove as course
from zkjax.prover.commit import AdviceOracle, commit_advice
from zkjax.prover.prove import Commitments
from zkjax.statement.circuit import Circuit
from zkjax.statement.claims import ClaimSet
from zkjax.statement.opening import pad_form
from zkjax.statement.parameters import OPENING_GRINDING_BITS
from zkjax.statement.plan import Plan
from zkjax.statement.proof import Proof
from zkjax.statement.relations import Quadratic
from zkjax.statement.statement import Statement
from zkjax.statement.tables import Table
from zkjax.transcript.channel import NONCE_BYTES, ProverChannel, VerifierChannel
from zkjax.transcript.hidden import Hidden
from zkjax.verifier import verify
from zkjax.verifier import verify as verify_function
from zkjax.witness.execute import Values, Witness
from zkjax.witness.multiplicities import row_numbers

Edit = Callable[[int, list[K]], list[K]]
Strategy = Callable[["CheatingChannel", str, list[K]], list[K]]
Advice = Callable[[Plan, Tensors], AdviceOracle]

ROLES = ("data", "before", "after")
REPAIRS = ("root", "children", "total", "factors")


# Witnesses


def by_the_circuit(lowered: Lowered, committed: Mapping[int, np.ndarray], schedule: np.ndarray) -> list[np.ndarray]:
    """Every node from the committed tensors, mod p: what the circuit makes of a lie."""
    integers = {node: naive.integers(values) for node, values in committed.items()}
    return [residues(value) for value in evaluate(lowered.circuit, integers, schedule)]


def carried_on(case: Case, lies: Mapping[int, Callable[[np.ndarray], np.ndarray]]) -> list[np.ndarray]:
    """Every node of a run in which some nodes are not what they should be, but `lies` of it.

    Whatever depends on them is computed by circuit and recipes, so that nothing else is wrong.
    """
    lowered, schedule = case.lowered, case.schedule
    given = {i: case.values[i] for role in ("data", "before") for i in case.circuit.committed(role)}
    values = [naive.integers(given.get(i, value * 0)) for i, value in enumerate(case.values)]
    for _ in range(100):
        earlier = list(values)
        for index, kind in enumerate(case.circuit.nodes):
            if index not in given:
                value = np.asarray(naive._value(kind, lowered.recipes.get(index), values, schedule), dtype=object)
                values[index] = naive.integers(lies[index](value)) if index in lies else value
        if all(np.array_equal(a, b) for a, b in zip(earlier, values, strict=True)):
            return [residues(value) for value in values]
    raise AssertionError("the circuit's equations do not settle")


@cache
def _rows(table: Table) -> frozenset[tuple[int, int, int]]:
    return frozenset(zip(*(column.tolist() for column in table.rows()), strict=True))


def is_row(table: Table, columns: Iterable[np.ndarray]) -> np.ndarray:
    """Which tuples are rows of the table."""
    rows = _rows(table)
    columns = [np.asarray(column).reshape(-1).tolist() for column in columns]
    columns += [[0] * len(columns[0])] * (3 - len(columns))
    return np.array([entry in rows for entry in zip(*columns, strict=True)])


def is_legal(circuit: Circuit, values: Any) -> bool:
    """Whether every lookup is a row of its table and every zero vanishes."""
    rows = all(
        is_row(circuit.tables[lookup.table], [values[node] for node in lookup.coordinates]).all()
        for lookup in circuit.lookups
    )
    return rows and not any(values[node].any() for node in circuit.zeros)


def favourable(blame: bool) -> Callable:
    """Multiplicities of a wrong witness: what is no row is left out, or blamed on the nearest row."""

    def multiplicities(lowered: Lowered, witness: Witness, padded_rows: Mapping[int, int]) -> list[np.ndarray]:
        counts = [np.zeros(1 << table.bits, np.int64) for table in lowered.circuit.tables]
        for index, lookup in enumerate(lowered.circuit.lookups):
            table = lowered.circuit.tables[lookup.table]
            columns = [witness.values[node].reshape(-1) for node in lookup.coordinates]
            kept = is_row(table, columns) | blame
            nearest = np.clip(columns[0], table.lo, table.hi)
            gate = np.clip(columns[1], 0, 1) if table.kind == "gated" else None
            rows = row_numbers(table, nearest, gate)
            counts[lookup.table] += np.bincount(rows[kept], minlength=counts[lookup.table].size)
            counts[lookup.table][-table.lo] += (1 << padded_rows[index]) - kept.size
        return counts

    return multiplicities


# Messages


class CheatingChannel(ProverChannel):
    """Sends its own version of hidden and public messages, and remembers what it sent."""

    def __init__(self, transcript: Any, pads: Any, cheat: Cheat):
        super().__init__(transcript, pads)
        self.cheat = cheat
        self.counts: dict[str, int] = {}
        self.drawn: dict[str, K] = {}
        self.round_challenges: list[K] = []

    def _occurrence(self, label: str) -> int:
        self.counts[label] = self.counts.get(label, -1) + 1
        return self.counts[label]

    def send_hidden(self, label: str, values: Any) -> list[Hidden]:
        self.cheat.unrepaired = list(values)
        values = self.cheat.repaired(self, label, list(values))
        values = self.cheat.strategy(self, label, values)
        edit = self.cheat.edits.get(label)
        if edit:
            values = edit(self._occurrence(label), values)
        self.cheat.sent.append((label, values))
        # Past `send_public`, which edits what travels in clear.
        numbers = self.reserve_pads(len(values))
        ciphers = [value + self.pads[number] for value, number in zip(values, numbers, strict=True)]
        super().send_public(label, ciphers)
        return [Hidden.ciphertext(cipher, number) for cipher, number in zip(ciphers, numbers, strict=True)]

    def send_public(self, label: str, values: Any) -> None:
        values = self.cheat.strategy(self, label, list(values))
        edit = self.cheat.edits.get(label)
        super().send_public(label, edit(self._occurrence(label), list(values)) if edit else values)

    def work(self, label: str, bits: int) -> None:
        super().work(label, 0 if self.cheat.hurried and bits >= OPENING_GRINDING_BITS else bits)

    def challenge(self, label: str) -> K:
        drawn = self.drawn[label] = super().challenge(label)
        if label == "phase round":
            self.round_challenges.append(drawn)
        return drawn


class _RecordingClaims(ClaimSet):
    """A claim set whose instances the cheat sees."""

    cheat: Cheat

    def instances(self, nodes: Any) -> list:
        found = super().instances(nodes)
        self.cheat.instances, self.cheat.claims = found, self
        return found


@dataclass
class Cheat:
    """What the prover does besides its lies, and what it needs to know for it.

    Of a message, `repairs` make what relations ask for, `strategy` is given that, then `edits`.
    """

    edits: dict[str, Edit] = field(default_factory=dict)
    repairs: frozenset[str] = frozenset()
    hurried: bool = False
    strategy: Strategy = lambda channel, label, values: values
    unrepaired: list[K] = field(default_factory=list)
    nodes: dict[int, np.ndarray] = field(default_factory=dict)
    plan: Plan | None = None
    sent: list[tuple[str, list[K]]] = field(default_factory=list)
    claims: ClaimSet | None = None
    instances: list = field(default_factory=list)
    weights: dict = field(default_factory=dict)
    claim: Hidden = field(default_factory=lambda: Hidden.known(0))

    def repaired(self, channel: CheatingChannel, label: str, values: list[K]) -> list[K]:
        """`values`, changed so that the relation in which they stand holds."""
        match label:
            case "lookup root" if "root" in self.repairs:
                return self._root(values)
            case "lookup partial sum" if "root" in self.repairs:
                return list(self._running(self._last("lookup partial sum") + 2))
            case "lookup children" if "children" in self.repairs:
                return self._children(channel, values)
            case "phase total" if "total" in self.repairs:
                assert self.claims is not None
                channel.round_challenges.clear()
                return [channel.plaintext(self.claims.balance) - total(self.claims, self.nodes)]
            case "phase factors" if "factors" in self.repairs:
                return self._factors(channel, values)
        return values

    def _last(self, label: str) -> int:
        return sum(1 for other, _ in self.sent if other == label)

    def _running(self, count: int) -> tuple[K, K]:
        """The sum of the first `count` roots sent."""
        p, q = K.ZERO, K.ONE
        for next_p, next_q in [values for label, values in self.sent if label == "lookup root"][:count]:
            p, q = p * next_q + next_p * q, q * next_q
        return p, q

    def _root(self, values: list[K]) -> list[K]:
        """The last root makes the sum of all vanish."""
        assert self.plan is not None
        if self._last("lookup root") < len(self.plan.classes) - 1:
            return values
        p, q = self._running(len(self.plan.classes))
        return [-p * values[1] / q, values[1]]

    def _children(self, channel: CheatingChannel, values: list[K]) -> list[K]:
        """The last class's p0 makes the layer's relation hold."""
        earlier = []
        for label, others in reversed(self.sent):
            if label != "lookup children":
                break
            earlier.append(others)
        if len(earlier) < len(self.weights) - 1:
            return values
        missing = channel.plaintext(self.claim)
        weights = list(self.weights.values())
        for (w_p, w_q), (p0, p1, q0, q1) in zip(weights, [*reversed(earlier), values], strict=True):
            missing -= w_p * (p0 * q1 + p1 * q0) + w_q * q0 * q1
        p0, p1, q0, q1 = values
        return [p0 + missing / (weights[-1][0] * q1), p1, q0, q1]

    def _factors(self, channel: CheatingChannel, values: list[K]) -> list[K]:
        """The last instance's first factor makes the phase's relation hold."""
        earlier = []
        for label, others in reversed(self.sent):
            if label != "phase factors":
                break
            earlier.append(others)
        if len(earlier) < len(self.instances) - 1:
            return values
        missing, weight = channel.plaintext(self.claim), K.ONE
        for instance, (f, g) in zip(self.instances, [*reversed(earlier), values], strict=True):
            extension = instance.extension(channel.round_challenges)
            weight = instance.weight * extension * extension
            missing -= weight * f * g
        f, g = values
        return [f + missing / (weight * g), g]

    def patches(self) -> list:
        """The prover's functions, watched."""

        def watched(module: Any, name: str, attribute: str) -> Any:
            original = getattr(module, name)

            def watching(*arguments: Any) -> Any:
                result = original(*arguments)
                setattr(self, attribute, result)
                return result

            return patch.object(module, name, watching)

        claims = type("Claims", (_RecordingClaims,), {"cheat": self})
        return [
            watched(prover_lookup, "layer_weights", "weights"),
            watched(prover_lookup, "layer_claim", "claim"),
            watched(prover_lookup, "weighted_sumcheck_claim", "claim"),
            watched(prover_claims, "product_sumcheck_claim", "claim"),
            patch.object(course, "ClaimSet", claims),
            patch.object(course, "ProverChannel", lambda transcript, pads: CheatingChannel(transcript, pads, self)),
        ]


def total(claims: ClaimSet, nodes: Mapping[int, np.ndarray]) -> K:
    """The sum of all terms under way, on these values."""
    result = K.ZERO
    for node, terms in claims.terms.items():
        values = from_signed(np.asarray(nodes[node]))
        for term in terms:
            rest = Ext(values, np.zeros_like(values))
            for vector in reversed(term.vectors):
                rest = ext_sum(ext_mul(rest, vector), axis=-1)
            result += term.coefficient * rest.item()
    return result


# The opening's last answers


def bent(what: str | list[K]) -> Callable:
    """`_send_combinations` that changes an answer until the final linear claim holds.

    "rows" and "pads" change one coefficient of a combination; "columns" changes the rows' one and
    then the opened symbols of the mask row; "far rows" adds a multiple of X^k - 1, which vanishes at
    a quarter of all columns. "value" changes the masked value, as if zeta were known before. A list
    holds the coefficients of a polynomial of which a multiple is added.
    """
    honest = prover_opening._send_combinations

    def send(channel: Any, plan: Plan, oracles: Any, advice: AdviceOracle, reduced: Any) -> None:
        code = plan.code
        rehearsal = ProverChannel(channel.transcript.clone(), channel.pads)
        honest(rehearsal, plan, oracles, advice, reduced)
        mask, rest = bytes(rehearsal.proof[:ELEMENT_BYTES]), bytes(rehearsal.proof[ELEMENT_BYTES + NONCE_BYTES :])
        rows, pads = (
            Ext.from_bytes(part)
            for part in (rest[: code.dimension * ELEMENT_BYTES], rest[code.dimension * ELEMENT_BYTES :])
        )
        weights = equality_weights(reduced.point[plan.layout.row_variables :])
        pad_weights, target = pad_form(reduced.claim, plan.pads)
        held = reduced.weight * inner(weights, rows[: code.message]) + inner(pad_weights, pads[: plan.pads])
        if what == "value":
            mask = (held - channel.transcript.clone().challenge("opening combination") * target).to_bytes()
        channel.send_bytes("opening mask", mask)
        channel.work("opening combination", prover_opening.COMBINATION_GRINDING_BITS)
        zeta = channel.challenge("opening combination")
        missing = K.from_bytes(mask) + zeta * target - held
        row_list, pad_list = rows.to_list(), pads.to_list()
        if isinstance(what, list):
            error = Ext.from_list([*what, *[K.ZERO] * (code.dimension - len(what))])
            scale = missing / (reduced.weight * inner(weights, error[: code.message]))
            row_list = [a + scale * b for a, b in zip(row_list, error.to_list(), strict=True)]
        elif what == "value":
            pass
        elif what == "pads":
            index = next(i for i, weight in enumerate(pad_weights.to_list()) if weight)
            pad_list[index] += missing / pad_weights[index].item()
        else:
            change = missing / (reduced.weight * weights[0].item())
            row_list[0] += change
            if what == "far rows":
                row_list[code.message] -= change
            if what == "columns":
                advice.change_of_mask = change  # type: ignore[attr-defined]
        channel.send_bytes("row combination", Ext.from_list(row_list).to_bytes())
        channel.send_bytes("pad combination", Ext.from_list(pad_list).to_bytes())

    return send


class _OtherColumns:
    """Opens an advice oracle with another mask row than it committed to."""

    def __init__(self, oracle: AdviceOracle):
        self.oracle = oracle

    def __call__(self, positions: Any) -> bytes:
        data = bytearray(self.oracle.__class__.open_columns(self.oracle, positions))
        height = 32 + ELEMENT_BYTES * self.oracle._rows()
        for column in range(len(set(positions))):
            at = column * height + 32 + ELEMENT_BYTES * self.oracle.layout.rows
            symbol = K.from_bytes(bytes(data[at : at + ELEMENT_BYTES]))
            data[at : at + ELEMENT_BYTES] = (symbol + self.oracle.change_of_mask).to_bytes()  # type: ignore[attr-defined]
        return bytes(data)


# Proofs


@dataclass
class Forgery:
    """A proof of what is not so, and the prover's knowledge of it."""

    statement: Statement
    proof: Proof
    advice: AdviceOracle
    tensors: dict[int, np.ndarray]
    cheat: Cheat

    def verify(self) -> Any:
        return verify(self.statement, self.proof)

    def broken(self) -> list[str]:
        """Names of the relations that the plain values violate, in the order of the protocol."""
        return broken(self.statement, self.proof, self.advice.pads, self.tensors)


def forge(
    case: Case,
    *,
    committed: Tensors | None = None,
    leaves: Mapping[int, np.ndarray] | None = None,
    lowered: Lowered | None = None,
    schedule: np.ndarray | None = None,
    claimed: Callable[[Statement], Statement] | None = None,
    blame: bool = False,
    counts: Callable[[list[np.ndarray]], list[np.ndarray]] | None = None,
    advice: Advice = commit_advice,
    commitments: Commitments | None = None,
    edits: Mapping[str, Edit] | None = None,
    repairs: Iterable[str] = (),
    bend: str | list[K] = "",
    hurried: bool | None = None,
    strategy: Strategy | None = None,
) -> Forgery:
    """Prove with lies; without any, an honest proof.

    `committed` holds all committed tensors, `leaves` what the lookups and the sumchecks are proved
    with (by default what the circuit makes of `committed`). `lowered` and `schedule` are those that
    the prover computes with, `claimed` makes the statement that the transcript starts from. A
    `hurried` prover leaves out the last and longest proof of work, which nobody will look at where a
    plain lie is found out before; by default, that is a lie about values.
    """
    if hurried is None:
        hurried = not bend and not (committed is leaves is None)
    untouched = committed is lowered is schedule is None
    lowered = lowered or case.lowered
    schedule = case.schedule if schedule is None else schedule
    committed = committed or case.committed
    truth = case.values if untouched else by_the_circuit(lowered, committed, schedule)
    values = required(lowered.circuit, truth if leaves is None else leaves)
    plan = Plan(lowered.circuit, case.plan.openings)
    if commitments is None:
        changed = [r for r in ROLES if any((committed[n] != case.values[n]).any() for n in case.circuit.committed(r))]
        fresh = commit(plan, committed) if changed or plan.code != case.plan.code else case.commitments
        commitments = Commitments(*(getattr(fresh if r in changed else case.commitments, r) for r in ROLES))
    cheat = Cheat(dict(edits or {}), frozenset(repairs), hurried, nodes=dict(enumerate(truth)), plan=plan)
    if strategy:
        cheat.strategy = strategy
    made: dict[str, Any] = {}

    def commit_lies(plan: Plan, tensors: Tensors) -> AdviceOracle:
        cheat.nodes |= {node: tensor for node, tensor in tensors.items() if node < 0}
        tensors = {node: committed[node] if node >= 0 else tensor for node, tensor in tensors.items()}
        made["advice"], made["tensors"] = advice(plan, tensors), {**committed, **tensors}
        if bend == "columns":
            made["advice"].open_columns = _OtherColumns(made["advice"])
        return made["advice"]

    def chosen(*arguments: Any) -> list[np.ndarray]:
        found = favourable(blame)(*arguments)
        return counts(found) if counts else found

    def other_statement(*arguments: Any) -> Statement:
        statement = Statement(*arguments)
        return claimed(statement) if claimed else statement

    with ExitStack() as stack:
        replaced = [
            patch.object(course, "multiplicities", chosen),
            patch.object(course, "commit_advice", commit_lies),
            patch.object(course, "Statement", other_statement),
            *cheat.patches(),
        ]
        if bend:
            replaced.append(patch.object(prover_opening, "_send_combinations", bent(bend)))
        for replacement in replaced:
            stack.enter_context(replacement)
        witness = Witness(Values(values), schedule)
        statement, proof = course.prove_block(lowered, witness, commitments, plan)
    return Forgery(statement, proof, made["advice"], made["tensors"], cheat)


# Decryption


class _Stopped(Exception):
    """The verifier has told what it was asked."""


def broken(statement: Statement, proof: Proof, pads: list[K], tensors: Mapping[int, np.ndarray]) -> list[str]:
    """What the hidden values violate; the verifier up to its final opening, with the pads known."""
    names: list[str] = []
    plan = statement.plan
    joins = ["lookup join"] * (2 * (len(plan.classes) - 1))
    layers = [f"lookup layer {layer}" for layer in range(max(cls.depth for cls in plan.classes))]
    phases = [f"phase {number}" for number in range(len(plan.phases))]

    def plain(form: Hidden) -> K:
        constant, coefficients = form.linear_form()
        return sum((weight * pads[pad] for pad, weight in coefficients.items()), constant)

    def holds(quadratic: Quadratic) -> bool:
        products = (plain(product.left) * plain(product.right) * product.weight for product in quadratic.products)
        return sum(products, K.ZERO) == plain(quadratic.result)

    def products(channel: VerifierChannel, owed: Any) -> None:
        names.extend("lookup sum" for zero in owed.zeros if plain(zero))
        every = [*joins, "lookup inverse", *layers, *phases]
        names.extend(n for n, quadratic in zip(every, owed.quadratics, strict=True) if not holds(quadratic))
        true_so_far = not names
        original_products(channel, owed)
        if true_so_far:
            names.extend("products" for zero in owed.zeros if plain(zero))

    def opening(channel: Any, plan: Plan, roots: Any, claims: ClaimSet, owed: Any) -> None:
        if total(claims, tensors) != plain(claims.balance):
            names.append("committed tensors")
        raise _Stopped

    module = __import__("sys").modules[verify_function.__module__]
    original_products = module.verify_products
    with patch.object(module, "verify_products", products), patch.object(module, "verify_opening", opening):
        try:
            verify(statement, proof)
        except _Stopped:
            return list(dict.fromkeys(names))
    raise AssertionError("the verifier did not reach the opening")
