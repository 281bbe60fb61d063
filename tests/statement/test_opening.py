"""The weights of the final claim, symbol by symbol."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from tests.statement import dense
from tests.statement.circuits import small
from tests.statement.random_circuits import random_circuit
from zkjax.fields.mersenne61 import K
from zkjax.fields.vectors import Ext
from zkjax.statement.circuit import Circuit
from zkjax.statement.claims import ClaimSet
from zkjax.statement.layout import IMAGINARY, MASK_COUNT, Layout, lay_out
from zkjax.statement.opening import OpenEndError, batch, committed_terms, pad_form, weight_at
from zkjax.statement.relations import HALF, Quadratic, Relations
from zkjax.statement.tables import Table
from zkjax.transcript.hidden import Hidden


def shrunk(circuit: Circuit) -> Circuit:
    """With one small table, so that all symbols can be looked at."""
    lookups = tuple(replace(lookup, table=0, im=-1, second=-1) for lookup in circuit.lookups)
    return replace(circuit, tables=(Table("range", -3, 3, 0),), lookups=lookups)


class Case:
    """Random claims on everything committed, the layout, and symbols H with garbage wherever it fits."""

    def __init__(self, seed: int, log_message: int = 3):
        self.rng = random.Random(seed)
        self.circuit = shrunk(small() if seed == 0 else random_circuit(seed, sizes=3))
        self.layout: Layout = lay_out(self.circuit, log_message)
        self.claims = ClaimSet(self.circuit, np.zeros((self.circuit.steps, self.circuit.batch), int))
        for oracle in self.layout.oracles:
            for block in oracle.blocks:
                for _ in range(self.rng.randrange(3)):
                    vectors = dense.random_vectors(self.rng, block.shape)
                    self.claims.add(block.node, dense.random_element(self.rng), vectors)
        self.terms = committed_terms(self.layout, self.claims)
        self.mask_weight, self.split = dense.random_elements(self.rng, 2)
        self.symbols = dense.random_elements(self.rng, 1 << self.layout.variables)

    def weights(self, weight_of_masks: K) -> tuple[list[K], list[K]]:
        """P and Q from their definition: a weight w on the real part of a symbol is w/2 on it and
        conj(w)/2 on its conjugate, on the imaginary part -i times that."""
        p = [K.ZERO] * len(self.symbols)
        q = [K.ZERO] * len(self.symbols)

        def weigh(symbol: int, lane: int, weight: K) -> None:
            unit = -K.I if lane == IMAGINARY else K.ONE
            p[symbol] += unit * weight * HALF
            q[symbol] += unit * weight.conjugate() * HALF

        for oracle in self.layout.oracles:
            start = oracle.first_row << self.layout.log_message
            for block in oracle.blocks:
                padded = [1 << (size - 1).bit_length() for size in block.shape]
                for term in self.terms.get(block.node, []):
                    for at in np.ndindex(block.shape):
                        weight = term.coefficient
                        for axis, place in enumerate(at):
                            weight = weight * term.vectors[axis][place].item()
                        place = int(np.ravel_multi_index(at, padded)) if padded else 0
                        weigh(start + block.offset + place, block.lane, weight)
            if oracle.masks >= 0:
                for number, unit in enumerate((K.ONE, K.I)):
                    weigh(start + oracle.masks + number, IMAGINARY, weight_of_masks * unit)
        return p, q

    def tensor(self, block, start: int) -> np.ndarray:
        """The integers mod p that the symbols hold for a block: padded slots are cut away."""
        padded = [1 << (size - 1).bit_length() for size in block.shape]
        symbols = self.symbols[start + block.offset :][: 1 << block.bits]
        lane = [symbol.im if block.lane == IMAGINARY else symbol.re for symbol in symbols]
        whole = np.array(lane, object).reshape(padded)
        return whole[tuple(slice(size) for size in block.shape)]

    @property
    def claimed(self) -> K:
        """What the terms say of the tensors."""
        total = K.ZERO
        for oracle in self.layout.oracles:
            start = oracle.first_row << self.layout.log_message
            for block in oracle.blocks:
                values = self.tensor(block, start)
                for term in self.terms.get(block.node, []):
                    total += term.coefficient * dense.value(values, term.vectors)
        return total

    @property
    def mask_symbols(self) -> list[K]:
        oracle = self.layout.oracle("advice")
        start = (oracle.first_row << self.layout.log_message) + oracle.masks
        return self.symbols[start : start + MASK_COUNT]


@pytest.mark.parametrize("seed", range(6))
def test_the_claim_reads_real_slots_only(seed):
    """<P, H> + conj<Q, H> is the claims and the masks' equation, whatever lies in padded slots, between
    blocks and in the other lane."""
    case = Case(seed)
    p, q = case.weights(case.mask_weight)
    direct = sum((w * h for w, h in zip(p, case.symbols, strict=True)), K.ZERO)
    mirrored = sum((w * h for w, h in zip(q, case.symbols, strict=True)), K.ZERO)
    first, second = case.mask_symbols
    masks = case.mask_weight * (K(first.im) + K.I * second.im)
    assert direct + mirrored.conjugate() == case.claimed + masks


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("log_message", [0, 3, 5])
def test_weight_at_a_symbol_is_its_weight(seed, log_message):
    """At every corner of the cube, the padded slots and the gaps between blocks included."""
    case = Case(seed, log_message)
    p, q = case.weights(case.mask_weight)
    variables = case.layout.variables
    for symbol in range(len(case.symbols)):
        corner = [K(symbol >> (variables - 1 - place) & 1) for place in range(variables)]
        got = weight_at(case.layout, case.terms, case.mask_weight, case.split, corner)
        assert got == p[symbol] + case.split * q[symbol], symbol


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("log_message", [0, 3, 6])
def test_weight_at_a_point_is_the_extension(seed, log_message):
    case = Case(seed, log_message)
    p, q = case.weights(case.mask_weight)
    table = [a + case.split * b for a, b in zip(p, q, strict=True)]
    point = dense.random_elements(case.rng, case.layout.variables)
    got = weight_at(case.layout, case.terms, case.mask_weight, case.split, point)
    assert got == dense.extension(table, point)


def test_the_conjugate_sum_is_masked():
    """<Q, H> travels in clear: it is uniform since its weights on two base-valued masks span K."""
    case = Case(0)
    _, q = case.weights(case.mask_weight)
    oracle = case.layout.oracle("advice")
    start = (oracle.first_row << case.layout.log_message) + oracle.masks
    first, second = q[start : start + 2]
    assert (first.conjugate() * second).im, "independent over the base field"


def test_batching_gives_every_zero_its_own_power():
    claims = ClaimSet(small(), np.zeros((2, 2), int))
    claims.balance = Hidden.known(7)
    gamma = K(3, 5)
    owed = Relations(zeros=[Hidden.known(11), Hidden.of_pad(0), Hidden.ciphertext(K(13), 1)])
    balance, mask_weight = batch(gamma, claims, owed)
    constant, coefficients = balance.linear_form()
    assert constant == 7 + 11 * gamma + 13 * gamma**3
    assert coefficients == {0: gamma**2, 1: -(gamma**3)}
    assert mask_weight == gamma**4


def test_an_axis_longer_than_its_vector_cannot_be_claimed():
    case = Case(0)
    case.claims.terms = {1: []}
    case.claims.add(1, K.ONE, (Ext.from_list([K.ONE] * 3),))
    with pytest.raises(ValueError, match="no extension"):
        weight_at(
            case.layout,
            committed_terms(case.layout, case.claims),
            K.ONE,
            K.ONE,
            dense.random_elements(case.rng, case.layout.variables),
        )


def test_a_quadratic_relation_that_is_left_over_is_an_open_end():
    owed = Relations(quadratics=[Quadratic((), Hidden.known(0))])
    with pytest.raises(OpenEndError, match="quadratic relations are left over"):
        batch(K(2), Case(0).claims, owed)


def test_a_claim_on_a_virtual_tensor_is_an_open_end():
    case = Case(0)
    virtual = next(i for i, node in enumerate(case.circuit.nodes) if i not in case.circuit.committed())
    vectors = [Ext.from_list([K.ONE] * size) for size in case.circuit.nodes[virtual].shape]
    case.claims.add(virtual, K.ONE, vectors)
    with pytest.raises(OpenEndError, match=rf"claims on tensors without commitment \(.*got \[{virtual}\]"):
        committed_terms(case.layout, case.claims)


@pytest.mark.parametrize("pad", [-1, 4, 5])
def test_a_pad_that_is_not_committed_is_an_open_end(pad):
    claim = Hidden.ciphertext(K(3), 1) + Hidden(K.ZERO, ((K.ONE, Hidden.ciphertext(K(5), 2)),))
    weights, target = pad_form(claim, 4)
    assert weights.to_list() == [K.ZERO, K.ONE, K.ONE, K.ZERO]
    assert target == K(8)
    assert pad_form(Hidden.ciphertext(K(5), 3), 4)[0].to_list() == [K.ZERO] * 3 + [K.ONE]
    assert pad_form(Hidden.ciphertext(K(5), 0), 1)[0].to_list() == [K.ONE]
    if pad >= 0:
        with pytest.raises(OpenEndError, match="pads without commitment"):
            pad_form(claim + Hidden.ciphertext(K(1), pad), 4)
    else:

        class Outside(Hidden):
            def linear_form(self):
                return K.ZERO, {-1: K.ONE, 2: K.ONE}

        with pytest.raises(OpenEndError, match="pads without commitment"):
            pad_form(Outside(K.ZERO), 4)
