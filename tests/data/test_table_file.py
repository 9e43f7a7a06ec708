import os

import pyarrow as pa
import pytest
from tests.data.pool_makers import read

from sensorium.data.sources import Files, write_shard
from sensorium.data.table_file import open_table, read_table, write_table

TABLE = pa.table({"id": ["1", "2"], "text": ["a dog", "a cat"]})
NAMES = ["a:b", "s3:x", "file:x", "~", "[x] #1 (50%)", os.fsdecode(b"caf\xe9")]


@pytest.mark.parametrize("name", NAMES)
def test_a_path_is_taken_letter_by_letter(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path.joinpath(name).relative_to(tmp_path)
    write_table(folder / "t.parquet", TABLE)
    assert read_table(folder / "t.parquet") == TABLE
    assert read_table(folder / "t.parquet", ["text"]) == TABLE.select(["text"])
    with open_table(folder / "t.parquet") as file:
        assert file.metadata.num_rows == 2
    assert [path.name for path in folder.iterdir()] == ["t.parquet"]


@pytest.mark.parametrize("name", NAMES)
def test_pools_lie_anywhere(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_shard(tmp_path / name / "0.parquet", [TABLE])
    with pa.OSFile(os.fsencode(tmp_path / name / "0.arrow"), "wb") as out, pa.ipc.new_stream(out, TABLE.schema) as to:
        to.write_table(TABLE)
    for file in ("0.parquet", "0.arrow"):
        found, rejected = read(Files(f"./{name}/{file}"))
        assert (sorted(found), rejected) == (["1", "2"], [])
