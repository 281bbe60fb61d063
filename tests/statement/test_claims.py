"""The rules by which claims travel, against dense linear algebra."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tests.statement import dense
from tests.statement.circuits import small
from tests.statement.evaluate import evaluate
from tests.statement.random_circuits import random_circuit, random_schedule, random_values
from tests.witness.cases import odd_block
from zkjax.fields.mersenne61 import K, P
from zkjax.fields.vectors import Ext
from zkjax.statement.circuit import Axes, Circuit, Combine, Committed, Constant, Contract, Filter, Public, Rows
from zkjax.statement.claims import ClaimSet, EqualityCache, Instance, Term
from zkjax.statement.filters import earlier, matrix
from zkjax.statement.layout import axis_bits, tensor_bits
from zkjax.statement.phases import claim_factors, claim_zeros, final_relation
from zkjax.statement.plan import Plan
from zkjax.statement.relations import product_sumcheck_claim, weighted_sumcheck_claim
from zkjax.transcript.hidden import Hidden


class Case:
    """A circuit with integers for all its nodes, of full size mod p, and a set of claims."""

    def __init__(self, circuit: Circuit, seed: int):
        self.circuit, self.rng = circuit, random.Random(seed)
        self.schedule = random_schedule(circuit, seed)
        committed = random_values(circuit, seed, -(1 << 60), 1 << 60)
        committed = {index: array.astype(object) for index, array in committed.items()}
        self.values = evaluate(circuit, committed, self.schedule)
        self.claims = ClaimSet(circuit, self.schedule)

    def claim(self, node: int) -> None:
        """A random claim on `node`, with its true value on the balance."""
        vectors = dense.random_vectors(self.rng, self.circuit.nodes[node].shape)
        coefficient = dense.random_element(self.rng)
        self.claims.add(node, coefficient, vectors)
        self.claims.balance = self.claims.balance + coefficient * dense.value(self.values[node], vectors)

    def term_value(self, node: int, term: Term) -> K:
        return term.coefficient * dense.value(self.values[node], term.vectors)

    @property
    def total(self) -> K:
        """What the terms under way sum to."""
        terms = self.claims.terms.items()
        return sum((self.term_value(node, term) for node, several in terms for term in several), K.ZERO)

    @property
    def balance(self) -> K:
        constant, coefficients = self.claims.balance.linear_form()
        assert not any(coefficients.values())
        return constant

    def check(self) -> None:
        for terms in self.claims.terms.values():
            for term in terms:
                assert all(isinstance(vector, Ext) and vector.re.dtype == np.uint64 for vector in term.vectors)
                assert all((plane < P).all() for vector in term.vectors for plane in vector)
        assert self.total == self.balance


ONE = (
    Committed((5, 3, 2), "data", "x", 0),
    Committed((3, 2), "before", "w", 0),
    Committed((3, 2), "after", "w", 0),
    Committed((3, 7, 2), "advice", "a", 0),
    Committed((), "advice", "scalar", 0),
)
RULES = {
    "constant": Constant((3, 5), -7),
    "constant scalar": Constant((), 11),
    "combine": Combine((3, 2), ((5, 1), (-1, 2))),
    "combine of one twice": Combine((3, 2), ((5, 1), (7, 1))),
    "sum of an axis": Axes((3, 2), 3, (0, 2)),
    "sum of all axes": Axes((), 3, ()),
    "broadcast": Axes((3, 6, 2), 1, (0, -1, 1)),
    "broadcast of a scalar": Axes((3, 5), 4, (-1, -1)),
    "transpose": Axes((2, 3, 7), 3, (2, 0, 1)),
    "all at once": Axes((5, 7, 1, 3), 3, (-1, 1, -1, 0)),
    "rows": Rows((3, 4, 3, 2), 0),
    "before": Filter((3, 7, 2), 3, earlier(3)),
    "public": Public.of(np.random.default_rng(0).integers(-(1 << 31), 1 << 31, (3, 5, 2))),
    "public bits": Public.of(np.random.default_rng(1).integers(0, 2, (4, 9000))),
    "public of one axis": Public.of(np.random.default_rng(2).integers(-7, 300, (41,))),
    "filter": Filter((4, 7, 2), 3, matrix([[0, -5, 7], [3, 3, 3], [0, 0, 0], [1 << 59, 2, 0]])),
}


@pytest.mark.parametrize("node", RULES.values(), ids=RULES)
@pytest.mark.parametrize("seed", range(2))
def test_each_linear_rule(node, seed):
    circuit = Circuit(3, 4, 5, (*ONE, node), (), (), (), ())
    case = Case(circuit, seed)
    for _ in range(3):
        case.claim(5)
    case.check()
    case.claims.rewrite_linear([0] * 6, 0)
    assert 5 not in case.claims.terms
    case.check()


def test_rows_that_the_schedule_repeats_gather_their_weights():
    circuit = Circuit(3, 4, 5, (*ONE, RULES["rows"]), (), (), (), ())
    case = Case(circuit, 0)
    for schedule in (np.zeros((3, 4), int), np.full((3, 4), 4), np.arange(12).reshape(3, 4) % 5):
        vectors = dense.random_vectors(case.rng, (3, 4))
        weights = ClaimSet(circuit, schedule)._row_weights(*vectors)
        for row in range(5):
            expected = sum(
                (
                    vectors[0][t].item() * vectors[1][b].item()
                    for t in range(3)
                    for b in range(4)
                    if schedule[t, b] == row
                ),
                K.ZERO,
            )
            assert weights[row].item() == expected


def test_rows_that_the_schedule_does_not_use_have_no_weight():
    circuit = Circuit(3, 4, 5, (*ONE, RULES["rows"]), (), (), (), ())
    case = Case(circuit, 0)
    case.claims = ClaimSet(circuit, np.full((3, 4), 2))
    case.claim(5)
    case.claims.rewrite_linear([0] * 6, 0)
    (term,) = case.claims.terms[0]
    assert [bool(element) for element in term.vectors[0].to_list()] == [False, False, True, False, False]


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_before_gives_each_step_the_weights_of_the_later_ones(steps):
    circuit = Circuit(
        steps, 1, 1, (Committed((steps,), "advice", "a", 0), Filter((steps,), 0, earlier(steps))), (), (), (), ()
    )
    case = Case(circuit, 0)
    case.claim(1)
    weights = case.claims.terms[1][0].vectors[0].to_list()
    case.claims.rewrite_linear([0, 0], 0)
    (term,) = case.claims.terms[0]
    assert term.vectors[0].to_list() == [sum(weights[t + 1 :], K.ZERO) for t in range(steps)]


@pytest.mark.parametrize("seed", range(20))
def test_all_linear_rules_in_a_row(seed):
    """Random circuits, contractions taken as they are: the total never moves."""
    case = Case(random_circuit(seed), seed)
    for node in range(len(case.circuit.nodes)):
        case.claim(node)
    case.check()
    levels = [0] * len(case.circuit.nodes)
    case.claims.rewrite_linear(levels, 0)
    case.check()
    left = {type(case.circuit.nodes[node]) for node in case.claims.terms}
    assert left <= {Committed, Contract}


def test_only_nodes_of_the_level_are_rewritten():
    case = Case(small(), 0)
    plan = Plan(small(), 8)
    for node in range(len(case.circuit.nodes)):
        case.claim(node)
    waiting = {index for index, level in enumerate(plan.levels) if level == 1}
    before = {index: list(case.claims.terms[index]) for index in waiting}
    case.claims.rewrite_linear(plan.levels, 0)
    case.check()
    for index in waiting:
        assert case.claims.terms[index][: len(before[index])] == before[index]


# Contractions


CONTRACTIONS = {
    "product of matrices": ((3, 5), (5, 6), (0, 1), (1, 2), (0, 2)),
    "batched": ((3, 4, 5), (3, 5, 2), (0, 1, 2), (0, 2, 3), (0, 1, 3)),
    "batched, transposed": ((3, 4, 5), (5, 3, 2), (0, 1, 2), (2, 0, 3), (3, 0, 1)),
    "gradient": ((3, 6, 5), (3, 6, 2), (0, 1, 2), (0, 1, 3), (0, 2, 3)),
    "inner product": ((3, 5), (3, 5), (0, 1), (0, 1), ()),
    "entry by entry": ((3, 5), (5, 3), (0, 1), (1, 0), (0, 1)),
    "outer product": ((3,), (5,), (0,), (1,), (1, 0)),
    "own axes summed": ((3, 4, 5), (5, 6), (0, 1, 2), (2, 3), (0,)),
    "all own axes summed": ((3, 4), (5,), (0, 1), (2,), ()),
    "scalars": ((), (), (), (), ()),
    "scalar times tensor": ((), (3, 5), (), (7, 8), (8, 7)),
    "axes of one": ((1, 3, 1), (1, 3), (0, 1, 2), (2, 1), (0, 1)),
    "powers of two": ((4, 8), (8, 2), (0, 1), (1, 2), (0, 2)),
    "negative labels": ((3, 5), (5, 2), (-4, 9), (9, -7), (-7, -4)),
}


def contraction(name: str) -> Circuit:
    left, right, left_labels, right_labels, out = CONTRACTIONS[name]
    sizes = dict(zip(left_labels, left, strict=True)) | dict(zip(right_labels, right, strict=True))
    shape = tuple(sizes[label] for label in out)
    nodes = (
        Committed(left, "advice", "left", 0),
        Committed(right, "advice", "right", 0),
        Contract(shape, 0, 1, left_labels, right_labels, out),
    )
    return Circuit(1, 1, 1, nodes, (), (), (), ())


def factor_tables(case: Case, instance: Instance) -> tuple[list[K], list[K]]:
    """f and g of an instance as padded tables, from the definition."""
    tables = []
    for node, vectors, labels, kept in (
        (instance.left_node, instance.left, instance.left_labels, instance.shared),
        (instance.right_node, instance.right, instance.right_labels, (None,) * len(instance.shared)),
    ):
        re, im = dense.contract(case.values[node], vectors)
        order = [label for label in labels if label in instance.shared_labels]
        re, im = (plane.transpose([order.index(label) for label in instance.shared_labels]) for plane in (re, im))
        table = np.empty(re.shape, object)
        for at in np.ndindex(re.shape):
            table[at] = K(int(re[at]), int(im[at]))
            for axis, vector in enumerate(kept):
                if vector is not None:
                    table[at] = table[at] * vector[at[axis]].item()
        tables.append([K.ZERO + element for element in dense.padded(table)])
    return tables[0], tables[1]


@pytest.mark.parametrize("name", CONTRACTIONS)
@pytest.mark.parametrize("seed", range(2))
def test_an_instance_is_the_claim_as_a_sum_of_products(name, seed):
    case = Case(contraction(name), seed)
    case.claim(2)
    (instance,) = case.claims.instances([2])
    assert case.claims.terms == {}
    f, g = factor_tables(case, instance)
    assert len(f) == len(g) == 1 << instance.variables
    total = sum((a * b for a, b in zip(f, g, strict=True)), K.ZERO)
    assert instance.weight * total == case.balance


@pytest.mark.parametrize("name", CONTRACTIONS)
@pytest.mark.parametrize("more", [0, 2])
def test_reduced_claims_are_the_factors_at_the_point(name, more):
    """f(point) and g(point) as claims on the two nodes, with leading variables that the instance lacks."""
    case = Case(contraction(name), 5)
    case.claim(2)
    (instance,) = case.claims.instances([2])
    point = dense.random_elements(case.rng, instance.variables + more)
    left, right = instance.reduced(point, EqualityCache())
    f, g = factor_tables(case, instance)
    assert dense.value(case.values[0], left) == dense.extension(f, point[more:])
    assert dense.value(case.values[1], right) == dense.extension(g, point[more:])
    expected = K.ONE
    for r in point[:more]:
        expected = expected * (1 - r)
    assert instance.extension(point) == expected


@pytest.mark.parametrize("name", CONTRACTIONS)
def test_the_claims_of_a_phase_balance(name):
    """final_relation and claim_factors on two claims and a true sumcheck."""
    case = Case(contraction(name), 7)
    case.claim(2)
    case.claim(2)
    instances = case.claims.instances([2])
    tables = [factor_tables(case, instance) for instance in instances]
    point = dense.random_elements(case.rng, instances[0].variables + 1)
    factors = [[dense.extension(table, point[1:]) for table in pair] for pair in tables]
    scale = (1 - point[0]) * (1 - point[0])
    claim = sum((i.weight * scale * f * g for i, (f, g) in zip(instances, factors, strict=True)), K.ZERO)
    values = [[Hidden.known(f), Hidden.known(g)] for f, g in factors]
    relation = final_relation(instances, values, point, Hidden.known(claim))
    assert sum((p.weight * known(p.left) * known(p.right) for p in relation.products), K.ZERO) == known(relation.result)
    case.claims.balance = Hidden.known(0)
    claim_factors(instances, values, point, dense.random_element(case.rng), case.claims)
    case.check()
    assert {node: len(terms) for node, terms in case.claims.terms.items()} == {0: 2, 1: 2}
    coefficients = [term.coefficient for terms in case.claims.terms.values() for term in terms]
    assert len(set(coefficients)) == 4


def test_a_square_claims_its_factor_twice():
    nodes = (Committed((3,), "advice", "a", 0), Contract((3,), 0, 0, (0,), (0,), (0,)))
    case = Case(Circuit(1, 1, 1, nodes, (), (), (), ()), 0)
    case.claim(1)
    (instance,) = case.claims.instances([1])
    f, g = factor_tables(case, instance)
    assert instance.weight * sum((a * b for a, b in zip(f, g, strict=True)), K.ZERO) == case.balance


def known(value: Hidden) -> K:
    constant, coefficients = value.linear_form()
    assert not any(coefficients.values())
    return constant


# Points, truncation, merging


@pytest.mark.parametrize("shape", [(), (1,), (5,), (3, 1, 6), (4, 8), (2, 3, 5, 7)])
@pytest.mark.parametrize("more", [0, 3])
def test_the_weights_of_a_point_are_truncated_to_real_slots(shape, more):
    """eq(point, .) on a tensor at the front of a longer column: nothing outside is weighed, so that
    whatever a prover puts into padded slots changes no claim."""
    rng = random.Random(0)
    point = dense.random_elements(rng, tensor_bits(shape) + more)
    factor, vectors = EqualityCache().tensor(point, shape)
    assert tuple(vector.size for vector in vectors) == shape
    values = np.array([rng.randrange(P) for _ in range(int(np.prod(shape)))], object).reshape(shape)
    table = [K(int(entry)) for entry in dense.padded(values)]
    assert factor * dense.value(values, vectors) == dense.extension(table, point)


def test_equal_points_share_their_vectors():
    """Later steps recognise equal vectors by identity."""
    cache = EqualityCache()
    point = dense.random_elements(random.Random(0), 3)
    assert cache(point, 5) is cache(list(point), 5)
    assert cache(point, 5) is not cache(point, 6)
    assert cache(point, 5) is not cache([*point[:2], K.ONE], 5)


def test_terms_with_the_same_vectors_are_merged():
    case = Case(small(), 0)
    vectors = dense.random_vectors(case.rng, (2,))
    for coefficient in (K(3), K(4), K(0, 1)):
        case.claims.add(1, coefficient, vectors)
    case.claims.add(1, K(5), dense.random_vectors(case.rng, (2,)))
    merged = case.claims.merge_committed()
    assert [term.coefficient for term in merged[1]] == [K(7, 1), K(5)]
    assert len(case.claims.terms[1]) == 4


@pytest.mark.parametrize("seed", range(6))
def test_merging_changes_no_value(seed):
    case = Case(random_circuit(seed), seed)
    vectors = {
        node: dense.random_vectors(case.rng, case.circuit.nodes[node].shape) for node in case.circuit.committed()
    }
    for _ in range(10):
        node = case.rng.choice(case.circuit.committed())
        case.claims.add(node, dense.random_element(case.rng), vectors[node])
    merged = case.claims.merge_committed()
    assert sum((case.term_value(n, t) for n, terms in merged.items() for t in terms), K.ZERO) == case.total


@pytest.mark.parametrize("seed", range(6))
def test_zero_claims_are_evaluations_under_powers_of_one_challenge(seed):
    circuit = odd_block().circuit if seed == 0 else random_circuit(seed)
    case, plan = Case(circuit, seed), Plan(circuit, 8)
    points = [dense.random_elements(case.rng, tensor_bits(circuit.nodes[i].shape)) for i in circuit.zeros]
    batching = dense.random_element(case.rng)
    claim_zeros(plan, batching, points, case.claims)
    expected, scale = K.ZERO, batching
    for index, point in zip(circuit.zeros, points, strict=True):
        table = [K(int(entry)) for entry in dense.padded(case.values[index])]
        expected += scale * dense.extension(table, point)
        scale = scale * batching
    assert case.total == expected
    assert case.balance == K.ZERO


# Rounds


def test_the_next_claim_of_a_product_sumcheck():
    rng = random.Random(0)
    constant, linear, square, challenge = dense.random_elements(rng, 4)
    claim = constant + (constant + linear + square)
    following = product_sumcheck_claim(Hidden.known(claim), [Hidden.known(linear), Hidden.known(square)], challenge)
    assert known(following) == constant + linear * challenge + square * challenge * challenge


def test_the_next_claim_of_a_weighted_sumcheck():
    rng = random.Random(0)
    for weight in (K.ZERO, K.ONE, dense.random_element(rng)):
        constant, linear, square, challenge = dense.random_elements(rng, 4)
        claim = (1 - weight) * constant + weight * (constant + linear + square)
        coefficients = [Hidden.known(linear), Hidden.known(square)]
        following = weighted_sumcheck_claim(Hidden.known(claim), coefficients, weight, challenge)
        assert known(following) == constant + linear * challenge + square * challenge * challenge


def test_axis_bits_of_an_instance_are_its_variables():
    for name in CONTRACTIONS:
        case = Case(contraction(name), 0)
        case.claim(2)
        (instance,) = case.claims.instances([2])
        assert instance.variables == sum(map(axis_bits, instance.shared_sizes))
        assert Plan(case.circuit, 8).claim_counts == (0, 0, 0)
