"""Writers: Parquet shards, WebDataset tars, JSON lines. Whole or absent, and equal rows give equal bytes."""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as pat
import zstandard

from sensorium.core import files
from sensorium.core.errors import InputError, SettingError
from sensorium.core.files import safe_name
from sensorium.data.packing import packing
from sensorium.data.shards import ROWS
from sensorium.data.table_file import local_file

GROUP_BYTES = 64 << 20
_LEVEL = 3  # of zstd: the default of the format, fast enough not to be the bottleneck
_SEPARATORS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}


class PoolWriter:
    """Writes one Parquet shard under a temporary name and renames it at the end of its `with` block.

    Row groups hold at most `rows` rows and about `max_bytes` of values, and where they end depends on the
    rows alone, not on the tables they came in; so the same rows always give the same bytes.

        with PoolWriter(path, schema) as writer:
            writer.write(table)

    Args:
        path: the final place; parent folders are made.
        schema: names and types; tables are cast to it. None takes that of the first table.
        rows: most rows of a row group.
        max_bytes: most bytes of a row group, unless a single row is larger.
    """

    def __init__(
        self, path: Path, schema: pa.Schema | None = None, *, rows: int = ROWS, max_bytes: int = GROUP_BYTES
    ) -> None:
        self.path = Path(path)
        self.num_rows = 0
        self._schema = schema.remove_metadata() if schema is not None else None
        self._rows, self._max_bytes = rows, max_bytes
        self._held: list[pa.Table] = []
        self._held_rows, self._held_bytes = 0, 0
        self._writer: pq.ParquetWriter | None = None
        self._atomic: AbstractContextManager[Path] = files.atomic(self.path)

    def __enter__(self) -> PoolWriter:
        self._temporary = self._atomic.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if kind is None:
            try:
                self._finish()
            except BaseException as error:
                if not self._atomic.__exit__(type(error), error, error.__traceback__):
                    raise
        elif self._writer is not None:
            self._abandon()
        return self._atomic.__exit__(kind, value, trace)

    def write(self, table: pa.Table) -> None:
        """Add rows in order."""
        if self._schema is None:
            self._schema = table.schema.remove_metadata()
        table = table.select(self._schema.names).cast(self._schema)
        start = 0
        for stop in self._cuts(table):
            self._held.append(table.slice(start, stop - start))
            self._flush()
            start = stop
        if start < table.num_rows:
            self._held.append(table.slice(start))
        self.num_rows += table.num_rows

    def _cuts(self, table: pa.Table) -> list[int]:
        """Rows of the table before which a row group ends; keeps count of the group that stays open."""
        sizes = row_bytes(table)
        cuts: list[int] = []
        if self._held_rows + len(sizes) <= self._rows and self._held_bytes + int(sizes.sum()) <= self._max_bytes:
            self._held_rows, self._held_bytes = (
                self._held_rows + len(sizes),
                self._held_bytes + int(sizes.sum()),
            )
            return cuts
        for row, size in enumerate(sizes.tolist()):
            if self._held_rows and (self._held_rows >= self._rows or self._held_bytes + size > self._max_bytes):
                cuts.append(row)
                self._held_rows, self._held_bytes = 0, 0
            self._held_rows, self._held_bytes = self._held_rows + 1, self._held_bytes + size
        return cuts

    def _flush(self) -> None:
        rows = [table for table in self._held if table.num_rows]
        self._held = []
        if rows:
            group = pa.concat_tables(rows).combine_chunks()
            self._open().write_table(group, row_group_size=max(1, group.num_rows))

    def _open(self) -> pq.ParquetWriter:
        if self._writer is None:
            assert self._schema is not None, "a shard without rows needs a schema"
            self._sink = local_file(self._temporary, "wb")
            self._writer = pq.ParquetWriter(
                self._sink,
                self._schema,
                compression="zstd",
                compression_level=_LEVEL,
                use_dictionary=_repetitive(self._schema),
                write_statistics=True,
                store_schema=True,
            )
        return self._writer

    def _finish(self) -> None:
        self._flush()
        self._open().close()
        self._sink.close()

    def _abandon(self) -> None:
        try:
            self._open().close()
            self._sink.close()
        except (OSError, pa.ArrowException):
            pass  # the disk is full; the temporary file goes away with the block


def write_shard(
    path: Path,
    tables: Iterable[pa.Table],
    schema: pa.Schema | None = None,
    *,
    rows: int = ROWS,
    max_bytes: int = GROUP_BYTES,
) -> int:
    """Write tables as one Parquet file, whole or not at all; returns the number of rows. See `PoolWriter`."""
    with PoolWriter(path, schema, rows=rows, max_bytes=max_bytes) as writer:
        for table in tables:
            writer.write(table)
    return writer.num_rows


def row_bytes(table: pa.Table) -> np.ndarray:
    """About how many bytes each row takes, shape (N,) int64: lengths of texts and binaries, else 8."""
    sizes = np.zeros(table.num_rows, np.int64)
    for column in table.columns:
        sizes += _value_bytes(column.combine_chunks() if column.num_chunks != 1 else column.chunk(0))
    return sizes


def _value_bytes(array: pa.Array) -> np.ndarray:
    kind = array.type
    if pat.is_struct(kind):
        return np.sum([_value_bytes(part) for part in array.flatten()], axis=0, dtype=np.int64, initial=0) + np.zeros(
            len(array), np.int64
        )
    if pat.is_string(kind) or pat.is_binary(kind) or pat.is_large_string(kind) or pat.is_large_binary(kind):
        lengths = pc.fill_null(pc.binary_length(array), 0).to_numpy(zero_copy_only=False)
        return np.asarray(lengths, np.int64) + 4
    if pat.is_list(kind) or pat.is_large_list(kind):
        inner = np.concatenate([[0], np.cumsum(_value_bytes(array.flatten()))])
        lengths = np.asarray(pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False), np.int64)
        ends = np.cumsum(lengths)
        return np.asarray(inner[ends] - inner[ends - lengths] + 4, np.int64)
    return np.full(len(array), 8, np.int64)


def _repetitive(schema: pa.Schema) -> list[str]:
    """Columns worth a dictionary: not the id, nor bytes, whose dictionaries would only take memory."""
    return [
        item.name for item in schema if item.name != "id" and (pat.is_string(item.type) or pat.is_primitive(item.type))
    ]


def write_jsonl(path: Path, tables: Iterable[pa.Table]) -> int:
    """Write tables as JSON lines (`.zst`, `.gz`: compressed), whole or not at all; returns the number of rows.

    U+2028, U+2029 and U+0085 are escaped, so readers that take them for line ends find the same lines.

    Raises:
        SettingError: a column holds bytes.
        InputError: a value is NaN or infinite, which JSON has no word for.
    """
    count = 0
    with (
        files.atomic(Path(path)) as temporary,
        temporary.open("wb") as plain,
        _packed(plain, Path(path)) as out,
    ):
        for table in tables:
            for item in table.schema:
                if _holds_bytes(item.type):
                    raise SettingError(
                        f"column '{item.name}' holds bytes, which JSON lines cannot; "
                        "leave it out, or write Parquet or tars."
                    )
            for row in table.to_pylist():
                out.write(_json_line(row).encode("utf-8"))
                count += 1
    return count


def _packed(plain: BinaryIO, path: Path) -> Any:
    if path.suffix.lower() in (".zst", ".zstd"):
        return zstandard.ZstdCompressor(level=_LEVEL).stream_writer(plain, closefd=False)
    if path.suffix.lower() == ".gz":
        return gzip.GzipFile("", "wb", fileobj=plain, mtime=0)  # no name, no time: equal rows give equal bytes
    return _Open(plain)


class _Open(AbstractContextManager[Any]):
    """A file that its `with` block does not close."""

    def __init__(self, handle: BinaryIO) -> None:
        self.write = handle.write

    def __exit__(self, *_: object) -> None:
        return None


def _holds_bytes(kind: pa.DataType) -> bool:
    return bool(pat.is_binary(kind) or pat.is_large_binary(kind)) or any(
        _holds_bytes(kind.field(position).type) for position in range(kind.num_fields)
    )


def _json_line(row: dict[str, Any]) -> str:
    try:
        return json.dumps(row, ensure_ascii=False, allow_nan=False, default=str).translate(_SEPARATORS) + "\n"
    except ValueError as error:
        raise InputError(
            f"row '{row.get('id')}' has a value that is not a finite number; JSON has no word for it."
        ) from error


def write_tar(path: Path, tables: Iterable[pa.Table]) -> int:
    """Write tables as one WebDataset tar, whole or not at all; returns the number of rows.

    A row's members are its media (suffix by content), `txt` for the column `text`, and `json` with everything
    else, the id included. Its key is the id where that can be one, else a readable name with a hash. Headers
    have no times, owners or modes of their own, so equal rows give equal bytes.
    """
    if packing(Path(path).name):
        raise SettingError(f"{path} has the name of a compressed tar; tars are written plain, choose a name with .tar.")
    count = 0
    with (
        files.atomic(Path(path)) as temporary,
        tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for table in tables:
            for row in table.to_pylist():
                for suffix, content in _members(row):
                    info = tarfile.TarInfo(f"{_key(str(row['id']))}.{suffix}")
                    info.size, info.mode, info.mtime = len(content), 0o644, 0
                    tar.addfile(info, io.BytesIO(content))
                count += 1
    return count


def _key(name: str) -> str:
    return (
        name if re.fullmatch(r"[A-Za-z0-9_-]{1,80}(/[A-Za-z0-9_-]{1,80})*", name) else safe_name(name).replace(".", "-")
    )


def _members(row: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    rest = {}
    for name, value in row.items():
        content = value.get("bytes") if isinstance(value, dict) else value
        if isinstance(content, bytes):
            yield suffix_of(content) if name in ("image", "audio", "video") else _suffix(name), content
        elif name == "text" and value is not None:
            yield "txt", str(value).encode("utf-8")
        elif value is not None:
            rest[name] = value
    yield "json", json.dumps(rest, ensure_ascii=False, sort_keys=True, default=str).encode("utf-8")


def _suffix(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_") or "bin"


def suffix_of(content: bytes) -> str:
    """The suffix of media by their first bytes; `bin` for what is not known."""
    head = content[:16]
    for magic, suffix in _MAGIC:
        if head.startswith(magic):
            return suffix
    if head[:4] == b"RIFF":
        return {b"WAVE": "wav", b"WEBP": "webp", b"AVI ": "avi"}.get(head[8:12], "bin")
    if head[4:8] == b"ftyp":
        return "avif" if head[8:12] in (b"avif", b"avis") else "m4a" if head[8:11] == b"M4A" else "mp4"
    return "mp3" if head[:2] in (b"\xff\xfb", b"\xff\xf3", b"\xff\xf2") else "bin"


_MAGIC: Sequence[tuple[bytes, str]] = (
    (b"\xff\xd8\xff", "jpg"),
    (b"\x89PNG", "png"),
    (b"GIF8", "gif"),
    (b"BM", "bmp"),
    (b"II*\0", "tif"),
    (b"MM\0*", "tif"),
    (b"fLaC", "flac"),
    (b"OggS", "ogg"),
    (b"ID3", "mp3"),
    (b"\x1aE\xdf\xa3", "mkv"),
)
