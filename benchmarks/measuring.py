"""What the headline benchmark measures: a block cold and warm, a chain of blocks, a fresh process."""

from __future__ import annotations

import gc
import os
import statistics
import time
from typing import Any

from dense_network import Shape, Timed, dense_network, timed_proof

import zkjax
from zkjax.cli.compiling import CompileClock
from zkjax.cli.process import peak_memory, spare_what_exists
from zkjax.prover.prove import Commitments
from zkjax.statement.parameters import DEFAULT_OPENINGS
from zkjax.verifier.verify import Summary

AFTER = "commitment to the weights after"
ADVICE = "commitment to the advice"


class _Watch:
    """Seconds and processor seconds since it was made."""

    def __init__(self) -> None:
        self.began, self._work = time.perf_counter(), time.process_time()

    def read(self, clock: CompileClock | None = None) -> tuple[float, float]:
        """Both; with a clock, the seconds without those in which anything compiled."""
        now = time.perf_counter()
        compiled = clock.between(self.began, now) if clock else 0.0
        return now - self.began - compiled, time.process_time() - self._work


def _named(stages: dict[str, float]) -> dict[str, float]:
    """Stages of a proof under the names of the tables; within a proof only the advice is committed to."""
    return {ADVICE if name == "Commitment" else name.lower(): spent for name, spent in stages.items()}


def _common(shape: Shape, summary: Summary, timed: Timed, verifying: float) -> dict[str, Any]:
    return {
        "shape": shape.report(),
        "data": "synthetic",
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "parameters": summary.parameters,
        "committed_elements": summary.committed_elements,
        "lookups": summary.lookups,
        "peak_rss_bytes": peak_memory(),
        "proof_bytes": len(timed.proof.to_bytes()),
        "proof_parts": summary.proof_sections,
        "verify_seconds": verifying,
        "soundness_bits": summary.soundness_bits,
    }


def block_figures(shape: Shape, repeat: int) -> dict[str, Any]:
    """All figures of one block: cold once, then `repeat` times warm."""
    return measured_block(shape, repeat)[0]


def measured_block(shape: Shape, repeat: int) -> tuple[dict[str, Any], zkjax.Run, Timed]:
    """`block_figures` with the run and the last proof."""
    training = dense_network(shape)
    given = (training.state, training.dataset, training.schedule)
    with CompileClock() as clock:
        started = time.perf_counter()
        program = training.compile()
        program.run(*given)
        tracing = time.perf_counter() - started
        watch = _Watch()
        run = program.run(*given)
        witness, witness_work = watch.read()
        began = time.perf_counter()
        first = zkjax.commit(run, openings=max(DEFAULT_OPENINGS, repeat + 1))
        data, before = first.data, first.before
        cold = timed_proof(run, clock, first)
        ended = time.perf_counter()
        compiling = tracing - witness + clock.between(began, ended)
        programs = {
            "witness": clock.programs_between(started, watch.began),
            "prover": clock.programs_between(began, ended),
        }
        del cold, first
        spare_what_exists()
        watch = _Watch()
        commitments: Commitments | None = zkjax.commit(run)
        alone, alone_work = watch.read()
        warm: list[tuple[float, float, Timed]] = []
        for _ in range(repeat):
            commitments = None
            watch = _Watch()
            commitments = zkjax.commit(run, data=data, before=before)
            after = watch.read()
            warm.append((*after, timed_proof(run, clock, commitments)))
        programs["warm proofs"] = clock.programs_between(ended, time.perf_counter())
    timed = warm[-1][2]
    watch = _Watch()
    summary = zkjax.verify(timed.statement, timed.proof)
    verifying, _ = watch.read()

    def medians(which: int, witness: float) -> dict[str, float]:
        parts = [_named((each[2].stages, each[2].processor)[which]) for each in warm]
        own = statistics.median(each[which] for each in warm)
        return {"witness": witness, AFTER: own} | {
            name: statistics.median(part[name] for part in parts) for name in parts[0]
        }

    phases, processor = medians(0, witness), medians(1, witness_work)
    others, others_work = alone - phases[AFTER], alone_work - processor[AFTER]
    figures = {
        **_common(shape, summary, timed, verifying),
        "seconds_per_step": sum(phases.values()) / shape.steps,
        "processor_seconds_per_step": sum(processor.values()) / shape.steps,
        "seconds_per_step_alone": (sum(phases.values()) + others) / shape.steps,
        "phases": phases,
        "processor_phases": processor,
        "data_and_weights_before_seconds": others,
        "data_and_weights_before_processor_seconds": others_work,
        "compile_seconds": compiling,
        "programs": {name: each.total() for name, each in programs.items()},
        "programs_of_the_prover": programs["prover"],
        "first_proof_seconds": ended - began,
    }
    return figures, run, timed


def chain_figures(shape: Shape) -> dict[str, Any]:
    """A chain of `shape.blocks` blocks: each starts from the weights that the one before has committed to.

    Every proof is verified, and that its weights before are the weights after of the last one. Peak
    memory is that of the whole chain. Compiling is left out; what is counted are the blocks after the first.
    """
    training = dense_network(shape)
    state, digest = training.state, None
    data = before = None
    blocks: list[tuple[float, float]] = []
    with CompileClock() as clock:
        started = time.perf_counter()
        program = training.compile()
        tracing = time.perf_counter()
        spare_what_exists()
        for schedule in training.schedule.reshape(shape.blocks, shape.steps, shape.batch):
            watch = _Watch()
            run = program.run(state, training.dataset, schedule)
            witness = watch.read(clock)
            if data is None or before is None:
                made = zkjax.commit(run, openings=max(DEFAULT_OPENINGS, shape.blocks))
                data, before = made.data, made.before
                del made
            watch = _Watch()
            commitments = zkjax.commit(run, data=data, before=before)
            timed = timed_proof(run, clock, commitments)
            proof = watch.read(clock)
            blocks.append((witness[0] + proof[0], witness[1] + proof[1]))
            watch = _Watch()
            summary = zkjax.verify(timed.statement, timed.proof)
            verifying, _ = watch.read()
            if digest is not None and digest != summary.before:
                raise ValueError("a block does not start from the weights that the block before has committed to")
            digest, before, state = summary.after, commitments.after, run.state
            del run, commitments
            gc.collect()
        compiling = tracing - started + clock.between(tracing, time.perf_counter())
    wall, work = zip(*(blocks[1:] or blocks), strict=True)
    return {
        **_common(shape, summary, timed, verifying),
        "seconds_per_step": statistics.mean(wall) / shape.steps,
        "processor_seconds_per_step": statistics.mean(work) / shape.steps,
        "seconds_per_step_by_block": [spent / shape.steps for spent, _ in blocks],
        "steps_in_chain": shape.blocks * shape.steps,
        "compile_seconds": compiling,
    }


def first_proof_figures(shape: Shape, process_began: float) -> dict[str, Any]:
    """From the start of this process (`time.time()`) to the first proof, everything included."""
    ready = time.time()
    with CompileClock() as clock:
        began = time.perf_counter()
        training = dense_network(shape)
        program = training.compile()
        run = program.run(training.state, training.dataset, training.schedule)
        trained = time.perf_counter()
        zkjax.prove(run)
        ended = time.perf_counter()
        return {
            "importing_seconds": ready - process_began,
            "until_the_witness_seconds": ready - process_began + trained - began,
            "until_the_proof_seconds": ready - process_began + ended - began,
            "compiling_or_reading_seconds": clock.between(began, ended),
            "programs": clock.programs_between(began, ended).total(),
        }
