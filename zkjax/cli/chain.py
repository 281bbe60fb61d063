"""Where a block starts: from the experiment's own state, or from the end of a proved block."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from zkjax.errors import UsageError
from zkjax.files import Kind, RunFolder, decode_tensors, encode_tensors
from zkjax.files.run_folder import MAX_SECRET_BYTES
from zkjax.prover.checkpoint import Checkpoint


class BadChain(UsageError):
    """The block before does not belong to this experiment."""


@dataclass(frozen=True)
class Start:
    """A state to start from, the number of steps that led to it, and what was committed on the way.

    The first block of a chain has no `folder` and reuses no commitment.
    """

    state: Any
    steps: int = 0
    folder: RunFolder | None = None
    data: Checkpoint | None = None
    before: Checkpoint | None = None


def resume(path: Path, state: Any) -> Start:
    """The end of the block in the run folder `path`; `state` gives the structure and the types.

    Raises:
        FileError: a secret file is missing, damaged or readable by others
        BadChain: the state there has other leaves than the experiment's, or one of the commitments
            that the next block opens has been opened as often as its hiding covers
    """
    folder = RunFolder(path)
    saved = folder.read_secret("state", Kind.STATE, max_payload=MAX_SECRET_BYTES)
    leaves, steps = decode_tensors(saved.payload, folder.secret_file("state"))
    resumed = _with_leaves(state, leaves, path)
    data, before = _checkpoint(folder, "data"), _checkpoint(folder, "after")
    for what, checkpoint in (("data set", data), ("weights", before)):
        used = folder.ledger.used(checkpoint.digest)
        if used >= checkpoint.budget:
            raise BadChain(
                f"{path}: the commitment to the {what} has served {used} proofs, all that its hiding covers: "
                "begin the chain again with --openings as many as it has blocks, or with more --steps a block"
            )
    return Start(resumed, steps, folder, data, before)


def state_bytes(state: Any, steps: int) -> bytes:
    """The numeric leaves of a state by name, and how many steps led to it."""
    return encode_tensors({name: np.asarray(leaf) for name, leaf in _numeric(state).items()}, steps)


def _checkpoint(folder: RunFolder, name: str) -> Checkpoint:
    artefact = folder.read_secret(name, Kind.COMMITMENT_OPENING, max_payload=MAX_SECRET_BYTES)
    return Checkpoint.from_bytes(artefact.payload, str(folder.secret_file(name)))


def _with_leaves(state: Any, saved: dict[str, np.ndarray], path: Path) -> Any:
    own = _numeric(state)
    for name in [*own, *saved]:
        held, needed = _described(saved.get(name)), _described(own.get(name))
        if held != needed:
            raise BadChain(
                f"{path}: its state{name} is {held}, the experiment's is {needed}: "
                "resume with the experiment file that the block before was proved with"
            )
    return jax.tree_util.tree_map_with_path(lambda key, leaf: _like(leaf, saved.get(jax.tree_util.keystr(key))), state)


def _described(leaf: Any) -> str:
    return "missing" if leaf is None else f"{np.asarray(leaf).dtype}{list(np.shape(leaf))}"


def _like(leaf: Any, value: np.ndarray | None) -> Any:
    """`value` in the type of `leaf`; what was not saved stays as it is."""
    if value is None:
        return leaf
    if isinstance(leaf, bool | int | float):
        return type(leaf)(value)
    if _is_key(leaf):
        return jax.random.wrap_key_data(jax.numpy.asarray(value), impl=jax.random.key_impl(leaf))
    return np.array(value) if isinstance(leaf, np.ndarray | np.generic) else jax.numpy.asarray(value)


def _numeric(state: Any) -> dict[str, Any]:
    """The leaves by path, random keys by their data."""
    return {
        jax.tree_util.keystr(path): jax.random.key_data(leaf) if _is_key(leaf) else leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
    }


def _is_key(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)
