"""What the command line sets for its own process, and a library must not set for its user's."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import resource
import sys
from pathlib import Path

# glibc's mallopt, <malloc.h>
M_TRIM_THRESHOLD = -1
M_TOP_PAD = -2
M_MMAP_MAX = -4
# At least the largest heap that glibc makes for a thread, HEAP_MAX_SIZE: 64 MB.
THREAD_HEAP_BYTES = 1 << 27


def cache_folder() -> Path:
    """Where compiled programs are kept: $XDG_CACHE_HOME/zkjax, by default ~/.cache/zkjax."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The specification says that a relative path is to be ignored.
    root = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
    return root / "zkjax"


def keep_compiled_programs() -> None:
    """Let XLA keep what it compiles between processes, unless the user chose a folder.

    A folder that cannot be made costs compile time, not the proof, so it is left out in silence.
    """
    import jax

    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        folder = cache_folder() / "xla"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            return
        jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def keep_freed_memory() -> None:
    """Let malloc reuse large buffers instead of returning them to the system page by page.

    XLA allocates every output afresh; with glibc's defaults the page faults cost more than the
    arithmetic. Nothing is ever returned: not the end of the heap, and no heap of another thread, which glibc keeps
    while it is smaller than the padding asked for. Elsewhere than on glibc malloc is left alone. What the sumchecks
    of a proof write to stays for the next proof as well.
    """
    from zkjax.compute.pieces import SPARES

    SPARES.stay = True
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, -1)
        mallopt(M_TOP_PAD, THREAD_HEAP_BYTES)


def run_where_called() -> None:
    """Let compiled programs run on the thread that calls them; to be called before JAX is first used.

    Otherwise JAX hands every program over to a thread of its own. On all cores at once that costs a switch
    between threads for each of the many short programs of a proof.
    """
    import jax

    jax.config.update("jax_cpu_enable_async_dispatch", False)


def spare_what_exists() -> None:
    """Leave all objects made until now out of garbage collections.

    A full collection walks through every object of JAX and of what has been traced, in the middle of a proof.
    """
    gc.freeze()


def peak_memory() -> int:
    """The most bytes that this process ever held in memory.

    Linux counts for getrusage what the process held before it ran this program: in a child of a large process,
    the parent's memory. What /proc counts begins with the program.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, StopIteration):
            lines = Path("/proc/self/status").read_text().splitlines()
            return 1024 * int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
