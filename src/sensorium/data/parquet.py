"""Parquet files: schemas from the footers, big files in stretches of row groups, memory bounded by pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from sensorium.core.errors import InputError
from sensorium.core.files import safe_name
from sensorium.data.locations import Location
from sensorium.data.shards import PIECE_BYTES, Raw, Survey
from sensorium.data.table_file import local_file

SPLIT_BYTES = 256 << 20
_BUFFER = 1 << 20  # column chunks are streamed through buffers of this size instead of being loaded whole


@dataclass(frozen=True)
class ParquetPart:
    """A stretch of row groups of one file."""

    file: Location
    stem: str
    start: int
    stop: int
    whole: bool
    num_rows: int
    first: int

    @property
    def name(self) -> str:
        """The file's stem, with the first row group where the file is split."""
        return safe_name(self.stem if self.whole else f"{self.stem}.g{self.start:05d}")

    @property
    def folder(self) -> str:
        """The file's folder."""
        return self.file.folder

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[Raw]:
        """Rows in stored order; see `shards.Part`."""
        first = self.first
        try:
            with _open(self.file) as file:
                names = [name for name in columns if name in file.schema_arrow.names]
                if not names:
                    yield from self._bare(rows)
                    return
                size = _batch_rows(file, range(self.start, self.stop), names, rows)
                groups = list(range(self.start, self.stop))
                for batch in (
                    file.iter_batches(size, row_groups=groups, columns=names, use_threads=False) if groups else ()
                ):
                    table = pa.Table.from_batches([batch]).select(names)
                    yield Raw(table, first=first)
                    first += len(batch)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise InputError(f"{self.file.uri} is damaged near row {first}: {_brief(error)}.") from error

    def _bare(self, rows: int) -> Iterator[Raw]:
        """Rows of which nothing is wanted but their number."""
        for first in range(0, self.num_rows, rows):
            count = min(rows, self.num_rows - first)
            yield Raw(pa.table({"": pa.nulls(count)}), first=self.first + first)


def survey(files: Sequence[tuple[Location, str]]) -> list[Survey]:
    """Parts and schema of each (file, stem), from the footers alone.

    Raises:
        InputError: a file is empty or no Parquet; the sentence names it.
    """
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda pair: _survey(*pair), files))


def _survey(file: Location, stem: str) -> Survey:
    if file.size == 0:
        raise InputError(f"{file.uri} is empty (0 bytes), so it is no Parquet file; delete it or write it again.")
    try:
        with _open(file) as opened:
            metadata, schema = opened.metadata, opened.schema_arrow.remove_metadata()
            str(schema)  # a damaged name is not UTF-8
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file.uri} is not a readable Parquet file: {_brief(error)}.") from error
    cuts = _cuts([metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups)])
    counts = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    parts = tuple(
        ParquetPart(file, stem, start, stop, len(cuts) == 1, sum(counts[start:stop]), sum(counts[:start]))
        for start, stop in cuts
    )
    return Survey(file.name, parts, schema)


def _cuts(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Stretches (start, stop) of row groups of about SPLIT_BYTES each; one for a file without row groups."""
    cuts, start, held = [], 0, 0
    for position, size in enumerate(sizes):
        if held and held + size > SPLIT_BYTES:
            cuts.append((start, position))
            start, held = position, 0
        held += size
    return [*cuts, (start, len(sizes))]


def _batch_rows(file: pq.ParquetFile, groups: range, names: Sequence[str], rows: int) -> int:
    """So many rows that a batch of these columns stays near PIECE_BYTES, at least 1."""
    fewest = rows
    for number in groups:
        group = file.metadata.row_group(number)
        width = group.total_byte_size / max(1, group.num_rows)
        if rows * width > PIECE_BYTES:
            # A damaged column chunk raises when it is read; asked for its size, it would end the process.
            next(file.iter_batches(1, row_groups=[number], columns=list(names), use_threads=False), None)
            columns = (group.column(position) for position in range(group.num_columns))
            held = (one.total_uncompressed_size for one in columns if _is_of(one.path_in_schema, names))
            width = sum(held) / max(1, group.num_rows)
        fewest = min(fewest, int(PIECE_BYTES / max(1.0, width)))
    return max(1, fewest)


def _is_of(path: str, names: Sequence[str]) -> bool:
    return path in names or any(path.startswith(f"{name}.") for name in names)


@contextmanager
def _open(file: Location) -> Iterator[pq.ParquetFile]:
    with local_file(file.uri) if file.local else pa.PythonFile(file.open(), "r") as source:
        yield pq.ParquetFile(source, pre_buffer=False, buffer_size=_BUFFER)


def _brief(error: Exception) -> str:
    return str(error).split("\n")[0].rstrip(".")[:200]
