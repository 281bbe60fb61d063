"""Square roots, quotients and positive parts of wide values, against Python integers; what each relation allows."""

from __future__ import annotations

from fractions import Fraction
from math import floor, isqrt

import numpy as np
import pytest

from tests.soundness.block import named
from tests.soundness.cheating import by_the_circuit, is_legal
from tests.witness.naive import integers, interpret
from zkjax.circuit.builder import CircuitBuilder
from zkjax.circuit.functions import divide, positive_part, square_root
from zkjax.circuit.program import Lowered
from zkjax.statement.ranges import check_ranges
from zkjax.witness import check_lookups, execute

COUNT = 40
ROOT_BITS, QUOTIENT_BITS, SHIFT, DIVISOR_BITS, PART_BITS = 29, 16, 10, 30, 50
SCHEDULE = np.zeros((1, 1), np.int64)


def wide_block() -> Lowered:
    """The gadgets on state leaves: sqrt(v), 2^SHIFT n / d, max(n, 0)."""
    b = CircuitBuilder(steps=1, batch=1, rows=1)
    x = b.rows(b.committed("x", (1, 1), oracle="data"))
    b.range_check(x, 0, 1, "data/x")
    leaves = {}
    for name, bits in (("v", 57), ("n", 36), ("d", DIVISOR_BITS - 1)):
        leaves[name] = b.state_before(name, (COUNT,), fraction_bits=0, bits=bits)
        b.state_after(name, leaves[name], 0, fraction_bits=0, bits=bits)
    square_root(b, leaves["v"], "root", bits=ROOT_BITS)
    divide(b, leaves["n"], leaves["d"], SHIFT, "quotient", bits=QUOTIENT_BITS, divisor_bits=DIVISOR_BITS)
    positive_part(b, leaves["n"], "positive", bits=PART_BITS)
    return b.finish()


@pytest.fixture(scope="module")
def lowered():
    return wide_block()


def leaves_of(seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    roots = random.integers(0, 1 << random.integers(1, 29, COUNT))
    v = roots * roots + random.integers(-1, 2, COUNT) * random.integers(0, 2 * roots + 2)
    v[:6] = [0, 1, 2, 3, 4, (1 << 57) - 1]
    d = random.integers(1, 1 << random.integers(1, DIVISOR_BITS - 1, COUNT))
    n = random.integers(-(1 << 16), 1 << 16, COUNT) * d >> SHIFT
    n[:4], d[:4] = [0, 1, -1, 3], [1, 2 << SHIFT, 2 << SHIFT, 2 << SHIFT]  # halves round upwards
    return {"v": np.clip(v, 0, (1 << 57) - 1), "n": n, "d": d}


def values_of(lowered, leaves):
    names = named(lowered.circuit)
    given = {names[f"before/{name}"]: integers(value) for name, value in leaves.items()}
    given[names["data/x"]] = integers([[1]])
    return names, interpret(lowered, given, SCHEDULE), given


@pytest.mark.parametrize("seed", range(5))
def test_against_python_integers(lowered, seed):
    leaves = leaves_of(seed)
    names, values, given = values_of(lowered, leaves)
    assert is_legal(lowered.circuit, values)
    pairs = list(zip(leaves["n"].tolist(), leaves["d"].tolist(), strict=True))
    np.testing.assert_array_equal(values[names["advice/root"]], [isqrt(v) for v in leaves["v"].tolist()])
    quotients = [floor(Fraction(n << SHIFT, d) + Fraction(1, 2)) for n, d in pairs]
    np.testing.assert_array_equal(values[names["advice/quotient"]], quotients)
    sign = values[names["advice/positive/sign"]]
    np.testing.assert_array_equal(sign * leaves["n"], np.maximum(leaves["n"], 0))
    data, before = ({i: given[i].astype(np.int64) for i in lowered.circuit.committed(r)} for r in ("data", "before"))
    witness = execute(lowered, data, before, SCHEDULE)
    check_lookups(lowered, witness)
    for node in witness.values:
        np.testing.assert_array_equal(witness.values[node], values[node].astype(np.int64))


def test_nothing_wraps_around(lowered):
    check_ranges(lowered.circuit)


@pytest.mark.parametrize("name", ["root", "quotient", "positive/sign"])
@pytest.mark.parametrize("delta", [1, -1])
def test_no_other_value_is_allowed(lowered, name, delta):
    """For every entry, the limbs that would have to be chosen for a neighbour do not exist."""
    names, values, _ = values_of(lowered, leaves_of(1))
    node = names[f"advice/{name}"]
    for place in range(COUNT):
        if name == "positive/sign" and not values[names["before/n"]][place]:
            continue  # max(0, 0) is 0, whatever the sign
        wrong = {i: values[i].copy() for i in lowered.circuit.committed()}
        wrong[node][place] += delta
        carried = by_the_circuit(lowered, with_limbs(lowered, names, wrong), SCHEDULE)
        assert not is_legal(lowered.circuit, carried), place


def with_limbs(lowered, names, committed):
    """The committed tensors with all limbs as the recipes have them, of what the other tensors make."""
    from tests.witness.naive import _follow

    for _ in range(2):
        values = [integers(value) for value in by_the_circuit(lowered, committed, SCHEDULE)]
        for name, node in names.items():
            if name.endswith("]"):
                committed[node] = integers(_follow(lowered.recipes[node], values))
    return committed


def test_no_root_of_a_negative_number_and_no_quotient_by_zero(lowered):
    for name, entry in (("v", -1), ("d", 0), ("d", -3)):
        leaves = leaves_of(2)
        leaves[name][7] = entry
        _, values, _ = values_of(lowered, leaves)
        assert not is_legal(lowered.circuit, values)
