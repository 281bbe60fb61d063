"""Every challenge comes after what it must not depend on.

The order of the transcript is that of docs/protocol.md. And for some challenges: a prover that knew
them in advance could prove anything; the same strategy fails under the real transcript.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from unittest.mock import patch

import numpy as np
import pytest

from tests.soundness.block import Case, named
from tests.soundness.cheating import Forgery, by_the_circuit, forge, is_legal
from zkjax.fields.mersenne61 import K, to_signed
from zkjax.prover import opening as prover_opening
from zkjax.prover import products as prover_products
from zkjax.prover import prove as course
from zkjax.statement.layout import tensor_bits
from zkjax.statement.plan import Plan
from zkjax.transcript.channel import ProverChannel
from zkjax.transcript.sponge import Transcript
from zkjax.verifier.opening import ConsistencyError

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


def test_the_combination_after_the_masked_value(case):
    """With zeta known, the masked value is whatever the check asks for."""
    needs_to_come_later(lambda: forge(case, committed=lie(case), bend="value"), "opening combination")
