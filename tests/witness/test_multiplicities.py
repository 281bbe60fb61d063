"""Multiplicities against a count of tuples, row by row."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from tests.blocks import DenseShape
from tests.witness.cases import dense_inputs, named, odd_inputs
from zkjax.errors import WitnessError
from zkjax.statement.layout import tensor_bits
from zkjax.witness import Values, Witness, execute, multiplicities


@pytest.mark.parametrize("inputs", [lambda seed: dense_inputs(DenseShape(), seed), odd_inputs], ids=["dense", "odd"])
@pytest.mark.parametrize("as_mapping", [False, True])
def test_equal_a_count_of_tuples(inputs, as_mapping):
    lowered, data, before, schedule = inputs(0)
    witness = execute(lowered, data, before, schedule)
    circuit = lowered.circuit
    exponents = {i: tensor_bits(circuit.nodes[lookup.re].shape) + i % 2 for i, lookup in enumerate(circuit.lookups)}
    counted = [Counter() for _ in circuit.tables]
    for i, lookup in enumerate(circuit.lookups):
        columns = [witness.values[node].reshape(-1).tolist() for node in lookup.coordinates]
        columns += [[0] * len(columns[0])] * (3 - len(columns))
        entries = list(zip(*columns, strict=True))
        entries += [(0, 0, 0)] * (2 ** exponents[i] - len(entries))
        counted[lookup.table].update(entries)
    found = multiplicities(lowered, witness, exponents if as_mapping else exponents.__getitem__)
    assert len(found) == len(circuit.tables)
    for table, counts, expected in zip(circuit.tables, found, counted, strict=True):
        assert counts.shape == (1 << table.bits,)
        assert counts.dtype == np.int64
        rows = list(zip(*(column.tolist() for column in table.rows()), strict=True))
        left = dict(expected)
        for row, count in zip(rows, counts.tolist(), strict=True):
            assert count == left.pop(row, 0), row
        assert not left
    assert sum(map(int, map(np.sum, found))) == sum(1 << m for m in exponents.values())


def test_what_cannot_be_counted_is_refused():
    lowered, data, before, schedule = dense_inputs(DenseShape(), 0)
    witness = execute(lowered, data, before, schedule)
    with pytest.raises(WitnessError, match="more than"):
        multiplicities(lowered, witness, lambda lookup: 1)
    node = named(lowered, "advice")["layer0/pre_activation"]
    outside = Witness(Values({**witness.values, node: witness.values[node] + (1 << 17)}), witness.schedule)
    with pytest.raises(WitnessError, match=r"'layer0/relu' leaves its table relu \[-32768, 32767\]"):
        multiplicities(lowered, outside, lambda lookup: 10)
