"""`sensorium data list|show|get|peek`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sensorium.cli import options, output

data = typer.Typer(help="Real public data sets.", no_args_is_help=True, rich_markup_mode=None)


@data.command(name="list")
def list_sets(json: options.AsJson = False) -> None:
    """List the known sets, their licences, and whether they are here (see SENSORIUM_DATA)."""
    from sensorium.data.catalog import overview

    rows = overview()
    if json:
        output.emit_json(rows)
    else:
        output.table(rows, ["name", "here", "modality", "rows", "bytes", "licence", "title"])


@data.command()
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


@data.command()
def get(
    name: Annotated[str, typer.Argument(help="A set.")],
    to: Annotated[Path, typer.Option(help="The folder to put it in; name it in SENSORIUM_DATA.")] = Path("data"),
    base_url: Annotated[str, typer.Option(help="Where a prepared copy is served: BASE/NAME/FILE.")] = "",
    json: options.AsJson = False,
) -> None:
    """Fetch a set: resumed where it stopped, verified by sha256."""
    from sensorium.data.download import get as fetch

    paths = fetch(name, to, base_url or None, progress=options.progress(json))
    if json:
        output.emit_json([str(path) for path in paths])
    else:
        output.say(f"{len(paths)} files in {to}; use them with SENSORIUM_DATA={to}")


@data.command()
def peek(
    pool: Annotated[str, typer.Argument(help="Files, a folder, a pattern, a URI, or a set.")],
    rows: Annotated[int, typer.Option(min=1, max=1000, help="Rows to print.")] = 5,
    json: options.AsJson = False,
) -> None:
    """Print a pool's columns, what was left out, and its first rows."""
    from sensorium.data.sources import parse_pool

    files = parse_pool(pool)
    shards = files.shards()
    schema = shards[0].schema()
    columns = {field.name: str(field.type) for field in schema}
    first = next((piece.table for shard in shards for piece in shard.pieces(rows=rows) if len(piece.table)), None)
    shown = [] if first is None else [_readable(row) for row in first.slice(0, rows).to_pylist()]
    if json:
        output.emit_json({"columns": columns, "shards": len(shards), "notes": files.notes(), "rows": shown})
        return
    for name, kind in columns.items():
        output.say(f"  {name}: {kind}")
    for note in files.notes():
        output.say(f"note: {note}")
    for row in shown:
        output.say("; ".join(f"{key}={value}" for key, value in row.items()))


def _readable(row: dict[str, object]) -> dict[str, object]:
    """A row with media as sizes and long texts cut."""
    return {key: _short(value) for key, value in row.items()}


def _short(value: object) -> object:
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, dict):
        return {key: _short(inner) for key, inner in value.items()}
    if isinstance(value, str) and len(value) > 200:
        return value[:200] + "..."
    return value
