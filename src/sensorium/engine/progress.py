"""Progress: bars with rate and remaining time on a terminal, one line a minute elsewhere, or silence."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Any, TextIO

from sensorium.core.stage import Progress, Task


class QuietProgress:
    """Shows nothing; for `--json` and tests. Sentences go to `sentences`."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    @contextlib.contextmanager
    def task(self, title: str, total: float | None = None, unit: str = "items") -> Iterator[Task]:
        """A task that counts for nobody."""
        yield _QuietTask()

    def say(self, sentence: str) -> None:
        """Keep the sentence."""
        self.sentences.append(sentence)


class _QuietTask:
    def advance(self, count: float = 1, **notes: Any) -> None:
        """Count nothing."""


class LineProgress:
    """One line when a task ends and one a minute while it lasts; for logs and pipes."""

    def __init__(self, stream: TextIO | None = None, every_seconds: float = 60.0) -> None:
        self._stream = stream or sys.stderr
        self._every = every_seconds

    @contextlib.contextmanager
    def task(self, title: str, total: float | None = None, unit: str = "items") -> Iterator[Task]:
        """A task that prints lines."""
        task = _LineTask(self, title, total, unit, self._every)
        yield task
        task.print_line(final=True)

    def say(self, sentence: str) -> None:
        """Print one sentence."""
        print(sentence, file=self._stream, flush=True)


class _LineTask:
    def __init__(self, progress: LineProgress, title: str, total: float | None, unit: str, every: float) -> None:
        self._progress, self._title, self._total, self._unit, self._every = (
            progress,
            title,
            total,
            unit,
            every,
        )
        self._count, self._notes = 0.0, dict[str, Any]()
        self._started = self._printed = time.monotonic()

    def advance(self, count: float = 1, **notes: Any) -> None:
        """Count, and print when a minute has passed."""
        self._count += count
        self._notes.update(notes)
        if time.monotonic() - self._printed >= self._every:
            self.print_line(final=False)

    def print_line(self, final: bool) -> None:
        """Print count, rate, remaining time and notes."""
        self._printed = time.monotonic()
        seconds = max(self._printed - self._started, 1e-9)
        of = f"/{self._total:,.0f}" if self._total is not None else ""
        rate = self._count / seconds
        left = f", {_span((self._total - self._count) / rate)} left" if self._total and rate > 0 and not final else ""
        notes = "".join(f", {key} {_short(value)}" for key, value in self._notes.items())
        self._progress.say(f"{self._title}: {self._count:,.0f}{of} {self._unit} in {_span(seconds)}{left}{notes}")


class BarProgress:
    """Bars by rich on a terminal; titles and sentences are printed letter by letter (no markup)."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, markup=False, highlight=False)

    @contextlib.contextmanager
    def task(self, title: str, total: float | None = None, unit: str = "items") -> Iterator[Task]:
        """A bar that leaves one line behind."""
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars
        from rich.table import Column

        bar, room = _rooms(self._console.width, total, unit)
        # Only what has no fixed length gives way; else rich drops the count and the bar for a long title.
        name = max(12, room - 14) if len(title) > room - 14 else len(title)
        columns = (
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, max_width=name)),
            BarColumn(bar_width=bar),
            MofNCompleteColumn(),
            TextColumn(unit, markup=False),
            TextColumn("{task.fields[rate]}", markup=False),
            TimeRemainingColumn(),
            TextColumn(
                "{task.fields[notes]}",
                markup=False,
                table_column=Column(no_wrap=True, max_width=max(8, room - name)),
            ),
        )
        with Bars(*columns, console=self._console, transient=True) as bars:
            number = bars.add_task(title, total=total, rate="", notes="")
            task = _BarTask(bars, number)
            yield task
        self.say(f"{title}: {task.count:,.0f} {unit} in {_span(time.monotonic() - task.started)}{task.notes}")

    def say(self, sentence: str) -> None:
        """Print one sentence above the bars."""
        self._console.print(sentence, markup=False, highlight=False, soft_wrap=True)


def _rooms(width: int, total: float | None, unit: str) -> tuple[int, int]:
    """Columns of the bar, and what a terminal of that width leaves for title and notes together."""
    bar = 24 if width >= 100 else 12
    count = 2 * len(f"{total:.0f}") + 1 if total is not None else 8
    # The rate and the remaining time take about 9 and 7, and six gaps lie between seven columns.
    return bar, max(24, width - bar - count - len(unit) - 9 - 7 - 6)


class _BarTask:
    def __init__(self, bars: Any, number: Any) -> None:
        self._bars, self._number = bars, number
        self.count, self.notes, self.started = 0.0, "", time.monotonic()

    def advance(self, count: float = 1, **notes: Any) -> None:
        """Move the bar."""
        self.count += count
        if notes:
            self.notes = "".join(f", {key} {_short(value)}" for key, value in notes.items())
        rate = self.count / max(time.monotonic() - self.started, 1e-9)
        self._bars.update(
            self._number, advance=count, rate=f"{rate:,.{0 if rate >= 100 else 1}f}/s", notes=self.notes[2:]
        )


def for_terminal() -> Progress:
    """Bars when standard error is a terminal, lines otherwise."""
    return BarProgress() if sys.stderr.isatty() else LineProgress()


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.1f} s"
    if seconds < 5400:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


def _short(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)
