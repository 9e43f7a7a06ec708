"""Clothing from the excerpt and from the repository's folders."""

from __future__ import annotations

import pytest

from sensorium.core.errors import InputError
from sensorium.data.corpora import clothing

from .conftest import parquet, png, put


def test_the_excerpt(excerpt, run):
    parquet(
        excerpt / "data.parquet",
        id=["a", "b"],
        image=[png(1), png(2)],
        label=["t-shirt", "hat"],
        subset=["train", "validation"],
    )
    made = run(clothing.pool())
    assert made.table["label"].to_pylist() == [1, 0]
    assert [entry["class"] for entry in made.classes] == ["hat", "t-shirt"]
    only = run(clothing.pool("validation"))
    assert only.table["label"].to_pylist() == [0]
    assert only.classes == made.classes


def test_the_repository(tmp_path, run):
    for subset, one in (("train", "hat"), ("validation", "hat"), ("test", "shirt")):
        put(tmp_path / "at" / subset / one / f"{subset}.jpg", png(1))
    made = run(clothing.pool(at=tmp_path / "at"))
    assert [(row["id"], row["label"], row["subset"]) for row in made.rows] == [
        ("train/hat/train", 0, "train"),
        ("validation/hat/validation", 0, "validation"),
        ("test/shirt/test", 1, "test"),
    ]


def test_missing_subsets_are_named(tmp_path, run):
    put(tmp_path / "at" / "train" / "hat" / "a.jpg", png(1))
    with pytest.raises(InputError, match=r"lacks validation/\*/\*, test/\*/\*"):
        run(clothing.pool(at=tmp_path / "at"))
