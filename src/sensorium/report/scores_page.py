"""What a page says of scores: bars with intervals, head and tail apart, and the full table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sensorium.core.errors import SettingError
from sensorium.core.score import Score
from sensorium.metrics.names import metric
from sensorium.report import plots
from sensorium.report.blocks import Block, Cell, Column, Contribution, Figure, Section, Table, Tile
from sensorium.report.finished import Finished, free_name
from sensorium.report.text import number

MAX_ARMS = 6
MAX_GROUPS = 6
_GROUPS = ("head", "middle", "tail")


def scores_contribution(stages: Sequence[Finished]) -> Contribution:
    """The scores of all arms side by side.

    Args:
        stages: all stages of the run, inputs first.
    """
    arms: dict[str, dict[str, Score]] = {}
    task: dict[str, Any] = {}
    for stage in stages:
        if stage.gives == "scores" and (found := read_scores(stage)):
            arms[free_name(stage.label, arms)] = found
            task = task or stage.read("task.json") or {}
    if not arms:
        return Contribution()
    groups = bar_groups(arms, str(task.get("main") or "top1"))
    blocks: list[Block] = [_bars(arms, groups, task)] if groups else []
    section = Section(title="Scores", says=str(task.get("says") or ""), blocks=(*blocks, _table(arms, groups)))
    return Contribution(tiles=_tiles(arms, groups), sections=(section,))


def _bars(arms: Mapping[str, Mapping[str, Score]], groups: Sequence[str], task: Mapping[str, Any]) -> Figure:
    drawn = dict(list(arms.items())[-MAX_ARMS:])
    bars = {arm: [scores.get(name) for name in groups] for arm, scores in drawn.items()}
    scores = {name: score for scores in arms.values() for name, score in scores.items()}
    names = ["all", *(_title(name, groups[0]) for name in groups[1:])] if len(groups) > 1 else [_title(groups[0])]
    chance = task.get("chance") if isinstance(task.get("chance"), int | float) else None
    sentences = ["Lines are 95 % intervals."]
    if definition := scores[groups[0]].definition.rstrip("."):
        sentences.append(f"{definition[:1].upper()}{definition[1:]}.")
    if chance is not None:
        sentences.append(f"The dotted line is chance, {shown(chance, scores[groups[0]].unit)}.")
    return Figure(
        svg=plots.grouped_bars(names, bars, scores[groups[0]].unit, chance),
        title=_title(groups[0]),
        caption=" ".join(sentences),
    )


def read_scores(stage: Finished) -> dict[str, Score]:
    """The scores in a stage's folder; what is no score is left out."""
    found = {}
    for name, content in (stage.read("scores.json") or {}).items():
        try:
            found[name] = Score.from_json(content)
        except (TypeError, ValueError):
            continue
    return found


def bar_groups(arms: Mapping[str, Mapping[str, Score]], main: str = "top1") -> list[str]:
    """The names drawn as bars: the main score, then its parts (head and tail, own groups), in one unit.

    Args:
        arms: arm -> name -> score.
        main: the score that counts; the first name where no arm has it.
    """
    scores = {name: score for found in arms.values() for name, score in found.items()}
    if not scores:
        return []
    main = main if main in scores else next(iter(scores))
    parts = [name for name in _GROUPS if name in scores]
    parts += [name for name in scores if name.startswith(f"{main}.") or not _is_metric(name)]
    # Scores without parts stand side by side instead.
    parts = parts or list(scores)
    alike = [name for name in parts if scores[name].unit == scores[main].unit and name != main]
    return [main, *dict.fromkeys(alike)][:MAX_GROUPS]


def _is_metric(name: str) -> bool:
    try:
        metric(name)
    except SettingError:
        return False
    return True


def _title(name: str, main: str = "") -> str:
    """A score's name for people; of a part of the main score only what tells it apart."""
    if main and name.startswith(f"{main}.") and len(name) > len(main) + 1:
        return name[len(main) + 1 :]
    return metric(name).title if _is_metric(name) else name


def _table(arms: Mapping[str, Mapping[str, Score]], first: Sequence[str]) -> Table:
    columns = (
        Column(title="score"),
        *((Column(title="arm"),) if len(arms) > 1 else ()),
        Column(title="value", kind="number"),
        Column(title="95 % interval", kind="number"),
        Column(title="items", kind="number"),
    )
    names = dict.fromkeys((*first, *(name for scores in arms.values() for name in scores)))
    rows = []
    for name in names:
        for arm, scores in arms.items():
            if name in scores:
                who = (Cell(content=arm),) if len(arms) > 1 else ()
                rows.append((Cell(content=_title(name)), *who, *_cells(scores[name])))
    return Table(columns=columns, rows=tuple(rows), title="All scores")


def _cells(score: Score) -> tuple[Cell, ...]:
    interval = "–"
    if score.low is not None and score.high is not None:
        interval = f"{shown(score.low, score.unit)} to {shown(score.high, score.unit)}"
    items = number(score.n) if score.of in (None, score.n) else f"{number(score.n)} of {number(score.of)}"
    return (
        Cell(content=shown(score.value, score.unit), sort=score.value, note=score.note),
        Cell(content=interval, sort=score.low),
        Cell(content=items, sort=score.n),
    )


def shown(value: float | None, unit: str) -> str:
    """A value with its unit; fractions in percent."""
    if value is None:
        return "–"
    if unit == "fraction":
        return f"{100 * value:.2f} %"
    if unit == "percent":
        return f"{value:.2f} %"
    return f"{number(value)} {unit}".strip()


def _tiles(arms: Mapping[str, Mapping[str, Score]], groups: Sequence[str]) -> tuple[Tile, ...]:
    """The main score of the last arm, next to the first's: the last is what a recipe is for."""
    if not groups:
        return ()
    shown_arms = [arm for arm in (list(arms)[-1], next(iter(arms))) if groups[0] in arms[arm]]
    return tuple(
        Tile(
            value=shown(arms[arm][groups[0]].value, arms[arm][groups[0]].unit),
            label=_title(groups[0]),
            note=arm,
        )
        for arm in dict.fromkeys(shown_arms)
    )
