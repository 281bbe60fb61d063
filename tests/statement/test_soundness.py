"""Error terms against degrees counted by hand, and the floor for circuits of real size."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, log2
from unittest.mock import patch

import numpy as np
import pytest

from tests.blocks import DenseShape, dense_block
from tests.conftest import ROOT
from tests.privacy.simulator import simulate
from tests.prover.opening_case import small_circuit
from tests.soundness.block import small_block
from tests.statement.circuits import GATE, SUMS, small
from zkjax.statement.circuit import Output
from zkjax.statement.parameters import (
    COMBINATION_GRINDING_BITS,
    LOOKUP_GRINDING_BITS,
    OPENING_GRINDING_BITS,
    SOUNDNESS_FLOOR_BITS,
    Code,
)
from zkjax.statement.plan import Plan
from zkjax.statement.soundness import LOG_FIELD, error_terms, soundness_bits
from zkjax.verifier import products

PAGE = (ROOT / "docs" / "soundness.md").read_text()
FIELD_BITS = 2 * log2((1 << 61) - 1)


def degrees(plan: Plan) -> dict[str, float]:
    return {term.name: 2 ** (term.log2_error + FIELD_BITS) for term in error_terms(plan)}


def test_the_field_has_122_bits():
    assert FIELD_BITS == LOG_FIELD
    assert pytest.approx(122, abs=1e-9) == LOG_FIELD


def test_degrees_counted_by_hand():
    """Eleven lookups, ten of 2^11 rows (padded) and two of 2^12, and two tables of 2^3 and 2^4 rows.

    Columns: of 2^11 rows 6 lookups and both tables; of 2^12 rows (3, 1000) twice and (6, 50, 3) is
    8*64*4 = 2^11, so it is with the former: 7 lookups and 2 tables, 16 column slots, depth 15; the
    other class has 2 lookups, depth 13.
    """
    plan = Plan(small_circuit(), openings=2)
    assert [(cls.row_bits, cls.columns, cls.depth) for cls in plan.classes] == [(11, 9, 15), (12, 2, 13)]
    found = degrees(plan)
    leaves = 9 * 2**11 + 2 * 2**12
    assert found["lookup fingerprints"] * 2**12 == pytest.approx(leaves - 1 + 2 * (8 + 16))
    rounds = 2 * (15 * 14 // 2)
    batching = 13 * 3 + 2 * 1
    assert found["lookup layers"] == pytest.approx(rounds + batching + 15)
    assert found["lookup claims"] == pytest.approx(3)
    assert found["vanishing tensors"] == 0
    assert found["contractions"] == 0
    products = 2 * (15 + 13) + 3 + 1
    quadratics = 15 + 2 + 1
    assert plan.products == products
    assert found["products of hidden values"] == pytest.approx(quadratics + 1)
    assert found["opening: batching"] == pytest.approx(2 * products + 2 + 1)
    assert found["opening: split"] == pytest.approx(1)
    assert found["opening: sumcheck"] == pytest.approx(2 * plan.layout.variables)
    assert found["opening: proximity"] * 2**8 == pytest.approx((2**13 + 1) * (plan.layout.variables - 11 + 2))


def test_contractions_count_rounds_and_factors():
    plan = Plan(dense_block().circuit, openings=2)
    assert plan.phases
    expected = sum(2 * phase.variables + 2 * phase.instances for phase in plan.phases)
    assert degrees(plan)["contractions"] == pytest.approx(expected)


@pytest.mark.parametrize("openings", [1, 2, 8])
@pytest.mark.parametrize("log_message", [11, 13, 16])
def test_columns_reach_their_target_with_the_least_number(log_message, openings):
    """t columns, e = openings * t masks: (1 - delta)^t 2^-16 <= 2^-102 with delta the decoding radius."""
    code = Code(log_message, openings)
    n, k = 1 << (log_message + (1 if log_message == 16 else 2)), 1 << log_message
    assert code.length == n

    def error(t: int) -> float:
        delta = ((n - k - openings * t) // 2 + 1) / n
        return t * log2(1 - delta) - 16

    assert error(code.queries) <= -102
    assert code.dimension == k + openings * code.queries
    assert code.queries >= ceil(86 / -log2(1 - ((n - k) // 2 + 1) / n))
    if openings == 1:
        assert error(code.queries - 1) > -102


def test_a_code_makes_room_for_many_openings():
    for openings in (8, 64, 1024):
        code = Plan(small_circuit(), openings).code
        assert code.is_legal()
        assert code.openings == openings
    assert not Plan(small_circuit(), 1025).code.is_legal()


def test_the_sum_is_less_than_its_least_term_and_no_less_than_all():
    plan = Plan(small_circuit(), openings=8)
    terms = [term.log2_error for term in error_terms(plan)]
    bits = soundness_bits(plan)
    assert -max(terms) - log2(len(terms)) <= bits < -max(terms)
    assert 2.0**-bits == pytest.approx(sum(2.0**term for term in terms))


@pytest.mark.parametrize(
    "shape",
    [
        DenseShape(),
        DenseShape(widths=(64, 64, 10), batch=64, steps=32, rows=1797),
        DenseShape(widths=(784, 128, 10), batch=64, steps=64, rows=60000),
    ],
    ids=["tiny", "digits", "fashion"],
)
def test_blocks_of_real_size_reach_the_floor(shape):
    assert soundness_bits(Plan(dense_block(shape).circuit, openings=8)) >= SOUNDNESS_FLOOR_BITS


DIGITS = DenseShape(widths=(64, 128, 128, 10), batch=64, steps=16, rows=1437)


@pytest.mark.parametrize("lowered", [small_block(), dense_block(DIGITS)], ids=["with a zero", "six classes"])
def test_relations_are_as_many_as_the_verifier_notes(lowered):
    """Quadratics for eta and tau, zeros for gamma: counted while the verifier runs."""
    circuit, counted = lowered.circuit, []

    def counting(owed, *arguments):
        quadratics = len(owed.quadratics)
        require(owed, *arguments)
        counted.append((quadratics, len(owed.zeros)))

    require = products.require_products
    schedule = np.zeros((circuit.steps, circuit.batch), np.int64)
    with patch.object(products, "require_products", counting):
        plan = simulate(circuit, schedule, 2).statement.plan
    assert len(plan.classes) == (6 if circuit.batch == 64 else 2)
    quadratics, zeros = counted[0]
    found = degrees(plan)
    assert found["products of hidden values"] == pytest.approx(quadratics + 1)
    assert found["opening: batching"] == pytest.approx(zeros + 1)


# Where docs/soundness.md derives each term, and what its largest ones are called there.
PARAGRAPHS = {
    "lookup fingerprints": "**Lookups.**",
    "lookup layers": "**Layers.**",
    "lookup claims": "**Leaf claims.**",
    "vanishing tensors": "**Zeros.**",
    "published tensors": "**Outputs.**",
    "contractions": "**Contractions.**",
    "products of hidden values": "**Products.**",
    "opening: batching": "- batching under powers of gamma",
    "opening: split": "- split:",
    "opening: sumcheck": "- sumcheck:",
    "opening: combination": "- combination:",
    "opening: proximity": "- proximity:",
    "opening: columns": "- columns:",
}
WORK = {
    "lookup fingerprints": f"less {LOOKUP_GRINDING_BITS} bits of work",
    "opening: proximity": f"less {COMBINATION_GRINDING_BITS} bits of work",
    "opening: columns": f"less {OPENING_GRINDING_BITS} bits of work",
}


def test_the_page_derives_these_terms_and_no_others():
    plan = Plan(dense_block(DIGITS).circuit, openings=8)
    terms = {term.name: -term.log2_error for term in error_terms(plan)}
    arguments = PAGE.partition("## The arguments")[2].partition("\n## ")[0]
    assert list(PARAGRAPHS) == list(terms)
    places = [arguments.index(beginning) for beginning in PARAGRAPHS.values()]
    assert places == sorted(places)
    # The nodes that are rewritten, and the opening as a whole, have no term of their own.
    headed = {line.partition("**")[2].partition("**")[0] for line in arguments.splitlines() if line.startswith("**")}
    assert headed == {name.strip("*") for name in PARAGRAPHS.values() if "*" in name} | {"Linear nodes.", "Opening."}
    for (name, said), place in zip(WORK.items(), (places[0], places[11], places[12]), strict=True):
        assert said in " ".join(arguments[place:].split("\n\n")[0].split()), name
    largest = ("columns", "proximity", "fingerprints", "layers")
    found = [next(bits for name, bits in terms.items() if name.endswith(each)) for each in largest]
    assert found == sorted(terms.values())[:4]
    told = ", ".join(f"{name} {bits:.1f}" for name, bits in zip(largest, found, strict=True))
    assert f"{told}; in all {soundness_bits(plan):.1f}." in " ".join(arguments.split())


def test_a_node_that_vanishes_costs_its_variables_and_a_power():
    plan = Plan(small_block().circuit, openings=2)
    assert [plan.circuit.nodes[index].shape for index in plan.circuit.zeros] == [(3,)]
    assert degrees(plan)["vanishing tensors"] == pytest.approx(2 + 1)


def test_an_output_costs_its_variables_and_a_power():
    """Two of them: of 2 by 2 and of 2 by 2 numbers."""
    circuit = replace(small(), outputs=(Output("gate", GATE, 0), Output("sum", SUMS, 0)))
    assert degrees(Plan(circuit, 8))["published tensors"] == pytest.approx(2 * 2 + 2)
