import dataclasses
import os
import pickle
import subprocess
import sys
import types
from collections.abc import Mapping
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest
from tests.data.pool_makers import image, jsonl, parquet, read, tar

from sensorium.core.errors import InputError, SettingError
from sensorium.core.fingerprint import Fingerprints
from sensorium.core.stage import Source, Stage, stage, takes
from sensorium.data import sources
from sensorium.data.sources import Files, Pool, open_pool, parse_pool, repeated_ids


@stage
class Reads(Stage):
    pool: Pool = takes("pool")
    gives = "scores"

    def run(self, here):
        return {}


@stage
class Makes(Stage):
    gives = "pool"

    def run(self, here):
        return {}


def test_files_are_a_source_that_stages_take(tmp_path):
    path = parquet(tmp_path / "a" / "x.parquet", [{"id": "1", "text": "x"}])
    pool = Files(path)
    assert isinstance(pool, Source)
    first, second = Reads(pool=pool), Reads(pool=Files(path, columns={"caption": "text"}))
    one, other = (Fingerprints(last)[last] for last in (first, second))
    assert one != other
    os.rename(tmp_path / "a", tmp_path / "b")
    moved = Reads(pool=Files(tmp_path / "b" / "x.parquet"))
    assert Fingerprints(moved)[moved] == one
    with pytest.raises(SettingError):
        Reads(pool="x.parquet")


def test_identity_is_plain_and_knows_content_names_and_settings(tmp_path):
    for name in ("a.parquet", "b.parquet"):
        parquet(tmp_path / name, [{"id": name, "text": name}])
    pool = Files(tmp_path)
    base = pool.identity()
    assert [name for name, _, _ in base["files"]] == ["a.parquet", "b.parquet"]
    assert str(tmp_path) not in repr(base)
    assert Files((str(tmp_path / "b.parquet"), str(tmp_path / "a.parquet"))).identity() == base
    assert Files(tmp_path, ids="content", key="text").identity() != base
    (tmp_path / "README.md").write_text("not data")
    assert pool.identity() == base
    parquet(tmp_path / "b.parquet", [{"id": "b.parquet", "text": "b.parquex"}])
    assert pool.identity() != base


def test_identity_of_media_folders_counts_captions(tmp_path):
    (tmp_path / "0.png").write_bytes(image())
    (tmp_path / "0.txt").write_text("one")
    before = Files(tmp_path).identity()
    (tmp_path / "0.txt").write_text("two")
    assert Files(tmp_path).identity() != before


def test_columns_are_mapped_and_missing_ones_named(tmp_path):
    path = parquet(tmp_path / "a.parquet", [{"id": "1", "caption": "x", "image": b"y", "text": "old"}])
    pool = Files(path, columns={"text": "caption"})
    assert read(pool)[0] == {"1": {"id": "1", "text": "x", "image": b"y"}}
    assert read(Files(path, columns={"text": "caption", "old": "text"}))[0]["1"]["old"] == "old"
    with pytest.raises(
        InputError, match=r"no column 'captoin' \(columns text=captoin\).*Did you mean columns text=caption\?"
    ):
        Files(path, columns={"text": "captoin"}).shards()
    plain = parquet(tmp_path / "b.parquet", [{"id": "1", "caption": "x", "image": b"y"}])
    with pytest.raises(
        InputError, match=r"has no column 'text'; it has: caption, image\. Map it with columns text=caption\."
    ):
        list(open_pool(Files(plain))[0].pieces(["text"]))


def test_ids_can_be_another_column(tmp_path):
    path = parquet(tmp_path / "a.parquet", [{"uid": 7, "id": "x", "text": "y"}])
    assert read(Files(path, columns={"id": "uid"}))[0] == {"7": {"id": "7", "text": "y"}}
    assert read(Files(path, columns={"id": "uid", "other": "id"}))[0]["7"]["other"] == "x"
    renamed = read(Files(path, columns={"other": "id"}))[0]
    assert len(next(iter(renamed))) == 32, "without an id the content makes one"


def test_repeated_ids_stop_and_say_how_to_prefix(tmp_path):
    for number in range(2):
        parquet(tmp_path / f"{number}.parquet", [{"id": n, "text": f"{number} {n}"} for n in range(3)])
    with pytest.raises(InputError, match=r"'0' is in 0 and in 1 \(3 ids repeat\)\. Use ids='shard'"):
        open_pool(Files(tmp_path))
    assert repeated_ids(Files(tmp_path).shards())[0] == ("0", "0", "1")
    assert sorted(read(Files(tmp_path, ids="shard"))[0]) == ["0/0", "0/1", "0/2", "1/0", "1/1", "1/2"]
    assert len(read(Files(tmp_path, ids="content"))[0]) == 6
    path = parquet(tmp_path / "x" / "a.parquet", [{"id": "a", "n": 1}, {"id": "a", "n": 2}])
    with pytest.raises(InputError, match=r"'a' is twice in a. Use ids='content'"):
        open_pool(Files(path))
    with pytest.raises(InputError, match=r"'a/a' is twice in a. Use ids='content'"):
        open_pool(Files(path, ids="shard"))


def test_content_ids_by_key(tmp_path):
    path = parquet(
        tmp_path / "a.parquet",
        [{"url": "u", "text": "x"}, {"url": "u", "text": "y"}, {"url": "v", "text": "x"}],
    )
    ids = list(read(Files(path, key=("url",)))[0])
    assert ids[1] == f"{ids[0]}.1"
    other = parquet(tmp_path / "b.parquet", [{"url": "u", "more": 1}])
    assert list(read(Files(other, key="url"))[0]) == ids[:1]
    with pytest.raises(InputError, match="no column 'link'"):
        Files(path, key=("link",)).shards()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"ids": "row"}, "unknown ids 'row'"),
        ({"ids": "shard", "key": ("a",)}, "key has no effect"),
        ({"columns": {"text": ""}}, "columns must map"),
        ({"columns": {"text": 3}}, "columns must map"),
    ],
)
def test_settings_that_cannot_work(settings, says):
    with pytest.raises(SettingError, match=says):
        Files("x", **settings)


def test_settings_without_effect_stop(tmp_path):
    path = parquet(tmp_path / "a.parquet", [{"id": 1, "text": "x"}])
    with pytest.raises(SettingError, match="key has no effect"):
        Files(path, key=("text",)).shards()
    path = parquet(tmp_path / "b.parquet", [{"text": "x"}])
    with pytest.raises(InputError, match="no column 'id'"):
        Files(path, ids="shard").shards()
    with pytest.raises(SettingError, match="no files"):
        Files(())


def test_files_can_be_hashed_compared_and_pickled(tmp_path):
    pool = Files([tmp_path / "a", "b"], columns={"text": "c"})
    assert pool.uri == (str(tmp_path / "a"), "b")
    again = pickle.loads(pickle.dumps(pool))
    assert again == pool
    assert hash(again) == hash(pool)
    assert dataclasses.replace(pool, ids="content") != pool
    assert isinstance(pool.columns, Mapping)


def test_uris_of_fsspec(tmp_path):
    fs = fsspec.filesystem("memory")
    try:
        for number in range(2):
            path = parquet(tmp_path / f"{number}.parquet", [{"id": number, "text": "x"}])
            fs.pipe(f"/pool/{number}.parquet", path.read_bytes())
            fs.pipe(f"/tars/{number}.tar", tar(tmp_path / "x.tar", [("0.txt", b"%d" % number)]).read_bytes())
            fs.pipe(
                f"/lines/{number}.jsonl",
                jsonl(tmp_path / "x.jsonl", [{"id": number, "text": "x"}]).read_bytes(),
            )
            fs.pipe(f"/pictures/{number}.png", image(number))
        assert sorted(read("memory://pool")[0]) == ["0", "1"]
        assert sorted(read("memory://pool/{0..1}.parquet")[0]) == ["0", "1"]
        assert sorted(read("memory://tars/*.tar")[0]) == ["0/0", "1/0"]
        assert sorted(read("memory://lines")[0]) == ["0", "1"]
        assert read("memory://pictures")[0]["1.png"]["image"]["bytes"] == image(1)
        both = Files(("memory://pool/0.parquet", "memory://pool/1.parquet"))
        assert sorted(read(both)[0]) == ["0", "1"]
        assert Files("memory://pool").identity()["files"][0][0] == "0.parquet"
        assert sorted(read(f"file://{tmp_path}/0.parquet")[0]) == ["0"]
    finally:
        fs.rm("/", recursive=True)


def test_parse_pool_prefers_what_exists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parquet(tmp_path / "emoji" / "[a].parquet", [{"id": "file", "text": "x"}])
    named = Files(tmp_path / "emoji" / "[a].parquet", columns={"caption": "text"})
    monkeypatch.setattr(sources.catalog, "find", lambda name: named if name in ("emoji", "coco") else None)
    monkeypatch.setattr(sources.catalog, "names", lambda: ["emoji", "coco_captions"])
    monkeypatch.setattr(sources.catalog, "missing", lambda name: InputError(f"{name} is not here"))
    assert parse_pool("emoji").uri == "emoji"
    assert parse_pool("coco") is named
    assert parse_pool("coco", {"text": "text"}).columns == {"text": "text"}
    assert parse_pool("emoji/[a].parquet", ids="content", key=["text"]).key == ("text",)
    assert read(parse_pool("emoji/*.parquet"))[0]["file"]["text"] == "x"
    with pytest.raises(InputError, match="did you mean the set 'coco_captions'"):
        parse_pool("coco_caption")
    with pytest.raises(InputError, match="there is no file or folder nowhere/at-all"):
        parse_pool("nowhere/at-all")
    with pytest.raises(InputError, match="coco_captions is not here"):
        parse_pool("coco_captions")


def test_open_pool_of_a_stage(tmp_path):
    made = Makes()
    rows = pa.table({"id": ["a"], "text": ["x"]})
    parquet(tmp_path / "rows" / "0.parquet", rows)
    here = types.SimpleNamespace(path=lambda stage: tmp_path if stage is made else None)
    assert list(read(open_pool(made, here))[0]) == ["a"]
    with pytest.raises(TypeError, match="here"):
        open_pool(made)


def test_notes_tell_what_was_left_out(tmp_path):
    parquet(tmp_path / "a.parquet", [{"id": 1, "n": 2}])
    parquet(tmp_path / "b.parquet", [{"id": 2}])
    (tmp_path / "README.md").write_text("x")
    (tmp_path / ".cache").mkdir()
    assert Files(tmp_path).notes() == [
        "left out, hidden: .cache",
        "left out, not parquet: README.md",
        "column 'n' is absent in b.parquet; its rows have null there",
    ]


def test_the_door_is_light():
    code = (
        "import time; begun = time.process_time(); import sensorium.data.sources, sys;"
        "print(time.process_time() - begun, [name for name in HEAVY if name in sys.modules])"
    )
    code = f"HEAVY = ['torch', 'fsspec', 'PIL', 'soundfile', 'av', 'pandas']; {code}"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    seconds, _, loaded = said.strip().partition(" ")
    assert loaded == "[]"
    assert float(seconds) < 0.8, "twice the budget, for a busy machine"


SETS = os.environ.get("SENSORIUM_DATA", "")


@pytest.mark.slow
@pytest.mark.skipif(not SETS, reason="SENSORIUM_DATA is not set")
def test_real_sets_open():
    opened = 0
    for root in SETS.split(os.pathsep):
        for path in sorted(Path(root).glob("*/*")):
            if path.name.endswith((".parquet", ".jsonl.zst")):
                rows = 0
                shards = Files(path).shards()
                if repeated_ids(shards):  # xquad has one id per question in all languages
                    shards = Files(path, ids="content").shards()
                for shard in shards:
                    for piece in shard.pieces():
                        assert piece.rejected.num_rows == 0
                        rows += piece.table.num_rows
                assert rows > 0
                opened += 1
    assert opened


def test_ids_are_numbers_here_and_text_there(tmp_path):
    parquet(tmp_path / "a.parquet", [{"id": 1, "text": "x"}])
    parquet(tmp_path / "b.parquet", [{"id": "b", "text": "y"}])
    parquet(tmp_path / "c.parquet", pa.table({"id": pa.array([b"c"]).dictionary_encode(), "text": ["z"]}))
    found, rejected = read(tmp_path)
    assert ({name: row["text"] for name, row in found.items()}, rejected) == ({"1": "x", "b": "y", "c": "z"}, [])


def test_ids_of_other_types_are_refused_with_a_way_out(tmp_path):
    path = parquet(tmp_path / "a.parquet", [{"id": 1.0, "text": "x"}])
    with pytest.raises(InputError, match=r"is double; ids must be text or whole numbers\. Use ids='content'"):
        read(path)
    assert len(read(Files(str(path), ids="content"))[0]) == 1


def test_uuids_are_ids(tmp_path):
    column = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(range(16)), None], pa.binary(16)))
    found, rejected = read(parquet(tmp_path / "a.parquet", pa.table({"id": column})))
    assert (list(found), rejected) == (["000102030405060708090a0b0c0d0e0f"], [("a:1", "no id")])


def test_every_shard_knows_what_was_left_out(tmp_path, monkeypatch):
    parquet(tmp_path / "a.parquet", [{"id": "1", "text": "x"}])
    parquet(tmp_path / "b.parquet", [{"id": "2"}])
    (tmp_path / "readme.md").write_text("x")
    pool = Files(str(tmp_path))
    expected = ("left out, not parquet: readme.md", "column 'text' is absent in b.parquet; its rows have null there")
    assert [shard.layout.notes for shard in pool.shards()] == [expected, expected]
    assert pool.notes() == list(expected)
    monkeypatch.setattr("sensorium.data.sources.MOST_NOTES", 1)
    assert pool.shards()[0].layout.notes == (expected[0], "and 1 notes more")


def test_numbers_that_would_lose_digits_are_named(tmp_path):
    parquet(tmp_path / "a.parquet", pa.table({"id": ["1"], "user": pa.array([2**53 + 1])}))
    parquet(tmp_path / "b.parquet", pa.table({"id": ["2"], "user": [0.5]}))
    with pytest.raises(
        InputError, match=r"^column 'user' of a in pool .* is int64 and cannot be read as double, which"
    ):
        read(tmp_path)
    assert sorted(read(tmp_path, ["id"])[0]) == ["1", "2"]
