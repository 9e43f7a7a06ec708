"""CIFAR-10 from the excerpt and from the official binary files."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from sensorium.core.errors import InputError, SettingError
from sensorium.data.corpora import cifar10

from .conftest import parquet, png, put


def _official(folder, per_batch: int = 2) -> np.ndarray:
    """Write the official files; returns the pictures of the test batch."""
    chance = np.random.default_rng(0)
    for name in (
        "data_batch_1",
        "data_batch_2",
        "data_batch_3",
        "data_batch_4",
        "data_batch_5",
        "test_batch",
    ):
        pictures = chance.integers(0, 256, (per_batch, 32, 32, 3)).astype(np.uint8)
        planes = pictures.transpose(0, 3, 1, 2).reshape(per_batch, -1)
        labels = np.array([[number % 10] for number in range(3, 3 + per_batch)], np.uint8)
        put(folder / "cifar-10-batches-bin" / f"{name}.bin", np.concatenate([labels, planes], 1).tobytes())
    return pictures


def test_the_excerpt(excerpt, run):
    parquet(
        excerpt / "data.parquet",
        id=["train/cat/1", "test/dog/2"],
        image=[png(1), png(2)],
        label=["cat", "dog"],
        subset=["train", "test"],
    )
    made = run(cifar10.pool())
    assert made.table["label"].to_pylist() == [3, 5]
    assert [entry["names"]["en"] for entry in made.classes] == [[name] for name in cifar10.NAMES]
    assert [row["id"] for row in run(cifar10.pool("test")).rows] == ["test/dog/2"]


def test_the_official_files(tmp_path, run):
    pictures = _official(tmp_path / "official")
    made = run(cifar10.pool(at=tmp_path / "official"))
    assert made.table.num_rows == 12
    test = [row for row in made.rows if row["subset"] == "test"]
    assert [(row["id"], row["label"], row["class"]) for row in test] == [
        ("test/test_batch/00000", 3, "cat"),
        ("test/test_batch/00001", 4, "deer"),
    ]
    for row, picture in zip(test, pictures, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(row["image"]["bytes"]))), picture)


def test_one_subset_of_the_official_files(tmp_path, run):
    _official(tmp_path / "official")
    assert {row["subset"] for row in run(cifar10.pool("train", at=tmp_path / "official")).rows} == {"train"}


@pytest.mark.parametrize("content", [b"short", b"\x0b" + bytes(3072)])
def test_damaged_files_are_named(tmp_path, run, content):
    _official(tmp_path / "official")
    put(tmp_path / "official" / "cifar-10-batches-bin" / "test_batch.bin", content)
    with pytest.raises(InputError, match=r"test_batch\.bin is not a CIFAR-10 batch"):
        run(cifar10.pool("test", at=tmp_path / "official"))


def test_unknown_subset():
    with pytest.raises(SettingError, match="unknown subset 'val'"):
        cifar10.pool("val")
