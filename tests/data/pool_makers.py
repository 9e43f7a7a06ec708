"""Small inputs that the tests of this room make for themselves."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from sensorium.data.sources import Files, Shard, open_pool


def parquet(path: Path, rows: Sequence[Mapping[str, Any]] | pa.Table, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(list(rows)), path, **options)
    return path


def jsonl(path: Path, rows: Iterable[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def tar(path: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as out:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    return path


def image(seed: int = 0, size: tuple[int, int] = (8, 8), form: str = "PNG", mode: str = "RGB") -> bytes:
    channels = {"RGB": 3, "RGBA": 4, "CMYK": 4, "L": 1}[mode]
    noise = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], channels), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise[..., 0] if channels == 1 else noise, mode).save(out, form)
    return out.getvalue()


def read(pool: Files | str | Path | Sequence[Shard], columns: Sequence[str] | None = None, rows: int = 65536):
    """All rows by id and all rejected rows as (id, reason), through the front door."""
    shards = pool if isinstance(pool, list) else open_pool(pool if isinstance(pool, Files) else Files(str(pool)))
    found: dict[str, dict[str, Any]] = {}
    rejected: list[tuple[str, str]] = []
    for shard in shards:
        for piece in shard.pieces(columns, rows):
            assert piece.table.schema == shard.schema(columns)
            assert piece.table.column_names[0] == "id"
            assert piece.table["id"].null_count == 0
            for row in piece.table.to_pylist():
                assert row["id"] not in found, "ids are unique"
                found[row["id"]] = row
            rejected += [(row["id"], row["reason"]) for row in piece.rejected.to_pylist()]
            assert set(piece.rejected["shard"].to_pylist()) <= {shard.name}
    return found, rejected
