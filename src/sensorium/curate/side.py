"""Rows on their way through the steps, and the small files that lie beside the pool between passes.

A side file holds, per shard: id, reason, number of the step that gave it, and every column that steps added
so far. Whole rows are read once more by the last pass only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sensorium.core import files
from sensorium.core.errors import StageFailedError
from sensorium.curate.steps import DROPPED, with_columns
from sensorium.curate.vocabulary import one_array
from sensorium.data.shards import Shard
from sensorium.data.table_file import local_file, open_table
from sensorium.data.tables import PoolWriter

REASON, BY = "__reason__", "__by__"


@dataclass
class Rows:
    """A piece of a shard. Rows never leave it; `by` says which are still kept.

    Args:
        table: id and columns of all rows.
        place: (N,) int64: the rows' numbers in the shard, as the first pass counted them.
        reason: (N,) string, null = kept.
        by: (N,) int16: number of the step that dropped the row, -1 = kept.
        added: columns that came from steps.
    """

    table: pa.Table
    place: np.ndarray
    reason: pa.Array
    by: np.ndarray
    added: tuple[str, ...] = ()

    @classmethod
    def fresh(cls, table: pa.Table, place: np.ndarray) -> Rows:
        """Rows that no step has seen."""
        return cls(table, place, pa.nulls(table.num_rows, pa.string()), np.full(table.num_rows, -1, np.int16))

    @property
    def alive(self) -> np.ndarray:
        """(N,) bool: not dropped so far."""
        return self.by < 0

    def given(self, columns: Sequence[str]) -> pa.Table:
        """The kept rows with `id` and the columns that a step declares."""
        table = self.table.select(list(dict.fromkeys(["id", *columns])))
        return table if self.alive.all() else table.filter(pa.array(self.alive))

    def take_back(self, step: Any, number: int, returned: pa.Table) -> None:
        """Put a step's columns and reasons to all rows; rows that were gone before have null."""
        alive = self.alive
        self.table = with_columns(self.table, {name: _spread(returned[name], alive) for name in step.adds})
        self.added = tuple(dict.fromkeys([*self.added, *step.adds]))
        if DROPPED in returned.column_names and returned[DROPPED].null_count < returned.num_rows:
            reasons = _spread(returned[DROPPED].cast(pa.string()), alive)
            gone = reasons.is_valid()
            self.reason = pc.if_else(gone, reasons, self.reason)
            self.by = np.where(gone.to_numpy(zero_copy_only=False), np.int16(number), self.by)

    def only(self, wanted: pa.Array) -> Rows:
        """These rows alone, by a mask."""
        mask = wanted.to_numpy(zero_copy_only=False)
        reason, by = self.reason.filter(wanted), self.by[mask]
        return Rows(self.table.filter(wanted), self.place[mask], reason, by, self.added)

    def slice(self, first: int, rows: int) -> Rows:
        """At most so many of the same rows, from the first named on."""
        last = first + rows
        table, reason = self.table.slice(first, rows), self.reason.slice(first, rows)
        return Rows(table, self.place[first:last], reason, self.by[first:last], self.added)

    def side(self) -> pa.Table:
        """What goes into the side file."""
        table = self.table.select(["id", *self.added])
        return table.append_column(REASON, self.reason).append_column(BY, pa.array(self.by, pa.int16()))

    def with_reason(self) -> pa.Table:
        """All columns and `dropped`."""
        return with_columns(self.table, {DROPPED: self.reason})


def _spread(values: pa.ChunkedArray, alive: np.ndarray) -> pa.Array:
    """Values of the kept rows at their places among all rows."""
    array = one_array(values)
    return array if alive.all() else array.take(pa.array(np.cumsum(alive) - 1, mask=~alive))


def first_rows(shard: Shard, columns: Sequence[str] | None) -> Iterator[tuple[Rows, pa.Table]]:
    """The pieces of a shard, and what was rejected with each."""
    place = 0
    for piece in shard.pieces(columns):
        count = piece.table.num_rows
        yield Rows.fresh(piece.table, np.arange(place, place + count)), piece.rejected
        place += count


def later_rows(shard: Shard, path: Path, columns: Sequence[str] | None) -> Iterator[tuple[Rows, pa.Table | None]]:
    """The pieces of a shard with what earlier passes found out.

    Args:
        shard: the rows.
        path: the shard's side file.
        columns: columns of the pool to read; an empty tuple leaves the pool alone, None reads everything.
    """
    with open_table(path) as file:
        side = _Side(file)
        if columns is not None and not columns:
            yield from ((rows, None) for rows in side.all())
            return
        for piece in shard.pieces(columns):
            yield side.join(piece.table, piece.rejected.num_rows), piece.rejected


class _Side:
    """A side file, read along with the pieces of its shard."""

    def __init__(self, file: pq.ParquetFile) -> None:
        self._batches = file.iter_batches(use_threads=False)
        self._held = file.schema_arrow.empty_table()
        self._place = self._met = 0

    def all(self) -> Iterator[Rows]:
        """All rows, with the side columns only; one empty piece of an empty file."""
        empty = True
        for batch in self._batches:
            empty = False
            beside = pa.Table.from_batches([batch])
            yield self._rows(beside.select(["id"]), beside, np.arange(beside.num_rows))
            self._place += beside.num_rows
        if empty:
            yield self._rows(self._held.select(["id"]), self._held, np.arange(0))

    def join(self, table: pa.Table, num_rejected: int) -> Rows:
        """Bring the side columns to a piece of the pool.

        Both are in stored order. They differ where a row was rejected for a column that only one of the
        passes read: such rows of the piece are left out (the earlier pass rejected them), such rows of the
        side passed over.
        """
        count = table.num_rows
        # The pieces so far cannot lie beyond as many rows of the side file as they have rows of any fate.
        self._met += count + num_rejected
        window = self._look(self._met - self._place)
        if window["id"].slice(0, count).equals(table["id"]):
            spot = np.arange(count)
        else:
            found = pc.index_in(one_array(table["id"]), value_set=one_array(window["id"]))
            table, spot = table.filter(found.is_valid()), found.drop_null().to_numpy()
        rows = self._rows(table, window.take(pa.array(spot)), spot)
        used = int(spot[-1]) + 1 if len(spot) else 0
        self._held, self._place = self._held.slice(used), self._place + used
        return rows

    def _look(self, count: int) -> pa.Table:
        while self._held.num_rows < count and (batch := next(self._batches, None)) is not None:
            self._held = pa.concat_tables([self._held, pa.Table.from_batches([batch])])
        return self._held.slice(0, count)

    def _rows(self, table: pa.Table, beside: pa.Table, spot: np.ndarray) -> Rows:
        added = tuple(name for name in beside.column_names if name not in ("id", REASON, BY))
        table = with_columns(table, {name: beside[name] for name in added})
        return Rows(table, self._place + spot, one_array(beside[REASON]), one_array(beside[BY]).to_numpy(), added)


class Stream:
    """Parquet files that grow piece by piece and become visible together at the end of the block.

    A file takes its schema from its first piece, and is not there at all if nothing was written to it.
    """

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._writers: dict[Path, tuple[pa.Schema, Any]] = {}

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *error: Any) -> bool | None:
        return self._stack.__exit__(*error)

    def group(self, path: Path, table: pa.Table) -> None:
        """Add the table as a row group of its own, empty or not; for files that are read group by group."""
        if path not in self._writers:
            temporary = self._stack.enter_context(files.atomic(path))
            sink = self._stack.enter_context(local_file(temporary, "wb"))
            writer = self._stack.enter_context(pq.ParquetWriter(sink, table.schema, compression="zstd"))
            self._writers[path] = (table.schema, writer)
        self._writer(path, table.schema).write_table(table, row_group_size=max(1, table.num_rows))

    def rows(self, path: Path, table: pa.Table) -> None:
        """Add rows to a shard of a pool; see `PoolWriter`."""
        if path not in self._writers:
            self._writers[path] = (table.schema, self._stack.enter_context(PoolWriter(path, table.schema)))
        self._writer(path, table.schema).write(table)

    def _writer(self, path: Path, schema: pa.Schema) -> Any:
        first, writer = self._writers[path]
        if schema != first:
            raise StageFailedError(_changed(first, schema))
        return writer


def _changed(before: pa.Schema, after: pa.Schema) -> str:
    names = [item.name for item in before if after.get_field_index(item.name) < 0 or after.field(item.name) != item]
    name = names[0] if names else next(iter(set(after.names) - set(before.names)), after.names[0])
    return (
        f"the column '{name}' changed its type between two pieces of a shard; a step must return the same "
        "types every time, also for pieces without any value."
    )
