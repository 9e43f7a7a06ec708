"""What a user gives to a model: pictures, folders, tables and text files, as named rows. Free of torch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from PIL import Image

from sensorium.core.errors import InputError, SettingError, listing
from sensorium.core.files import safe_name
from sensorium.data import rejected as rejects
from sensorium.data.contents import Occurrences, row_digests
from sensorium.data.media import BrokenMediaError, decode_image
from sensorium.data.sources import Files, Shard, open_pool
from sensorium.models.folder import sha256

Take = Literal["image", "text"]
Inputs = str | Path | Files | pa.Table | Sequence[str | Path]

PIXELS = 64_000_000  # decoded pictures held at once: 64 million pixels are 192 MB
_ROWS = 4096  # rows of a table or text file read at once


@dataclass
class Batch:
    """Some rows, ready for a model, and the rows that cannot be used.

    Attributes:
        ids: of the rows.
        items: PIL images in RGB, or texts; one per id.
        refused: (id, reason) pairs.
    """

    ids: list[str] = field(default_factory=list)
    items: list[Image.Image | str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Chunk:
    """A resumable piece of the inputs: a shard of a pool, a text file, or a table.

    Attributes:
        name: unique among the chunks, safe as a file name.
        take: what its rows are.
        source: where they come from.
        label: what ids of a text file begin with.
    """

    name: str
    take: Take
    source: Shard | Path | pa.Table
    label: str = ""

    def batches(self, size: int) -> Iterator[Batch]:
        """Rows in stored order, at most `size` at a time and few enough to hold their pixels."""
        if isinstance(self.source, Path):
            yield from _lines(self.source, self.label, size)
        elif isinstance(self.source, Shard):
            # Rows that the pool refuses carry their reason along; none is lost between file and result.
            for piece in self.source.pieces([self.take], rows=max(size, _ROWS) if self.take == "text" else size):
                refused = zip(piece.rejected["id"].to_pylist(), piece.rejected["reason"].to_pylist(), strict=True)
                yield Batch(refused=list(refused))
                yield from self._rows(piece.table, size, self.source.folder)
        else:
            yield from self._rows(self.source, size, None)

    def _rows(self, table: pa.Table, size: int, folder: str | None) -> Iterator[Batch]:
        batch, pixels = Batch(), 0
        for start in range(0, table.num_rows, _ROWS):
            part = table.slice(start, _ROWS)
            for name, value in zip(part["id"].to_pylist(), part[self.take].to_pylist(), strict=True):
                try:
                    item = decode_image(value, folder=folder) if self.take == "image" else _text(value)
                except BrokenMediaError as error:
                    batch.refused.append((name, str(error)))
                    continue
                batch.ids.append(name)
                batch.items.append(item)
                pixels += item.width * item.height if isinstance(item, Image.Image) else 0
                if len(batch.ids) == size or pixels >= PIXELS:
                    yield batch
                    batch, pixels = Batch(), 0
        if batch.ids or batch.refused:
            yield batch

    def rejected(self, pairs: Sequence[tuple[str, str]]) -> pa.Table:
        """The rejected table (id, shard, reason) of this chunk."""
        return rejects.table(self.name, pairs)


@dataclass(frozen=True)
class Given:
    """What a user gave, sorted by how it is read.

    Attributes:
        pool: pictures, folders, tables, tars, JSON lines.
        texts: text files by a name that is unique among them.
        table: an Arrow table with unique ids.
    """

    pool: Files | None = None
    texts: Mapping[str, Path] = field(default_factory=dict)
    table: pa.Table | None = None

    def chunks(self, take: Take | None = None) -> list[Chunk]:
        """The resumable pieces.

        Args:
            take: "image" or "text"; by default pictures where there are any, else texts.

        Raises:
            InputError: there are no rows, or no column of the kind.
        """
        if self.texts and take == "image":
            raise SettingError(f"{next(iter(self.texts))} holds texts, and images were asked for.")
        found = [Chunk(safe_name(f"text-{name}"), "text", path, name) for name, path in self.texts.items()]
        if self.table is not None:
            found.append(Chunk("table", _taken(self.table.column_names, take, "the table"), self.table))
        if self.pool is not None:
            found += _pool_chunks(self.pool, take)
        return found

    def identity(self) -> dict[str, Any]:
        """A plain value that changes when the content may have changed; names are relative."""
        table = None if self.table is None else hashlib.sha256(row_digests(self.table).tobytes()).hexdigest()
        texts = {name: sha256(path) for name, path in self.texts.items()}
        return {"pool": self.pool.identity() if self.pool else None, "texts": texts, "table": table}


def gather(inputs: Inputs, columns: Mapping[str, str] | None = None) -> Given:
    """Sort what a user gave.

    A text file (`.txt`) is one text a line. Everything else is a pool (see `data.sources.Files`): pictures,
    folders, Parquet, tars, JSON lines. A table is taken as it is; without a column `id` its ids are hashes of
    its rows.

    Args:
        inputs: one or several paths (never patterns once they exist), a pool, or an Arrow table.
        columns: our name -> name in the files, {"text": "caption"}.

    Raises:
        InputError: there is nothing, or a file is given twice.
    """
    if isinstance(inputs, pa.Table):
        names = [
            next((our for our, their in (columns or {}).items() if their == name), name) for name in inputs.column_names
        ]
        return Given(table=_with_ids(inputs.rename_columns(names)))
    if isinstance(inputs, Files):
        if columns:
            raise SettingError("columns are given twice; a pool brings its own.")
        return Given(pool=inputs)
    paths = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    if not paths:
        raise InputError("nothing was given; name pictures, folders, text files or tables.")
    texts = [Path(path) for path in paths if str(path).lower().endswith(".txt") and Path(path).is_file()]
    others = tuple(str(path) for path in paths if Path(path) not in texts)
    pool = Files(others, columns=columns or {}) if others else None
    return Given(pool=pool, texts=_named(texts))


def read_classes(text: str) -> tuple[str, ...]:
    """Class names from a command-line text: a file with one a line, or names between commas."""
    path = Path(text)
    if text and path.is_file():
        try:
            names = [line.strip() for line in path.read_text("utf-8-sig").split("\n")]
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is not UTF-8; class names are one a line in a UTF-8 file.") from error
    else:
        names = [name.strip() for name in text.split(",")]
    return tuple(name for name in names if name)


def _pool_chunks(pool: Files, take: Take | None) -> list[Chunk]:
    shards = open_pool(pool)
    if not shards:
        raise InputError(f"{pool.label()} holds no rows.")
    taken = _taken(shards[0].schema().names, take, f"pool {pool.label()}")
    return [Chunk(shard.name, taken, shard) for shard in shards]


def _named(texts: Sequence[Path]) -> dict[str, Path]:
    """Text files by their own name, or by the whole path where two have the same."""
    short = [path.name for path in texts]
    named: dict[str, Path] = {}
    for path in texts:
        name = path.name if short.count(path.name) == 1 else path.as_posix()
        if name in named:
            raise InputError(f"the input {path} is given twice.")
        named[name] = path
    return named


def _taken(names: Sequence[str], take: Take | None, what: str) -> Take:
    if take is not None:
        if take not in names:
            raise InputError(f"{what} has no column '{take}'; it has: {listing(names)}.")
        return take
    for wanted in ("image", "text"):
        if wanted in names:
            return wanted  # type: ignore[return-value]
    raise InputError(
        f"{what} has neither a column 'image' nor 'text'; it has: {listing(names)}. "
        "Name one with columns, as in text=caption."
    )


def _with_ids(table: pa.Table) -> pa.Table:
    if "id" not in table.column_names:
        return table.add_column(0, "id", pa.array(Occurrences(None).ids(row_digests(table)), pa.string()))
    ids = table["id"].cast(pa.string())
    if ids.null_count or len(ids.unique()) < len(ids):
        raise InputError("the table's column 'id' has empty or repeated values; drop it, or make it unique.")
    return table.set_column(table.column_names.index("id"), "id", ids)


def _lines(path: Path, label: str, size: int) -> Iterator[Batch]:
    """The lines of a text file; only LF ends a line, and each is UTF-8 or refused by name."""
    batch = Batch()
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            name = f"{label}:{number}"
            content = line.removesuffix(b"\n").removesuffix(b"\r")
            try:
                text = _text((content.removeprefix(b"\xef\xbb\xbf") if number == 1 else content).decode("utf-8"))
            except (UnicodeDecodeError, BrokenMediaError) as error:
                batch.refused.append((name, "empty" if isinstance(error, BrokenMediaError) else "invalid UTF-8"))
                continue
            batch.ids.append(name)
            batch.items.append(text)
            if len(batch.ids) == size:
                yield batch
                batch = Batch()
    if batch.ids or batch.refused:
        yield batch


def _text(value: str | None) -> str:
    if value is None or not value.strip():
        raise BrokenMediaError("empty")
    return value
