import json
from typing import ClassVar

import fsspec
import pyarrow as pa
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry
from tests.data.pool_makers import image, parquet, read

from sensorium.core.errors import InputError, MissingExtraError
from sensorium.data import hf, locations
from sensorium.data.sources import Files, open_pool


def save(folder, tables, *, stream=True, indices=None):
    """A folder as `Dataset.save_to_disk` lays it out."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"data-{n:05d}-of-{len(tables):05d}.arrow" for n in range(len(tables))]
    for name, table in zip(names, tables, strict=True):
        with pa.OSFile(str(folder / name), "wb") as sink:
            maker = pa.ipc.new_stream if stream else pa.ipc.new_file
            with maker(sink, table.schema) as writer:
                writer.write_table(table, max_chunksize=3)
    state = {
        "_data_files": [{"filename": name} for name in names],
        "_fingerprint": "x",
        "_indices_files": indices,
    }
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text(json.dumps({"features": {}}))
    return folder


def table(start, stop):
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = {
        "id": [str(n) for n in range(start, stop)],
        "image": pa.array([{"bytes": image(n), "path": None} for n in range(start, stop)], kind),
        "text": pa.array([f"caption {n}" for n in range(start, stop)], pa.large_string()),
    }
    return pa.table(rows).replace_schema_metadata({"huggingface": "{}"})


@pytest.mark.parametrize("stream", [True, False])
def test_a_saved_data_set(tmp_path, stream):
    save(tmp_path, [table(0, 10), table(10, 12)], stream=stream)
    rows, rejected = read(tmp_path)
    assert not rejected
    assert [row["text"] for row in rows.values()] == [f"caption {n}" for n in range(12)]
    assert rows["11"]["image"] == {"bytes": image(11), "path": None}
    shards = open_pool(Files(tmp_path))
    assert [shard.num_rows for shard in shards] == [10, 2]
    assert [piece.table.num_rows for piece in shards[0].pieces(["text"], 2)] == [2, 1, 2, 1, 2, 2]
    assert [piece.table.num_rows for piece in shards[0].pieces(["text"], 7)] == [6, 4]
    assert read(tmp_path / "data-00001-of-00002.arrow")[0].keys() == {"10", "11"}


def test_splits_must_be_named(tmp_path):
    save(tmp_path / "train", [table(0, 2)])
    save(tmp_path / "test", [table(2, 3)])
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    with pytest.raises(InputError, match=r"splits train, test; name one: .*/train"):
        Files(tmp_path).shards()
    assert len(read(tmp_path / "train")[0]) == 2
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train"]}')
    assert len(read(tmp_path)[0]) == 2


def test_incomplete_folders_are_named(tmp_path):
    save(tmp_path / "a", [table(0, 2), table(2, 3)])
    (tmp_path / "a" / "data-00001-of-00002.arrow").unlink()
    with pytest.raises(InputError, match=r"data-00001-of-00002\.arrow"):
        Files(tmp_path / "a").shards()
    save(tmp_path / "b", [table(0, 2)], indices=[{"filename": "indices.arrow"}])
    with pytest.raises(InputError, match="flatten_indices"):
        Files(tmp_path / "b").shards()
    save(tmp_path / "c", [table(0, 2)])
    (tmp_path / "c" / "state.json").write_text("{")
    with pytest.raises(InputError, match=r"state\.json is not readable JSON"):
        Files(tmp_path / "c").shards()


@pytest.mark.parametrize("content", [b"", b"nonsense" * 9, b"ARROW1\0\0"])
def test_broken_arrow_files_are_named(tmp_path, content):
    (tmp_path / "x.arrow").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.arrow"):
        Files(tmp_path / "x.arrow").shards()


def test_a_cut_arrow_file_is_named(tmp_path):
    save(tmp_path, [table(0, 50)])
    path = tmp_path / "data-00000-of-00001.arrow"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match=r"data-00000-of-00001\.arrow is damaged"):
        Files(tmp_path).shards()


def test_a_folder_of_several_splits_in_the_form_of_the_hub_stops(tmp_path):
    parquet(tmp_path / "data" / "train-00000-of-00001.parquet", [{"id": 1}])
    parquet(tmp_path / "data" / "test-00000-of-00001-0a1b.parquet", [{"id": 2}])
    with pytest.raises(InputError, match=r"splits test, train; name one: '.*/data/train-\*', or all"):
        Files(tmp_path).shards()
    assert list(read(Files(str(tmp_path / "data" / "train-*")))[0]) == ["1"]
    assert sorted(read(Files(str(tmp_path / "data" / "*")))[0]) == ["1", "2"]


class Hub(MemoryFileSystem):
    protocol = "hf"
    store: ClassVar[dict] = {}
    pseudo_dirs: ClassVar[list] = [""]

    @classmethod
    def _strip_protocol(cls, path):
        return "/" + path.removeprefix("hf://").strip("/")


def test_names_on_the_hub_go_through_fsspec(tmp_path, monkeypatch):
    monkeypatch.setitem(_registry, "hf", Hub)
    path = parquet(tmp_path / "x.parquet", [{"id": 1, "text": "x"}])
    Hub().pipe("/datasets/org/name/data/train-00000-of-00001.parquet", path.read_bytes())
    pool = Files("hf://datasets/org/name")
    assert read(pool)[0] == {"1": {"id": "1", "text": "x"}}
    assert pool.identity()["files"][0][0] == "data/train-00000-of-00001.parquet"


def test_without_the_hub_package_the_extra_is_named(monkeypatch):
    def absent(protocol):
        raise ImportError("Install huggingface_hub to access HfFileSystem")

    monkeypatch.setattr(fsspec, "filesystem", absent)
    with pytest.raises(MissingExtraError, match=r"sensorium\[hub\]"):
        locations.locate("hf://datasets/org/name")


def test_parts_keep_the_order_of_the_state(tmp_path):
    save(tmp_path, [table(0, 1), table(1, 2)])
    state = json.loads((tmp_path / "state.json").read_text())
    state["_data_files"].reverse()
    (tmp_path / "state.json").write_text(json.dumps(state))
    assert [file.name[:10] for file in hf.saved_files(locations.locate(str(tmp_path)))] == [
        "data-00001",
        "data-00000",
    ]
    assert list(read(tmp_path)[0]) == ["1", "0"]
