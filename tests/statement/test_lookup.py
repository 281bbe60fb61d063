"""What the lookup argument owes and claims, against the leaves written out."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tests.statement import dense
from tests.statement.circuits import small
from tests.statement.evaluate import evaluate
from tests.statement.random_circuits import random_schedule, random_values
from zkjax.fields.mersenne61 import K
from zkjax.fields.vectors import Ext, equality_weights, inner
from zkjax.statement.claims import ClaimSet
from zkjax.statement.lookup import (
    claim_leaves,
    fingerprint_extension,
    halves_joined,
    layer_claim,
    layer_relation,
    layer_weights,
    require_zero_sum,
)
from zkjax.statement.plan import Plan
from zkjax.statement.relations import Quadratic, Relations
from zkjax.statement.tables import Table
from zkjax.transcript.hidden import Hidden


def known(value: Hidden) -> K:
    constant, coefficients = value.linear_form()
    assert not any(coefficients.values())
    return constant


def holds(quadratic: Quadratic) -> bool:
    products = sum((p.weight * known(p.left) * known(p.right) for p in quadratic.products), K.ZERO)
    return products == known(quadratic.result)


def multilinear(table: list[K], point: list[K]) -> K:
    return inner(equality_weights(point), Ext.from_list(table))


def leaves(plan: Plan, cls, values, multiplicities, alpha: K, beta: K) -> tuple[list[K], list[K]]:
    """Numerators and denominators of a class, column by column, from the words of the protocol."""
    numerators, denominators = [], []
    rows = 1 << cls.row_bits

    def fingerprint(re, im, second, tag):
        return K(int(re), int(im)) + beta * tag + beta * beta * K(int(second))

    for index in cls.lookups:
        lookup = plan.circuit.lookups[index]
        columns = [dense.padded(values[node]) if node >= 0 else None for node in (lookup.re, lookup.im, lookup.second)]
        for row in range(rows):
            entries = [column[row] if column is not None and row < len(column) else 0 for column in columns]
            numerators.append(K.ONE)
            denominators.append(alpha - fingerprint(*entries, lookup.table + 1))
    for index in cls.tables:
        columns = plan.circuit.tables[index].rows()
        for row in range(rows):
            inside = row < len(columns[0])
            entries = [column[row] if inside else 0 for column in columns]
            numerators.append(K(-int(multiplicities[index][row])) if inside else K.ZERO)
            denominators.append(alpha - fingerprint(*entries, index + 1))
    padding = (rows << cls.column_bits) - len(numerators)
    return numerators + [K.ZERO] * padding, denominators + [K.ONE] * padding


@pytest.mark.parametrize("seed", range(2))
def test_claims_on_leaves_are_claims_on_tensors(seed):
    circuit = small()
    plan, rng = Plan(circuit, 8), random.Random(seed)
    schedule = random_schedule(circuit, seed)
    committed = random_values(circuit, seed, -(1 << 50), 1 << 50)
    values = evaluate(circuit, {i: array.astype(object) for i, array in committed.items()}, schedule)
    multiplicities = [[rng.randrange(1 << 30) for _ in range(1 << table.bits)] for table in circuit.tables]
    alpha, beta, first, second = dense.random_elements(rng, 4)
    (cls,) = plan.classes
    point = dense.random_elements(rng, cls.depth)
    numerators, denominators = leaves(plan, cls, values, multiplicities, alpha, beta)
    fraction = Hidden.known(multilinear(numerators, point)), Hidden.known(multilinear(denominators, point))
    claims = ClaimSet(circuit, schedule)
    claim_leaves(plan, cls, point, fraction, (alpha, beta), (first, second), claims)
    total = K.ZERO
    for node, terms in claims.terms.items():
        tensor = values[node] if node >= 0 else np.array(multiplicities[-1 - node], object)
        total += sum((term.coefficient * dense.value(tensor, term.vectors) for term in terms), K.ZERO)
    assert total == known(claims.balance)
    for place, term in ((0, K.ONE), (1, K.I)):
        wrong = list(fraction)
        wrong[place] = wrong[place] + term
        claims = ClaimSet(circuit, schedule)
        claim_leaves(plan, cls, point, tuple(wrong), (alpha, beta), (first, second), claims)
        assert total != known(claims.balance)


@pytest.mark.parametrize(
    "table", [Table("range", -3, 2, 0), Table("relu", -8, 6, 5), Table("gated", -4, 3, 2)], ids=str
)
@pytest.mark.parametrize("more", [0, 1, 3])
def test_the_fingerprints_of_a_table(table, more):
    rng = random.Random(0)
    alpha, beta = dense.random_elements(rng, 2)
    rows = list(zip(*(column.tolist() for column in table.rows()), strict=True))
    rows += [(0, 0, 0)] * ((len(rows) << more) - len(rows))
    column = [K(re, im) + beta * 7 + beta * beta * K(second) for re, im, second in rows]
    point = dense.random_elements(rng, table.bits + more)
    assert fingerprint_extension(table, 7, alpha, beta, point) == dense.extension(column, point)


def test_a_tuple_has_one_fingerprint():
    """Two tuples agree for at most two betas, under equal or different tags."""
    rng = random.Random(0)
    for _ in range(50):
        rows = [(rng.randrange(-3, 4), rng.randrange(2), rng.randrange(-3, 4), rng.randrange(1, 4)) for _ in range(2)]
        if rows[0] == rows[1]:
            continue
        agreeing = 0
        for beta in dense.random_elements(rng, 5):
            a, b = (K(re, im) + beta * tag + beta * beta * K(second) for re, im, second, tag in rows)
            agreeing += a == b
        assert agreeing <= 2


# Relations


@pytest.mark.parametrize("classes", [1, 2, 4])
def test_the_sum_of_the_roots(classes):
    rng = random.Random(classes)
    roots = [tuple(dense.random_elements(rng, 2)) for _ in range(classes - 1)]
    total = sum((p / q for p, q in roots), K.ZERO)
    denominator = dense.random_element(rng)
    roots.append((-(total * denominator), denominator))

    def owed(roots) -> tuple[Relations, list]:
        running, sums = roots[0], []
        for p, q in roots[1:]:
            running = running[0] * q + p * running[1], running[1] * q
            sums.append(running)
        relations = Relations()
        hide = lambda fractions: [(Hidden.known(p), Hidden.known(q)) for p, q in fractions]  # noqa: E731
        inverse = running[1].inverse() if running[1] else K.ZERO
        require_zero_sum(hide(roots), hide(sums), Hidden.known(inverse), relations)
        return relations, sums

    relations, _ = owed(roots)
    assert all(map(holds, relations.quadratics))
    assert [known(zero) for zero in relations.zeros] == [K.ZERO]
    assert relations.products == 3 * (classes - 1) + 1
    wrong, _ = owed([(roots[0][0] + 1, roots[0][1]), *roots[1:]])
    assert all(map(holds, wrong.quadratics))
    assert known(wrong.zeros[0])
    vanishing, _ = owed([(K.ZERO, K.ZERO), *roots[1:]])
    assert not all(map(holds, vanishing.quadratics)), "a denominator that vanishes has no inverse"


def test_a_layer_is_the_sum_of_its_children():
    """One class, no variables: p = p0 q1 + p1 q0 and q = q0 q1."""
    rng = random.Random(0)
    batching = dense.random_element(rng)
    weights = layer_weights(batching, [3, 5])
    assert list(weights.values()) == [(K.ONE, batching), (batching**2, batching**3)]
    children = {index: dense.random_elements(rng, 4) for index in weights}
    fractions = {i: (p0 * q1 + p1 * q0, q0 * q1) for i, (p0, p1, q0, q1) in children.items()}
    hidden = {index: [Hidden.known(value) for value in values] for index, values in children.items()}
    claim = layer_claim(weights, {i: (Hidden.known(p), Hidden.known(q)) for i, (p, q) in fractions.items()})
    assert holds(layer_relation(weights, hidden, claim))
    for index in children:
        for place in range(4):
            wrong = {i: list(values) for i, values in hidden.items()}
            wrong[index][place] = wrong[index][place] + 1
            assert not holds(layer_relation(weights, wrong, claim))
    half = dense.random_element(rng)
    p, q = halves_joined(hidden[3], half)
    p0, p1, q0, q1 = children[3]
    assert known(p) == p0 * (1 - half) + p1 * half
    assert known(q) == q0 * (1 - half) + q1 * half
