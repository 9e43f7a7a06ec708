"""`sensorium data list|show|get|peek`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sensorium.cli import options, output
from sensorium.cli.commands import Command

if TYPE_CHECKING:
    import pyarrow as pa

    from sensorium.data.shards import Shard

MANY_REJECTED = 100  # so many are enough to see what is wrong with a pool

data = typer.Typer(help="Real public data sets.", no_args_is_help=True, rich_markup_mode=None)


@data.command(name="list", cls=Command, short_help="List the known sets.")
def list_sets(json: options.AsJson = False) -> None:
    """List the known sets, their licences, and whether they are here (see SENSORIUM_DATA)."""
    from sensorium.data.catalog import overview

    rows = overview()
    if json:
        output.emit_json(rows)
    else:
        output.table(rows, ["name", "here", "modality", "rows", "bytes", "licence", "title"])


@data.command(cls=Command, short_help="Print everything known of a set.")
def show(name: Annotated[str, typer.Argument(help="A set.")], json: options.AsJson = False) -> None:
    """Print everything known of a set: columns, terms, sources, files."""
    from sensorium.data.catalog import card

    known = card(name)
    if json:
        output.emit_json(known.as_json())
        return
    output.say(f"{known.name}: {known.title}")
    output.say(f"licence: {known.licence}; may be published: {known.redistribute} ({known.redistribute_terms})")
    for column, meaning in known.columns.items():
        output.say(f"  {column}: {meaning}")
    for source in known.sources:
        output.say(f"source: {source.url}")
    output.table([vars(file) for file in known.files], ["file", "bytes", "sha256"])


@data.command(cls=Command, short_help="Fetch a set from a mirror, verified by sha256.")
def get(
    name: Annotated[str, typer.Argument(help="A set.")],
    to: Annotated[
        Path, typer.Option(metavar=options.FOLDER, help="The folder to put it in; name it in SENSORIUM_DATA.")
    ] = Path("data"),
    base_url: Annotated[str, typer.Option(metavar="URL", help="Where a prepared copy is served: BASE/NAME/FILE.")] = "",
    json: options.AsJson = False,
) -> None:
    """Fetch a set: resumed where it stopped, verified by sha256."""
    from sensorium.data.download import get as fetch

    paths = fetch(name, to, base_url or None, progress=options.progress(json))
    if json:
        output.emit_json([str(path) for path in paths])
    else:
        output.say(f"{len(paths)} files in {to}; use them with SENSORIUM_DATA={to}")


@data.command(cls=Command, short_help="Print the columns and first rows of a pool.")
def peek(
    pool: Annotated[str, typer.Argument(help="Files, a folder, a pattern, a URI, or a set.")],
    rows: Annotated[int, typer.Option(metavar=options.NUMBER, min=1, max=1000, help="Rows to print.")] = 5,
    columns: Annotated[str, typer.Option(metavar="OURS=YOURS", help="Names in your files, as in text=caption.")] = "",
    ids: Annotated[str, typer.Option(metavar="HOW", help="Where ids come from: given, shard or content.")] = "given",
    json: options.AsJson = False,
) -> None:
    """Print a pool's columns, what was left out, its first rows, and those among them that cannot be used."""
    from sensorium.core.recipe import read_value
    from sensorium.data.shards import Ids
    from sensorium.data.sources import parse_pool

    renamed = read_value(dict[str, str], columns, "--columns")
    shards = parse_pool(pool, columns=renamed, ids=read_value(Ids, ids, "--ids")).shards()
    kinds = {field.name: str(field.type) for field in shards[0].schema()} if shards else {}
    notes = shards[0].layout.notes if shards else ()
    counts = [shard.num_rows for shard in shards]
    total = None if None in counts else sum(count or 0 for count in counts)
    found, rejected = _first_rows(shards, rows)
    shown = [_readable(row) for row in found]
    if json:
        about = {"columns": kinds, "shards": len(shards), "num_rows": total, "notes": notes}
        output.emit_json({**about, "rows": shown, "rejected": rejected})
        return
    output.definitions(kinds.items())
    output.say(f"rows: {'not known' if total is None else f'{total:,}'}, shards: {len(shards):,}")
    for note in notes:
        output.say(f"note: {note}")
    for row in shown:
        output.say("; ".join(f"{key}={_text(value)}" for key, value in row.items()))
    for row in rejected[:rows]:
        output.say(f"rejected: {_text(row['id'])}: {_text(row['reason'])}")
    if len(rejected) > rows:
        output.say(f"rejected: {len(rejected) - rows} more of the rows looked at")


def _first_rows(shards: Sequence[Shard], count: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The first rows over the shards, and what was rejected on the way; no more is read than they need."""
    found: list[dict[str, Any]] = []
    rejected: list[dict[str, Any]] = []
    for shard in shards:
        for piece in shard.pieces(rows=count):
            table = piece.table.slice(0, count - len(found))
            columns = [_values(column) for column in table.columns]
            found += [dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True)]
            rejected += [{"id": _short(row["id"]), "reason": row["reason"]} for row in piece.rejected.to_pylist()]
            if len(found) == count or len(rejected) >= MANY_REJECTED:
                return found, rejected
    return found, rejected


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Python's values; as text where Python has no word for one, such as a date in the year 50,000."""
    try:
        return list(column.to_pylist())
    except (ValueError, ArithmeticError):
        width = {32: "int32", 64: "int64"}.get(getattr(column.type, "bit_width", 0))
        return [f"<{column.type}>"] * len(column) if width is None else column.cast(width).to_pylist()


def _readable(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with media as sizes and long texts cut."""
    return {key: _short(value) for key, value in row.items()}


def _short(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"<{len(value):,} bytes>"
    if isinstance(value, dict):
        return {key: _short(inner) for key, inner in value.items()}
    if isinstance(value, list):
        more = [f"... {len(value) - 8} more"] if len(value) > 8 else []
        return [*map(_short, value[:8]), *more]
    if isinstance(value, str) and len(value) > 200:
        return value[:200] + "..."
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no word for it
    return value


def _text(value: Any) -> str:
    """A value in one line; a picture is its size and its path."""
    if isinstance(value, dict):
        return " ".join(str(inner) for inner in value.values() if inner is not None) or "-"
    return "-" if value is None else str(value).replace("\n", "\\n")
