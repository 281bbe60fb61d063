"""The gadgets of softmax and labels against plain integers, and what each of them proves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.softmax import CLASSES, softmax_block, softmax_inputs, softmax_trainer
from tests.soundness.block import named
from tests.soundness.cheating import is_legal
from tests.witness.naive import interpret
from zkjax.statement.ranges import RangeError, check_ranges
from zkjax.witness import check_lookups, execute, multiplicities


@pytest.fixture(scope="module")
def lowered():
    return softmax_block()


def values_of(lowered, seed):
    given, schedule = softmax_inputs(lowered, seed)
    return given, schedule, interpret(lowered, given, schedule)


@pytest.mark.parametrize("seed", range(8))
def test_the_block_is_the_training_that_it_says(lowered, seed):
    given, schedule, values = values_of(lowered, seed)
    names = named(lowered.circuit)
    data = (given[names[f"data/{name}"]] for name in ("x", "label"))
    expected = softmax_trainer(*data, given[names["before/w"]], schedule)
    assert is_legal(lowered.circuit, values)
    np.testing.assert_array_equal(values[names["after/w"]], expected)
    assert (expected != given[names["before/w"]]).any()


@pytest.mark.parametrize("seed", range(8))
def test_the_compiled_witness_is_the_naive_one(lowered, seed):
    given, schedule, values = values_of(lowered, seed)
    circuit = lowered.circuit
    data, before = ({i: given[i] for i in circuit.committed(role)} for role in ("data", "before"))
    witness = execute(lowered, data, before, schedule)
    check_lookups(lowered, witness)
    for node in witness.values:
        np.testing.assert_array_equal(witness.values[node], values[node].astype(np.int64))
    counts = multiplicities(lowered, witness, lambda index: 11)
    assert sum(int(count.sum()) for count in counts) == len(circuit.lookups) << 11


def test_gadgets(lowered):
    """Selector, maximum, exponentials, reciprocal and one-hot form, each by its own definition."""
    given, schedule, values = values_of(lowered, 1)
    names = named(lowered.circuit)
    logits = values[names["advice/logits"]]
    selector = values[names["advice/maximum/selector"]]
    np.testing.assert_array_equal(selector.sum(axis=-1), 1)
    np.testing.assert_array_equal((selector * logits).sum(axis=-1), logits.max(axis=-1))
    labels = given[names["data/label"]][schedule]
    np.testing.assert_array_equal(values[names["advice/label/one_hot"]], np.eye(CLASSES, dtype=int)[labels])
    exponentials = values[names["advice/exp"]] + 256
    reciprocals = values[names["advice/reciprocal"]].astype(float)
    totals = exponentials.sum(axis=-1).astype(float)
    np.testing.assert_array_equal(reciprocals, np.floor(2.0**20 / totals + 0.5))


def test_ranges_are_proved(lowered):
    names = named(lowered.circuit)
    intervals = check_ranges(lowered.circuit)
    assert intervals[names["advice/exp"]] == (-256, 0)
    assert intervals[names["advice/label/one_hot"]] == (0, 1)


BOUNDING = ("maximum/selector", "exp/function", "label/one_hot", "gradient/limb[0:8]", "reciprocal/limb[0:8]")


@pytest.mark.parametrize("name", BOUNDING)
def test_without_a_lookup_nothing_bounds_its_tensor(lowered, name):
    lookups = tuple(lookup for lookup in lowered.circuit.lookups if lookup.name != name)
    assert len(lookups) == len(lowered.circuit.lookups) - 1
    with pytest.raises(RangeError, match="no lookup bounds"):
        check_ranges(replace(lowered.circuit, lookups=lookups))
