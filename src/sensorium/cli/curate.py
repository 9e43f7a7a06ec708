"""`sensorium curate`: rows in, fewer rows out, without torch."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sensorium.cli import options, output
from sensorium.core.errors import BusyError, InputError, MissingExtraError, SettingError

if TYPE_CHECKING:
    from sensorium.core.stage import Stage
    from sensorium.data.sources import Files

SOON_SECONDS = 60.0


def curate(
    pool: Annotated[str, typer.Argument(help="Files, a folder, a pattern, a URI, or a catalogued set.")],
    out: Annotated[Path, typer.Option(metavar=options.FOLDER, help="The folder for the curated pool.")],
    concepts: Annotated[
        str, typer.Option(metavar="FILE", help="A text file with one entry per line; or 'wordnet'.")
    ] = "wordnet",
    t: Annotated[
        str, typer.Option(metavar=options.NUMBER, help="Texts an entry keeps on average; more are thinned.")
    ] = "",
    size: Annotated[str, typer.Option(metavar=options.NUMBER, help="Instead of --t: rows to keep, about.")] = "",
    tail_share: Annotated[
        str, typer.Option(metavar="SHARE", help="Instead of --t: share of matches that is tail, like 0.06.")
    ] = "",
    semantics: Annotated[
        str, typer.Option(metavar="RULES", help="published-v1, published-v2 or strict.")
    ] = "published-v1",
    match_only: Annotated[bool, typer.Option("--match-only", help="Keep all rows that match; no balancing.")] = False,
    columns: Annotated[str, typer.Option(metavar="OURS=YOURS", help="Names in your files, as in text=caption.")] = "",
    ids: Annotated[str, typer.Option(metavar="HOW", help="Where ids come from: given, shard or content.")] = "given",
    seed: Annotated[int, typer.Option(metavar=options.NUMBER, help="Of the coins.")] = 0,
    workers: options.Workers = 0,
    fresh: options.Fresh = False,
    json: options.AsJson = False,
) -> None:
    """Match texts against entries and balance, so that frequent entries give way to rare ones.

    As in: sensorium curate 'crawl/*.parquet' --concepts my_concepts.txt --t 20000 --out curated
    """
    from sensorium.api import finish_at

    balance = _balance(t, size, tail_share, match_only, seed)
    machine = options.machine(workers, 1, 0, "32", False)
    last = _stage(_pool(pool, out, columns, ids), concepts, balance, semantics)
    with _tidied(out):
        result = finish_at(last, out, machine, options.progress(json), fresh)
    if json:
        output.emit_json({"path": str(result.path), "page": str(result.page), "metrics": result.metrics})
        return
    counts = {key: f"{value:,.0f}" for key, value in result.metrics.items()}
    output.say(
        f"{counts['rows_in']} rows in = {counts['rows_out']} out + {counts['dropped']} dropped "
        f"+ {counts['rejected']} rejected"
    )
    output.say(f"rows: {result.path / 'rows'}")
    output.say(f"page: {result.page}")


def _pool(text: str, out: Path, columns: str, ids: str) -> Files:
    from sensorium.core.recipe import read_value
    from sensorium.data.shards import Ids
    from sensorium.data.sources import parse_pool

    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(out)) and not out.exists():
        raise SettingError(f"--out {out} looks like a URI; results are written into a folder of this machine.")
    # A pattern with `**` finds what is written anywhere below its beginning.
    whole, deep, _ = text.partition("**")
    root = Path(os.path.dirname(whole)) if deep else Path(text)
    if (deep or root.is_dir()) and out.resolve().is_relative_to(root.resolve()):
        raise SettingError(f"--out {out} lies inside the pool {text}, which would grow by it; choose another.")
    renamed = read_value(dict[str, str], columns, "--columns")
    return parse_pool(text, columns=renamed, ids=read_value(Ids, ids, "--ids"))


def _stage(pool: Files, concepts: str, balance: dict[str, Any], semantics: str) -> Stage:
    from sensorium.core.recipe import read_value
    from sensorium.curate.atoms import Semantics
    from sensorium.curate.balance import Balance
    from sensorium.curate.curate import Curate
    from sensorium.curate.match import Match
    from sensorium.curate.metadata import EntriesFile, WordNetEntries

    if concepts != "wordnet" and not Path(concepts).is_file():
        raise InputError(f"there is no file {concepts}; --concepts takes a text file with one entry per line.")
    own = EntriesFile(name="metadata", path=concepts)
    vocabulary = WordNetEntries(name="metadata") if concepts == "wordnet" else own
    match = Match(vocabulary=vocabulary, semantics=read_value(Semantics, semantics, "--semantics"))
    return Curate(name="curated", pool=pool, steps=(match, Balance(**balance)) if balance else (match,))


def _balance(t: str, size: str, tail_share: str, match_only: bool, seed: int) -> dict[str, Any]:
    """The settings of `Balance`, or none with --match-only; what would have no effect is refused."""
    from sensorium.core.recipe import read_value

    given = {"--t": t, "--size": size, "--tail-share": tail_share}
    named = [option for option, text in given.items() if text]
    if match_only:
        idle = [*named, *(["--seed"] if seed else [])]
        if idle:
            raise SettingError(f"{idle[0]} has no effect with --match-only; leave one of them out.")
        return {}
    if len(named) != 1:
        raise SettingError(
            f"say one of --t, --size and --tail-share (or --match-only), not {' and '.join(named) or 'none of them'}."
        )
    if named[0] == "--tail-share":
        return {"seed": seed, "tail": read_value(float, tail_share, "--tail-share")}
    return {"seed": seed, named[0][2:]: read_value(int, given[named[0]], named[0])}


@contextlib.contextmanager
def _tidied(out: Path) -> Iterator[None]:
    """Leave nothing behind where a wrong setting or input soon ended a run that began in an empty place.

    What lay there would be another run's to the corrected command, which would refuse the folder. What took
    longer is kept: a disk or a network that failed for a moment looks like a broken input, too.
    """
    from sensorium.core import files
    from sensorium.core.store import locked

    existed, began = out.exists(), time.monotonic()
    empty = not existed or (out.is_dir() and not any(out.iterdir()))
    try:
        yield
    except (SettingError, InputError, MissingExtraError):
        if empty and out.is_dir() and time.monotonic() - began < SOON_SECONDS:
            with contextlib.suppress(BusyError), locked(out):  # or another run began there meanwhile
                for path in [*out.iterdir()] if existed else [out]:
                    files.remove(path)
        raise
