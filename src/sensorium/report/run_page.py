"""The page of a run: what went in and out, what was trained and scored, the verdict, how to run it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sensorium.core.errors import UserError
from sensorium.core.execute import Plan
from sensorium.core.recipe import find
from sensorium.report import page
from sensorium.report.blocks import (
    Attribution,
    Cell,
    Column,
    Command,
    Headline,
    Page,
    Section,
    Table,
    Tile,
    cell,
)
from sensorium.report.claim_page import chip, claim_section
from sensorium.report.contributions import contributions
from sensorium.report.finished import Finished, collect, graph, name_arms
from sensorium.report.text import duration, number, size

MAX_NODES = 40


@dataclass(frozen=True, kw_only=True)
class About:
    """What a page says that no stage knows.

    Args:
        title: the headline.
        says: the sentence below it.
        command: how to run this again.
        paper: the recipe's PAPER card.
        claim: the record of the recipe's claim, when there is a verdict to show.
        attributions: whose material is shown, besides what the pools say.
    """

    title: str = ""
    says: str = ""
    command: str = ""
    paper: Mapping[str, Any] = field(default_factory=dict)
    claim: Mapping[str, Any] | None = None
    attributions: tuple[Attribution, ...] = ()


def write_run_page(
    what: Plan | Sequence[str | Path], path: str | Path, label: str = "", about: About | None = None
) -> Path:
    """Write the page of a run.

    Args:
        what: a plan that was executed, or folders of finished stages.
        path: the HTML file, or a folder for `report.html`.
        label: the name of the run, like "metaclip/mini"; a known recipe's card gives title and sentence.
        about: title, sentence, command and verdict; made from the label when not given.

    Returns:
        The path of the file.
    """
    return page.write(path, run_page(collect(what), label, about))


def run_page(stages: Sequence[Finished], label: str = "", about: About | None = None) -> Page:
    """The page of finished stages, inputs first."""
    about = about or about_recipe(label)
    stages = name_arms(stages)
    found = contributions(stages)
    sections = list(found.sections)
    if about.claim:
        sections.append(claim_section(about.claim))
    sections.append(_made(stages, about))
    title = about.title or label or (stages[-1].label if stages else "An empty run")
    head = Headline(
        title=title,
        eyebrow=_eyebrow(label if title != label else "", about.paper),
        says=about.says,
        chip=chip(about.claim) if about.claim else None,
        tiles=(*found.tiles, *_time(stages))[:6],
    )
    credits = dict.fromkeys((*about.attributions, *found.attributions))
    return Page(headline=head, sections=tuple(sections), attributions=tuple(credits), footer=_versions(stages))


def about_recipe(label: str) -> About:
    """Title, sentence and command from the card of the recipe in "recipe/variant"; empty for other labels."""
    recipe, slash, variant = label.partition("/")
    if not slash:
        return About()
    command = f"sensorium run {recipe}" + ("" if variant == "mini" else f":{variant}")
    try:
        card = find(recipe)[0].paper()
    except (UserError, OSError, SyntaxError):
        return About()
    return About(title=str(card.get("title", "")), says=str(card.get("says", "")), command=command, paper=card)


def _eyebrow(label: str, paper: Mapping[str, Any]) -> str:
    return " · ".join(str(part) for part in (label, paper.get("room"), paper.get("year")) if part)


def _time(stages: Sequence[Finished]) -> tuple[Tile, ...]:
    finished = [stage for stage in stages if "seconds" in stage.content]
    if not finished:
        return ()
    kept = sum(stage.made is False for stage in finished)
    note = f"{len(finished)} stages" + (f", {kept} kept from before" if kept else "")
    return (Tile(value=duration(sum(stage.content["seconds"] for stage in finished)), label="compute", note=note),)


def _made(stages: Sequence[Finished], about: About) -> Section:
    blocks: list[Any] = []
    if about.command:
        blocks.append(Command(lines=(about.command,), title="Run it again"))
    if 1 < len(stages) <= MAX_NODES:
        blocks.append(graph(stages))
    blocks += [_stage_table(stages), _settings(stages)] if stages else []
    return Section(title="How this was made", blocks=tuple(blocks))


def _stage_table(stages: Sequence[Finished]) -> Table:
    columns = (
        Column(title="stage"),
        Column(title="class"),
        Column(title="gives"),
        Column(title="figures"),
        Column(title="time", kind="number"),
        Column(title="memory", kind="number"),
        Column(title="result"),
    )
    rows = tuple(
        (
            cell(stage.label),
            cell(stage.stage),
            cell(stage.gives),
            cell(", ".join(f"{key} {number(value)}" for key, value in list(stage.metrics.items())[:5])),
            Cell(content=duration(stage.content.get("seconds")), sort=stage.content.get("seconds")),
            Cell(
                content=size(stage.content.get("peak_memory_bytes")),
                sort=stage.content.get("peak_memory_bytes"),
            ),
            Cell(content=_result(stage), note=stage.fingerprint[:12]),
        )
        for stage in stages
    )
    caption = "Memory is the peak of the process up to the end of the stage."
    return Table(columns=columns, rows=rows, title="Stages", caption=caption)


def _result(stage: Finished) -> str:
    if "seconds" not in stage.content:
        return "missing"
    return {True: "made", False: "kept", None: "finished"}[stage.made]


def _settings(stages: Sequence[Finished]) -> Table:
    columns = (Column(title="stage"), Column(title="settings"))
    rows = tuple((cell(stage.label), cell(_own(stage.content.get("config") or {}))) for stage in stages)
    return Table(columns=columns, rows=rows, title="Settings")


def _own(config: Mapping[str, Any]) -> str:
    """A stage's settings without its inputs, which the picture shows, and without what is not set."""
    shown = {key: _plain(value) for key, value in config.items() if value not in (None, "", [], {})}
    return ", ".join(f"{key} = {value}" for key, value in shown.items() if not value.startswith("<")) or "none"


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        given = {key: inner for key, inner in value.items() if key != "class" and inner not in (None, "", [], {})}
        words = ", ".join(f"{key} = {_plain(inner)}" for key, inner in given.items())
        return f"{value['class']}({words})" if "class" in value else words
    if isinstance(value, list | tuple):
        return ", ".join(_plain(inner) for inner in value)
    return number(value)


def _versions(stages: Sequence[Finished]) -> tuple[tuple[str, str], ...]:
    """Versions and machine of the last stage that has a record, and its source."""
    for stage in reversed(stages):
        if "versions" in stage.content:
            machine = stage.content.get("machine") or {}
            return (
                *((name, str(version)) for name, version in dict(stage.content["versions"]).items()),
                *((name, number(value)) for name, value in machine.items()),
                ("source", str(stage.content.get("source", ""))[:12]),
            )
    return ()
