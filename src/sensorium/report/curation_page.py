"""What a page says of pools: sample rows, where the rows went, concepts before and after, languages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sensorium.report import plots
from sensorium.report.blocks import (
    Attribution,
    Bar,
    Bars,
    Block,
    Column,
    Contribution,
    Facts,
    Figure,
    Flow,
    Part,
    Samples,
    Section,
    Table,
    Tile,
    cell,
)
from sensorium.report.finished import Finished
from sensorium.report.samples import choose, folder_rows, samples
from sensorium.report.text import language, number, share

MAX_ARMS = 6
TOP = 12


def pool_contribution(stages: Sequence[Finished]) -> Contribution:
    """Everything about the pools of a run, from the first to the last; pools to be tested on are left out.

    Args:
        stages: all stages of the run, inputs first.
    """
    every = [stage for stage in stages if stage.gives == "pool" and stage.read("pool.json") is not None]
    pools = [pool for pool in every if not _only_tests(pool, stages)]
    if not pools:
        return Contribution(attributions=_attributions(every))
    known = {stage.fingerprint for stage in pools}
    first = [stage for stage in pools if not known & set(stage.inputs)]
    main = _main(pools)
    sections = [*_looks(first), *_flows(pools, main), *_concepts(pools, main)]
    return Contribution(tiles=_tiles(pools[0], main), sections=tuple(sections), attributions=_attributions(every))


def _main(pools: Sequence[Finished]) -> Finished:
    """The pool a page is about: the last that was matched against concepts, else the last."""
    matched = [pool for pool in pools if _fact(pool.read("statistics.json") or {}, "curve")]
    return (matched or list(pools))[-1]


def _only_tests(pool: Finished, stages: Sequence[Finished]) -> bool:
    users = [stage.gives for stage in stages if pool.fingerprint in stage.inputs]
    return bool(users) and all(gives == "scores" for gives in users)


def _tiles(first: Finished, main: Finished) -> tuple[Tile, ...]:
    rows_in, rows_out = _counts(first)["rows_in"], _counts(main)["rows_out"]
    tiles = [Tile(value=number(rows_in), label="rows in", note=first.label)]
    if first is not main or rows_out != rows_in:
        note = f"{share(rows_out, rows_in)}, {main.label}"
        tiles.append(Tile(value=number(rows_out), label="rows out", note=note))
    return tuple(tiles)


def _counts(pool: Finished) -> dict[str, Any]:
    """The rows of a pool: in, out, dropped and rejected by reason; numbers, whatever is missing."""
    content = pool.read("pool.json") or {}
    dropped = _by_reason(content, "dropped", "dropped")
    rejected = _by_reason(content, "rejected", "unreadable")
    out = _whole(content.get("rows_out"))
    given = content.get("rows_in")
    total = _whole(given) if given is not None else out + sum(dropped.values()) + sum(rejected.values())
    return {"rows_in": total, "rows_out": out, "dropped": dropped, "rejected": rejected}


def _by_reason(content: Mapping[str, Any], key: str, alone: str) -> dict[str, int]:
    value = content.get(f"{key}_by_reason", content.get(key))
    if isinstance(value, Mapping):
        return {str(reason): _whole(count) for reason, count in value.items() if _whole(count)}
    return {alone: _whole(value)} if _whole(value) else {}


def _whole(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0


def _looks(pools: Sequence[Finished]) -> list[Section]:
    blocks: list[Block] = []
    for pool in pools[:2]:
        table = folder_rows(pool.folder)
        if table is None:
            continue
        note = "kind" if "kind" in table.column_names else ""
        items = samples(choose(table), pool.folder / "rows", note)
        turns = ", one language after the other" if "lang" in table.column_names else ""
        whole = number(_counts(pool)["rows_out"])
        caption = f"{len(items)} of {whole} rows, chosen by the hash of their id{turns}."
        blocks.append(Samples(items=items, title=pool.label if len(pools) > 1 else "", caption=caption))
    if not blocks:
        return []
    untouched = not any(_counts(pool)["dropped"] for pool in pools[:2])
    says = "What went in, before anything was removed." if untouched else "Some of the rows that were kept."
    return [Section(title="The pool", says=says, blocks=tuple(blocks))]


def _flows(pools: Sequence[Finished], main: Finished) -> list[Section]:
    blocks: list[Block] = []
    for pool in pools:
        counts = _counts(pool)
        if not counts["dropped"] and not counts["rejected"]:
            continue
        parts = [Part(label="kept", count=counts["rows_out"], kind="kept")]
        parts += [Part(label=reason, count=count, kind="dropped") for reason, count in _largest(counts["dropped"])]
        parts += [Part(label=reason, count=count, kind="rejected") for reason, count in _largest(counts["rejected"])]
        blocks.append(Flow(label=pool.label, total=counts["rows_in"], parts=tuple(parts)))
    if not blocks:
        return []
    says = "Every row that went in came out, was dropped by a step with a reason, or was rejected as unreadable."
    return [Section(title="Where the rows went", says=says, blocks=(*blocks[:MAX_ARMS], *_dropped_rows(main)))]


def _largest(counts: Mapping[str, int], limit: int = 8) -> list[tuple[str, int]]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    if len(ordered) <= limit:
        return ordered
    rest = ordered[limit - 1 :]
    return [*ordered[: limit - 1], (f"{len(rest)} other reasons", sum(count for _, count in rest))]


def _dropped_rows(pool: Finished) -> list[Block]:
    """A few dropped rows with their reasons: what a curator looks at before trusting a filter."""
    table = folder_rows(pool.folder, "dropped")
    if table is None or "dropped" not in table.column_names:
        return []
    shown = [name for name in ("text", "lang", "dropped") if name in table.column_names]
    if "text" not in shown:
        return []
    titles = {"text": "text", "lang": "language", "dropped": "reason"}
    rows = tuple(
        tuple(cell(row.get(name), lang=language(row.get("lang")) if name == "text" else "") for name in shown)
        for row in choose(table, 10)
    )
    columns = tuple(Column(title=titles[name]) for name in shown)
    return [Table(columns=columns, rows=rows, title=f"Some of what {pool.label} dropped")]


def _concepts(pools: Sequence[Finished], main: Finished) -> list[Section]:
    """What the statistics of curations say: steps, concept counts before and after, languages."""
    statistics = [(pool.label, found) for pool in pools if (found := pool.read("statistics.json"))]
    if not statistics:
        return []
    curves = _curves(statistics[-MAX_ARMS:])
    label, last = main.label, main.read("statistics.json") or {}
    blocks: list[Block] = []
    if curves:
        threshold = _fact(last, "t")
        caption = (
            "Examples of each concept, from the most to the least frequent; both axes are logarithmic. "
            "A flat curve means that rare concepts count as much as frequent ones."
        )
        drawn = plots.rank_curve(curves, float(threshold) if isinstance(threshold, int | float) else None)
        blocks.append(Figure(svg=drawn, title="Examples per concept", caption=caption))
    blocks += [*_top(last, label), *_figures(last, label), *_languages(last), *_steps(last, label)]
    title = "Concepts before and after" if curves else "What each step did"
    return [Section(title=title, blocks=tuple(blocks))] if blocks else []


def _curves(statistics: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, list[tuple[float, float]]]:
    """The curve before (that of the first arm that has one) and one curve after per arm, as (rank, count)."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for label, found in statistics:
        given = _fact(found, "curve")
        if not isinstance(given, Mapping):
            continue
        ranks = _numbers(given.get("rank"))
        before = list(zip(ranks, _numbers(given.get("before")), strict=False))
        after = list(zip(ranks, _numbers(given.get("after")), strict=False))
        if before:
            curves.setdefault(plots.BEFORE, before)
        if after:
            curves[label] = after
    return curves


def _numbers(values: Any) -> list[float]:
    if not isinstance(values, list | tuple):
        return []
    return [float(value) for value in values if isinstance(value, int | float)]


def _entries(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    steps = found.get("steps")
    return [step for step in steps if isinstance(step, Mapping)] if isinstance(steps, list) else []


def _fact(found: Mapping[str, Any], name: str) -> Any:
    """A fact that one of the steps published."""
    facts = [step.get("facts") or {} for step in _entries(found)]
    return next((some[name] for some in facts if isinstance(some, Mapping) and name in some), None)


def _top(found: Mapping[str, Any], label: str) -> list[Block]:
    rows = [row for row in _fact(found, "top") or () if isinstance(row, Mapping) and "entry" in row]
    items = tuple(
        Bar(
            label=str(row["entry"]),
            value=_whole(row.get("kept")),
            before=_whole(row["texts"]) if "texts" in row else None,
            lang=language(row.get("lang")),
        )
        for row in rows[:TOP]
    )
    caption = "Examples before (grey) and after (coloured)."
    return [Bars(items=items, title=f"The most frequent concepts, {label}", caption=caption)] if items else []


_FACTS = (
    ("entries", "concepts in the vocabulary"),
    ("entries_found", "concepts found in the pool"),
    ("entries_kept", "concepts left after curation"),
    ("dead_entries", "concepts that nothing matched"),
    ("t", "threshold t"),
    ("head_entries", "concepts at or above t (head)"),
    ("tail_entries", "concepts below t (tail)"),
    ("expected_rows", "rows expected after balancing"),
)


def _figures(found: Mapping[str, Any], label: str) -> list[Block]:
    rows = [(words, number(_fact(found, name))) for name, words in _FACTS if _fact(found, name) is not None]
    if dead := _fact(found, "dead_examples"):
        rows.append(("such as", ", ".join(str(entry) for entry in list(dead)[:8])))
        place = next(i for i, (words, _) in enumerate(rows) if words.endswith("nothing matched"))
        rows.insert(place + 1, rows.pop())
    return [Facts(rows=tuple(rows), title=f"Figures, {label}")] if rows else []


def _languages(found: Mapping[str, Any]) -> list[Block]:
    given = found.get("languages")
    if not isinstance(given, Mapping):
        return []
    before, after = ({str(k): _whole(v) for k, v in (given.get(part) or {}).items()} for part in ("in", "out"))
    if len(before) < 2:
        return []
    ordered = sorted(before, key=lambda tag: (-before[tag], tag))
    items = tuple(Bar(label=tag or "unknown", value=after.get(tag, 0), before=before[tag]) for tag in ordered[:TOP])
    rest = f"The {TOP} largest of {len(before)} languages." if len(before) > TOP else ""
    return [Bars(items=items, title="Rows per language", caption=rest)]


def _steps(found: Mapping[str, Any], label: str) -> list[Block]:
    columns = (
        Column(title="step"),
        Column(title="settings"),
        Column(title="rows in", kind="number"),
        Column(title="rows out", kind="number"),
        Column(title="dropped because"),
    )
    rows = tuple(
        (
            cell(str(step.get("step", ""))),
            cell(", ".join(f"{key} = {_short(value)}" for key, value in (step.get("settings") or {}).items())),
            cell(step.get("rows_in")),
            cell(step.get("rows_out")),
            cell(", ".join(f"{why} {number(count)}" for why, count in (step.get("dropped") or {}).items())),
        )
        for step in _entries(found)
    )
    return [Table(columns=columns, rows=rows, title=f"Steps of {label}")] if rows else []


def _short(value: Any) -> str:
    return value.strip("<>") if isinstance(value, str) else number(value) if isinstance(value, int | float) else "…"


def _attributions(pools: Sequence[Finished]) -> tuple[Attribution, ...]:
    found: dict[str, Attribution] = {}
    for pool in pools:
        given = (pool.read("pool.json") or {}).get("attribution")
        for item in given if isinstance(given, list) else [given]:
            if isinstance(item, Mapping):
                words = str(item.get("text") or item.get("name") or "")
                licence = str(item.get("licence") or item.get("license") or "")
                content = f"{words} ({licence})" if licence else words
                found.setdefault(content, Attribution(content=content, url=str(item.get("url") or "")))
            elif isinstance(item, str) and item.strip():
                found.setdefault(item, Attribution(content=item))
    return tuple(found.values())
