import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.data.pool_makers import parquet, read

from sensorium.core.errors import InputError
from sensorium.data import parquet as module
from sensorium.data.sources import Files, open_pool


def test_empty_shards_have_the_schema_of_the_others(tmp_path):
    schema = pa.schema([("id", pa.string()), ("text", pa.string()), ("score", pa.float32())])
    for number, count in enumerate((0, 3, 0, 2)):
        rows = {"id": [f"{number}-{n}" for n in range(count)], "text": ["x"] * count, "score": [0.5] * count}
        parquet(tmp_path / f"{number}.parquet", pa.table(rows, schema=schema))
    rows, _ = read(tmp_path)
    assert len(rows) == 5
    shards = open_pool(Files(tmp_path))
    assert [shard.num_rows for shard in shards] == [0, 3, 0, 2]
    assert [next(shard.pieces()).table.schema for shard in shards] == [schema] * 4


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "is empty"), (b"not parquet", "not a readable"), (b"PAR1xxxxPAR1", "not a readable")],
)
def test_a_broken_file_is_named(tmp_path, content, says):
    path = tmp_path / "broken [" / "x].parquet"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(InputError, match=says) as caught:
        Files(path).shards()
    assert "broken [/x].parquet" in str(caught.value)


def test_damage_inside_is_named_with_its_place(tmp_path):
    rows = [{"id": str(n), "text": f"{n * 7919 % 10007:09d}"} for n in range(4000)]
    path = parquet(tmp_path / "a.parquet", rows, row_group_size=1000, use_dictionary=False, compression="zstd")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 3000] = b"\xff" * 3000
    path.write_bytes(bytes(content))
    (shard,) = Files(path).shards()
    with pytest.raises(InputError, match=r"a\.parquet is damaged near row"):
        list(shard.pieces())


def test_columns_are_matched_by_name_and_types_meet(tmp_path):
    parquet(tmp_path / "a.parquet", pa.table({"id": [1], "n": pa.array([1], pa.int32()), "text": ["x"]}))
    parquet(tmp_path / "b.parquet", pa.table({"text": pa.array(["y"]).dictionary_encode(), "n": [2.5], "id": [2]}))
    parquet(tmp_path / "c.parquet", pa.table({"id": [3], "text": pa.array(["z"], pa.large_string())}))
    rows, _ = read(tmp_path)
    assert rows == {
        "1": {"id": "1", "n": 1.0, "text": "x"},
        "2": {"id": "2", "n": 2.5, "text": "y"},
        "3": {"id": "3", "n": None, "text": "z"},
    }
    assert Files(tmp_path).notes() == ["column 'n' is absent in c.parquet; its rows have null there"]
    parquet(tmp_path / "d.parquet", pa.table({"id": [4], "text": [7]}))
    with pytest.raises(InputError, match=r"'text'.*is string in a\.parquet but int64 in d\.parquet"):
        Files(tmp_path).shards()


def test_suffixes_in_any_case_and_none(tmp_path):
    for number, name in enumerate(("a.pq", "b.PARQUET", "c.Parq")):
        parquet(tmp_path / "pool" / name, [{"id": number, "text": "x"}])
    assert sorted(read(tmp_path / "pool")[0]) == ["0", "1", "2"]
    parquet(tmp_path / "part-00000", [{"id": 5}])
    assert list(read(tmp_path / "part-00000")[0]) == ["5"]


def test_big_files_are_cut_at_row_groups(tmp_path, monkeypatch):
    rows = [{"id": n, "text": "x" * 100} for n in range(1000)]
    path = parquet(tmp_path / "a.parquet", rows, row_group_size=50, use_dictionary=False, compression="none")
    whole = read(path)
    monkeypatch.setattr(module, "SPLIT_BYTES", 20_000)
    shards = open_pool(Files(path))
    assert len(shards) > 3
    assert [shard.name for shard in shards][:2] == ["a.g00000", "a.g00003"]
    assert sum(shard.num_rows for shard in shards) == 1000
    assert read(shards) == whole
    assert {name.split("/")[0] for name in read(Files(path, ids="shard"))[0]} == {"a"}


def test_invalid_text_is_rejected_by_row(tmp_path):
    def text(*values):
        return pa.array(list(values), pa.binary()).view(pa.string())

    table = pa.table(
        {
            "id": ["0", "1", "2", "3", "4"],
            "text": text(b"fine", b"r\xe9sum\xe9", None, b"ok", "猫".encode()),
            "tags": pa.ListArray.from_arrays([0, 1, 1, 1, 2, 2], text(b"a", b"\xff")),
        }
    )
    rows, rejected = read(parquet(tmp_path / "a.parquet", table))
    assert sorted(rows) == ["0", "2", "4"]
    assert dict(rejected) == {"1": "invalid UTF-8: in column 'text'", "3": "invalid UTF-8: in column 'tags'"}
    assert sorted(read(tmp_path / "a.parquet", ["text"])[0]) == ["0", "2", "3", "4"]


def test_text_stored_as_bytes_is_text(tmp_path):
    path = parquet(tmp_path / "a.parquet", pa.table({"id": ["0", "1"], "text": [b"fine", b"\xe9"]}))
    rows, rejected = read(path)
    assert rows == {"0": {"id": "0", "text": "fine"}}
    assert rejected == [("1", "invalid UTF-8: in column 'text'")]


@pytest.mark.parametrize(
    ("ids", "names"),
    [
        (pa.array([7, 8], pa.uint16()), ["7", "8"]),
        (pa.array([b"\x00\xff", b"ab"], pa.binary(2)), ["00ff", "6162"]),
        (pa.array([b"x", b"y"]), ["x", "y"]),
        (pa.array(["x", "y"]).dictionary_encode(), ["x", "y"]),
        (pa.array(["x", "y"], pa.large_string()), ["x", "y"]),
    ],
)
def test_ids_of_many_types(tmp_path, ids, names):
    assert list(read(parquet(tmp_path / "a.parquet", pa.table({"id": ids, "n": [1, 2]})))[0]) == names


def test_ids_that_cannot_be_ids(tmp_path):
    path = parquet(tmp_path / "a.parquet", pa.table({"id": [1.5]}))
    with pytest.raises(InputError, match=r"'id'.*double"):
        read(path)
    path = parquet(tmp_path / "a.parquet", pa.table({"id": ["a", None, "", "b"], "text": list("wxyz")}))
    rows, rejected = read(path)
    assert list(rows) == ["a", "b"]
    assert rejected == [("a:1", "no id"), ("a:2", "no id")]


def test_two_columns_of_one_name(tmp_path):
    path = parquet(tmp_path / "a.parquet", pa.table([["1"], ["x"], ["y"]], names=["id", "text", "text"]))
    with pytest.raises(InputError, match="two columns named 'text'"):
        Files(path).shards()


def test_wide_rows_make_short_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PIECE_BYTES", 100_000)
    rows = pa.table({"id": [str(n) for n in range(100)], "image": [bytes([n]) * 5000 for n in range(100)]})
    (shard,) = open_pool(Files(parquet(tmp_path / "a.parquet", rows, use_dictionary=False)))
    counts = [piece.table.num_rows for piece in shard.pieces()]
    assert sum(counts) == 100
    assert max(counts) <= 20
    assert [piece.table.num_rows for piece in shard.pieces(())] == [100]


_READ = """
import resource, sys
from sensorium.data.sources import Files
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = sum(piece.table.num_rows for shard in Files(sys.argv[1]).shards() for piece in shard.pieces())
print(rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_memory_does_not_follow_the_row_group(tmp_path):
    data = np.random.default_rng(0).integers(0, 255, (250_000, 1000), dtype=np.uint8)
    image = pa.FixedSizeBinaryArray.from_buffers(pa.binary(1000), len(data), [None, pa.py_buffer(data)])
    table = pa.table({"id": pa.array(np.arange(len(data))).cast(pa.string()), "image": image.cast(pa.binary())})
    path = tmp_path / "one.parquet"
    pq.write_table(table, path, row_group_size=len(data), compression="none", use_dictionary=False)
    said = subprocess.run([sys.executable, "-c", _READ, str(path)], capture_output=True, text=True, check=True)
    rows, grown = map(int, said.stdout.split())
    assert rows == 250_000
    assert grown < 200, "MiB for a row group of 250 MB"


DAMAGED = """
import io, sys
import pyarrow as pa, pyarrow.parquet as pq
from sensorium.core.errors import InputError
from sensorium.data import parquet
from sensorium.data.sources import Files

parquet.PIECE_BYTES = 1  # so that the sizes of column chunks are asked for
out = io.BytesIO()
pq.write_table(pa.table({"text": ["a", None]}), out, compression="none", store_schema=False)
whole = out.getvalue()
refused = 0
for place in range(len(whole) - 8 - int.from_bytes(whole[-8:-4], "little"), len(whole) - 8):
    for change in (1, 0x10):
        with open(sys.argv[1], "wb") as file:
            file.write(whole[:place] + bytes([whole[place] ^ change]) + whole[place + 1 :])
        try:
            for shard in Files(sys.argv[1], ids="content").shards():
                list(shard.pieces())
        except InputError:
            refused += 1
print(refused)
"""


def test_no_damage_of_the_footer_ends_the_process(tmp_path):
    """Pyarrow ends the process where a damaged column chunk is asked for its size."""
    words = [sys.executable, "-c", DAMAGED, str(tmp_path / "a.parquet")]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) > 50
