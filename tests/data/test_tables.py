import itertools
import json
import subprocess
import sys
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.pool_makers import image, read

from sensorium.core.errors import InputError, SettingError, StorageError
from sensorium.data.sources import Files
from sensorium.data.tables import PoolWriter, row_bytes, suffix_of, write_jsonl, write_shard, write_tar


def table(count, start=0):
    rows = range(start, start + count)
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pictures = pa.array([{"bytes": bytes([n % 256]) * (n * 37 % 900), "path": None} for n in rows], kind)
    return pa.table(
        {
            "id": [f"{n:05d}" for n in rows],
            "text": [f"t{n % 7}" if n % 5 else None for n in rows],
            "image": pictures,
            "n": list(rows),
        }
    )


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(0, 300), max_size=6), st.integers(1, 120), st.integers(200, 40_000))
def test_bytes_depend_on_the_rows_alone(tmp_path_factory, cuts, rows, max_bytes):
    folder = tmp_path_factory.mktemp("write")
    whole = table(300)
    bounds = sorted({0, 300, *cuts})
    pieces = [whole.slice(start, stop - start) for start, stop in itertools.pairwise(bounds)]
    assert write_shard(folder / "one.parquet", [whole], rows=rows, max_bytes=max_bytes) == 300
    write_shard(folder / "cut.parquet", pieces, rows=rows, max_bytes=max_bytes)
    assert (folder / "one.parquet").read_bytes() == (folder / "cut.parquet").read_bytes()
    assert pq.read_table(folder / "one.parquet").equals(whole)
    metadata = pq.ParquetFile(folder / "one.parquet").metadata
    sizes = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
    assert max(sizes) <= rows
    starts = np.cumsum([0, *sizes])
    widths = row_bytes(whole)
    for start, stop in itertools.pairwise(starts):
        assert stop - start == 1 or widths[start:stop].sum() <= max_bytes


def test_row_bytes_by_hand():
    found = pa.table({"a": ["xy", None], "b": [1, 2], "c": [["x", "yz"], None], "d": [{"e": b"123"}, None]})
    assert row_bytes(found).tolist() == [4 + 2 + 8 + (4 + 5 + 6) + 4 + 3, 4 + 8 + 4 + 4]
    assert row_bytes(found.slice(1)).tolist() == [20]


def test_a_shard_without_rows_has_the_schema(tmp_path):
    schema = pa.schema([("id", pa.string()), ("text", pa.string())])
    assert write_shard(tmp_path / "a.parquet", [], schema) == 0
    assert pq.read_schema(tmp_path / "a.parquet").equals(schema)


def test_columns_are_written_by_name(tmp_path):
    schema = pa.schema([("id", pa.string()), ("n", pa.int64())])
    write_shard(tmp_path / "a.parquet", [pa.table({"n": pa.array([1], pa.int8()), "x": [0], "id": ["a"]})], schema)
    assert pq.read_table(tmp_path / "a.parquet").to_pylist() == [{"id": "a", "n": 1}]


def test_an_error_leaves_nothing_and_the_old_file(tmp_path):
    path = tmp_path / "a.parquet"
    write_shard(path, [table(3)])
    before = path.read_bytes()
    writer = PoolWriter(path)
    writer.__enter__()
    writer.write(table(5))
    assert len(list(tmp_path.iterdir())) == 1, "nothing is written before a row group is full"
    assert not writer.__exit__(RuntimeError, RuntimeError("stop"), None)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.parquet"]


_FULL = """
import resource, sys
from pathlib import Path
import numpy as np, pyarrow as pa
from sensorium.core.errors import StorageError
from sensorium.data import tables
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
noise = np.random.default_rng(0).bytes(4000 * 800)
texts = [noise[4000 * n : 4000 * n + 4000].hex() for n in range(800)]
rows = pa.table({"id": [str(n) for n in range(800)], "text": texts})
try:
    getattr(tables, sys.argv[2])(Path(sys.argv[1]), [rows.slice(n, 100) for n in range(0, 800, 100)])
except StorageError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("how", "name"), [("write_shard", "a.parquet"), ("write_jsonl", "a.jsonl"), ("write_tar", "a.tar")]
)
def test_a_full_disk_is_one_sentence_and_no_file(tmp_path, how, name):
    path = tmp_path / "out" / name
    said = subprocess.run([sys.executable, "-c", _FULL, str(path), how], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert str(path) in said.stdout
    assert "file too large" in said.stdout
    assert list(path.parent.iterdir()) == []


def test_full_disk_is_a_user_error():
    assert issubclass(StorageError, ValueError)


def test_json_lines_read_back_equal_also_by_splitlines(tmp_path):
    texts = [f"left{mark}right" for mark in "\u2028\u2029\x85\x0b\x0c\r\n\x1c\x1e\0"] + ["猫 🍸", None]
    rows = pa.table(
        {
            "id": [str(n) for n in range(len(texts))],
            "text": texts,
            "tags": [[{"a": n}] for n in range(len(texts))],
        }
    )
    for name in ("a.jsonl", "a.jsonl.zst"):
        assert write_jsonl(tmp_path / name, [rows.slice(0, 3), rows.slice(3)]) == len(texts)
        found, rejected = read(tmp_path / name)
        assert not rejected
        assert list(found.values()) == rows.to_pylist()
    content = (tmp_path / "a.jsonl").read_bytes()
    lines = content.decode().splitlines()
    assert [json.loads(line)["text"] for line in lines] == texts
    assert "猫".encode() in content
    assert zstandard.ZstdDecompressor().decompressobj().decompress((tmp_path / "a.jsonl.zst").read_bytes()) == content


def test_what_json_cannot_say_is_refused(tmp_path):
    with pytest.raises(SettingError, match="'image' holds bytes"):
        write_jsonl(tmp_path / "a.jsonl", [table(1)])
    with pytest.raises(InputError, match="row 'a'"):
        write_jsonl(tmp_path / "a.jsonl", [pa.table({"id": ["a"], "x": [float("nan")]})])
    assert list(tmp_path.iterdir()) == []


def test_tars_read_back(tmp_path):
    names = ["000", "a/b", "v1.2 (x)", "ü"]
    rows = pa.table(
        {
            "id": names,
            "image": [image(0), image(1, form="JPEG"), None, image(2, form="WEBP")],
            "text": ["x", None, "z", "猫"],
            "n": [1, 2, 3, None],
        }
    )
    assert write_tar(tmp_path / "a.tar", [rows.slice(0, 1), rows.slice(1)]) == 4
    write_tar(tmp_path / "b.tar", [rows])
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    found, rejected = read(Files(tmp_path / "a.tar", columns={"id": "json.id"}))
    assert not rejected
    for row in rows.to_pylist():
        other = found[row["id"]]
        assert (other["text"], other["n"]) == (row["text"], row["n"])
        assert (other["image"] or {}).get("bytes") == row["image"]
    with tarfile.open(tmp_path / "a.tar") as tar:
        members = tar.getnames()
        assert {member.mtime for member in tar.getmembers()} == {0}
    assert members[:3] == ["000.png", "000.txt", "000.json"]
    assert all(name.rpartition("/")[2].count(".") == 1 for name in members)


def test_suffixes_by_content():
    forms = {
        "jpg": image(form="JPEG"),
        "png": image(),
        "webp": image(form="WEBP"),
        "gif": image(form="GIF"),
        "bmp": image(form="BMP"),
    }
    assert {suffix: suffix_of(content) for suffix, content in forms.items()} == {suffix: suffix for suffix in forms}
    assert suffix_of(b"RIFF\0\0\0\0WAVE") == "wav"
    assert suffix_of(b"\0\0\0\x18ftypmp42") == "mp4"
    assert suffix_of(b"") == "bin"


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_json_lines_are_compressed_by_their_name(tmp_path, suffix):
    table = pa.table({"id": ["1", "2"], "text": ["a\u2028b", "c"]})
    for name in ("one", "two"):
        write_jsonl(tmp_path / f"{name}.jsonl.{suffix}", [table])
    assert read(tmp_path / f"one.jsonl.{suffix}")[0] == {row["id"]: row for row in table.to_pylist()}
    assert (tmp_path / f"one.jsonl.{suffix}").read_bytes() == (tmp_path / f"two.jsonl.{suffix}").read_bytes()


def test_tars_are_written_plain(tmp_path):
    for name in ("a.tgz", "a.tar.gz", "a.tar.zst"):
        with pytest.raises(SettingError, match="tars are written plain"):
            write_tar(tmp_path / name, [pa.table({"id": ["1"]})])
    assert list(tmp_path.iterdir()) == []
