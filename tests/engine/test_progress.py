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


def shown(work, width: int = 120) -> str:
    """What bars leave on a terminal, without control sequences."""
    bars = BarProgress()
    stream = io.StringIO()
    bars._console = Console(file=stream, force_terminal=True, width=width, markup=False, highlight=False)
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


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize(
    "title", ["clip", "curated: EnoughWords, LanguageFilter, Deduplicate, Match, Balance and more"]
)
@pytest.mark.parametrize("note", ["a", "a long note about what was kept, which goes on and on"])
def test_a_bar_is_one_line_with_its_count_whatever_its_title_and_notes(clock, width, title, note):
    def work(bars):
        with bars.task(title, 60_000, "updates") as task:
            clock.now += 10
            task.advance(30_000, loss=3.14159, kept=note)

    lines = re.split(r"[\r\n]+", shown(work, width))
    drawn = [line for line in lines if "/60000" in line]
    assert drawn, lines
    assert all("updates" in line and title[:10] in line for line in drawn)
    assert max(map(len, drawn)) <= width
    assert any(
        "30000/60000" in line and "3,000/s" in line and "loss 3" in line and ", loss" not in line for line in drawn
    )


def test_a_failure_leaves_the_terminal_to_others():
    def work(bars):
        with pytest.raises(RuntimeError), bars.task("first", 1):
            raise RuntimeError
        with bars.task("second", 1) as task:
            task.advance(1)

    assert "second: 1 items" in shown(work)


def test_a_pipe_gets_lines():
    assert isinstance(for_terminal(), LineProgress)
