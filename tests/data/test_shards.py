import itertools
import pickle

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.pool_makers import image, jsonl, parquet, read, tar

from sensorium.core.errors import InputError
from sensorium.data.shards import need_columns
from sensorium.data.sources import Files, open_pool


def test_the_id_stands_first_and_columns_as_asked(tmp_path):
    parquet(tmp_path / "a.parquet", [{"n": 1, "text": "x", "id": "a"}])
    (shard,) = open_pool(Files(tmp_path))
    assert shard.schema().names == ["id", "n", "text"]
    assert shard.schema(["text", "id", "text"]).names == ["id", "text"]
    assert next(shard.pieces(())).table.column_names == ["id"]
    with pytest.raises(InputError, match="no column 'image'; it has: n, text"):
        next(shard.pieces(["image"]))
    with pytest.raises(InputError, match="no column 'image'"):
        need_columns([shard], ["text", "image"])
    need_columns([], ["x"])
    need_columns([shard], ["text", "id"])


def test_types_are_checked_when_asked_for(tmp_path):
    parquet(tmp_path / "a.parquet", [{"id": "a", "text": 5, "image": [1, 2], "n": 1}])
    (shard,) = open_pool(Files(tmp_path))
    assert next(shard.pieces(["n"])).table.num_rows == 1
    with pytest.raises(InputError, match=r"'text'.*is int64; it must be text"):
        need_columns([shard], ["text"])
    with pytest.raises(InputError, match=r"'image'.*must be bytes, a path"):
        need_columns([shard], ["image"])


def test_paths_in_data_stay_in_the_folder(tmp_path):
    inside = str(tmp_path / "pics" / "b.jpg")
    paths = [
        "a.jpg",
        "../../etc/passwd",
        "/etc/passwd",
        "x/../y.jpg",
        inside,
        None,
        "http://x/y.jpg",
        "a..b.jpg",
    ]
    names = [str(n) for n in range(len(paths))]
    parquet(tmp_path / "text" / "a.parquet", pa.table({"id": names, "image": pa.array(paths, pa.string())}))
    structs = [{"bytes": b"x" if n == 1 else None, "path": path} for n, path in enumerate(paths)]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    parquet(tmp_path / "struct" / "a.parquet", pa.table({"id": names, "image": pa.array(structs, kind)}))
    rows, rejected = read(tmp_path / "text")
    assert sorted(rows) == ["0", "5", "7"]
    assert all(reason.startswith("path leaves the pool's folder: '") for _, reason in rejected)
    rows, rejected = read(tmp_path / "struct")
    assert sorted(rows) == ["0", "1", "5", "7"], "beside bytes a path is only a remark"
    shards = Files(tmp_path / "text").shards()
    assert shards[0].folder == str(tmp_path / "text")
    parquet(tmp_path / "c.parquet", pa.table({"id": ["0"], "image": [inside]}))
    assert len(read(tmp_path / "c.parquet")[0]) == 1


def test_fixed_point_of_types(tmp_path):
    columns = {
        "id": ["a"],
        "d": pa.array(["x"]).dictionary_encode(),
        "l": pa.array([["x"]], pa.large_list(pa.large_string())),
        "b": pa.array([b"x"], pa.large_binary()),
        "z": pa.nulls(1),
        "f": pa.array([[1.0, 2.0]], pa.list_(pa.float32(), 2)),
    }
    parquet(tmp_path / "a.parquet", pa.table(columns))
    (shard,) = open_pool(Files(tmp_path))
    kinds = {item.name: item.type for item in shard.schema()}
    assert kinds["d"] == kinds["z"] == pa.string()
    assert kinds["b"] == pa.binary()
    assert kinds["l"] == pa.list_(pa.field("element", pa.string()))
    assert next(shard.pieces()).table.to_pylist() == [
        {"id": "a", "d": "x", "l": ["x"], "b": b"x", "z": None, "f": [1.0, 2.0]}
    ]


_texts = st.lists(st.one_of(st.none(), st.text(max_size=8), st.binary(max_size=4)), max_size=30)


@settings(max_examples=40, deadline=None)
@given(_texts, st.integers(1, 40))
def test_nothing_vanishes_whatever_the_bytes(tmp_path_factory, texts, rows):
    raw = [text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text for text in texts]
    table = pa.table({"id": [str(n) for n in range(len(raw))], "text": pa.array(raw, pa.binary()).view(pa.string())})
    path = parquet(tmp_path_factory.mktemp("bytes") / "a.parquet", table)
    found, rejected = read(path, rows=rows)
    assert set(found) | {name for name, _ in rejected} == set(table["id"].to_pylist())
    assert len(found) + len(rejected) == len(raw)
    for name, row in found.items():
        expected = raw[int(name)]
        assert row["text"] == (None if expected is None else expected.decode())


def rows_of(count):
    return [{"id": f"r{n:03d}", "text": f"text {n}", "image": image(n % 3), "n": n} for n in range(count)]


@pytest.mark.parametrize("form", ["parquet", "jsonl", "tar"])
@pytest.mark.parametrize("num_shards", [1, 3, 7])
def test_shards_of_any_number_and_order_give_the_same_rows(tmp_path, form, num_shards):
    rows = rows_of(41)
    cuts = np.linspace(0, 41, num_shards + 1).astype(int)
    for number, (start, stop) in enumerate(itertools.pairwise(cuts)):
        some = rows[start:stop]
        if form == "parquet":
            parquet(tmp_path / f"{number}.parquet", some)
        elif form == "jsonl":
            jsonl(tmp_path / f"{number}.jsonl", [{**row, "image": None} for row in some])
        else:
            members = [
                (f"{row['id']}.{kind}", content)
                for row in some
                for kind, content in (("png", row["image"]), ("txt", row["text"].encode()))
            ]
            tar(tmp_path / f"{number}.tar", members)
    shards = pickle.loads(pickle.dumps(open_pool(Files(tmp_path))))
    assert len(shards) == num_shards
    assert {shard.schema() for shard in shards} == {shards[0].schema()}
    forwards, _ = read(shards, rows=5)
    backwards, _ = read(shards[::-1])
    assert forwards == backwards
    assert {(name.rpartition("/")[2], row["text"]) for name, row in forwards.items()} == {
        (row["id"], row["text"]) for row in rows
    }


def test_rejected_rows_carry_the_shard_of_their_table(tmp_path):
    parquet(tmp_path / "a" / "x y.parquet", pa.table({"id": [None, "b"], "text": ["x", "y"]}))
    (shard,) = open_pool(Files(tmp_path))
    (piece,) = shard.pieces()
    assert piece.rejected.to_pylist() == [{"id": f"{shard.name}:0", "shard": shard.name, "reason": "no id"}]
    assert "/" not in shard.name
    assert " " not in shard.name
