"""A step compiled again from a statement alone leads to the same circuit, and another step does not."""

from __future__ import annotations

import re
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zkjax
from tests.frontend.steps import ACTIVATIONS, LOSSES, Network, batch_of, plain, step_with, train_state
from zkjax.fixedpoint.compile import lower_block, plan_formats
from zkjax.fixedpoint.fineness import TooCoarse
from zkjax.fixedpoint.published import OtherFormats
from zkjax.recompile import OtherProgram, examine
from zkjax.statement.statement import Statement

ROWS = 20


def statement_of(train_step, state, *, steps=3, scale=1.0, **options) -> Statement:
    """A statement about a program; nothing is proved, so its commitments are to nothing."""
    batch = jax.tree.map(lambda leaf: np.float32(scale) * leaf, batch_of())
    program = zkjax.compile(train_step, state, batch, steps=steps, **options)
    size = len(batch["image"])
    schedule = np.arange(steps * size).reshape(steps, size) % ROWS
    return Statement(program.circuit_for(ROWS), schedule, 8, (bytes(32),) * 3)


def penalised(penalty):
    def train_step(state, batch):
        def loss(params):
            error = LOSSES["sum of classes"](state.apply_fn({"params": params}, batch["image"]), batch["label"])
            return error + penalty * sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params) if leaf.ndim > 1)

        return state.apply_gradients(grads=jax.grad(loss)(state.params))

    return train_step


def shapes(tree):
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(np.shape(leaf), np.asarray(leaf).dtype), tree)


@pytest.fixture(scope="module")
def network():
    return step_with(), train_state(Network(), batch_of()["image"], optax.sgd(0.25))


@pytest.mark.parametrize("bits", [10, 11, 12, 13])
@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
def test_the_formats_of_a_statement_are_enough(network, bits, scale):
    train_step, state = network
    statement = statement_of(train_step, state, bits=bits, scale=scale)
    digest = statement.circuit.digest().hex()
    assert zkjax.audit(train_step, shapes(state), shapes(batch_of(ROWS)), statement) == digest


@pytest.mark.parametrize("scale", [0.1, 1.0])
@pytest.mark.parametrize("name", ["adam", "rmsprop", "clipped"])
def test_adaptive_optimisers(name, scale):
    optimiser = {
        "adam": optax.adam(1e-3),
        "rmsprop": optax.rmsprop(1e-3),
        "clipped": optax.chain(optax.clip_by_global_norm(0.5), optax.sgd(0.1)),
    }[name]
    state = train_state(Network(), batch_of()["image"], optimiser)
    with jax.numpy_dtype_promotion("standard"):  # Optax raises a decay to the power of a counter
        statement = statement_of(step_with(), state, scale=scale)
        digest = statement.circuit.digest().hex()
        assert zkjax.audit(step_with(), shapes(state), shapes(batch_of(ROWS)), statement) == digest


@pytest.mark.parametrize("penalty", [2.0**-12, 2.0**-9, 1e-4])
def test_clipping_with_a_penalty_of_the_weights(penalty):
    """The penalty makes gradients large beside it, and a first guess at their formats does not fit under the root."""
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1, momentum=0.9))
    step = penalised(penalty)
    state = train_state(Network(layers=3), batch_of()["image"], optimiser)
    statement = statement_of(step, state)
    digest = statement.circuit.digest().hex()
    assert zkjax.audit(step, shapes(state), shapes(batch_of(ROWS)), statement) == digest


@pytest.mark.parametrize("headroom", [1, 3, 8])
@pytest.mark.parametrize("loss", ["squared", "softmax"])
def test_with_more_headroom(network, loss, headroom):
    def softmax(logits, labels):
        return optax.softmax_cross_entropy(logits, labels).mean()

    train_step, state = step_with(softmax) if loss == "softmax" else network[0], network[1]
    statement = statement_of(train_step, state, headroom=headroom)
    assert statement.circuit.digest() != statement_of(train_step, state).circuit.digest()
    assert zkjax.audit(train_step, shapes(state), shapes(batch_of(ROWS)), statement)
    if headroom == 8:  # of 12 bits, hardly one is left
        with pytest.raises(TooCoarse, match="with the values given here"):
            zkjax.audit(train_step, state, batch_of(ROWS), statement)
    else:
        assert zkjax.audit(train_step, state, batch_of(ROWS), statement)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_in_every_spelling_of_an_activation(activation):
    train_step, state = plain(activation=ACTIVATIONS[activation])
    statement = statement_of(train_step, state)
    assert zkjax.audit(train_step, state, batch_of(ROWS), statement)


@pytest.mark.parametrize("loss", LOSSES)
def test_in_every_spelling_of_a_loss(network, loss):
    train_step, state = step_with(LOSSES[loss]), network[1]
    statement = statement_of(train_step, state)
    assert zkjax.audit(train_step, state, batch_of(ROWS), statement)


OPTIMISERS = {
    "momentum": optax.sgd(0.1, momentum=0.9),
    "nesterov and decay": optax.chain(optax.add_decayed_weights(0.01), optax.sgd(0.1, momentum=0.9, nesterov=True)),
    "cosine": optax.sgd(optax.cosine_decay_schedule(0.2, 12)),
    "warm-up and momentum": optax.sgd(optax.linear_schedule(0.0, 0.1, 8), momentum=0.9),
}


@pytest.mark.parametrize("scale", [0.1, 1.0])
@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_optimisers_and_later_blocks(optimiser, scale):
    """The statement says where a counter starts, and in which formats a momentum is committed."""
    with jax.numpy_dtype_promotion("standard"):  # optax's own
        train_step, state = step_with(), train_state(Network(), batch_of()["image"], OPTIMISERS[optimiser])
        batch = jax.tree.map(lambda leaf: np.float32(scale) * leaf, batch_of())
        program = zkjax.compile(train_step, state, batch, steps=3, calibration=[batch] * 3)
        for start in (0, 3, 5):
            moved = jax.tree.map(
                lambda leaf, start=start: leaf + start if np.asarray(leaf).dtype.kind == "i" else leaf, state
            )
            circuit = program.at(moved).circuit_for(ROWS)
            statement = Statement(circuit, np.arange(12).reshape(3, 4), 8, (bytes(32),) * 3)
            assert zkjax.audit(train_step, state, batch_of(ROWS), statement) == circuit.digest().hex()


def test_where_counters_start_is_told_beside_the_files():
    with jax.numpy_dtype_promotion("standard"):
        train_step = step_with()
        state = train_state(Network(), batch_of()["image"], OPTIMISERS["cosine"])
        program = zkjax.compile(train_step, state, batch_of(), steps=3)
        later = jax.tree.map(lambda leaf: leaf + 5 if np.asarray(leaf).dtype.kind == "i" else leaf, state)
        circuit = program.at(later).circuit_for(ROWS)
        statement = Statement(circuit, np.arange(12).reshape(3, 4), 8, (bytes(32),) * 3)
        for own, seen in ((state, 0), (later, 5), (shapes(state), None)):
            (start,) = examine(train_step, own, batch_of(ROWS), statement).starts
            assert (start.name, start.stated, start.own) == ("opt_state/1/count", 5, seen)


def test_another_start_of_a_counter_is_another_program():
    """The remark alone does not decide: rates that are not those of the counter are refused."""
    with jax.numpy_dtype_promotion("standard"):
        train_step = step_with()
        state = train_state(Network(), batch_of()["image"], OPTIMISERS["cosine"])
        circuit = zkjax.compile(train_step, state, batch_of(), steps=3).circuit_for(ROWS)
        for said in ("counter opt_state/1/count: 1 at the start", "counter opt_state/1/count: 9999999999 at the start"):
            remarks = tuple(said if remark.startswith("counter") else remark for remark in circuit.remarks)
            assert remarks != circuit.remarks
            statement = Statement(replace(circuit, remarks=remarks), np.arange(12).reshape(3, 4), 8, (bytes(32),) * 3)
            with pytest.raises((OtherProgram, OtherFormats)):
                zkjax.audit(train_step, state, batch_of(ROWS), statement)
        silent = tuple(remark for remark in circuit.remarks if not remark.startswith("counter"))
        statement = Statement(replace(circuit, remarks=silent), np.arange(12).reshape(3, 4), 8, (bytes(32),) * 3)
        with pytest.raises(OtherFormats, match="where the counter 'opt_state/1/count' starts"):
            zkjax.audit(train_step, state, batch_of(ROWS), statement)


@pytest.mark.parametrize("labels", ["one-hot", "integers"])
def test_softmax_cross_entropy(labels):
    def batch(rows, seed=0):
        made = batch_of(rows, seed)
        return made if labels == "one-hot" else made | {"label": made["label"].argmax(axis=-1).astype(np.int32)}

    def train_step(state, batch):
        def loss_of(params):
            logits = state.apply_fn({"params": params}, batch["image"])
            if labels == "integers":
                return optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()
            return optax.softmax_cross_entropy(logits, batch["label"]).mean()

        return state.apply_gradients(grads=jax.grad(loss_of)(state.params))

    state = train_state(Network(), batch_of()["image"])
    program = zkjax.compile(train_step, state, batch(4), steps=3, dataset=batch(ROWS))
    statement = Statement(program.circuit_for(ROWS), np.arange(12).reshape(3, 4), 8, (bytes(32),) * 3)
    assert zkjax.audit(train_step, shapes(state), shapes(batch(ROWS)), statement)


@pytest.mark.parametrize("rate", [0.25, 0.1, 3e-4])
def test_shapes_and_types_are_enough(rate):
    train_step, state = plain(rate)
    statement = statement_of(train_step, state, steps=2)
    audited = zkjax.audit(train_step, shapes(state), shapes(batch_of(ROWS)), statement)
    assert audited == statement.circuit.digest().hex()


def test_other_weights_and_data_make_no_difference(network):
    train_step, state = network
    statement = statement_of(train_step, state)
    other = jax.tree.map(lambda leaf: 100 * leaf, state)
    assert zkjax.audit(train_step, other, batch_of(ROWS, seed=9), statement)


@pytest.mark.parametrize(
    "other",
    [
        {"optimiser": optax.sgd(0.5)},
        {"model": Network(bias=False)},
        {"model": Network(activation=ACTIVATIONS["sum of two"])},
    ],
    ids=lambda other: next(iter(other)),
)
def test_another_step_is_told_apart(network, other):
    train_step, state = network
    statement = statement_of(train_step, state)
    model, optimiser = other.get("model", Network()), other.get("optimiser", optax.sgd(0.25))
    with pytest.raises(OtherProgram, match=r"compiles to another circuit than the statement's") as caught:
        zkjax.audit(train_step, train_state(model, batch_of()["image"], optimiser), batch_of(ROWS), statement)
    _, theirs, ours, where = str(caught.value).splitlines()
    theirs, ours = theirs.removeprefix("    statement: "), ours.removeprefix("    this step: ")
    assert theirs in str(statement.circuit).splitlines()
    assert ours not in str(statement.circuit).splitlines()
    assert re.search(r"in what is made at \S+\.py:\d+", where)


def test_another_loss_is_told_apart(network):
    _, state = network
    statement = statement_of(step_with(), state)
    with pytest.raises(OtherProgram):
        zkjax.audit(step_with(LOSSES["mean of squares"]), state, batch_of(ROWS), statement)


def test_what_a_statement_does_not_say(network):
    train_step, state = network
    statement = statement_of(train_step, state)
    silent = replace(statement, circuit=replace(statement.circuit, remarks=()))
    with pytest.raises(OtherFormats, match="the statement has no data leaf 'image'"):
        zkjax.audit(train_step, state, batch_of(ROWS), silent)
    linear = train_state(Network(activation=ACTIVATIONS["identity"]), batch_of()["image"], optax.sgd(0.25))
    with pytest.raises(OtherFormats, match=r"does not compile in the formats of the statement: .*\n    at .*:\d+.*$"):
        zkjax.audit(train_step, linear, batch_of(ROWS), statement)
    plain_step, arrays = plain()
    with pytest.raises(OtherFormats, match="the statement has no state leaf"):
        zkjax.audit(plain_step, arrays, batch_of(ROWS), statement)


@pytest.mark.parametrize(
    "said", ["[-5, 3] times 2^-4", "[1, 0] times 2^-4", "[0, 999999999] times 2^-4", "[0, 16] times 2^-999"]
)
def test_formats_that_are_nonsense_are_refused(network, said):
    train_step, state = network
    statement = statement_of(train_step, state)
    remarks = tuple(
        f"data image: integers in {said}" if remark.startswith("data image") else remark
        for remark in statement.circuit.remarks
    )
    with pytest.raises(zkjax.VerificationError):
        zkjax.audit(
            train_step, state, batch_of(ROWS), replace(statement, circuit=replace(statement.circuit, remarks=remarks))
        )


@pytest.mark.parametrize(
    ("old", "new"),
    [("params/Dense_0/kernel", "kernel"), ("limb[16:18]", "limb[16:999]"), ("limb[16:18]", "limb[16:0]")],
)
def test_names_that_are_nonsense_are_refused(network, old, new):
    train_step, state = network
    statement = statement_of(train_step, state)
    nodes = tuple(
        replace(node, name=node.name.replace(old, new)) if hasattr(node, "name") and node.name.endswith(old) else node
        for node in statement.circuit.nodes
    )
    assert nodes != statement.circuit.nodes
    with pytest.raises(zkjax.VerificationError):
        zkjax.audit(
            train_step, state, batch_of(ROWS), replace(statement, circuit=replace(statement.circuit, nodes=nodes))
        )


# Formats that are too coarse


def coarse(train_step, state, *, nodes=0, only="") -> Statement:
    """What a prover makes who says that some values are 2^nodes times as large."""
    program = zkjax.compile(train_step, state, batch_of(), steps=3)
    plan = program.plan
    named = {tensor.node for tensor in plan.tensors if only in tensor.name}
    sizes = tuple(size * 2.0**nodes if node in named else size for node, size in enumerate(plan.calibration.nodes))
    calibration = replace(plan.calibration, nodes=sizes)
    bits, numbers = plan.precision.bits, plan.numbers
    other = plan_formats(plan.step, calibration, plan.data, numbers, bits, {}, plan.counters)
    circuit = lower_block(other, rows=ROWS).circuit
    return Statement(circuit, np.arange(12).reshape(3, 4), 8, (bytes(32),) * 3)


@pytest.mark.parametrize(("nodes", "only"), [(12, "pre_activation"), (14, "pre_activation"), (26, "Dense_0/gradient")])
def test_formats_in_which_nothing_can_be_trained_are_refused(network, nodes, only):
    """Such a statement is about the step, and a proof of it would hold: the audit alone can refuse it."""
    train_step, state = network
    statement = coarse(train_step, state, nodes=nodes, only=only)
    digest = statement.circuit.digest().hex()
    given = train_step, shapes(state), shapes(batch_of(ROWS)), statement
    assert zkjax.audit(*given, least_bits=0) == digest
    with pytest.raises(TooCoarse, match=f"{only}' has few bits in its unit of 2.* whatever the data are"):
        zkjax.audit(*given)


@pytest.mark.parametrize(
    ("nodes", "only"), [(8, ""), (8, "pre_activation"), (16, "Dense_0/gradient"), (14, "gradient")]
)
def test_formats_that_are_too_coarse_for_the_values_given_are_refused(network, nodes, only):
    train_step, state = network
    statement = coarse(train_step, state, nodes=nodes, only=only)
    assert zkjax.audit(train_step, shapes(state), shapes(batch_of(ROWS)), statement)
    with pytest.raises(TooCoarse, match=f"{only}.*' has few bits in its unit of 2.* with the values given here"):
        zkjax.audit(train_step, state, batch_of(ROWS), statement)
    zeros = jax.tree.map(np.zeros_like, batch_of(ROWS))
    assert zkjax.audit(train_step, jax.tree.map(np.zeros_like, state), zeros, statement)


def test_a_rate_that_is_zero_in_the_first_step():
    """A warm-up from zero: a block of one step, as which the values are measured, moves nothing."""
    with jax.numpy_dtype_promotion("standard"):
        state = train_state(Network(), batch_of()["image"], OPTIMISERS["warm-up and momentum"])
        program = zkjax.compile(step_with(), state, batch_of(), steps=1)
    assert program.plan.steps == 1


def test_what_is_said_of_honest_formats(network):
    """Every tensor that is rounded, no few bits, and on the values of the batch as many as were asked for."""
    train_step, state = network
    program = zkjax.compile(train_step, state, batch_of(), steps=3, bits=12)
    statement = Statement(program.circuit_for(ROWS), np.arange(12).reshape(3, 4), 8, (bytes(32),) * 3)
    found = examine(train_step, state, batch_of(ROWS), statement).fineness
    rounded = {tensor.name for tensor in program.plan.tensors if tensor.shift}
    assert rounded <= {each.name for each in found}
    assert {"data", "activation", "gradient", "rate"} <= {each.kind for each in found}
    assert all(each.reach >= 10 for each in found if each.kind != "data")
    seen = [each.seen for each in found if each.kind in ("activation", "gradient")]
    assert all(8 <= bits <= 12 for bits in seen)
    silent = examine(train_step, shapes(state), shapes(batch_of(ROWS)), statement).fineness
    assert all(each.seen is None for each in silent)


def test_the_reach_is_never_exceeded():
    """Against the integers of a run: no rounded tensor of the block is larger than its reach says."""
    from tests.soundness.block import Case
    from zkjax.fixedpoint.fineness import _rounded
    from zkjax.statement.ranges import check_ranges

    case = Case.make()
    nodes = {
        f"{node.oracle}/{node.name}": index for index, node in enumerate(case.circuit.nodes) if hasattr(node, "name")
    }
    found = _rounded(case.circuit, check_ranges(case.circuit))
    assert len(found) > 5
    for name, _, reach, move in found:
        node = nodes[name if move is not None else f"advice/{name}"]
        assert abs(case.values[node]).max() <= reach
        if move is not None:
            before = case.values[nodes["before/" + name.removeprefix("after/")]]
            assert abs(case.values[node] - before).max() <= move + 1
