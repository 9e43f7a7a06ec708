from __future__ import annotations

import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sensorium.core.errors import InputError
from sensorium.data.chance import hash_ids
from sensorium.data.rows import FOLDER, MARK, SPOOL, Rows
from sensorium.data.sources import Files, open_pool


def write(folder, sizes, first=0):
    """Parquet shards of the given sizes with ids r0, r1, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    row = first
    for number, size in enumerate(sizes):
        table = pa.table(
            {
                "id": pa.array([f"r{row + offset}" for offset in range(size)], pa.string()),
                "text": pa.array([f"text {row + offset}" for offset in range(size)], pa.string()),
                "keep": pa.array([(row + offset) / 100 for offset in range(size)], pa.float64()),
            }
        )
        pq.write_table(table, folder / f"s{number}.parquet")
        row += size
    return open_pool(Files(str(folder)))


@pytest.mark.parametrize("memory_bytes", [1 << 30, 100])
def test_taken_rows_are_the_stored_ones(tmp_path, memory_bytes):
    shards = write(tmp_path / "pool", [5, 0, 12, 1])
    rows = Rows(shards, ["text", "keep"], memory_bytes=memory_bytes, scratch=tmp_path / "scratch")
    assert rows.mapped == (memory_bytes == 100)
    assert len(rows) == 18
    table = rows.take(np.array([17, 0, 5, 0, 16]))
    assert table["text"].to_pylist() == [f"text {row}" for row in (17, 0, 5, 0, 16)]
    assert table["id"].to_pylist() == ["r17", "r0", "r5", "r0", "r16"]
    assert set(table[FOLDER].to_pylist()) == {str(tmp_path / "pool")}
    assert len(rows.take(np.array([], int))) == 0
    np.testing.assert_array_equal(rows.hashes(), hash_ids([f"r{row}" for row in range(18)]))
    np.testing.assert_allclose(rows.numbers("keep"), np.arange(18) / 100)
    assert rows.names(np.array([3, 1])) == ["r3", "r1"]
    assert rows.parts() == {"": range(18)}


def test_a_row_that_is_not_there(tmp_path):
    rows = Rows(write(tmp_path / "pool", [3]), ["text"])
    for row in (-1, 3):
        with pytest.raises(IndexError):
            rows.take(np.array([row]))


@pytest.mark.parametrize("memory_bytes", [1 << 30, 100])
def test_named_parts(tmp_path, memory_bytes):
    parts = {"new": write(tmp_path / "new", [4, 3]), "seen": write(tmp_path / "seen", [0, 2], first=50)}
    rows = Rows(parts, ["text"], memory_bytes=memory_bytes, scratch=tmp_path / "scratch")
    assert rows.parts() == {"new": range(7), "seen": range(7, 9)}
    table = rows.take(np.array([8, 0]))
    assert table["text"].to_pylist() == ["text 51", "text 0"]
    assert table[FOLDER].to_pylist() == [str(tmp_path / "seen"), str(tmp_path / "new")]


def test_the_mapped_file_is_used_again(tmp_path):
    shards = write(tmp_path / "pool", [9])
    first = Rows(shards, ["text"], memory_bytes=1, scratch=tmp_path / "scratch")
    stamp = (tmp_path / "scratch" / SPOOL).stat().st_mtime_ns
    again = Rows(shards, ["text"], memory_bytes=1, scratch=tmp_path / "scratch")
    assert (tmp_path / "scratch" / SPOOL).stat().st_mtime_ns == stamp
    assert again.take(np.arange(9)).equals(first.take(np.arange(9)))
    (tmp_path / "scratch" / MARK).unlink()
    assert len(Rows(shards, ["text"], memory_bytes=1, scratch=tmp_path / "scratch")) == 9


def test_a_killed_writer_leaves_no_file(tmp_path, monkeypatch):
    shards = write(tmp_path / "pool", [9])
    monkeypatch.setattr(pa.ipc.RecordBatchFileWriter, "write_batch", _fail, raising=False)
    with pytest.raises(KeyboardInterrupt):
        Rows(shards, ["text"], memory_bytes=1, scratch=tmp_path / "scratch")
    assert not (tmp_path / "scratch" / SPOOL).exists()
    assert not (tmp_path / "scratch" / MARK).exists()


def _fail(*_):
    raise KeyboardInterrupt


def test_an_empty_pool_has_no_rows(tmp_path):
    rows = Rows(write(tmp_path / "pool", [0, 0]), ["text", "keep"])
    assert len(rows) == 0
    assert len(rows.hashes()) == 0
    assert len(Rows([], ["text"])) == 0
    assert Rows([], ["text"]).take(np.array([], int)).column_names == ["id", "text", FOLDER]


@pytest.mark.parametrize("memory_bytes", [1 << 30, 1])
def test_rows_that_reading_rejects_are_listed(tmp_path, memory_bytes):
    (tmp_path / "pool").mkdir()
    table = pa.table({"id": ["a", "b", "c"], "text": pa.array([b"good", b"\xff\xfe", b"fine"], pa.binary())})
    pq.write_table(table, tmp_path / "pool" / "s.parquet")
    shards = open_pool(Files(str(tmp_path / "pool")))
    for _ in range(2):  # the second time from the file
        rows = Rows(shards, ["text"], memory_bytes=memory_bytes, scratch=tmp_path / "scratch")
        assert rows.take(np.arange(2))["id"].to_pylist() == ["a", "c"]
        assert rows.rejected["id"].to_pylist() == ["b"]


def test_a_column_that_is_missing_or_no_number(tmp_path):
    shards = write(tmp_path / "pool", [3])
    with pytest.raises(InputError, match="no column 'txet'"):
        Rows(shards, ["txet"])
    with pytest.raises(InputError, match="numbers are needed"):
        Rows(shards, ["text"]).numbers("text")


def test_shards_that_disagree_are_named():
    class Shard:
        def __init__(self, name, table):
            self.name, self.folder, self._table = name, "", table

        def pieces(self, columns):
            class Piece:
                table, rejected = self._table, pa.table({})

            yield Piece

    good, bad = pa.table({"id": ["a"], "text": ["x"]}), pa.table({"id": ["b"], "other": ["x"]})
    with pytest.raises(InputError, match="second has other columns"):
        Rows([Shard("first", good), Shard("second", bad)], ["text"])


def test_the_mapped_file_lies_anywhere(tmp_path):
    scratch = tmp_path / os.fsdecode(b"caf\xe9")
    for _ in range(2):
        rows = Rows(write(tmp_path / "pool", [5]), ["text"], memory_bytes=10, scratch=scratch)
        assert rows.mapped
        assert rows.take(np.array([4]))["id"].to_pylist() == ["r4"]
