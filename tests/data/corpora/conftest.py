"""Running a corpus on files that the tests make."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from PIL import Image

from sensorium.core import files
from sensorium.core.execute import Plan, execute
from sensorium.core.store import Store
from sensorium.data import catalog
from sensorium.engine.local import LocalRunner
from sensorium.engine.machine import this_machine
from sensorium.engine.progress import QuietProgress


class Made:
    """What a corpus left: `table`, `rows` (mappings), `pool` and `classes` (JSON)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.table = pq.read_table(folder / "rows" / "part-00000.parquet")
        self.rows = self.table.to_pylist()
        self.pool = files.read_json(folder / "pool.json")
        place = folder / "classes.json"
        self.classes = files.read_json(place)["classes"] if place.exists() else None
        assert len(set(self.table["id"].to_pylist())) == self.table.num_rows == self.pool["rows_out"]
        assert self.table.column_names[0] == "id"


@pytest.fixture
def run(tmp_path):
    """Run a stage in a store of its own."""

    def go(stage) -> Made:
        plan = Plan((stage,), Store(tmp_path / "runs"), this_machine())
        execute(plan, runner=LocalRunner(1), progress=QuietProgress())
        return Made(plan.folder(stage))

    return go


@pytest.fixture
def excerpt(tmp_path, monkeypatch):
    """A folder that the catalogue gives for every set."""
    folder = tmp_path / "excerpt"
    folder.mkdir()
    monkeypatch.setattr(catalog, "folder", lambda name: folder)
    return folder


@pytest.fixture
def absent(monkeypatch):
    """No set is on this machine."""
    monkeypatch.delenv(catalog.VARIABLE, raising=False)


def png(shade: int, size: int = 4) -> bytes:
    """A small grey picture."""
    out = io.BytesIO()
    Image.fromarray(np.full((size, size, 3), shade, np.uint8)).save(out, "PNG")
    return out.getvalue()


def parquet(path: Path, **columns) -> None:
    """Write a prepared file; `image` may be a list of bytes."""
    if "image" in columns and isinstance(columns["image"][0], bytes):
        columns["image"] = [{"bytes": value, "path": "x.png"} for value in columns["image"]]
    pq.write_table(pa.table(columns), path)


def json_lines(path: Path, rows: list[dict]) -> None:
    """Write a prepared file of JSON lines."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_bytes(zstandard.compress(text.encode("utf-8")))


def put(path: Path, content: str | bytes) -> Path:
    """Write a file and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return path
