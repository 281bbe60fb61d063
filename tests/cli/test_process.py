"""What the command line does to its own process, and only there."""

from __future__ import annotations

import textwrap
import time
from pathlib import Path

import pytest
from rich.console import Console

from zkjax.cli.compiling import EVENTS, CompileClock
from zkjax.cli.process import cache_folder, keep_freed_memory, peak_memory
from zkjax.cli.progress import Stages


def test_the_cache_folder(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/zkjax")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == Path.home() / ".cache" / "zkjax"


def test_compiled_programs_are_kept_between_processes(run_python, tmp_path):
    code = """
        import jax
        assert jax.config.jax_compilation_cache_dir is None
        from zkjax.cli.process import keep_compiled_programs
        keep_compiled_programs()
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.jit(lambda x: x * 3 + 1)(2.0)
    """
    result = run_python("-c", textwrap.dedent(code), XDG_CACHE_HOME=str(tmp_path), JAX_PLATFORMS="cpu")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "zkjax" / "xla").stat().st_mode & 0o777 == 0o700
    assert list((tmp_path / "zkjax" / "xla").iterdir())


def test_a_cache_folder_that_cannot_be_made_is_left_out(run_python, tmp_path):
    (tmp_path / "file").touch()
    code = "from zkjax.cli.process import keep_compiled_programs as keep; keep(); import jax; jax.jit(abs)(2.0)"
    result = run_python("-c", code, XDG_CACHE_HOME=str(tmp_path / "file"), JAX_PLATFORMS="cpu")
    assert (result.returncode, result.stderr) == (0, "")


def test_peak_memory_is_in_bytes():
    held = bytearray(b"1" * (64 << 20))
    assert peak_memory() > len(held)


def test_peak_memory_is_not_that_of_the_parent(run_python):
    held = bytearray(b"1" * (256 << 20))
    result = run_python("-c", "from zkjax.cli.process import peak_memory; print(peak_memory())")
    assert int(result.stdout) < len(held), result.stderr


def test_memory_works_after_the_allocator_was_set(run_python):
    code = """
        import numpy as np
        from zkjax.cli.process import keep_freed_memory
        keep_freed_memory()
        assert sum(float(np.ones(1 << 20).sum()) for _ in range(20)) == 20 * (1 << 20)
    """
    result = run_python("-c", textwrap.dedent(code))
    assert result.returncode == 0, result.stderr
    assert callable(keep_freed_memory)


def test_programs_run_on_the_thread_that_calls_them(run_python):
    """A call of a sumcheck's program returns when it is done; without the setting, most return before."""
    code = """
        import jax
        import jax.numpy as jnp
        from zkjax.cli.process import keep_freed_memory, run_where_called
        keep_freed_memory()  # what it imports does not use JAX yet
        run_where_called()
        from zkjax.compute import blocked
        from zkjax.fields.vectors import Ext
        with jax.enable_x64(True):
            a, b = (Ext(*(jnp.ones(size, jnp.uint64) for _ in range(2))) for size in (blocked.PIECE, 2 * blocked.PIECE))
            print(all(blocked.factor_sums((a, a), (a, a), b).is_ready() for _ in range(20)))
    """
    otherwise = "\n".join(line for line in code.splitlines() if "run_where_called()" not in line)
    for text, ready in ((code, "True"), (otherwise, "False")):
        result = run_python("-c", textwrap.dedent(text), JAX_PLATFORMS="cpu")
        assert result.stdout.strip() == ready, result.stderr


def test_compile_time_counts_what_overlaps_once(monkeypatch):
    clock = CompileClock()
    event = next(iter(EVENTS))
    for stop, duration in [(10.0, 4.0), (9.0, 2.0), (12.0, 3.0), (20.0, 1.0)]:
        monkeypatch.setattr(time, "perf_counter", lambda stop=stop: stop)
        clock.listen(event, duration)
    clock.listen("/some/other/event", 100.0)
    assert clock.between(0.0, 30.0) == pytest.approx(7.0)
    assert clock.between(7.0, 11.0) == pytest.approx(4.0)
    assert clock.between(13.0, 18.0) == 0.0


def test_compile_time_is_heard(monkeypatch):
    jax = pytest.importorskip("jax")

    def line(x):
        return x * 5 - 2

    with CompileClock() as clock:
        began = time.perf_counter()
        jax.jit(line)(3.0)
        ended = time.perf_counter()
        jax.jit(line)(4.0)
    assert 0.0 < clock.between(began, ended) <= ended - began
    assert clock.programs_between(began, ended)["jit(line)"] == 1
    assert clock.programs_between(ended, time.perf_counter()).total() == 0


def test_stages_are_timed_and_long_ones_reported(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    with (tmp_path / "log").open("w") as log:
        with Stages({"Tracing": 1.0, "Proving": 9.0}, console=Console(file=log)) as stages:
            stages.enter("Tracing")
            now[0] += 1.0
            stages.enter("Proving")
            now[0] += 5.0
            stages.advance(0.5)
            assert stages.time_left() == pytest.approx(6.0 * 4.5 / 5.5)
            now[0] += 5.0
    assert stages.seconds == {"Tracing": 1.0, "Proving": 10.0}
    assert (tmp_path / "log").read_text() == "Proving: 10.0 s\n"
