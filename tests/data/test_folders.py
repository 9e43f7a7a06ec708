import csv
import json
import os

import pytest
from tests.data.pool_makers import image, read

from sensorium.core.errors import InputError
from sensorium.data import folders
from sensorium.data.sources import Files, open_pool


def put(root, **files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def test_debris_is_no_class(tmp_path):
    names = [
        "cat/0.jpg",
        "cat/1.jpg",
        "dog/0.jpg",
        "dog/1.jpg",
        ".ipynb_checkpoints/0.jpg",
        ".DS_Store",
        "Thumbs.db",
        "cat/._0.jpg",
    ]
    put(tmp_path, **{name: image() for name in names}, **{"README.txt": b"two animals"})
    (tmp_path / "bird").mkdir()
    rows, rejected = read(tmp_path)
    assert not rejected
    assert {name: (row["label"], row["label_index"]) for name, row in rows.items()} == {
        "cat/0.jpg": ("cat", 0),
        "cat/1.jpg": ("cat", 0),
        "dog/0.jpg": ("dog", 1),
        "dog/1.jpg": ("dog", 1),
    }
    notes = " ".join(Files(tmp_path).notes())
    for name in (".DS_Store", "Thumbs.db", "cat/._0.jpg", ".ipynb_checkpoints", "README.txt", "bird"):
        assert name in notes


def test_words_in_names_mean_nothing(tmp_path):
    names = [
        "train_whistle.wav",
        "train.wav",
        "testing_1.wav",
        "dev_kit.wav",
        "validation-bell.wav",
        "bird.WAV",
        "a.b.c.wav",
    ]
    put(tmp_path, **{name: b"x" for name in names})
    rows, _ = read(tmp_path)
    assert set(rows) == set(names)
    assert set(rows["bird.WAV"]) == {"id", "audio"}


def test_deep_folders_are_labels_by_their_whole_place(tmp_path):
    put(tmp_path, **{"train/cat/0.png": image(), "val/cat/0.png": image(), "0.png": image()})
    rows, _ = read(tmp_path)
    assert {name: row["label"] for name, row in rows.items()} == {
        "train/cat/0.png": "train/cat",
        "val/cat/0.png": "val/cat",
        "0.png": None,
    }
    assert rows["0.png"]["label_index"] is None


def test_captions_beside_pictures(tmp_path):
    put(
        tmp_path,
        **{
            "0.jpg": image(),
            "0.txt": b"eine Katze",
            "1.jpg": image(),
            "2.jpg": image(),
            "2.txt": b"\xe9",
        },
    )
    rows, rejected = read(tmp_path)
    assert {name: row["text"] for name, row in rows.items()} == {"0.jpg": "eine Katze", "1.jpg": None}
    assert rejected == [("2.jpg", "invalid UTF-8: in column 'text'")]


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_metadata_by_file_name(tmp_path, form):
    put(tmp_path, **{"a/0.jpg": image(), "a/1.jpg": image()})
    entries = [
        {"file_name": "a/0.jpg", "text": "a cat", "n": "1"},
        {"file_name": "gone.jpg", "text": "?", "n": "2"},
    ]
    if form == "jsonl":
        (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, entries)) + "\nbroken\n{}")
    else:
        with (tmp_path / "metadata.csv").open("w", newline="") as handle:
            writer = csv.DictWriter(handle, ["file_name", "text", "n"])
            writer.writeheader()
            writer.writerows([*entries, {"file_name": "a/0.jpg", "text": "again", "n": "3"}])
    rows, rejected = read(tmp_path)
    assert {name: (row["text"], row["n"], row["label"]) for name, row in rows.items()} == {
        "a/0.jpg": ("a cat", "1", "a"),
        "a/1.jpg": (None, None, "a"),
    }
    reasons = {name: reason.split(":")[0] for name, reason in rejected}
    assert reasons["gone.jpg"] == "file not found"
    assert len(rejected) == (3 if form == "jsonl" else 2)
    assert sum(shard.num_rows for shard in open_pool(Files(tmp_path))) == len(rows) + len(rejected)


def test_two_kinds_of_media_stop(tmp_path):
    put(tmp_path, **{"0.jpg": image(), "1.wav": b"x"})
    with pytest.raises(InputError, match=r"1 image, 1 audio.*\*\.jpg"):
        Files(tmp_path).shards()
    assert list(read(Files(str(tmp_path / "**/*.wav")))[0]) == ["1.wav"]


def test_bytes_are_read_only_if_asked_for(tmp_path, monkeypatch):
    put(tmp_path, **{"cat/0.jpg": image(1)})
    shards = open_pool(Files(tmp_path))
    assert read(shards, ["image"])[0]["cat/0.jpg"]["image"] == {"bytes": image(1), "path": "cat/0.jpg"}
    (tmp_path / "cat/0.jpg").unlink()
    assert read(shards, ["label"])[0]["cat/0.jpg"]["label"] == "cat"
    rows, rejected = read(shards, ["image"])
    assert not rows
    assert rejected == [("cat/0.jpg", "cannot be read: cat/0.jpg")]


def test_many_files_are_cut_into_shards_of_the_same_rows(tmp_path, monkeypatch):
    put(tmp_path, **{f"{n % 3}/{n:03d}.png": image(n) for n in range(50)})
    whole = read(tmp_path)
    monkeypatch.setattr(folders, "SHARD_FILES", 7)
    shards = open_pool(Files(tmp_path))
    assert len(shards) == 8
    assert read(shards) == whole
    assert len({shard.schema() for shard in shards}) == 1
    monkeypatch.setattr(folders, "PIECE_BYTES", 600)
    assert read(Files(tmp_path)) == whole


def test_file_names_that_are_not_utf8(tmp_path):
    with open(os.fsencode(tmp_path) + b"/\xe9.png", "wb") as handle:
        handle.write(image())
    put(tmp_path, **{"ü.png": image()})
    rows, rejected = read(tmp_path)
    assert list(rows) == ["ü.png"]
    assert rejected[0][1].startswith("invalid UTF-8: in the file name")
    Files(tmp_path).identity()
