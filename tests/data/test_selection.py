import fsspec
import pytest
from tests.data.pool_makers import image, jsonl, parquet, read, tar

from sensorium.core.errors import InputError
from sensorium.data.selection import select
from sensorium.data.sources import Files


def names(*uris):
    found = select([str(uri) for uri in uris])
    return found.kind, [file.name for file in found.files]


def test_what_accompanies_tars_is_left_out_and_told(tmp_path):
    """The output of img2dataset: tars, their tables of metadata, and statistics."""
    for number in range(2):
        tar(tmp_path / f"{number:05d}.tar", [("0.jpg", image()), ("0.txt", b"x")])
        parquet(tmp_path / f"{number:05d}.parquet", [{"url": "x"}])
        (tmp_path / f"{number:05d}_stats.json").write_text("{}")
    assert names(tmp_path) == ("webdataset", ["00000.tar", "00001.tar"])
    assert "00000_stats.json" in " ".join(select([str(tmp_path)]).notes)
    assert len(read(tmp_path)[0]) == 2


def test_two_kinds_stop_with_an_example(tmp_path):
    parquet(tmp_path / "a.parquet", [{"id": 1}])
    jsonl(tmp_path / "b.jsonl", [{"id": 2}])
    with pytest.raises(InputError, match=r"1 parquet, 1 jsonl.*for instance '.*/\*\.parquet'"):
        names(tmp_path)
    assert names(tmp_path / "*.jsonl") == ("jsonl", ["b.jsonl"])


def test_nothing_to_read_says_what_is_there(tmp_path):
    (tmp_path / "notes.docx").write_bytes(b"x")
    with pytest.raises(InputError, match=r"found \.docx"):
        names(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"the pool .*empty is empty"):
        names(tmp_path / "empty")
    (tmp_path / "empty" / ".hidden").write_bytes(b"x")
    with pytest.raises(InputError, match="but 1 hidden"):
        names(tmp_path / "empty")


def test_files_without_suffix_are_known_by_content(tmp_path):
    parquet(tmp_path / "part-0", [{"id": 1}])
    (tmp_path / "_SUCCESS").write_bytes(b"")
    assert names(tmp_path) == ("parquet", ["part-0"])


def test_folders_of_stages(tmp_path):
    parquet(tmp_path / "rows" / "0.parquet", [{"id": "a", "text": "x"}])
    parquet(tmp_path / "dropped" / "0.parquet", [{"id": "b", "dropped": "y"}])
    (tmp_path / "begun.json").write_text("{}")
    with pytest.raises(InputError, match="did not finish"):
        names(tmp_path)
    (tmp_path / "pool.json").write_text("{}")
    (tmp_path / "done.json").write_text("{}")
    found = select([str(tmp_path)])
    assert found.finished
    assert [file.name for file in found.files] == ["0.parquet"]
    assert list(read(tmp_path)[0]) == ["a"]
    assert Files(tmp_path).identity() == Files(tmp_path / "rows").identity()


def test_several_places_share_the_folder_above_them(tmp_path):
    for folder in ("a", "b"):
        parquet(tmp_path / folder / "0.parquet", [{"id": folder}])
    assert names(tmp_path / "b", tmp_path / "a" / "0.parquet") == ("parquet", ["a/0.parquet", "b/0.parquet"])
    assert names(tmp_path / "a", tmp_path / "a" / "*.parquet") == ("parquet", ["0.parquet"])


def test_one_pool_lies_in_one_file_system(tmp_path):
    parquet(tmp_path / "0.parquet", [{"id": 1}])
    fs = fsspec.filesystem("memory")
    fs.pipe("/mixed/1.parquet", b"PAR1")
    try:
        with pytest.raises(InputError, match="one file system"):
            names(tmp_path, "memory://mixed")
    finally:
        fs.rm("/mixed", recursive=True)


def test_stems_are_unique(tmp_path):
    for name in ("a.pq", "a.parquet", "b.parquet"):
        parquet(tmp_path / name, [{"id": name}])
    assert [stem for _, stem in select([str(tmp_path)]).stems()] == ["a.parquet", "a.pq", "b"]
    assert len({shard.name for shard in Files(tmp_path).shards()}) == 3


def test_links_to_nowhere_are_told(tmp_path):
    parquet(tmp_path / "pool" / "a.parquet", [{"id": "1"}])
    (tmp_path / "pool" / "b.parquet").symlink_to("nowhere")
    chosen = select([str(tmp_path / "pool")])
    assert [file.name for file in chosen.files] == ["a.parquet"]
    assert chosen.notes == ("left out, links to nowhere or back, pipes or devices: b.parquet",)
    (tmp_path / "pool" / "a.parquet").unlink()
    with pytest.raises(InputError, match=r"no files but links to nowhere or back, pipes or devices \(b\.parquet\)"):
        select([str(tmp_path / "pool")])
