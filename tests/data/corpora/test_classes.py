"""Labels as numbers, and folders named after classes."""

from __future__ import annotations

import pyarrow as pa
import pytest

from sensorium.core import files
from sensorium.core.errors import InputError, SettingError
from sensorium.data.corpora import classes
from sensorium.tasks.classes import read_classes

from .conftest import parquet, png, put


def test_entries_are_what_tasks_read(tmp_path):
    found = classes.entries({"n1": ("tench", "Tinca tinca"), "n2": ("cock",)})
    files.write_json(tmp_path / "classes.json", {"classes": found})
    known = read_classes(tmp_path / "classes.json")
    assert known.ids == ["0", "1"]
    assert found[0]["names"]["en"] == ["tench", "Tinca tinca"]


def test_labels_count_in_the_given_order():
    images = pa.array([{"bytes": b"x", "path": None}] * 3)
    table = pa.table({"id": ["a", "b", "c"], "image": images, "label": ["cat", "ant", "cat"]})
    found = classes.labelled(table, ["cat", "dog", "ant"], "label")
    assert found.schema == classes.SCHEMA
    assert found["label"].to_pylist() == [0, 2, 0]
    assert found["class"].to_pylist() == ["cat", "ant", "cat"]
    assert found["subset"].null_count == 3


def test_prepared_files_are_filtered_by_subset(tmp_path):
    path = tmp_path / "data.parquet"
    parquet(path, id=["a", "b"], image=[png(1), png(2)], label=["x", "y"], subset=["train", "test"])
    assert classes.column_values(path, "label") == ["x", "y"]
    (table,) = classes.prepared(path, "test", ["x", "y"])
    assert table["id"].to_pylist() == ["b"]


def test_folders_give_pictures_in_order_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(classes, "BATCH", 2)
    for name in ("b", "a", "c"):
        put(tmp_path / "train" / "dog" / f"{name}.png", png(1))
    put(tmp_path / "train" / "dog" / "notes.txt", "no picture")
    put(tmp_path / "train" / "dog" / "._a.png", "debris")
    put(tmp_path / "train" / "cat" / "z.JPG", png(2))
    (tmp_path / "test" / "dog").mkdir(parents=True)
    order = classes.class_folders(tmp_path, ["train", "test"])
    assert order == ["cat", "dog"]
    table = pa.concat_tables(classes.from_folders(tmp_path, ["train", "test"], order))
    assert table["id"].to_pylist() == ["train/cat/z", "train/dog/a", "train/dog/b", "train/dog/c"]
    assert table["label"].to_pylist() == [0, 1, 1, 1]
    assert table["image"][0].as_py() == {"bytes": png(2), "path": "z.JPG"}


def test_no_class_folders(tmp_path):
    put(tmp_path / "train" / "picture.png", png(1))
    with pytest.raises(InputError, match="no folders named after classes"):
        classes.class_folders(tmp_path, ["train"])


def test_unknown_subsets_get_the_nearest():
    classes.check_subset("all", ("train", "test"))
    with pytest.raises(SettingError, match="did you mean 'train'"):
        classes.check_subset("trian", ("train", "test"))
