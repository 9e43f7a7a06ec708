"""The rejected table: a row that cannot be used is named with its reason and counted, never lost."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from sensorium.data.table_file import read_table

SCHEMA = pa.schema([("id", pa.string()), ("shard", pa.string()), ("reason", pa.string())])
"""id (of the row, or the place it stands in when it has none), shard, reason."""


def table(shard: str, rows: Iterable[tuple[str, str]]) -> pa.Table:
    """A rejected table from (id, reason) pairs of one shard."""
    pairs = [(_clean(name), _clean(reason)) for name, reason in rows]
    return pa.table(
        [
            pa.array([name for name, _ in pairs], pa.string()),
            pa.array([_clean(shard)] * len(pairs), pa.string()),
            pa.array([reason for _, reason in pairs], pa.string()),
        ],
        schema=SCHEMA,
    )


def count_reasons(folder: Path) -> dict[str, int]:
    """How often each reason (up to its colon) occurs in a folder's Parquet files, most frequent first."""
    found: dict[str, int] = {}
    for path in sorted(Path(folder).glob("*.parquet")):
        reasons = read_table(path, ["reason"])["reason"]
        counts = pc.value_counts(pc.replace_substring_regex(reasons, r"(?s):.*", ""))
        for reason, count in zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True):
            found[reason] = found.get(reason, 0) + count
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


def _clean(text: str) -> str:
    """Text that UTF-8 can hold: lone surrogates and undecodable bytes are shown as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
