"""What users give: every row has a unique name, and is either ready or refused with a reason."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from tests.models import tiny_models

from sensorium.core.errors import InputError, SettingError
from sensorium.data.sources import Files
from sensorium.models import inputs as reading
from sensorium.models.inputs import gather, read_classes


def png(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pictures" / "inner").mkdir(parents=True)
    for place, picture in zip(("a.png", "b.PNG", "inner/a.png"), tiny_models.pictures(3), strict=True):
        (tmp_path / "pictures" / place).write_bytes(png(picture))
    (tmp_path / "pictures" / "broken.png").write_bytes(png(tiny_models.pictures(1)[0])[:60])
    (tmp_path / "pictures" / ".hidden.png").write_bytes(b"")
    return tmp_path / "pictures"


def everything(given, take=None, size=2):
    batches = [batch for chunk in given.chunks(take) for batch in chunk.batches(size)]
    ids = [name for batch in batches for name in batch.ids]
    assert [len(batch.ids) for batch in batches] == [len(batch.items) for batch in batches]
    assert max((len(batch.ids) for batch in batches), default=0) <= size
    return (
        ids,
        [item for batch in batches for item in batch.items],
        dict(pair for b in batches for pair in b.refused),
    )


@pytest.mark.parametrize("size", [1, 2, 64])
def test_a_folder_of_pictures(folder, size):
    ids, items, refused = everything(gather(folder), size=size)
    assert sorted(ids) == ["a.png", "b.PNG", "inner/a.png"]
    assert {item.mode for item in items} == {"RGB"}
    assert list(refused) == ["broken.png"]


def test_pictures_by_name_keep_apart(folder):
    ids, _, _ = everything(gather([folder / "a.png", str(folder / "inner" / "a.png")]))
    assert len(set(ids)) == 2


def test_many_pixels_make_small_batches(folder, monkeypatch):
    monkeypatch.setattr(reading, "PIXELS", 1)
    sizes = [len(batch.ids) for chunk in gather(folder).chunks() for batch in chunk.batches(64) if batch.ids]
    assert sizes == [1, 1, 1]


def test_lines_of_a_text_file(tmp_path):
    content = "\ufeffa dog\r\n\n  \nÜber\u2028uns\nbad \udcff\nlast".encode("utf-8", "surrogateescape")
    (tmp_path / "texts.txt").write_bytes(content)
    ids, items, refused = everything(gather(str(tmp_path / "texts.txt")))
    assert dict(zip(ids, items, strict=True)) == {
        "texts.txt:1": "a dog",
        "texts.txt:4": "Über\u2028uns",
        "texts.txt:6": "last",
    }
    assert refused == {"texts.txt:2": "empty", "texts.txt:3": "empty", "texts.txt:5": "invalid UTF-8"}


def test_text_files_of_one_name_keep_apart(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.txt").write_text("dog\n")
    paths = [tmp_path / name / "x.txt" for name in ("one", "two")]
    ids, _, _ = everything(gather(paths))
    assert ids == [f"{path.as_posix()}:1" for path in paths]
    with pytest.raises(InputError, match="given twice"):
        gather([paths[0], paths[0]])


@pytest.fixture
def table():
    rows = [png(picture) for picture in tiny_models.pictures(3)]
    return pa.table({"id": ["x", "y", "z"], "image": [rows[0], b"no", rows[2]], "caption": ["dog", None, "cat"]})


def test_parquet_gives_pictures_before_texts(tmp_path, table):
    pq.write_table(table.rename_columns(["id", "image", "text"]), tmp_path / "t.parquet")
    ids, items, refused = everything(gather(tmp_path / "t.parquet"))
    assert ids == ["x", "z"]
    assert isinstance(items[0], Image.Image)
    assert refused == {"y": "not an image"}
    ids, items, refused = everything(gather(tmp_path / "t.parquet"), "text")
    assert (ids, items, refused) == (["x", "z"], ["dog", "cat"], {"y": "empty"})


def test_columns_may_have_other_names(tmp_path, table):
    pq.write_table(table.select(["id", "caption"]), tmp_path / "t.parquet")
    assert everything(gather(tmp_path / "t.parquet", {"text": "caption"}))[1] == ["dog", "cat"]
    assert everything(gather(Files(str(tmp_path / "t.parquet"), columns={"text": "caption"})))[1] == [
        "dog",
        "cat",
    ]
    assert everything(gather(table, {"text": "caption"}), "text")[1] == ["dog", "cat"]
    with pytest.raises(SettingError, match="given twice"):
        gather(Files(str(tmp_path / "t.parquet")), {"text": "caption"})


def test_a_table_without_ids_gets_them_from_content():
    table = pa.table({"text": ["dog", "cat", "dog"]})
    ids, _, _ = everything(gather(table))
    assert len(set(ids)) == 3
    assert everything(gather(table.take([1, 0, 2])))[0] == [ids[1], ids[0], ids[2]]
    with pytest.raises(InputError, match="empty or repeated"):
        gather(pa.table({"id": ["a", "a"], "text": ["x", "y"]}))


def test_bad_inputs_are_one_sentence(tmp_path, table):
    with pytest.raises(InputError, match="nothing was given"):
        gather([])
    with pytest.raises(InputError, match="nowhere"):
        gather(tmp_path / "nowhere.png").chunks()
    pq.write_table(pa.table({"id": ["a"], "note": ["x"]}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match="neither a column 'image' nor 'text'; it has: id, note"):
        gather(tmp_path / "t.parquet").chunks()
    with pytest.raises(InputError, match="no column 'text'"):
        gather(table).chunks("text")
    (tmp_path / "x.txt").write_text("dog")
    with pytest.raises(SettingError, match="holds texts"):
        gather(tmp_path / "x.txt").chunks("image")


def test_identities_follow_content_and_not_places(tmp_path, table):
    before = gather(table).identity()
    assert gather(table.slice(0)).identity() == before
    assert gather(table.slice(0, 2)).identity() != before
    for name, text in (("one", "dog"), ("two", "dog"), ("three", "cat")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.txt").write_text(text)
    one, two, three = (gather(tmp_path / name / "x.txt").identity() for name in ("one", "two", "three"))
    assert one == two
    assert one != three


def test_class_names(tmp_path):
    (tmp_path / "names.txt").write_text("dog\nnew york\n\ncat, big\n", encoding="utf-8")
    assert read_classes(str(tmp_path / "names.txt")) == ("dog", "new york", "cat, big")
    assert read_classes("dog, cat,,") == ("dog", "cat")
    assert read_classes("") == ()
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        read_classes(str(tmp_path / "bad.txt"))
