"""How long XLA compiled, apart from how long its programs ran."""

from __future__ import annotations

import time
from collections import Counter
from types import TracebackType

# Compiling, or reading a compiled program from the cache: once for each program.
PROGRAM = "/jax/core/compile/backend_compile_duration"
# Tracing to a jaxpr, lowering, and the above.
EVENTS = frozenset(
    {"/jax/core/compile/jaxpr_trace_duration", "/jax/core/compile/jaxpr_to_mlir_module_duration", PROGRAM}
)


class CompileClock:
    """Records when this process compiled while it is entered, on `time.perf_counter`."""

    def __init__(self) -> None:
        self._spans: list[tuple[float, float]] = []
        self._programs: list[tuple[float, str]] = []

    def between(self, begin: float, end: float) -> float:
        """Seconds between two times in which anything compiled; nested and parallel ones count once."""
        total, reached = 0.0, begin
        for start, stop in sorted(self._spans):
            start, stop = max(start, reached), min(stop, end)
            if start < stop:
                total += stop - start
                reached = stop
        return total

    def programs_between(self, begin: float, end: float) -> Counter[str]:
        """How many programs were compiled or read from the cache between two times, by the function's name."""
        return Counter(name for at, name in self._programs if begin <= at <= end)

    def listen(self, event: str, duration_secs: float, **metadata: str | int) -> None:
        """JAX calls this at the end of every event that it times."""
        if event in EVENTS:
            now = time.perf_counter()
            self._spans.append((now - duration_secs, now))
            if event == PROGRAM:
                self._programs.append((now, str(metadata.get("fun_name", ""))))

    def __enter__(self) -> CompileClock:
        import jax.monitoring

        jax.monitoring.register_event_duration_secs_listener(self.listen)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import jax.monitoring

        jax.monitoring.unregister_event_duration_listener(self.listen)
