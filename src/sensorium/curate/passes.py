"""Passes over the shards: what one worker does with one shard. `curate` decides which passes there are.

A pass reads and writes piece by piece, so memory follows the piece; only what a Gather found is held for one
shard (its added columns) or one table (its declared columns). Every file appears whole, under its name, when
it is done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sensorium.core import files
from sensorium.curate.side import Rows, Stream, first_rows, later_rows
from sensorium.curate.states import add_up, read_state, write_state
from sensorium.curate.steps import DROPPED, Fold, Gather, as_text, checked
from sensorium.curate.vocabulary import one_array
from sensorium.curate.whole import whole
from sensorium.data.chance import hash_ids
from sensorium.data.shards import Shard
from sensorium.data.table_file import open_table

GATHER_ROWS = 1 << 18
"""Rows in one table of a Gather, on average. The number of tables follows from the number of rows alone."""

_PLACE, _SHARD = "__place__", "__shard__"
Handle = Callable[[Rows], None]


@dataclass(frozen=True)
class Item:
    """One shard as it is sent to a worker."""

    number: int
    shard: Shard

    @property
    def file(self) -> str:
        """The name of the files that belong to the shard, without suffix."""
        return files.safe_name(self.shard.name)


@dataclass(frozen=True)
class Apply:
    """A Step, or a Fold whose measuring is over, as it is applied to rows."""

    number: int
    step: Any
    state: Path | None = None

    def start(self, item: Item) -> Handle:
        """The function for the pieces of a shard."""
        state = read_state(self.state) if self.state else None

        def handle(rows: Rows) -> None:
            given = rows.given(self.step.columns)
            returned = self.step(given) if state is None else self.step.apply(state, given)
            rows.take_back(self.step, self.number, checked(self.step, given, returned))

        return handle


@dataclass(frozen=True)
class Join:
    """What a Gather found, brought back to the shard its rows came from."""

    number: int
    step: Any
    folder: Path
    num_tables: int

    def start(self, item: Item) -> Handle:
        """Read the shard's part of every gathered table; it holds the rows that were kept then, by place."""
        parts = [read_group(self.folder / f"{table:05d}.parquet", item.number) for table in range(self.num_tables)]
        table = pa.concat_tables(parts).sort_by(_PLACE)
        places = table[_PLACE].to_numpy()

        def handle(rows: Rows) -> None:
            alive = rows.place[rows.alive]
            spot = np.searchsorted(places, alive)
            assert np.array_equal(places[spot.clip(max=len(places) - 1)], alive), "a gathered table lacks rows"
            rows.take_back(self.step, self.number, table.take(pa.array(spot)))

        return handle


Op = Apply | Join


def read_group(path: Path, group: int) -> pa.Table:
    """One row group of a Parquet file."""
    with open_table(path) as file:
        return file.read_row_group(group, use_threads=False)


@dataclass
class Seen:
    """What a worker reports of a shard; JSON values.

    Args:
        rows, alive, refused: rows read, those kept so far, and those that the pool rejected.
        why: of the first row that was rejected, its id and the reason.
        seconds: per number of a step.
        left: per number of a step, the rows kept behind it.
        first: per number of a step, the first row it was given, cut for a sentence.
    """

    rows: int = 0
    alive: int = 0
    refused: int = 0
    why: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    first: dict[str, dict[str, str | None]] = field(default_factory=dict)

    def refuse(self, rejected: pa.Table | None) -> None:
        """Count what was rejected."""
        if rejected is not None and rejected.num_rows:
            self.refused += rejected.num_rows
            self.why = self.why or f"'{rejected['id'][0].as_py()[:80]}': {rejected['reason'][0].as_py()[:200]}"

    def took(self, number: int, started: float) -> None:
        """Add up a step's time since `started`."""
        self.seconds[str(number)] = self.seconds.get(str(number), 0.0) + time.perf_counter() - started

    def look(self, op: Op, rows: Rows) -> None:
        """Remember the first row a step is given."""
        if str(op.number) not in self.first and rows.alive.any():
            row = int(np.argmax(rows.alive))
            known = [name for name in op.step.columns if name in rows.table.column_names]
            self.first[str(op.number)] = {name: _shown(rows.table[name][row]) for name in known}


def _shown(value: pa.Scalar) -> str | None:
    if not value.is_valid:
        return None
    bulky = pa.types.is_nested(value.type) or pa.types.is_binary(value.type)
    return f"<{value.type}>" if bulky else str(value.as_py())[:200]


@dataclass(frozen=True)
class Pass:
    """What passes over the shards have in common.

    Args:
        ops: steps to apply, in order.
        columns: columns of the pool to read; None is all, an empty tuple leaves the pool alone.
        side: folder with the side files of an earlier pass; None for the first.
        out: folder for what this pass writes.
    """

    ops: tuple[Op, ...]
    columns: tuple[str, ...] | None
    side: Path | None
    out: Path

    def rows(self, item: Item, seen: Seen) -> Iterator[tuple[Rows, pa.Table | None]]:
        """The rows of a shard after the pass's steps, and what was rejected with them."""
        if self.side is None:
            found: Iterator[tuple[Rows, pa.Table | None]] = first_rows(item.shard, self.columns)
        else:
            found = later_rows(item.shard, self.side / f"{item.file}.parquet", self.columns)
        handles = [op.start(item) for op in self.ops]
        for rows, rejected in found:
            for op, handle in zip(self.ops, handles, strict=True):
                seen.look(op, rows)
                started = time.perf_counter()
                handle(rows)
                seen.took(op.number, started)
                seen.left[str(op.number)] = seen.left.get(str(op.number), 0) + int(rows.alive.sum())
            seen.rows += rows.table.num_rows
            seen.alive += int(rows.alive.sum())
            seen.refuse(rejected)
            yield rows, rejected

    def build(self) -> Callable[[Item], dict[str, Any]]:
        """The worker."""
        return self.handle

    def handle(self, item: Item) -> dict[str, Any]:
        """One shard."""
        raise NotImplementedError


@dataclass(frozen=True)
class Measure(Pass):
    """Apply steps, write the side file, measure a Fold.

    Args:
        fold: the fold, or None to count rows only.
        number: the step it belongs to.
        writes_side: whether the side file changes.
    """

    fold: Fold | None = None
    number: int = -1
    writes_side: bool = True

    def handle(self, item: Item) -> dict[str, Any]:
        """One shard: `side/<shard>.parquet`, `states/<shard>.npz`."""
        seen = Seen()
        states = []
        with Stream() as stream:
            for rows, _ in self.rows(item, seen):
                if self.fold is not None:
                    started = time.perf_counter()
                    states.append(self.fold.measure(rows.given(self.fold.columns)))
                    seen.took(self.number, started)
                if self.writes_side:
                    stream.group(self.out / "side" / f"{item.file}.parquet", rows.side())
        if self.fold is not None:
            write_state(self.out / "states" / f"{item.file}.npz", self.fold.merge(states))
        return vars(seen)


@dataclass(frozen=True)
class Scatter(Pass):
    """Sort a shard's kept rows into the tables of a Gather: one file per shard, one row group per table."""

    gather: Gather | None = None
    num_tables: int = 1

    def handle(self, item: Item) -> dict[str, Any]:
        """One shard: `scattered/<shard>.parquet`."""
        assert self.gather is not None, "a scatter pass has a gather"
        seen, tables, number = Seen(), [], []
        for rows, _ in self.rows(item, seen):
            table = rows.given(self.gather.columns)
            number.append(table_of(table, self.gather.key, self.num_tables))
            table = table.append_column(_PLACE, pa.array(rows.place[rows.alive]))
            tables.append(table.append_column(_SHARD, pa.array(np.full(table.num_rows, item.number, np.int64))))
        whole, numbers = pa.concat_tables(tables), np.concatenate(number)
        with Stream() as stream:
            for one in range(self.num_tables):
                stream.group(self.out / "scattered" / f"{item.file}.parquet", whole.filter(pa.array(numbers == one)))
        return vars(seen)


def table_of(rows: pa.Table, key: str, num_tables: int) -> np.ndarray:
    """Which table each row goes to, (N,) int64: by the hash of its key, or of its id without one."""
    ids = one_array(rows["id"])
    keys = as_text(rows[key], key) if key != "id" else ids
    hashes = hash_ids(pc.coalesce(keys, ids))
    return (hashes % np.uint64(num_tables)).astype(np.int64)


@dataclass(frozen=True)
class GatherTables:
    """Run a Gather on one table: rows of all shards in stored order."""

    gather: Gather
    files: tuple[Path, ...]
    out: Path

    def build(self) -> Callable[[int], dict[str, Any]]:
        """The worker."""
        return self.handle

    def handle(self, number: int) -> dict[str, Any]:
        """One table: `gathered/<number>.parquet`, one row group per shard."""
        table = pa.concat_tables([read_group(path, number) for path in self.files])
        given = table.drop_columns([_PLACE, _SHARD])
        started = time.perf_counter()
        returned = checked(self.gather, given, self.gather.gather(given))
        seconds = time.perf_counter() - started
        kept = [name for name in (DROPPED, *self.gather.adds) if name in returned.column_names]
        result = returned.select(kept).append_column(_PLACE, table[_PLACE])
        shard = table[_SHARD].to_numpy()
        with Stream() as stream:
            for one in range(len(self.files)):
                stream.group(self.out / "gathered" / f"{number:05d}.parquet", result.filter(pa.array(shard == one)))
        return {"rows": table.num_rows, "seconds": seconds}


@dataclass(frozen=True)
class Write(Pass):
    """The last pass: whole rows go to `rows/`, `dropped/`, `rejected/`.

    Args:
        tallies: numbers and steps that count once more over all rows.
        work: folder for the tallies.
    """

    tallies: tuple[tuple[int, Any], ...] = ()
    work: Path = Path()

    def handle(self, item: Item) -> dict[str, Any]:
        """One shard."""
        seen, report = Seen(), _Report()
        sums: dict[int, list[Any]] = {number: [] for number, _ in self.tallies}
        with Stream() as stream:
            for rows, rejected in self._whole(item, seen):
                report.add(rows, rejected)
                kept = rows.table.filter(pa.array(rows.alive))
                stream.rows(self.out / "rows" / f"{item.file}.parquet", kept)
                if not rows.alive.all():
                    stream.rows(self.out / "dropped" / f"{item.file}.parquet", small(rows))
                if rejected is not None and rejected.num_rows:
                    stream.rows(self.out / "rejected" / f"{item.file}.parquet", rejected)
                for number, step in self.tallies:
                    sums[number].append(step.tally(rows.with_reason()))
        for number, states in sums.items():
            write_state(self.work / f"tally-{number}" / f"{item.file}.npz", add_up(states))
        return {**vars(seen), **vars(report), "columns": {item.name: str(item.type) for item in kept.schema}}

    def _whole(self, item: Item, seen: Seen) -> Iterator[tuple[Rows, pa.Table | None]]:
        """The rows with their media inside; those whose file cannot be read count as refused by the pool."""
        for rows, rejected in self.rows(item, seen):
            for part, unreadable in whole(rows, item.shard):
                seen.rows -= unreadable.num_rows
                seen.alive -= unreadable.num_rows
                seen.refuse(unreadable)
                yield part, rejected if unreadable.num_rows == 0 else _together(rejected, unreadable)
                rejected = None  # once, not with every part


def _together(first: pa.Table | None, second: pa.Table) -> pa.Table:
    return second if first is None else pa.concat_tables([first, second])


@dataclass
class _Report:
    """Counts of a shard for the page; JSON values."""

    rejected: dict[str, int] = field(default_factory=dict)
    dropped: list[list[Any]] = field(default_factory=list)
    lang_in: dict[str, int] = field(default_factory=dict)
    lang_out: dict[str, int] = field(default_factory=dict)

    def add(self, rows: Rows, rejected: pa.Table | None) -> None:
        """Count a piece."""
        if rejected is not None:
            _count(self.rejected, cut_reason(rejected["reason"]))
        for number in np.unique(rows.by[rows.by >= 0]).tolist():
            found: dict[str, int] = {}
            _count(found, cut_reason(rows.reason.filter(pa.array(rows.by == number))))
            self.dropped += [[number, reason, count] for reason, count in sorted(found.items())]
        if "lang" in rows.table.column_names and pa.types.is_string(rows.table["lang"].type):
            _count(self.lang_in, rows.table["lang"])
            _count(self.lang_out, rows.table["lang"].filter(pa.array(rows.alive)))


def cut_reason(reasons: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Reasons for counting: what follows a colon is the single case."""
    return pc.replace_substring_regex(reasons, r"(?s):.*", "")


def _count(counts: dict[str, int], values: pa.Array | pa.ChunkedArray) -> None:
    found = pc.value_counts(values)
    for value, count in zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True):
        name = "unknown" if value is None else value
        counts[name] = counts.get(name, 0) + count


def small(rows: Rows) -> pa.Table:
    """The dropped rows with reason and small columns: no media, texts cut to 200 characters."""
    gone = rows.with_reason().filter(pa.array(~rows.alive))
    columns = {"id": gone["id"], DROPPED: gone[DROPPED]}
    for item in gone.schema:
        kind = item.type
        if item.name in columns:
            continue
        if pa.types.is_string(kind):
            columns[item.name] = pc.utf8_slice_codeunits(gone[item.name], 0, 200)
        elif pa.types.is_primitive(kind) or item.name in rows.added:
            columns[item.name] = gone[item.name]
    return pa.table(columns)


def merge_files(fold: Fold, paths: Sequence[Path], group: int = 16) -> Any:
    """Merge states from files, a few at a time, so that memory does not follow the number of shards."""
    merged: list[Any] = []
    for path in paths:
        merged.append(read_state(path))
        if len(merged) >= group:
            merged = [fold.merge(merged)]
    return fold.merge(merged)
