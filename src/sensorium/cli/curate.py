"""`sensorium curate`: rows in, fewer rows out, without torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sensorium.cli import options, output
from sensorium.core.errors import SettingError

if TYPE_CHECKING:
    from sensorium.core.stage import Stage


def curate(
    pool: Annotated[str, typer.Argument(help="Files, a folder, a pattern, a URI, or a catalogued set.")],
    out: Annotated[Path, typer.Option(help="The folder for the curated pool.")],
    concepts: Annotated[str, typer.Option(help="'wordnet', or a text file with one entry per line.")] = "wordnet",
    t: Annotated[str, typer.Option(help="Texts an entry keeps on average; more are thinned.")] = "",
    size: Annotated[str, typer.Option(help="Instead of --t: rows to keep, about.")] = "",
    tail_share: Annotated[str, typer.Option(help="Instead of --t: share of matches that is tail, like 0.06.")] = "",
    semantics: Annotated[str, typer.Option(help="published-v1, published-v2 or strict.")] = "published-v1",
    match_only: Annotated[bool, typer.Option("--match-only", help="Keep all rows that match; no balancing.")] = False,
    columns: Annotated[str, typer.Option(help="Names in your files, as in text=caption.")] = "",
    ids: Annotated[str, typer.Option(help="given, shard or content: where ids come from.")] = "given",
    seed: Annotated[int, typer.Option(help="Of the coins.")] = 0,
    workers: options.Workers = 0,
    fresh: options.Fresh = False,
    json: options.AsJson = False,
) -> None:
    """Match texts against entries and balance: `sensorium curate 'crawl/*.parquet' --t 20000 --out curated`."""
    from sensorium.api import finish_at

    last = _stage(pool, concepts, _threshold(t, size, tail_share, match_only), semantics, columns, ids, seed)
    result = finish_at(last, out, options.machine(workers, 1, 0, "32", False), options.progress(json), fresh)
    if json:
        output.emit_json({"path": str(result.path), "page": str(result.page), "metrics": result.metrics})
        return
    counts = {key: f"{value:,.0f}" for key, value in result.metrics.items()}
    output.say(
        f"{counts['rows_in']} rows in = {counts['rows_out']} out + {counts['dropped']} dropped + {counts['rejected']} rejected"
    )
    output.say(f"rows: {result.path / 'rows'}")
    output.say(f"page: {result.page}")


def _stage(
    pool: str, concepts: str, threshold: dict[str, Any], semantics: str, columns: str, ids: str, seed: int
) -> Stage:
    from sensorium.core.recipe import read_value
    from sensorium.curate.balance import Balance
    from sensorium.curate.curate import Curate
    from sensorium.curate.match import Match
    from sensorium.curate.metadata import EntriesFile, WordNetEntries
    from sensorium.data.shards import Ids
    from sensorium.data.sources import parse_pool

    source = parse_pool(
        pool, columns=read_value(dict[str, str], columns, "--columns"), ids=read_value(Ids, ids, "--ids")
    )
    vocabulary = (
        WordNetEntries(name="metadata") if concepts == "wordnet" else EntriesFile(name="metadata", path=concepts)
    )
    match = Match(vocabulary=vocabulary, semantics=semantics)  # type: ignore[arg-type]  (Match names what is allowed)
    steps = (match, Balance(seed=seed, **threshold)) if threshold else (match,)
    return Curate(name="curated", pool=source, steps=steps)


def _threshold(t: str, size: str, tail_share: str, match_only: bool) -> dict[str, Any]:
    from sensorium.core.recipe import read_value

    given = {"--t": t, "--size": size, "--tail-share": tail_share}
    named = [option for option, text in given.items() if text]
    if match_only:
        if named:
            raise SettingError(f"{named[0]} has no effect with --match-only; leave one of them out.")
        return {}
    if len(named) != 1:
        raise SettingError(
            f"say one of --t, --size and --tail-share (or --match-only), not {' and '.join(named) or 'none of them'}."
        )
    if named[0] == "--tail-share":
        return {"tail": read_value(float, tail_share, "--tail-share")}
    return {named[0][2:]: read_value(int, given[named[0]], named[0])}
