"""Rows that stand by themselves: media that lie in files of their own are taken in before rows move elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sensorium.curate.side import Rows
from sensorium.data import rejected
from sensorium.data.blobs import embed, needs_embedding
from sensorium.data.schema import MEDIA
from sensorium.data.shards import Shard

STEP = 256  # rows whose files are in memory at once,
STEP_BYTES = 64 << 20  # and about so many bytes of them, unless a single file has more


def whole(rows: Rows, shard: Shard) -> Iterator[tuple[Rows, pa.Table]]:
    """The rows with the bytes of their media inside, and a rejected table of those whose file cannot be read.

    A path in a table is relative to the table's folder; a curated pool lies in another one, and is to be used when
    the files it came from are gone. Rows that were dropped lose their media, which nobody reads any more.
    """
    table = rows.table
    apart = [name for name in MEDIA if name in table.column_names and _holds_paths(table[name])]
    if not apart:
        yield rows, rejected.table(shard.name, [])
        return
    first, done = 0, False
    while not done:
        part = rows.slice(first, STEP)
        found = {name: embed(_of_kept(part, name), folder=shard.folder, max_bytes=STEP_BYTES) for name in apart}
        part = part.slice(0, min(len(column) for column, _ in found.values()))
        first, done = first + len(part.by), first + len(part.by) >= len(rows.by)
        faults: dict[int, str] = {}
        for name, (column, reasons) in found.items():
            faults |= {row: reason for row, reason in reasons.items() if row < len(part.by)}
            part.table = part.table.set_column(
                part.table.column_names.index(name), name, _as_before(column, table[name].type)[: len(part.by)]
            )
        refused = [(part.table["id"][row].as_py(), reason) for row, reason in sorted(faults.items())]
        usable = np.ones(len(part.by), bool)
        usable[list(faults)] = False
        yield part.only(pa.array(usable)), rejected.table(shard.name, refused)


def _of_kept(part: Rows, name: str) -> pa.Array:
    column = part.table[name].combine_chunks()
    return pc.if_else(pa.array(part.alive), column, pa.scalar(None, column.type))


def _as_before(column: pa.Array, kind: pa.DataType) -> pa.Array:
    return column.cast(kind) if pa.types.is_struct(kind) else column


def _holds_paths(column: pa.ChunkedArray) -> bool:
    if not needs_embedding(column.type):
        return False
    if pa.types.is_string(column.type) or column.type.get_field_index("bytes") < 0:
        return True
    array = column.combine_chunks()
    lacks = pc.and_(pc.is_null(pc.struct_field(array, "bytes")), pc.is_valid(pc.struct_field(array, "path")))
    return bool(pc.any(lacks).as_py())
