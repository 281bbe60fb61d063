"""The gadgets of an adaptive optimiser together, against a trainer in plain integers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.adaptive import LIMIT, adaptive_block, adaptive_inputs, adaptive_trainer
from tests.soundness.block import named
from tests.soundness.cheating import is_legal
from tests.witness.naive import interpret
from zkjax.statement.ranges import RangeError, check_ranges
from zkjax.witness import check_lookups, execute


@pytest.fixture(scope="module")
def lowered():
    return adaptive_block()


def expected_of(lowered, given, schedule):
    names = named(lowered.circuit)
    leaves = ("data/x", "data/y", "before/w", "before/root")
    return adaptive_trainer(*(given[names[name]] for name in leaves), schedule)


def test_the_block_is_the_training_that_it_says(lowered):
    clipped = []
    for seed in range(8):
        given, schedule = adaptive_inputs(lowered, seed)
        values = interpret(lowered, given, schedule)
        names, expected = named(lowered.circuit), expected_of(lowered, given, schedule)
        assert is_legal(lowered.circuit, values)
        for name in ("norm", "scale", "clipped", "deviation", "update"):
            np.testing.assert_array_equal(values[names[f"advice/{name}"]], expected[name], err_msg=name)
        for name in ("w", "root"):
            np.testing.assert_array_equal(values[names[f"after/{name}"]], expected[name], err_msg=name)
        clipped += [norm > LIMIT for norm in expected["norm"]]
    assert 0 < sum(clipped) < len(clipped), "norms on both sides of the limit"


def test_the_compiled_witness_is_the_naive_one(lowered):
    given, schedule = adaptive_inputs(lowered, 1)
    circuit, values = lowered.circuit, interpret(lowered, given, schedule)
    data, before = ({i: given[i] for i in circuit.committed(role)} for role in ("data", "before"))
    witness = execute(lowered, data, before, schedule)
    check_lookups(lowered, witness)
    for node in witness.values:
        np.testing.assert_array_equal(witness.values[node], values[node].astype(np.int64))


BOUNDING = ("deviation/range[0:8]", "norm/range[0:8]", "excess/sign", "scale/limb[0:8]", "update/limb[0:8]")


@pytest.mark.parametrize("name", BOUNDING)
def test_without_a_lookup_nothing_bounds_its_tensor(lowered, name):
    lookups = tuple(lookup for lookup in lowered.circuit.lookups if lookup.name != name)
    assert len(lookups) == len(lowered.circuit.lookups) - 1
    with pytest.raises(RangeError, match="no lookup bounds"):
        check_ranges(replace(lowered.circuit, lookups=lookups))
