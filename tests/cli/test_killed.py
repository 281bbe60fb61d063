"""`zkjax prove`, killed at random moments: nothing half-written is accepted, and no secret lies about."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

EXPERIMENT = Path(__file__).with_name("small_experiment.py")
KILLS = 8

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("command line")]


def started(folder: Path, root: Path, *arguments: str) -> subprocess.Popen:
    """A command of zkjax in `folder`; its temporary files and its cache lie below `folder` too."""
    strict = ("JAX_NUMPY_DTYPE_PROMOTION", "JAX_NUMPY_RANK_PROMOTION")
    users = {name: value for name, value in os.environ.items() if name not in strict}
    for name in ("temporary", "cache"):
        (folder / name).mkdir(exist_ok=True)
    own = {"PYTHONPATH": str(root), "XDG_CACHE_HOME": str(folder / "cache"), "TMPDIR": str(folder / "temporary")}
    command = [sys.executable, "-m", "zkjax.cli", *arguments]
    return subprocess.Popen(
        command, cwd=folder, env=users | own, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finished(process: subprocess.Popen) -> tuple[int, str]:
    _, errors = process.communicate(timeout=500)
    return process.returncode, errors


def secrets_of(root: Path) -> list[bytes]:
    """Byte patterns of the experiment's private rows, as floats and as the integers that are committed."""
    sys.path.insert(0, str(root / "tests" / "cli"))
    try:
        import small_experiment
    finally:
        sys.path.pop(0)
    rows = np.asarray(small_experiment.experiment()[2]["x"])
    return [rows[3:7].tobytes(), (rows[3:7].astype(np.float64) * 16).astype(np.int64).tobytes()]


def test_killed_at_random_moments(tmp_path, root):
    prove = ("prove", str(EXPERIMENT), "--steps", "2", "--out", "run")
    began = time.monotonic()
    assert finished(started(tmp_path, root, *prove))[0] == 0
    took = time.monotonic() - began
    patterns = secrets_of(root)
    assert any(pattern in file.read_bytes() for file in (tmp_path / "run" / "secret").iterdir() for pattern in patterns)
    moments = random.Random(int.from_bytes(os.urandom(4), "little"))
    for _ in range(KILLS):
        process = started(tmp_path, root, *prove)
        time.sleep(moments.uniform(0.0, took))
        process.kill()
        process.communicate()
        status, errors = finished(started(tmp_path, root, "verify", "run"))
        assert status == 0 or (status == 2 and "there is no such file" in errors), errors
        for file in tmp_path.rglob("*"):
            if file.is_file() and file.parent.name != "secret":
                assert not any(pattern in file.read_bytes() for pattern in patterns), file
    status, errors = finished(started(tmp_path, root, *prove))
    assert status == 0, errors
    assert finished(started(tmp_path, root, "verify", "run"))[0] == 0
    assert not list((tmp_path / "run").rglob("*.part"))
    assert not list((tmp_path / "temporary").iterdir())
