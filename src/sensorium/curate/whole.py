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

STEP = 256  # rows whose files are in memory at once


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
    for part in rows.slices(STEP):
        faults: dict[int, str] = {}
        for name in apart:
            kind = part.table[name].type
            kept = pc.if_else(pa.array(part.alive), part.table[name].combine_chunks(), pa.scalar(None, kind))
            column, found = embed(kept, folder=shard.folder)
            faults |= found
            place = part.table.column_names.index(name)
            part.table = part.table.set_column(place, name, column.cast(kind) if pa.types.is_struct(kind) else column)
        refused = [(part.table["id"][row].as_py(), reason) for row, reason in sorted(faults.items())]
        usable = np.ones(len(part.by), bool)
        usable[list(faults)] = False
        yield part.only(pa.array(usable)), rejected.table(shard.name, refused)


def _holds_paths(column: pa.ChunkedArray) -> bool:
    if not needs_embedding(column.type):
        return False
    if pa.types.is_string(column.type) or column.type.get_field_index("bytes") < 0:
        return True
    array = column.combine_chunks()
    lacks = pc.and_(pc.is_null(pc.struct_field(array, "bytes")), pc.is_valid(pc.struct_field(array, "path")))
    return bool(pc.any(lacks).as_py())
