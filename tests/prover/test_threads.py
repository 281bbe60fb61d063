"""A proof does not depend on how many threads make it, and each stream of randomness is drawn once, by one thread."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from itertools import count
from unittest.mock import patch

import flax.linen as nn
import jax
import numpy as np
import optax
import pytest

import zkjax
from tests.frontend.steps import batch_of, step_with, train_state
from tests.soundness.block import Case, commit
from zkjax.compute import cores, forest
from zkjax.prover.prove import prove_block
from zkjax.prover.randomness import Randomness


def proved(prove: Callable, threads: int) -> tuple[bytes, list[tuple[bytes, str, str]]]:
    """Statement and proof as made by so many threads from the same keys, and all streams drawn: key, label, thread."""
    numbers, streams, draw = count(), [], Randomness.bytes

    def drawing(self, label: str, size: int) -> bytes:
        streams.append((self.key, label, threading.current_thread().name))
        return draw(self, label, size)

    cores._pool.cache_clear()  # a pool has as many threads as when it was made
    with (
        patch.object(os, "urandom", lambda size: hashlib.shake_256(b"test" + bytes([next(numbers)])).digest(size)),
        patch.object(Randomness, "bytes", drawing),
        patch.object(cores, "threads", lambda: threads),
        patch.object(forest, "threads", lambda: threads),
    ):
        statement, proof = prove()
    cores._pool.cache_clear()
    return statement.to_bytes() + proof.to_bytes(), streams


def test_every_stream_is_drawn_once():
    """Masks, pads and salts of four commitments, each from a key of its own."""
    case = Case.make()
    _, streams = proved(
        lambda: prove_block(case.lowered, case.witness, commit(case.plan, case.committed), case.plan), 4
    )
    labels: dict[bytes, list[str]] = {}
    for key, label, _ in streams:
        labels.setdefault(key, []).append(label)
    assert len(labels) == 4
    shared = ["masks", "salts"]
    advice = ["mask row", "masks", "pad mask", "pads", "salts", "split masks"]
    assert sorted(map(sorted, labels.values())) == sorted([advice, shared, shared, shared])


class Network(nn.Module):
    @nn.compact
    def __call__(self, x):
        for _ in range(3):
            x = nn.relu(nn.Dense(64)(x))
        return nn.Dense(3)(x)


@pytest.mark.slow
def test_the_same_proof_from_any_number_of_threads():
    """Of a block with tables in several pieces, and more rows to encode than one thread takes at a time."""
    step, dataset = step_with(), batch_of(512)
    state = train_state(Network(), dataset["image"][:64], optax.sgd(0.1))
    program = zkjax.compile(step, state, jax.tree.map(lambda leaf: leaf[:64], dataset), steps=8, dataset=dataset)
    run = program.run(state, dataset, np.arange(512).reshape(8, 64))
    shared_out = 0
    submit = cores.ThreadPoolExecutor.submit

    def counting(self, *work):
        nonlocal shared_out
        shared_out += 1
        return submit(self, *work)

    alone, streams = proved(lambda: zkjax.prove(run, zkjax.commit(run)), 1)
    for threads in (4, 2, 4):
        with patch.object(cores.ThreadPoolExecutor, "submit", counting):
            proof, drawn = proved(lambda: zkjax.prove(run, zkjax.commit(run)), threads)
        assert proof == alone
        assert drawn == streams
        assert {thread for _, _, thread in drawn} == {threading.current_thread().name}
    assert shared_out > 100
