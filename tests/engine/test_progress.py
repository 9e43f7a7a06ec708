from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from sensorium.engine import progress
from sensorium.engine.progress import BarProgress, LineProgress, QuietProgress, for_terminal


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_quiet_keeps_sentences_and_shows_nothing(capsys):
    quiet = QuietProgress()
    with quiet.task("matching", 3) as task:
        task.advance(2, kept=1)
    quiet.say("one sentence.")
    assert quiet.sentences == ["one sentence."]
    assert capsys.readouterr() == ("", "")


def test_lines_come_once_a_minute_and_at_the_end(clock):
    stream = io.StringIO()
    with LineProgress(stream).task("matching", 2000, "rows") as task:
        for _ in range(3):
            clock.now += 30
            task.advance(500, kept=0.25, shard="a")
    assert stream.getvalue().splitlines() == [
        "matching: 1,000/2,000 rows in 60.0 s, 60.0 s left, kept 0.25, shard a",
        "matching: 1,500/2,000 rows in 1.5 min, kept 0.25, shard a",
    ]


def test_a_line_without_a_total_has_no_remaining_time(clock):
    stream = io.StringIO()
    with LineProgress(stream, every_seconds=1).task("reading") as task:
        clock.now += 2
        task.advance(5)
    assert stream.getvalue().splitlines()[0] == "reading: 5 items in 2.0 s"


def test_an_empty_task_divides_by_nothing(clock):
    stream = io.StringIO()
    with LineProgress(stream).task("nothing", 0):
        pass
    assert stream.getvalue() == "nothing: 0/0 items in 0.0 s\n"


def test_a_failed_task_prints_no_last_line(clock):
    stream = io.StringIO()
    with pytest.raises(RuntimeError), LineProgress(stream).task("matching"):
        raise RuntimeError
    assert stream.getvalue() == ""


def shown(work) -> str:
    """What bars leave on a terminal, without control sequences."""
    bars = BarProgress()
    stream = io.StringIO()
    bars._console = Console(file=stream, force_terminal=True, width=120, markup=False, highlight=False)
    work(bars)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())


def test_bars_print_titles_and_sentences_letter_by_letter():
    def work(bars):
        with bars.task("[WIP] pool/[/id].parquet", 2, "[rows]") as task:
            task.advance(2, last="[red]")
        bars.say("kept [bold]all[/bold].")

    text = shown(work)
    assert "[WIP] pool/[/id].parquet: 2 [rows] in " in text
    assert "last [red]" in text
    assert "kept [bold]all[/bold]." in text


def test_bars_may_stand_in_one_another():
    def work(bars):
        with bars.task("stages", 2) as outer:
            with bars.task("items", None) as inner:
                inner.advance(3)
            outer.advance(1)
            bars.say("said in between.")

    text = shown(work)
    assert "items: 3 items in " in text
    assert "said in between." in text
    assert "stages: 1 items in " in text


def test_a_failure_leaves_the_terminal_to_others():
    def work(bars):
        with pytest.raises(RuntimeError), bars.task("first", 1):
            raise RuntimeError
        with bars.task("second", 1) as task:
            task.advance(1)

    assert "second: 1 items" in shown(work)


def test_a_pipe_gets_lines():
    assert isinstance(for_terminal(), LineProgress)
