"""Each legality rule has a circuit that breaks it, and no other rule."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from tests.statement.circuits import (
    AFTER,
    DATA,
    GATE,
    HALF,
    OUTPUT,
    PRODUCT,
    QUOTIENT,
    REMAINDER,
    ROWS,
    SPREAD,
    STATE,
    SUMS,
    appended,
    small,
    with_lookup,
    with_node,
    with_table,
)
from zkjax.statement import legality
from zkjax.statement.circuit import (
    MAX_AXES,
    MAX_COEFFICIENT,
    MAX_COMMITTED_ELEMENTS,
    MAX_DIMENSION,
    MAX_LOOKUP_ENTRIES,
    MAX_NODES,
    MAX_SCHEDULE,
    MAX_STEPS,
    Axes,
    Circuit,
    CircuitError,
    Combine,
    Committed,
    Constant,
    Contract,
    Lookup,
    Output,
    Positions,
    Public,
    Rows,
)
from zkjax.statement.tables import Table


def bare(*, rows=3, oracle_of_data="data", oracle_of_state=("before", "after"), advice="advice") -> Circuit:
    """Nothing in it depends on the numbers of steps, of batch rows and of data rows but one shape."""
    before, after = oracle_of_state
    nodes = (
        Committed((rows, 2), oracle_of_data, "x", 0),
        Committed((2,), before, "w", 0),
        Committed((2,), after, "w" if after == "after" else "v", 0),
        Committed((2,), advice, "q", 0) if advice else Constant((2,), 1),
    )
    return Circuit(1, 1, rows, nodes, (Table("range", 0, 1, 0),), (Lookup(0, 1, -1, -1, "w"),), (), ())


def published(circuit: Circuit, *outputs: Output) -> Circuit:
    return replace(circuit, outputs=outputs)


def test_the_circuits_that_the_cases_change_are_legal():
    small().check()
    bare().check()


PUBLIC = Public.of(np.arange(16).reshape(4, 4) % 3 % 2)
FUNCTION = Table("function", -3, 4, 0, "x*x", 0, 0)

CASES = {
    "no steps": (lambda c: replace(bare(), steps=0), "steps out of range"),
    "too many steps": (lambda c: replace(bare(), steps=4097), "steps out of range"),
    "steps of another type": (lambda c: replace(bare(), steps=True), "steps out of range"),
    "batch of another type": (lambda c: replace(bare(), batch=True), "batch out of range"),
    "no batch": (lambda c: replace(bare(), batch=0), "batch out of range"),
    "huge batch": (lambda c: replace(bare(), batch=1 << 25), "batch out of range"),
    "huge schedule": (lambda c: replace(bare(), steps=1 << 12, batch=(1 << 10) + 1), "batch out of range"),
    "no rows": (lambda c: replace(bare(), rows=0), "rows out of range"),
    "too many rows": (lambda c: replace(bare(), rows=MAX_DIMENSION + 1), "rows out of range"),
    "rows of another type": (lambda c: replace(bare(rows=1), rows=True), "rows out of range"),
    "other rows": (lambda c: replace(c, rows=4), r"node 0 \(Committed\) has another number of rows"),
    "nodes": (
        lambda c: appended(c, *[Constant((), 0)] * (MAX_NODES - len(c.nodes) + 1)),
        "too many nodes",
    ),
    "shape as list": (lambda c: with_node(c, HALF, shape=[2, 2]), "has a shape of another type"),
    "shape of floats": (lambda c: with_node(c, HALF, shape=(2.0, 2)), "has a shape of another type"),
    "shape of booleans": (lambda c: appended(c, Constant((True,), 1)), "has a shape of another type"),
    "empty axis": (lambda c: appended(c, Constant((0,), 1)), "has an illegal shape"),
    "negative axis": (lambda c: appended(c, Constant((-2, -2), 1)), "has an illegal shape"),
    "long axis": (lambda c: appended(c, Constant(((1 << 24) + 1,), 1)), "has an illegal shape"),
    "many axes": (lambda c: appended(c, Constant((1,) * 9, 1)), "has an illegal shape"),
    "many elements": (lambda c: appended(c, Constant((1 << 20, (1 << 20) + 1), 1)), "has an illegal shape"),
    "operand later": (lambda c: with_node(c, SUMS, node=QUOTIENT), "reads a later node"),
    "operand itself": (lambda c: with_node(c, SUMS, node=SUMS), "reads a later node"),
    "operand negative": (lambda c: with_node(c, SUMS, node=-9), "reads a later node"),
    "operand no integer": (lambda c: with_node(c, SUMS, node="4"), "has a node of another type"),
    "oracle": (lambda c: with_node(c, QUOTIENT, oracle="nowhere"), "names no oracle"),
    "oracle no text": (lambda c: with_node(c, QUOTIENT, oracle=("advice",)), "has a oracle of another type"),
    "name empty": (lambda c: with_node(c, QUOTIENT, name=""), "has no name"),
    "name long": (lambda c: with_node(c, QUOTIENT, name="x" * 257), "has no name"),
    "name unprintable": (lambda c: with_node(c, QUOTIENT, name="\x1b[2J"), "has no name"),
    "name no text": (lambda c: with_node(c, QUOTIENT, name=5), "has a name of another type"),
    "fraction bits": (lambda c: with_node(c, QUOTIENT, fraction_bits=65), "illegal fraction bits"),
    "negative fraction bits": (lambda c: with_node(c, QUOTIENT, fraction_bits=-65), "illegal fraction bits"),
    "fraction bits no integer": (lambda c: with_node(c, QUOTIENT, fraction_bits=0.5), "fraction_bits of another type"),
    "constant": (lambda c: with_node(c, HALF, value=1 << 60), "is too large"),
    "constant negative": (lambda c: with_node(c, HALF, value=-(1 << 60)), "is too large"),
    "constant no integer": (lambda c: with_node(c, HALF, value=False), "has a value of another type"),
    "places along no axis": (lambda c: appended(c, Positions((2, 2), 2)), "names no axis"),
    "places along a negative axis": (lambda c: appended(c, Positions((2, 2), -1)), "names no axis"),
    "places of no axis": (lambda c: appended(c, Positions((), 0)), "names no axis"),
    "public and large": (lambda c: appended(c, replace(PUBLIC, low=1 << 60)), "is too large"),
    "public of many bits": (lambda c: appended(c, replace(PUBLIC, bits=33)), "4 characters for 16 entries of 33 bits"),
    "public of no bits": (
        lambda c: appended(c, replace(PUBLIC, bits=0, entries="")),
        "is not written as public tensors are",
    ),
    "public of another length": (
        lambda c: appended(c, replace(PUBLIC, shape=(5, 5))),
        "4 characters for 25 entries of 1 bits",
    ),
    "public of another text": (lambda c: appended(c, replace(PUBLIC, entries="*AAA")), "entries that are not base64"),
    "public and constant": (lambda c: appended(c, replace(PUBLIC, entries="AAA=")), "do not need the 1 bits"),
    "public of numbers": (lambda c: appended(c, replace(PUBLIC, entries=(1, 2))), "has a entries of another type"),
    "public of a low that is none": (lambda c: appended(c, replace(PUBLIC, low="0")), "has a low of another type"),
    "no terms": (lambda c: with_node(c, REMAINDER, terms=()), "has no terms"),
    "terms no pairs": (lambda c: with_node(c, REMAINDER, terms=(1, PRODUCT)), "has a terms of another type"),
    "terms triples": (lambda c: with_node(c, REMAINDER, terms=((1, PRODUCT, 0),)), "has a terms of another type"),
    "coefficient zero": (lambda c: with_node(c, REMAINDER, terms=((0, PRODUCT),)), "an illegal coefficient"),
    "coefficient large": (lambda c: with_node(c, REMAINDER, terms=((1 << 60, PRODUCT),)), "an illegal coefficient"),
    "coefficient true": (lambda c: with_node(c, REMAINDER, terms=((True, PRODUCT),)), "has a terms of another type"),
    "terms of other shapes": (lambda c: appended(c, Combine((2, 2), ((1, PRODUCT), (1, ROWS)))), "mixes shapes"),
    "axes too few": (lambda c: with_node(c, SPREAD, source=(0,)), "maps another number of axes"),
    "axes repeated": (lambda c: appended(c, Axes((2, 2), STATE, (0, 0))), "has an illegal axis map"),
    "axes out of range": (lambda c: appended(c, Axes((2,), SPREAD, (2,))), "has an illegal axis map"),
    "axes below": (lambda c: appended(c, Axes((2,), SPREAD, (-2,))), "has an illegal axis map"),
    "axes no integer": (lambda c: with_node(c, SPREAD, source=(-1.0, 0)), "has a source of another type"),
    "axes resized": (lambda c: appended(c, Axes((3,), STATE, (0,))), "changes the size of an axis"),
    "rows of state": (lambda c: appended(c, Rows((2, 2), STATE)), "reads no data tensor"),
    "rows of a virtual": (
        lambda c: appended(c, Combine((3, 2), ((1, DATA),)), replace(c.nodes[ROWS], node=13)),
        "reads no data tensor",
    ),
    "rows of another shape": (lambda c: appended(c, replace(c.nodes[ROWS], shape=(2, 2))), "has another shape than"),
    "filter of another shape": (lambda c: appended(c, replace(c.nodes[SUMS], shape=(2,))), "another shape than its"),
    "filter of more rows": (
        lambda c: appended(c, replace(c.nodes[SUMS], rows=((), (), ()))),
        "another shape than its matrix",
    ),
    "filter of a scalar": (
        lambda c: appended(c, Constant((), 1), replace(c.nodes[SUMS], shape=(2,), node=13, rows=((), ()))),
        "reads a tensor without axes",
    ),
    "filter with runs of one value": (
        lambda c: appended(c, replace(c.nodes[SUMS], rows=(((1, 3), (1, 3)), ()))),
        "not in canonical form",
    ),
    "filter with an empty run": (
        lambda c: appended(c, replace(c.nodes[SUMS], rows=(((0, 2), (1, 3)), ()))),
        "not in canonical form",
    ),
    "filter with zeros at the end": (
        lambda c: appended(c, replace(c.nodes[SUMS], rows=(((1, 1), (1, 0)), ()))),
        "not in canonical form",
    ),
    "filter of missing columns": (
        lambda c: appended(c, replace(c.nodes[SUMS], rows=(((3, 1),), ()))),
        "reads columns out of nowhere",
    ),
    "filter with a large coefficient": (
        lambda c: appended(c, replace(c.nodes[SUMS], rows=(((1, -MAX_COEFFICIENT),), ()))),
        "has an illegal coefficient",
    ),
    "filter no integers": (lambda c: with_node(c, SUMS, rows=(((1, 2.0),), ())), "has a rows of another type"),
    "filter of triples": (lambda c: with_node(c, SUMS, rows=(((1, 2, 3),), ())), "has a rows of another type"),
    "labels too few": (lambda c: with_node(c, PRODUCT, left_labels=(0, 1)), "labels its axes wrongly"),
    "labels repeated": (lambda c: with_node(c, PRODUCT, left_labels=(0, 0, 2)), "labels its axes wrongly"),
    "labels no integers": (lambda c: with_node(c, PRODUCT, right_labels=(0, "2")), "right_labels of another type"),
    "label of two sizes": (
        lambda c: appended(c, Contract((3,), DATA, STATE, (0, 1), (0,), (0,))),
        "gives one label two sizes",
    ),
    "output of another size": (
        lambda c: appended(c, Contract((5,), STATE, STATE, (0,), (0,), (0,))),
        "gives one label two sizes",
    ),
    "label out of nowhere": (
        lambda c: appended(c, Contract((2, 7), STATE, STATE, (0,), (0,), (0, 1))),
        "has a label out of nowhere",
    ),
    "committed elements": (
        lambda c: appended(c, Committed((MAX_COMMITTED_ELEMENTS >> 20, 1 << 20), "advice", "large", 0)),
        "too many committed elements",
    ),
    "padded committed elements": (
        lambda c: appended(c, Committed(((1 << 11) + 1, 1 << 20), "advice", "large", 0)),
        "too many committed elements",
    ),
    "names twice": (
        lambda c: appended(c, Committed((2,), "advice", "quotient", 0)),
        "two committed tensors share a name",
    ),
    "no advice": (lambda c: bare(advice=None), "no advice tensor"),
    "state renamed": (lambda c: with_node(c, AFTER, name="v"), "state before and after differ"),
    "state rescaled": (lambda c: with_node(c, AFTER, fraction_bits=1), "state before and after differ"),
    "state reshaped": (
        lambda c: appended(c, Committed((2, 1), "before", "v", 0), Committed((1, 2), "after", "v", 0)),
        "state before and after differ",
    ),
    "state lost": (lambda c: with_node(c, AFTER, oracle="advice"), "state before and after differ"),
    "no state": (lambda c: bare(oracle_of_state=("advice", "advice")), "no state"),
    "no data": (lambda c: bare(oracle_of_data="advice"), "no data"),
    "tables": (
        lambda c: replace(c, tables=c.tables + tuple(Table("range", -i, 3, 0) for i in range(5, 259))),
        "number of tables out of range",
    ),
    "table kind": (lambda c: replace(c, tables=(*c.tables, Table("sqrt", 0, 3, 0))), "illegal table"),
    "table without zero": (lambda c: with_table(c, 0, lo=1), "illegal table"),
    "table below zero": (lambda c: with_table(c, 0, lo=-5, hi=-1), "illegal table"),
    "table too large": (lambda c: with_table(c, 0, hi=1 << 18), "illegal table"),
    "range with a limit": (lambda c: with_table(c, 0, limit=1), "illegal table"),
    "relu without a limit": (lambda c: with_table(c, 2, limit=0), "illegal table"),
    "relu beyond its range": (lambda c: with_table(c, 2, limit=512), "illegal table"),
    "gated too large": (
        lambda c: replace(c, tables=(*c.tables, Table("gated", -(1 << 17), 1 << 17, 5))),
        "illegal table",
    ),
    "tables of much work": (
        lambda c: replace(
            c,
            tables=(
                *c.tables,
                *(Table("function", -(1 << 15), (1 << 15) - 1, 0, f"exp(x) + exp(x/2) + {n}", 12, 4) for n in range(8)),
            ),
        ),
        "tables that take too long to derive",
    ),
    "table formula no text": (lambda c: with_table(c, 0, formula=None), "has a formula of another type"),
    "table fraction no integer": (lambda c: with_table(c, 0, input_fraction="1"), "input_fraction of another type"),
    "function without a value": (
        lambda c: replace(c, tables=(*c.tables, Table("function", -3, 4, 0, "1/x"))),
        "a table of a function without values",
    ),
    "function of one": (
        lambda c: replace(c, tables=(*c.tables, FUNCTION), lookups=(*c.lookups, Lookup(3, ROWS, -1, -1, "f"))),
        "has another arity",
    ),
    "function of the second": (
        lambda c: replace(c, tables=(*c.tables, FUNCTION), lookups=(*c.lookups, Lookup(3, ROWS, -1, ROWS, "f"))),
        "has another arity",
    ),
    "table kind no text": (lambda c: with_table(c, 0, kind=0), "has a kind of another type"),
    "table bound no integer": (lambda c: with_table(c, 0, lo=0.0), "has a lo of another type"),
    "table twice": (lambda c: replace(c, tables=c.tables + c.tables[:1]), "a table occurs twice"),
    "no lookups": (lambda c: replace(c, lookups=()), "number of lookups out of range"),
    "lookups": (lambda c: replace(c, lookups=c.lookups * 13200), "number of lookups out of range"),
    "lookup name": (lambda c: with_lookup(c, 0, name=""), "lookup without a name"),
    "lookup name unprintable": (lambda c: with_lookup(c, 0, name="a\nb"), "lookup without a name"),
    "lookup name no text": (lambda c: with_lookup(c, 0, name=None), "has a name of another type"),
    "lookup table": (lambda c: with_lookup(c, 0, table=3), "names no table"),
    "lookup table negative": (lambda c: with_lookup(c, 0, table=-1), "names no table"),
    "lookup node": (lambda c: with_lookup(c, 0, re=13), "names no node"),
    "lookup node below": (lambda c: with_lookup(c, 0, im=-2), "names no node"),
    "lookup node no integer": (lambda c: with_lookup(c, 0, re=2.0), "has a re of another type"),
    "range of three": (lambda c: with_lookup(c, 2, im=QUOTIENT, second=QUOTIENT), "has another arity"),
    "relu of one": (lambda c: with_lookup(c, 3, im=-1, second=-1), "has another arity"),
    "relu of two": (lambda c: with_lookup(c, 3, second=-1), "has another arity"),
    "range of the second": (lambda c: with_lookup(c, 2, re=-1, second=QUOTIENT), "has another arity"),
    "lookup of other shapes": (lambda c: with_lookup(c, 3, im=ROWS), "mixes shapes"),
    "lookup entries": (
        lambda c: appended(
            c, Constant((MAX_LOOKUP_ENTRIES >> 20, 1 << 20), 0), lookups=(Lookup(0, 13, -1, -1, "many"),)
        ),
        "too many lookups",
    ),
    "padded lookup entries": (
        lambda c: appended(c, Constant(((1 << 11) + 1, 1 << 20), 0), lookups=(Lookup(0, 13, -1, -1, "many"),)),
        "too many lookups",
    ),
    "zero": (lambda c: replace(c, zeros=(13,)), "zero names no node"),
    "zero negative": (lambda c: replace(c, zeros=(-1,)), "zero names no node"),
    "zero no integer": (lambda c: replace(c, zeros=("12",)), "zero names no node"),
    "outputs": (lambda c: published(c, *[Output(f"o{i}", OUTPUT, 0) for i in range(65)]), "too many outputs"),
    "output without a name": (lambda c: published(c, Output("", OUTPUT, 0)), "output without a name"),
    "output of nothing": (lambda c: published(c, Output("o", 13, 0)), "output 'o' names no node"),
    "output of a negative node": (lambda c: published(c, Output("o", -1, 0)), "output 'o' names no node"),
    "output without steps": (lambda c: published(c, Output("o", DATA, 0)), "output 'o' has no axis of steps"),
    "output bits": (lambda c: published(c, Output("o", OUTPUT, 65)), "output 'o' has illegal fraction bits"),
    "output negative bits": (lambda c: published(c, Output("o", OUTPUT, -65)), "output 'o' has illegal fraction bits"),
    "output twice": (lambda c: published(c, Output("o", OUTPUT, 0), Output("o", GATE, 0)), "two outputs share a name"),
    "output no integer": (lambda c: published(c, Output("o", "8", 0)), "an output has a node of another type"),
    "output too long": (
        lambda c: published(appended(c, Constant((2, 1 << 15, 2), 1)), Output("o", 13, 0)),
        "too many published numbers",
    ),
    "remark": (lambda c: replace(c, remarks=(5,)), "a remark is no printable text"),
    "remark unprintable": (lambda c: replace(c, remarks=("\ud800",)), "a remark is no printable text"),
}


@pytest.mark.parametrize(("change", "rule"), CASES.values(), ids=CASES)
def test_a_broken_rule_is_named(change, rule):
    with pytest.raises(CircuitError, match=rule):
        change(small()).check()


class _Stopped(Exception):
    """The rules cannot go on after the one that was broken."""


# Rules without which the next ones have no meaning: there the check may only stop.
BASIC = (
    "illegal table",
    "of another type",
    "rows out of range",
    "reads a later node",
    "has an illegal axis map",
    "maps another number of axes",
    "labels its axes wrongly",
    "names no table",
    "names no node",
)


def recorded(monkeypatch, circuit: Circuit) -> tuple[set[str], list[str]]:
    """(all rules that were checked, those that were broken), without what they are about."""
    checked, broken = set(), []

    def record(condition, text, got):
        rule = re.sub(r"^(node \d+ \(\w+\)|lookup '[^']*'|output '[^']*') ", "", text).split(" (")[0]
        checked.add(rule)
        if not condition:
            broken.append(rule)
            if any(basic in rule for basic in BASIC):
                raise _Stopped

    monkeypatch.setattr(legality, "_require", record)
    try:
        legality.check_circuit(circuit)
    except _Stopped:
        pass
    return checked, broken


@pytest.mark.parametrize(("change", "rule"), CASES.values(), ids=CASES)
def test_only_that_rule_is_broken(change, rule, monkeypatch):
    """Otherwise a rule could be dropped and its case would still pass."""
    _, broken = recorded(monkeypatch, change(small()))
    assert len(broken) == 1, broken


def test_every_rule_has_a_case(monkeypatch):
    checked, _ = recorded(monkeypatch, published(small(), Output("o", OUTPUT, 0)))
    broken = {rule for change, _ in CASES.values() for rule in recorded(monkeypatch, change(small()))[1]}
    assert len(broken) > 40
    assert [rule for rule in checked - broken if "of another type" not in rule] == []


def powers_of_two(total: int) -> list[Constant]:
    """Constants that have so many elements together, each a power of two of them."""
    return [
        Constant((1 << min(log, 20), 1 << max(log - 20, 0)), 0) for log in range(total.bit_length()) if total >> log & 1
    ]


def looked_up(circuit: Circuit, constants: list[Constant]) -> Circuit:
    places = range(len(circuit.nodes), len(circuit.nodes) + len(constants))
    return appended(circuit, *constants, lookups=tuple(Lookup(0, i, -1, -1, f"l{i}") for i in places))


def committed(circuit: Circuit, constants: list[Constant]) -> Circuit:
    return appended(circuit, *(Committed(c.shape, "advice", f"c{i}", 0) for i, c in enumerate(constants)))


# `bare` commits to 8 + 2 + 2 + 2 elements, the data's three rows counted as four, and looks up 2.
GREATEST = {
    "schedule": lambda: replace(bare(), steps=MAX_STEPS, batch=MAX_SCHEDULE // MAX_STEPS),
    "rows": lambda: bare(rows=MAX_DIMENSION),
    "nodes": lambda: appended(bare(), *[Constant((), 0)] * (MAX_NODES - len(bare().nodes))),
    "committed elements": lambda: committed(bare(), powers_of_two(MAX_COMMITTED_ELEMENTS - 14)),
    "tables": lambda: replace(bare(), tables=tuple(Table("range", 0, i, 0) for i in range(64))),
    "lookups": lambda: replace(bare(), lookups=bare().lookups * MAX_NODES),
    "looked up entries": lambda: looked_up(bare(), powers_of_two(MAX_LOOKUP_ENTRIES - 2)),
    "name": lambda: with_node(small(), QUOTIENT, name="x" * 256),
    "axes": lambda: appended(bare(), Constant((1,) * MAX_AXES, 1)),
    "axis": lambda: appended(bare(), Constant((MAX_DIMENSION,), 1)),
    "elements": lambda: appended(bare(), Constant((1 << 20, 1 << 20), 1)),
    "fraction bits": lambda: with_node(small(), QUOTIENT, fraction_bits=64),
    "negative fraction bits": lambda: with_node(small(), QUOTIENT, fraction_bits=-64),
}


@pytest.mark.parametrize("made", GREATEST.values(), ids=GREATEST)
def test_the_greatest_of_everything_is_legal(made):
    made().check()


def test_tables_may_take_as_much_work_as_there_may_be(monkeypatch):
    circuit = replace(bare(), tables=(*bare().tables, FUNCTION, replace(FUNCTION, lo=-2)))
    assert FUNCTION.work > 0
    monkeypatch.setattr(legality, "MAX_TABLE_WORK", 2 * FUNCTION.work)
    circuit.check()
    monkeypatch.setattr(legality, "MAX_TABLE_WORK", 2 * FUNCTION.work - 1)
    with pytest.raises(CircuitError, match="take too long to derive"):
        circuit.check()


def test_no_tables_are_refused_before_any_lookup_is_looked_at():
    with pytest.raises(CircuitError, match="number of tables out of range: 0"):
        replace(bare(), tables=()).check()


def test_the_first_node_may_be_zero():
    replace(small(), zeros=(0,)).check()


@pytest.mark.parametrize(("length", "shown"), [(199, None), (200, 200), (5000, 200)])
def test_what_an_illegal_circuit_has_is_shown_as_far_as_a_line_goes(length, shown):
    remark = "\n" + "x" * (length - 4)
    text = repr(remark)
    assert len(text) == length
    with pytest.raises(CircuitError) as error:
        replace(small(), remarks=(remark,)).check()
    expected = text if shown is None else text[:shown] + "..."
    assert str(error.value) == f"illegal circuit: a remark is no printable text: {expected}"


@pytest.mark.parametrize(
    "outputs",
    [
        [Output(f"o{i}", OUTPUT, bits) for i, bits in enumerate([64, -64] * 32)],
        [Output("o", 13, 0)],
    ],
)
def test_as_many_outputs_as_there_may_be(outputs):
    """64 of them; 2^16 numbers; 64 fraction bits either way."""
    published(appended(small(), Constant((2, 1 << 15), 1)), *outputs).check()


def test_the_first_node_may_be_published():
    nodes = (Committed((1, 2), "data", "x", 0), *bare().nodes[1:])
    published(replace(bare(), rows=1, nodes=nodes), Output("o", 0, 0)).check()
