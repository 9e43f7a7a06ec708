"""The page of a claim: the sentence, the verdict, every seed of every arm, and how to run it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sensorium.core.claim import Claim, Expect
from sensorium.report import page, plots
from sensorium.report.blocks import (
    Block,
    Cell,
    Chip,
    Column,
    Command,
    Facts,
    Figure,
    Headline,
    Page,
    Prose,
    Ruling,
    Section,
    Table,
    Tile,
    cell,
)
from sensorium.report.contributions import contributions
from sensorium.report.finished import Finished, name_arms
from sensorium.report.judge import Finding
from sensorium.report.text import duration, number, signed

WORDS = {"holds": "Holds", "undecided": "Undecided", "fails": "Does not hold"}


def write_claim_page(record: Mapping[str, Any], path: str | Path, look: Sequence[Finished] = ()) -> Path:
    """Write the page of a record as `report/verdict.py` makes it.

    Args:
        record: the content of `docs/claims/NAME.json`.
        path: the HTML file.
        look: the stages of all arms on one seed, inputs first: pools, training and scores are then shown too.
    """
    return page.write(path, claim_page(record, look))


def claim_page(record: Mapping[str, Any], look: Sequence[Finished] = ()) -> Page:
    """The page of a record, with a look at one seed where its results are at hand."""
    paper = record.get("paper") or {}
    head = Headline(
        title=str(record["says"]),
        eyebrow=" · ".join(str(part) for part in (record["name"], paper.get("title"), paper.get("year")) if part),
        says=str(record["why"]),
        chip=chip(record),
        tiles=_tiles(record),
    )
    found = contributions(name_arms(look, _last_stages(record)))
    sections = [_rulings(record), _seeds(record), *_dated(found.sections, record), _rerun(record)]
    footer = (
        ("registered as", str(record["registration"]["sha256"])[:16]),
        ("run at", str(record.get("when", ""))),
        *((name, str(version)) for name, version in dict(record.get("versions") or {}).items()),
    )
    return Page(headline=head, sections=tuple(sections), attributions=found.attributions, footer=footer)


def _last_stages(record: Mapping[str, Any]) -> dict[str, str]:
    """Arm -> fingerprint of its last stage on the first seed, as far as the record has them."""
    arms = {arm: record["arms"][arm] for arm in _shown_order(record)}
    return {arm: content["fingerprints"][0] for arm, content in arms.items() if content.get("fingerprints")}


def _shown_order(record: Mapping[str, Any]) -> list[str]:
    """The arms with the one the claim is about last, where figures make it stand out."""
    main = Claim.from_json(record["registration"]["claim"]).expects[0].terms()[0].arm
    return [*(arm for arm in _arms(record) if arm != main), main]


def _arms(record: Mapping[str, Any]) -> list[str]:
    """The arms in the order of the claim, which the sorted keys of a file do not keep."""
    return [str(arm) for arm in record.get("order") or record["arms"]]


def _dated(sections: Sequence[Section], record: Mapping[str, Any]) -> list[Section]:
    """Sections with the seed they show in their titles."""
    return [replace(section, title=f"{section.title}, seed {record['seeds'][0]}") for section in sections]


def claim_section(record: Mapping[str, Any]) -> Section:
    """The verdict as a part of another page, such as the page of a run."""
    inner = _rulings(record)
    says = f"{record['says']} {record['words']}"
    return Section(title="Verdict", says=says, blocks=(*inner.blocks, *_seeds(record).blocks[:1]))


def chip(record: Mapping[str, Any]) -> Chip:
    """The verdict with its words; a tuning run has none."""
    return Chip(verdict="none" if record.get("tuning") else record["verdict"], words=str(record["words"]))


def _tiles(record: Mapping[str, Any]) -> tuple[Tile, ...]:
    first = record["expects"][0]
    tiles = [
        Tile(value=signed(first["mean"]), label="first expectation", note=_interval(first)),
        Tile(value=str(len(record["seeds"])), label="seeds", note="fixed before the run"),
        Tile(value=str(len(record["arms"])), label="arms", note=", ".join(_arms(record))),
    ]
    if record.get("seconds") is not None:
        tiles.append(Tile(value=duration(record["seconds"]), label="compute", note=_machine(record)))
    return tuple(tiles)


def _interval(finding: Mapping[str, Any]) -> str:
    return f"interval {signed(finding['low'])} to {signed(finding['high'])}"


def _machine(record: Mapping[str, Any]) -> str:
    machine = record.get("machine") or {}
    return f"{machine['cores']} cores" if "cores" in machine else ""


def _rulings(record: Mapping[str, Any]) -> Section:
    claim = Claim.from_json(record["registration"]["claim"])
    blocks: list[Block] = [_ruling(finding) for finding in record["expects"]]
    title = "Expectations, seed by seed"
    caption = (
        "Circles are seeds, the diamond is their mean, the band its 95 % interval. "
        "The shaded region is what was expected."
    )
    blocks.append(Figure(svg=_strips(record["expects"], claim.expects), title=title, caption=caption))
    if record["controls"]:
        blocks.append(Prose(content="Controls: what must be seen for this experiment to mean anything."))
        blocks += [_ruling(finding) for finding in record["controls"]]
    says = "Fixed before any arm ran; the weakest decides."
    return Section(title="Expected and seen", says=says, blocks=tuple(blocks))


def _ruling(finding: Mapping[str, Any]) -> Ruling:
    figures = [f"mean {signed(finding['mean'])}", _interval(finding)]
    if finding.get("effect_size") is not None:
        figures.append(f"effect size {signed(finding['effect_size'])}")
    if finding.get("smallest_effect") is not None:
        figures.append(f"smallest effect these seeds would show {number(finding['smallest_effect'], 2)}")
    verdict = finding["verdict"]
    return Ruling(
        says=str(finding["says"]),
        chip=Chip(verdict=verdict, words=WORDS[verdict]),
        figures=" · ".join(figures),
    )


def _strips(found: Sequence[Mapping[str, Any]], expects: Sequence[Expect]) -> Any:
    items = [Finding(**{**finding, "values": tuple(finding["values"])}) for finding in found]
    regions = [(expect.region().low, expect.region().high) for expect in expects]
    return plots.findings(items, regions)


def _seeds(record: Mapping[str, Any]) -> Section:
    claim = Claim.from_json(record["registration"]["claim"])
    metrics = list(dict.fromkeys(metric for _, metric in claim.needed()))
    blocks: list[Block] = []
    for metric in metrics[:4]:
        scores = {arm: record["arms"][arm]["scores"] for arm in _shown_order(record)}
        arms = {arm: list(some[metric]) for arm, some in scores.items() if metric in some}
        caption = "One circle per seed; grey lines join equal seeds; the bar is the mean."
        blocks.append(Figure(svg=plots.seeds(arms, metric), title=f"{metric}, by arm and seed", caption=caption))
    blocks.append(_score_table(record, metrics))
    if claim.equal:
        blocks.append(_budgets(record, claim))
    return Section(title="Every arm, every seed", blocks=tuple(blocks))


def _score_table(record: Mapping[str, Any], metrics: Sequence[str]) -> Table:
    columns = (
        Column(title="arm"),
        Column(title="metric"),
        *(Column(title=f"seed {seed}", kind="number") for seed in record["seeds"]),
    )
    rows = tuple(
        (cell(arm), cell(metric), *(cell(value) for value in record["arms"][arm]["scores"][metric]))
        for metric in metrics
        for arm in _shown_order(record)
        if metric in record["arms"][arm]["scores"]
    )
    return Table(columns=columns, rows=rows, title="Scores")


def _budgets(record: Mapping[str, Any], claim: Claim) -> Table:
    columns = (Column(title="arm"), *(Column(title=key, kind="number") for key in claim.equal))
    rows = tuple(
        (cell(arm), *(cell(_mean(record["arms"][arm]["budget"].get(key))) for key in claim.equal))
        for arm in _shown_order(record)
        if arm in claim.compared()
    )
    caption = "Checked to be equal to 1 % on every seed; the mean over seeds is shown."
    return Table(columns=columns, rows=rows, title="Equal budgets", caption=caption)


def _mean(values: Sequence[float] | None) -> float | None:
    return sum(values) / len(values) if values else None


def _rerun(record: Mapping[str, Any]) -> Section:
    machine = record.get("machine") or {}
    rows = [
        ("stands on", str(record["basis"])),
        ("scale", str(record["label"])),
        ("test", str(record["registration"]["test"])),
        ("registration (sha256)", str(record["registration"]["sha256"])),
        ("source (sha256)", str(record.get("source", ""))),
        *((str(name), number(value)) for name, value in machine.items()),
    ]
    paper = record.get("paper") or {}
    if paper.get("title"):
        rows.insert(0, ("paper", f"{paper['title']} ({paper.get('year', 'no year')})"))
    name = str(record["name"])
    lines = (str(record["command"]), f"sensorium claim {name.replace('.', ':')} --check")
    blocks = (
        Command(lines=lines, title="Run it again, or replay the verdict from the recorded scores"),
        Facts(rows=tuple(rows)),
    )
    return Section(title="How this was made", blocks=blocks)


__all__ = ["Cell", "claim_page", "claim_section", "write_claim_page"]
