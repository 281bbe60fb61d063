"""Stage and time left on stderr while a command works, and the time of each stage afterwards."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

LONG_SECONDS = 2.0


class Stages:
    """A command's stages, with the share of the whole time that each is expected to take.

    On a terminal a bar is drawn; elsewhere a line is printed for each stage that took long.
    `seconds` holds what each finished stage took, those of the same name added up; `spans` holds
    when, on `time.perf_counter`.
    """

    def __init__(self, expected: dict[str, float], *, console: Console | None = None):
        self.expected = expected
        self.seconds: dict[str, float] = {}
        self.spans: list[tuple[str, float, float]] = []
        self._console = console or Console(stderr=True)
        self._stage: str | None = None
        self._entered = 0.0
        self._began = time.perf_counter()
        self._done = 0.0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[left]}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task: TaskID = self._progress.add_task("", total=sum(expected.values()), left="")

    def __enter__(self) -> Stages:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave()
        self._progress.stop()

    def enter(self, stage: str) -> None:
        """The stage before is over, this one begins."""
        self._leave()
        self._stage, self._entered = stage, time.perf_counter()
        self.advance(0.0)

    def finish(self) -> None:
        """The last stage is over."""
        self._leave()

    def advance(self, fraction: float) -> None:
        """`fraction` of the current stage is done."""
        if self._stage is None:
            return
        done = sum(self.expected.get(stage, 0.0) for stage in self.seconds)
        self._done = done + self.expected.get(self._stage, 0.0) * min(max(fraction, 0.0), 1.0)
        left = self.time_left()
        self._progress.update(
            self._task,
            completed=self._done,
            description=self._stage,
            left="" if left is None else f"about {left:.0f} s left",
        )

    def time_left(self) -> float | None:
        """Seconds until the last stage ends, if the rest goes as fast as what is done; None too early to say."""
        elapsed = time.perf_counter() - self._began
        if self._done <= 0 or elapsed < LONG_SECONDS:
            return None
        return elapsed * (sum(self.expected.values()) - self._done) / self._done

    def _leave(self) -> None:
        if self._stage is None:
            return
        now = time.perf_counter()
        took = now - self._entered
        self.spans.append((self._stage, self._entered, now))
        self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + took
        if took > LONG_SECONDS and not self._console.is_terminal:
            self._console.print(Text(f"{self._stage}: {took:.1f} s"))
        self._stage = None
