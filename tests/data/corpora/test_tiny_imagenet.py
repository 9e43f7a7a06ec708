"""Tiny ImageNet from the excerpt and from the official folders."""

from __future__ import annotations

import pytest

from sensorium.core.errors import InputError
from sensorium.data.corpora import tiny_imagenet

from .conftest import parquet, png, put


@pytest.fixture
def official(tmp_path):
    root = tmp_path / "official" / "tiny-imagenet-200"
    put(root / "wnids.txt", "n02\nn01\n")
    put(root / "words.txt", "n01\ttench, Tinca tinca\nn02\tcock\nn03\thawk\n")
    put(root / "train" / "n01" / "images" / "n01_0.JPEG", png(1))
    put(root / "train" / "n02" / "images" / "n02_0.JPEG", png(2))
    put(root / "val" / "images" / "val_0.JPEG", png(3))
    put(root / "val" / "val_annotations.txt", "val_0.JPEG\tn02\t0\t0\t9\t9\n")
    return tmp_path / "official"


def test_the_excerpt(excerpt, run):
    parquet(
        excerpt / "data.parquet",
        id=["n02_1", "n01_1", "n02_2"],
        image=[png(1), png(2), png(3)],
        wnid=["n02", "n01", "n02"],
        label=["cock", "tench", "cock"],
    )
    made = run(tiny_imagenet.pool())
    assert made.table["label"].to_pylist() == [1, 0, 1]
    assert made.table["class"].to_pylist() == ["n02", "n01", "n02"]
    assert [entry["names"]["en"] for entry in made.classes] == [["tench"], ["cock"]]
    with pytest.raises(InputError, match="no rows"):
        run(tiny_imagenet.pool("val"))


def test_the_official_folders(official, run):
    made = run(tiny_imagenet.pool(at=official))
    assert [(row["id"], row["label"], row["subset"]) for row in made.rows] == [
        ("train/n01/images/n01_0", 0, "train"),
        ("train/n02/images/n02_0", 1, "train"),
        ("val/val_0", 1, "val"),
    ]
    assert made.classes[0]["names"]["en"] == ["tench", "Tinca tinca"]
    assert len(made.classes) == 2


def test_one_subset(official, run):
    assert [row["id"] for row in run(tiny_imagenet.pool("val", at=official)).rows] == ["val/val_0"]


def test_missing_parts_are_named(official, run):
    (official / "tiny-imagenet-200" / "words.txt").unlink()
    with pytest.raises(InputError, match=r"lacks tiny-imagenet-200/words\.txt"):
        run(tiny_imagenet.pool(at=official))
