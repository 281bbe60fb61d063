"""Every challenge comes after what it must not depend on.

The order of the transcript is that of docs/protocol.md. And for some challenges: a prover that knew
them in advance could prove anything; the same strategy fails under the real transcript.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from tests.soundness.block import Case, named
from tests.soundness.cheating import CheatingChannel, Forgery, Strategy, by_the_circuit, forge, is_legal
from tests.soundness.test_random_circuits import random_case
from zkjax.fields.mersenne61 import K, evaluation_point, to_signed
from zkjax.prover import opening as prover_opening
from zkjax.prover import products as prover_products
from zkjax.prover import prove as course
from zkjax.prover.commit import AdviceOracle, commit_advice
from zkjax.prover.randomness import Randomness
from zkjax.statement.layout import tensor_bits
from zkjax.statement.plan import Plan
from zkjax.transcript.channel import ProverChannel
from zkjax.transcript.sponge import Transcript
from zkjax.verifier import verify
from zkjax.verifier.opening import ConsistencyError, ProximityError

# The order


def expected_census(plan: Plan) -> list[tuple[str, str, int]]:
    """Absorbs with their bytes, and draws, as docs/protocol.md lists them."""
    census: list[tuple[str, str, int]] = []

    def sends(label: str, elements: int) -> None:
        census.append(("absorb", label, 16 * elements))

    def nonce(label: str) -> None:
        census.append(("absorb", label, 8))

    def draws(label: str, count: int = 1) -> None:
        census.extend([("draw", label, 32)] * count)

    circuit, classes = plan.circuit, plan.classes
    census.append(("absorb", "advice root", 32))
    census.append(("absorb", "delay", circuit.committed_elements + circuit.lookup_entries))
    nonce("lookup challenges")
    draws("alpha")
    draws("beta")
    for _ in classes:
        sends("lookup root", 2)
    for _ in classes[1:]:
        sends("lookup partial sum", 2)
    sends("lookup inverse", 1)
    for layer in range(max(cls.depth for cls in classes)):
        draws("lookup layer")
        for _ in range(layer):
            sends("lookup round", 2)
            draws("lookup round")
        for cls in classes:
            if cls.depth > layer:
                sends("lookup children", 4)
        draws("lookup half")
    draws("lookup claims")
    for index in circuit.zeros:
        draws("zero point", tensor_bits(circuit.nodes[index].shape))
    draws("zero batching")
    for output in circuit.outputs:
        draws("output point", tensor_bits(circuit.output_shape(output)))
    draws("output batching")
    for phase in plan.phases:
        sends("phase total", 1)
        for _ in range(phase.variables):
            sends("phase round", 2)
            draws("phase round")
        for _ in range(phase.instances):
            sends("phase factors", 2)
        draws("phase claims")
    draws("product batching")
    sends("product cross terms", 2)
    draws("product mask")
    sends("masked factors", 2 * plan.products)
    draws("opening batching")
    sends("opening split", 1)
    draws("opening split")
    for variable in range(plan.layout.variables):
        sends("opening round", 2)
        if variable < plan.layout.row_variables:
            nonce("opening round")
        draws("opening round")
    sends("opening mask", 1)
    nonce("opening combination")
    draws("opening combination")
    sends("row combination", plan.code.dimension)
    sends("pad combination", plan.pads + plan.code.mask_symbols)
    nonce("opening")
    draws("opening columns", -(-plan.code.queries // 8))
    return census


@pytest.mark.parametrize("side", ["prover", "verifier"])
def test_the_order_of_the_transcript(case, honest, side):
    logs: list[list] = []
    original = Transcript.__init__

    def logging(self, protocol_id, log=None):
        logs.append([])
        original(self, protocol_id, logs[-1])

    with patch.object(Transcript, "__init__", logging):
        if side == "prover":
            course.prove_block(case.lowered, case.witness, case.commitments, case.plan)
        else:
            honest.verify()
    assert logs[0] == expected_census(case.plan)


@pytest.mark.parametrize("side", ["prover", "verifier"])
@pytest.mark.parametrize("name", ["block", "random 0", "random 5"])
def test_every_byte_before_the_columns_is_absorbed_in_its_place(case, name, side):
    """What was absorbed up to a draw is all that was sent up to it: nothing is drawn too early, nothing left out."""
    own = case if name == "block" else random_case(int(name.split()[1]))
    heard: list[tuple[str, bytes]] = []
    absorb, draw = Transcript.absorb, Transcript.draw

    def absorbing(self, label, payload):
        heard.append(("absorb", payload))
        absorb(self, label, payload)

    def drawing(self, label):
        heard.append(("draw", label.encode()))
        return draw(self, label)

    with patch.multiple(Transcript, absorb=absorbing, draw=drawing):
        statement, proof = course.prove_block(own.lowered, own.witness, own.commitments, own.plan)
        if side == "verifier":
            heard.clear()
            verify(statement, proof)
    absorbed = b"".join(payload for kind, payload in heard if kind == "absorb")
    heights = [oracle.rows + (3 if oracle.name == "advice" else 0) for oracle in own.plan.layout.oracles]
    assert proof.data.startswith(absorbed)
    # Columns of at most so many positions, then siblings: whole columns of all oracles, at least of one position.
    columns = proof.data[len(absorbed) :]
    assert sum(32 + 16 * height for height in heights) <= len(columns)
    last = max(place for place, (kind, _) in enumerate(heard) if kind == "absorb")
    assert {label for _, label in heard[last + 1 :]} == {b"opening columns"}


# Challenges that are known too early


def known(*labels: str) -> list:
    """Both sides draw these challenges from nothing but their label."""
    drawn = Transcript.challenge

    def challenge(self: Transcript, label: str) -> K:
        element = drawn(self, label)
        return known_value(label) if label in labels else element

    return [patch.object(Transcript, "challenge", challenge)]


def known_value(label: str) -> K:
    return K(*(sum(label.encode()) ** power for power in (7, 8)))


def lie(case: Case) -> dict[int, np.ndarray]:
    node = named(case.circuit)["advice/layer0/output"]
    values = case.values[node].copy()
    values.reshape(-1)[0] += 1
    committed = {**case.committed, node: values}
    assert not is_legal(case.circuit, by_the_circuit(case.lowered, committed, case.schedule))
    return committed


def needs_to_come_later(forged: Callable[[], Forgery], *labels: str) -> None:
    """The strategy wins where the challenges are known, and loses where they are drawn in their place."""
    with ExitStack() as stack:
        for each in known(*labels):
            stack.enter_context(each)
        forged().verify()
    with pytest.raises(ConsistencyError):
        forged().verify()


def fractions(columns: Sequence[np.ndarray], tag: int, alpha: K, beta: K) -> Iterator[K]:
    """1/(alpha - phi) of every tuple."""
    zeros = np.zeros_like(columns[0])
    re, im, second = (*columns, zeros, zeros)[:3]
    tuples = zip(re.tolist(), im.tolist(), second.tolist(), strict=True)
    seen: dict[tuple, K] = {}
    for entry in tuples:
        if entry not in seen:
            seen[entry] = K.ONE / (alpha - K(entry[0], entry[1]) - beta * tag - beta * beta * entry[2])
        yield seen[entry]


def test_fingerprints_after_multiplicities(case):
    """With alpha and beta known, two multiplicities of any table balance a tuple that is no row."""
    committed = lie(case)
    values = by_the_circuit(case.lowered, committed, case.schedule)
    alpha, beta = known_value("alpha"), known_value("beta")

    def balanced(counts: list[np.ndarray]) -> list[np.ndarray]:
        missing = K.ZERO
        plan = case.plan
        rows = {index: cls.row_bits for cls in plan.classes for index in cls.lookups}
        for index, lookup in enumerate(case.circuit.lookups):
            columns = [values[node].reshape(-1) for node in lookup.coordinates]
            missing += sum(fractions(columns, lookup.table + 1, alpha, beta), K.ZERO)
            padding = (1 << rows[index]) - columns[0].size
            missing += padding / (alpha - beta * (lookup.table + 1))
        for index, (table, count) in enumerate(zip(case.circuit.tables, counts, strict=True)):
            for weight, term in zip(count.tolist(), fractions(table.rows(), index + 1, alpha, beta), strict=True):
                missing -= weight * term
        first, second = list(fractions(case.circuit.tables[2].rows(), 3, alpha, beta))[10:12]
        # x first + y second = missing, for x and y in the base field.
        scale = (first * second.conjugate()).im
        x = (missing * second.conjugate()).im * K(scale).inverse()
        y = -(missing * first.conjugate()).im * K(scale).inverse()
        assert x * first + y * second == missing
        counts[2][10] += to_signed(x.re)
        counts[2][11] += to_signed(y.re)
        return counts

    needs_to_come_later(lambda: forge(case, committed=committed, counts=balanced, hurried=False), "alpha", "beta")


def products_with_free_cross_terms(channel: ProverChannel, owed) -> None:
    """`prove_products`, with the cross terms that make up for relations that do not hold."""
    rehearsal = ProverChannel(channel.transcript.clone(), channel.pads)
    eta = rehearsal.challenge("product batching")
    missing = K.ZERO
    for number, quadratic in enumerate(owed.quadratics):
        made = sum(
            (p.weight * channel.plaintext(p.left) * channel.plaintext(p.right) for p in quadratic.products), K.ZERO
        )
        missing += eta**number * (made - channel.plaintext(quadratic.result))
    honest = channel.send_hidden

    def send_hidden(label, values):
        cross, square = values
        return honest(label, [cross + missing / known_value("product mask"), square])

    channel.send_hidden = send_hidden
    HONEST_PRODUCTS(channel, owed)
    del channel.send_hidden


HONEST_PRODUCTS = prover_products.prove_products


def test_the_mask_of_factors_after_the_cross_terms(case):
    def forged() -> Forgery:
        with patch.object(course, "prove_products", products_with_free_cross_terms):
            return forge(case, committed=lie(case), repairs=["root"], hurried=False)

    needs_to_come_later(forged, "product mask")


def test_the_split_after_the_conjugate_sum(case):
    """With delta known, some s turns any wrong claim into a true one: conj(s) - delta s = what is missing."""
    delta = known_value("opening split")
    split_sums, batch = prover_opening.split_sums, prover_opening.batch
    prove_opening = course.prove_opening
    state: dict = {}

    def watching_opening(channel, *arguments):
        state["channel"] = channel
        prove_opening(channel, *arguments)

    def watching_batch(*arguments):
        state["balance"], weight = batch(*arguments)
        return state["balance"], weight

    def other_sums(*arguments):
        direct, mirrored = split_sums(*arguments)
        missing = state["channel"].plaintext(state["balance"]) - direct - delta * mirrored
        s = (missing.conjugate() + delta.conjugate() * missing) / (1 - delta.norm())
        assert s.conjugate() - delta * s == missing
        # What the prover goes on with is the true value of the sumcheck.
        return direct + delta * mirrored - delta * s, s

    def forged() -> Forgery:
        with ExitStack() as stack:
            for module, name, function in (
                (course, "prove_opening", watching_opening),
                (prover_opening, "batch", watching_batch),
                (prover_opening, "split_sums", other_sums),
            ):
                stack.enter_context(patch.object(module, name, function))
            return forge(case, committed=lie(case), hurried=False)

    needs_to_come_later(forged, "opening split")


def running(channel: CheatingChannel) -> tuple[K, K]:
    """The sum of the roots sent so far."""
    return channel.cheat._running(channel.cheat._last("lookup root"))


def sent(channel: CheatingChannel, label: str) -> int:
    """How many messages of this label are sent already."""
    return channel.cheat._last(label)


def solved(a: K, b: K, c: K, d: K, e: K, f: K) -> tuple[K, K]:
    """x and y with a x + b y = e and c x + d y = f."""
    determinant = a * d - b * c
    return (e * d - b * f) / determinant, (a * f - e * c) / determinant


def wins_early(case: Case, strategy: Strategy, label: str, repairs=(), advice=commit_advice) -> None:
    needs_to_come_later(
        lambda: forge(case, committed=lie(case), strategy=strategy, repairs=repairs, advice=advice, hurried=False),
        label,
    )


def test_the_batching_of_a_layer_after_its_fractions(case):
    """Wrong roots whose batched claim is the true one; their sum vanishes."""
    ratio = 1 / known_value("lookup layer")  # the last weights are of p and q of the second class

    def strategy(channel: CheatingChannel, label: str, values: list[K]) -> list[K]:
        if label == "lookup root" and sent(channel, label) == 1:
            (p, q), (next_p, next_q) = running(channel), values
            x = -(p * next_q + next_p * q) / (q - p * ratio)
            return [next_p + x, next_q - x * ratio]
        if label == "lookup partial sum":
            return list(running(channel))
        if label == "lookup inverse":
            return [running(channel)[1].inverse()]
        return values

    wins_early(case, strategy, "lookup layer")


def test_the_joining_of_halves_after_the_children(case):
    """Wrong children of the second root that are right where they are joined."""
    half = known_value("lookup half")

    def strategy(channel: CheatingChannel, label: str, values: list[K]) -> list[K]:
        if label == "lookup children" and sent(channel, label) == 1:
            p0, p1, q0, q1 = channel.cheat.unrepaired
            change, other = solved(q1, q0, 1 - half, half, (values[0] - p0) * q1, K.ZERO)
            return [p0 + change, p1 + other, q0, q1]
        return channel.cheat.unrepaired if label == "lookup children" else values

    wins_early(case, strategy, "lookup half", ["root", "children"])


def test_the_rounds_of_a_layer_after_their_polynomials(case):
    """A false claim on the second layer that its only round turns into a true one."""
    drawn = known_value("lookup round")
    state: dict = {}

    def strategy(channel: CheatingChannel, label: str, values: list[K]) -> list[K]:
        if label == "lookup children" and sent(channel, label) == 1:
            state["error"] = values[0] - channel.cheat.unrepaired[0]
            return values
        if label == "lookup round" and sent(channel, label) == 0:
            half = channel.drawn["lookup half"]
            weight, _ = channel.cheat.weights[1]
            error = weight * state["error"] * (1 - half)
            return [values[0] + error / (half - drawn), values[1]]
        return channel.cheat.unrepaired if label == "lookup children" else values

    wins_early(case, strategy, "lookup round", ["root", "children"])


def test_the_batching_of_leaf_claims_after_the_leaves(case):
    """Wrong claims on the numerators and denominators of the class that ends first; they cancel each other."""
    ratio = 1 / known_value("lookup claims")
    first, second = (cls.depth for cls in case.plan.classes)
    assert second < first

    def strategy(channel: CheatingChannel, label: str, values: list[K]) -> list[K]:
        if label == "lookup children" and sent(channel, label) == 2 * second - 1:
            w_p, w_q = channel.cheat.weights[1]
            p0, p1, q0, q1 = channel.cheat.unrepaired
            missing = w_p * (values[0] - p0) * q1
            # A claim on q enters the balance with the other sign.
            x = missing / (w_p * (q1 + p1 * ratio) + w_q * q1 * ratio)
            return [p0 + x, p1, q0 + x * ratio, q1]
        return values

    wins_early(case, strategy, "lookup claims", ["root", "children"])


def test_the_rounds_of_a_phase_after_their_polynomials(case):
    """A false total that the first round turns into the true claim."""
    drawn = known_value("phase round")
    state: dict = {}

    def strategy(channel: CheatingChannel, label: str, values: list[K]) -> list[K]:
        if label == "phase total":
            state["error"] = values[0] - channel.cheat.unrepaired[0]
        if label == "phase round" and sent(channel, label) == 0:
            return [values[0] - state["error"] / 2 / (drawn - K(1) / 2), values[1]]
        return values

    wins_early(case, strategy, "phase round", ["root", "children", "total"])


def test_the_batching_of_factor_claims_after_the_factors(case):
    """Two wrong factors of a phase whose relation holds and whose claims cancel each other.

    The first is sent before the second is known: a rehearsal with the same randomness tells.
    """
    batching = known_value("phase claims")
    key = Randomness().key
    rehearsed: dict = {}

    def advice(plan: Plan, tensors) -> AdviceOracle:
        return commit_advice(plan, tensors, Randomness(key))

    def strategy(channel: CheatingChannel, label: str, values: list[K]) -> list[K]:
        if label != "phase factors" or sent(channel, label) > 2:
            return values
        number = sent(channel, label)
        if number == 0:
            point, instances = channel.round_challenges, channel.cheat.instances
            scales = [instance.weight * instance.extension(point) ** 2 for instance in instances]
            factors = rehearsed["factors"]
            made = sum((w * f * g for w, (f, g) in zip(scales, factors, strict=True)), K.ZERO)
            missing = channel.plaintext(channel.cheat.claim) - made
            rehearsed["changes"] = solved(
                scales[0] * factors[0][1], scales[1] * factors[1][1], batching, batching**3, missing, K.ZERO
            )
        f, g = channel.cheat.unrepaired
        return [f + (rehearsed["changes"][number] if number < 2 else K.ZERO), g]

    repairs = ["root", "children", "total"]

    def forged() -> Forgery:
        options = {"committed": lie(case), "repairs": repairs, "advice": advice, "hurried": False}
        first = forge(case, **options)
        rehearsed["factors"] = [values for label, values in first.cheat.sent if label == "phase factors"][:3]
        return forge(case, **options, strategy=strategy)

    needs_to_come_later(forged, "phase claims")


def test_the_batching_of_products_after_their_factors(case):
    """A sum whose numerator is said to vanish, and a denominator whose error cancels that."""
    eta = known_value("product batching")

    def strategy(channel: CheatingChannel, label: str, values: list[K]) -> list[K]:
        if label == "lookup partial sum":
            p, q = values
            return [K.ZERO, q + p / eta]
        if label == "lookup inverse":
            p, q = running(channel)
            return [(q + p / eta).inverse()]
        return values

    wins_early(case, strategy, "product batching")


def test_the_batching_of_zeros_after_the_masked_factors(case):
    """Two masked factors whose errors cancel in the products, and cancel the sum of fractions among the zeros."""
    gamma = known_value("opening batching")

    def strategy(channel: CheatingChannel, label: str, values: list[K]) -> list[K]:
        if label == "masked factors":
            p, _ = running(channel)
            # The first two products are of one relation and have weight one: the sum of the two roots.
            x, y = solved(values[1], values[3], gamma**2, gamma**4, K.ZERO, gamma * p)
            values[0] += x
            values[2] += y
        return values

    wins_early(case, strategy, "opening batching")


def test_the_rounds_of_the_opening_after_their_polynomials(case):
    drawn = known_value("opening round")
    state: dict = {}
    original = prover_opening._Rounds.__init__

    def watching(self, channel, value, claim):
        original(self, channel, value, claim)
        state.setdefault("error", channel.plaintext(claim) - value)

    def strategy(channel: CheatingChannel, label: str, values: list[K]) -> list[K]:
        if label == "opening round" and sent(channel, label) == 0:
            return [values[0] - state["error"] / 2 / (drawn - K(1) / 2), values[1]]
        return values

    def forged() -> Forgery:
        state.clear()
        with patch.object(prover_opening._Rounds, "__init__", watching):
            return forge(case, committed=lie(case), strategy=strategy, hurried=False)

    needs_to_come_later(forged, "opening round")


def test_the_positions_after_the_combinations(case):
    """With the positions known, a wrong combination agrees at all of them."""
    plan = case.plan
    positions = list(range(3, 3 + plan.code.queries))
    indices = Transcript.indices

    def known_positions(self, label, count, bound_log2):
        indices(self, label, count, bound_log2)
        return positions[:count]

    vanishing = [K.ONE]
    for position in positions:
        point = evaluation_point(position, plan.code.log_length)
        shifted, same = [K.ZERO, *vanishing], [*vanishing, K.ZERO]
        vanishing = [a - point * b for a, b in zip(shifted, same, strict=True)]
    forged = forge(case, committed=lie(case), bend=vanishing)
    with pytest.raises(ProximityError):
        forged.verify()
    with patch.object(Transcript, "indices", known_positions):
        forge(case, committed=lie(case), bend=vanishing).verify()


def test_the_point_of_a_zero_after_the_tensors(case):
    """Where all coordinates are one known number, entries of places with as many ones have one weight: they cancel."""
    node = named(case.circuit)["after/counter"]
    lied = {**case.committed, node: case.values[node] + np.array([0, 1, -1])}
    assert not is_legal(case.circuit, by_the_circuit(case.lowered, lied, case.schedule))
    needs_to_come_later(lambda: forge(case, committed=lied, hurried=False), "zero point")


DRAWN_WITHOUT_A_STRATEGY = {
    # Known powers of it help nobody as long as the points that the powers are of are not known.
    "zero batching",
}


def test_every_challenge_has_a_strategy(case):
    drawn = {label for kind, label, _ in expected_census(case.plan) if kind == "draw"}
    here = Path(__file__)
    source = here.read_text() + here.with_name("test_wrong_outputs.py").read_text()
    tested = {label for label in drawn if source.count(f'"{label}"') > 1} | {"opening columns"}
    assert drawn - tested <= DRAWN_WITHOUT_A_STRATEGY


def test_the_combination_after_the_masked_value(case):
    """With zeta known, the masked value is whatever the check asks for."""
    needs_to_come_later(lambda: forge(case, committed=lie(case), bend="value"), "opening combination")
