"""Texts without media: the table they become, and the ways they are stored."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from sensorium.data.sources import Files

SCHEMA = pa.schema([("id", pa.string()), ("text", pa.string()), ("lang", pa.string()), ("key", pa.string())])
"""`key` is shared by texts that say the same thing, or describe the same picture; it may be null."""


def texts(rows: Sequence[tuple[str, str, str | None]], language: str) -> pa.Table:
    """A table from (id, text, key) in one language."""
    columns = [
        [row[0] for row in rows],
        [row[1] for row in rows],
        [language] * len(rows),
        [row[2] for row in rows],
    ]
    return pa.table([pa.array(column, pa.string()) for column in columns], schema=SCHEMA)


def json_lines(path: Path) -> Iterator[list[dict[str, Any]]]:
    """The objects of a file of JSON lines, some at a time."""
    for table in tables(path):
        yield table.to_pylist()


def tables(path: Path, columns: dict[str, str] | None = None) -> Iterator[pa.Table]:
    """The rows of a prepared file with ids of content where it has none."""
    for shard in Files(str(path), columns=columns or {}).shards():
        for piece in shard.pieces():
            yield piece.table


def lines(path: Path) -> list[str]:
    """The lines of a UTF-8 text file, packed (.gz) or not, without their ends; only LF ends a line."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    found = content.decode("utf-8").split("\n")
    return [line.rstrip("\r") for line in (found[:-1] if found[-1] == "" else found)]
