"""The library's own names: compile, run, commit, prove.

    program = zkjax.compile(train_step, state, batch, steps=16)
    run = program.run(state, dataset, schedule)
    statement, proof = zkjax.prove(run)
    zkjax.verify(statement, proof)          # elsewhere: no JAX, no secret

Blocks chain through commitments: `commit(next_run, data=first.data, before=first.after)` says that
the next block starts from the weights that the first one ended in.
"""

from __future__ import annotations

from zkjax.errors import UsageError
from zkjax.files.ledger import Ledger
from zkjax.program import Program, compile
from zkjax.prover.checkpoint import Checkpoint, OtherCommitment
from zkjax.prover.prove import Commitments, Progress, prove_block
from zkjax.statement.circuit import Committed
from zkjax.statement.parameters import DEFAULT_OPENINGS, MAX_OPENINGS
from zkjax.statement.plan import Plan
from zkjax.statement.proof import Proof
from zkjax.statement.statement import Statement
from zkjax.witness.run import Run

ROLES = ("data", "before", "after")

__all__ = ["Checkpoint", "Commitments", "Program", "Run", "commit", "compile", "prove"]


def commit(
    run: Run,
    *,
    data: Checkpoint | None = None,
    before: Checkpoint | None = None,
    openings: int = DEFAULT_OPENINGS,
) -> Commitments:
    """Commit to the data set, the weights before and the weights after a run.

    `data` and `before` reuse earlier commitments, which must be to exactly this run's tensors:
    the same data set, and the weights after the block before. `openings` is how many proofs may
    open each new commitment; a reused one keeps its own code, which the new ones then take.

    Raises OtherCommitment if a reused commitment is to something else.
    """
    _check_type("commit takes", run, Run, "what program.run returns")
    for name, checkpoint in (("data", data), ("before", before)):
        if checkpoint is not None:
            _check_type(f"commit takes as {name}", checkpoint, Checkpoint, "a part of what commit returned before")
    if isinstance(openings, bool) or not isinstance(openings, int) or not 1 <= openings <= MAX_OPENINGS:
        raise UsageError(f"openings must be a whole number from 1 to {MAX_OPENINGS}, not {openings!r}")
    reused = [checkpoint for checkpoint in (data, before) if checkpoint is not None]
    plan = _plan(run, reused[0]) if reused else Plan(run.lowered.circuit, openings)
    made = {}
    for role, known in zip(ROLES, (data, before, None), strict=True):
        tensors = _tensors(run, role)
        made[role] = _same(plan, role, known, tensors) if known else Checkpoint.commit(plan, role, tensors)
    return Commitments(**made)


def prove(
    run: Run,
    commitments: Commitments | None = None,
    *,
    ledger: Ledger | None = None,
    progress: Progress = lambda stage: None,
) -> tuple[Statement, Proof]:
    """Prove a run: a public statement and a proof that it holds.

    A run that left its proven ranges has been refused by `program.run`.

    `commitments` come from `commit(run, ...)` and default to fresh ones. One opening of each is
    used up, in the `ledger` where one is given (on disk before this returns), else in memory.
    `progress` is called with the name of each stage as it begins.

    Raises OtherCommitment if `commitments` are to another run, OpeningsUsedUp if one has been opened
    as often as its hiding covers.
    """
    _check_type("prove takes", run, Run, "what program.run returns")
    if commitments is not None:
        _check_type("prove takes as commitments", commitments, Commitments, "what commit returns")
    progress("Commitment")
    if commitments is None:
        commitments = commit(run)
        plan = _plan(run, commitments.data)
    else:
        plan = _plan(run, commitments.data)
        for role in ROLES:
            _same(plan, role, getattr(commitments, role), _tensors(run, role))
    for checkpoint in {id(c): c for c in (commitments.data, commitments.before, commitments.after)}.values():
        checkpoint.reserve(ledger)
    return prove_block(run.lowered, run.witness, commitments, plan, progress)


def _check_type(what: str, value: object, kind: type, source: str) -> None:
    if not isinstance(value, kind):
        article = "" if kind is Commitments else "a "
        raise UsageError(f"{what} {article}{kind.__name__}, {source}, not a {type(value).__name__}")


def _plan(run: Run, committed: Checkpoint) -> Plan:
    """The plan of a run whose commitments have the code of `committed`."""
    code = committed.type.code
    plan = Plan(run.lowered.circuit, code.openings, code.log_message)
    if plan.pads > code.message:
        raise OtherCommitment(
            f"{committed!r} has rows of {code.message} symbols, too short for the {plan.pads} pads of this block: "
            "commit to it again for this circuit"
        )
    return plan


def _tensors(run: Run, role: str) -> dict:
    return {node: run.witness.values.stored(node) for node in run.lowered.circuit.committed(role)}


def _same(plan: Plan, role: str, known: Checkpoint, tensors: dict) -> Checkpoint:
    """`known`, once it is sure to be a commitment to `tensors`."""
    node = known.in_role(plan, role).difference(tensors)
    if node is not None:
        committed = plan.circuit.nodes[node]
        assert isinstance(committed, Committed)
        raise OtherCommitment(f"{known!r} is not a commitment to this run's {role}: {committed.name!r} differs")
    return known
