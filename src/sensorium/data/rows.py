"""Random access to the rows of a pool: in memory up to a budget, beyond it through one memory-mapped file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sensorium.core import files
from sensorium.core.errors import InputError
from sensorium.data import rejected as rejects
from sensorium.data.chance import hash_ids
from sensorium.data.shards import Shard
from sensorium.data.table_file import local_file

FOLDER = "_folder"
"""The column in which `Rows.take` says where the relative media paths of a row start."""
SPOOL, MARK = "rows.arrow", "rows.json"
_CHUNK = 8192  # rows per record batch of the file


class Rows:
    """The rows of one or several pools, by position.

    Reading keeps the stored order: shard by shard, part by part. Up to `memory_bytes` the needed columns
    stay in memory. A larger pool is written once to `scratch` as an Arrow file and mapped, so memory follows
    what is touched; the file is used again after a restart. Rows that reading rejects have no position; they
    are in `rejected`.

    Args:
        parts: shards, or named parts of shards (for `Mix`).
        columns: what to read besides the id.
        memory_bytes: budget for columns held in memory.
        scratch: folder for the mapped file; None keeps everything in memory.

    Raises:
        InputError: a column is missing or has another type in some shard.
    """

    def __init__(
        self,
        parts: Sequence[Shard] | Mapping[str, Sequence[Shard]],
        columns: Sequence[str],
        *,
        memory_bytes: int = 2 << 30,
        scratch: Path | None = None,
    ) -> None:
        named = dict(parts) if isinstance(parts, Mapping) else {"": parts}
        self.columns = tuple(dict.fromkeys(["id", *columns]))
        self._scratch = scratch
        found = _Spool.reopen(scratch) if scratch else None
        self._spool = found or self._read(named, memory_bytes)
        sizes = [len(chunk) for chunk in self._spool.chunks]
        self._starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self._hashes: np.ndarray | None = None
        self._ids: pa.Array | None = None

    @property
    def num_rows(self) -> int:
        """How many rows can be taken."""
        return int(self._starts[-1])

    def __len__(self) -> int:
        return self.num_rows

    @property
    def rejected(self) -> pa.Table:
        """id, shard and reason of the rows that reading could not use."""
        return self._spool.rejected

    @property
    def mapped(self) -> bool:
        """Whether the rows lie in a mapped file because they exceed the budget."""
        return self._spool.mapped

    def parts(self) -> Mapping[str, range]:
        """The rows of each named part."""
        return {name: range(start, stop) for name, (start, stop) in self._spool.parts.items()}

    def ids(self) -> pa.ChunkedArray:
        """All ids, in stored order."""
        return self._column("id")

    def names(self, positions: np.ndarray) -> list[str]:
        """The ids at these positions."""
        if self._ids is None:
            self._ids = pa.concat_arrays([pa.array([], pa.large_string()), *self.ids().cast(pa.large_string()).chunks])
        return [str(name) for name in self._ids.take(pa.array(positions, pa.int64())).to_pylist()]

    def hashes(self) -> np.ndarray:
        """Hashes of all ids, (N,) uint64."""
        if self._hashes is None:
            self._hashes = hash_ids(self.ids())
        return self._hashes

    def numbers(self, column: str) -> np.ndarray:
        """A numeric column, (N,) float64; null becomes NaN.

        Raises:
            InputError: the column is not numeric.
        """
        values = self._column(column)
        try:
            return np.asarray(pc.cast(values, pa.float64()).to_numpy(), np.float64)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise InputError(f"column '{column}' is {values.type}; numbers are needed here.") from error

    def take(self, positions: np.ndarray) -> pa.Table:
        """The rows at these positions, in this order, and a column that says where media paths start."""
        positions = np.asarray(positions, np.int64)
        if len(positions) and (positions.min() < 0 or positions.max() >= self.num_rows):
            raise IndexError(f"positions lie in [0, {self.num_rows})")
        owners = np.searchsorted(self._starts, positions, side="right") - 1
        by_chunk = np.argsort(owners, kind="stable")
        tables = []
        for owner in np.unique(owners):
            local = positions[owners == owner] - self._starts[owner]
            tables.append(self._taken(int(owner), local))
        if not tables:
            return self._taken(None, positions)
        back = np.argsort(by_chunk, kind="stable")
        return pa.concat_tables(tables).take(pa.array(back))

    def _taken(self, owner: int | None, local: np.ndarray) -> pa.Table:
        chunk = self._spool.schema.empty_table() if owner is None else self._spool.chunks[owner]
        folder = "" if owner is None else self._spool.folders[owner]
        table = pa.table(chunk.take(pa.array(local, pa.int64())))
        return table.append_column(FOLDER, pa.array([folder] * len(table), pa.string()))

    def _column(self, name: str) -> pa.ChunkedArray:
        kind = self._spool.schema.field(name).type
        return pa.chunked_array([chunk.column(name) for chunk in self._spool.chunks], kind)

    def _read(self, parts: Mapping[str, Sequence[Shard]], memory_bytes: int) -> _Spool:
        with _Collector(self._scratch, memory_bytes) as collector:
            for part, shards in parts.items():
                collector.begin(part)
                for shard in shards:
                    for piece in shard.pieces(self.columns):
                        collector.add(shard, piece.table, piece.rejected)
            collector.end(self.columns)
        return collector.spool()


class _Spool:
    """Record batches with the folder of each; in memory, or views of a mapped file."""

    def __init__(
        self,
        chunks: list[pa.RecordBatch],
        folders: list[str],
        parts: dict[str, tuple[int, int]],
        rejected: pa.Table,
        schema: pa.Schema,
        *,
        mapped: bool,
    ) -> None:
        self.chunks, self.folders, self.parts, self.rejected = chunks, folders, parts, rejected
        self.schema, self.mapped = schema, mapped

    @classmethod
    def reopen(cls, scratch: Path) -> _Spool | None:
        """The file a former start of the same run finished, or None."""
        if not (scratch / MARK).exists():
            return None
        mark = files.read_json(scratch / MARK)
        reader = pa.ipc.open_file(pa.memory_map(os.fsencode(scratch / SPOOL)))
        chunks = [reader.get_batch(number) for number in range(reader.num_record_batches)]
        rejected = pa.Table.from_pylist(mark["rejected"], schema=rejects.SCHEMA)
        parts = {name: (start, stop) for name, (start, stop) in mark["parts"].items()}
        return cls(chunks, mark["folders"], parts, rejected, reader.schema, mapped=True)


class _Collector:
    """Takes tables as they are read; when the budget is passed, moves to a file."""

    def __init__(self, scratch: Path | None, memory_bytes: int) -> None:
        self._scratch, self._budget = scratch, memory_bytes
        self._chunks: list[pa.RecordBatch] = []
        self._folders: list[str] = []
        self._rejected: list[pa.Table] = []
        self._parts: dict[str, tuple[int, int]] = {}
        self._part, self._num_rows, self._num_bytes = "", 0, 0
        self._schema: pa.Schema | None = None
        self._file: AbstractContextManager[Path] = nullcontext(Path())
        self._writer: Any = None

    def __enter__(self) -> _Collector:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: Any) -> None:
        if self._writer is not None:
            self._writer.close()
            self._sink.close()
            self._file.__exit__(kind, error, trace)

    def begin(self, part: str) -> None:
        """The next rows belong to this part."""
        self._part = part
        self._parts[part] = (self._num_rows, self._num_rows)

    def add(self, shard: Shard, table: pa.Table, rejected: pa.Table) -> None:
        """Take one piece of a shard."""
        if len(rejected):
            self._rejected.append(rejected)
        if self._schema is None or not self._num_rows:
            self._schema = table.schema
        if not len(table):
            return
        for batch in _batches(self._same_types(table, shard), _CHUNK):
            self._folders.append(shard.folder)
            self._num_rows += len(batch)
            self._num_bytes += batch.nbytes
            self._keep(batch)
        self._parts[self._part] = (self._parts[self._part][0], self._num_rows)

    def end(self, columns: Sequence[str]) -> None:
        """No more rows; a pool without shards has no types, so its columns are taken for text."""
        if self._schema is None:
            self._schema = pa.schema([pa.field(name, pa.string()) for name in columns])

    def spool(self) -> _Spool:
        """What was collected; call it after the block."""
        assert self._schema is not None, "end() was called"
        rejected = pa.concat_tables([rejects.SCHEMA.empty_table(), *self._rejected])
        if self._writer is None:
            return _Spool(self._chunks, self._folders, self._parts, rejected, self._schema, mapped=False)
        assert self._scratch is not None, "a file was written"
        mark = {"folders": self._folders, "parts": self._parts, "rejected": rejected.to_pylist()}
        files.write_json(self._scratch / MARK, mark)
        found = _Spool.reopen(self._scratch)
        assert found is not None, "the mark was just written"
        return found

    def _same_types(self, table: pa.Table, shard: Shard) -> pa.Table:
        if table.schema.equals(self._schema):
            return table
        try:
            return table.select(self._schema.names).cast(self._schema)  # type: ignore[union-attr]
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, KeyError) as error:
            raise InputError(f"{shard.name} has other columns or types than the shards before it: {error}.") from error

    def _keep(self, batch: pa.RecordBatch) -> None:
        if self._writer is None and self._scratch is not None and self._num_bytes > self._budget:
            self._file = files.atomic(self._scratch / SPOOL)
            self._sink = local_file(self._file.__enter__(), "wb")
            self._writer = pa.ipc.new_file(self._sink, self._schema)
            for earlier in self._chunks:
                self._writer.write_batch(earlier)
            self._chunks = []
        if self._writer is None:
            self._chunks.append(batch)
        else:
            self._writer.write_batch(batch)


def _batches(table: pa.Table, rows: int) -> Iterator[pa.RecordBatch]:
    """Record batches of at most so many rows, each in one piece of memory of its own."""
    yield from table.combine_chunks().to_batches(max_chunksize=rows)
