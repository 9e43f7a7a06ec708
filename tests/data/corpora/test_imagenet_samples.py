"""ImageNet samples from the excerpt and from the repository's files."""

from __future__ import annotations

from sensorium.data.corpora import imagenet_samples

from .conftest import parquet, png, put


def test_the_excerpt(excerpt, run):
    parquet(
        excerpt / "data.parquet",
        id=["n02_b", "n01_a"],
        image=[png(1), png(2)],
        wnid=["n00000002", "n00000001"],
        lemmas=[["cock"], ["tench", "Tinca tinca"]],
    )
    made = run(imagenet_samples.pool())
    assert made.table["label"].to_pylist() == [1, 0]
    assert [entry["names"]["en"] for entry in made.classes] == [["tench", "Tinca tinca"], ["cock"]]


def test_the_repository(tmp_path, run):
    put(tmp_path / "at" / "n01440764_tench.JPEG", png(1))
    put(tmp_path / "at" / "n01484850_great_white_shark.JPEG", png(2))
    put(tmp_path / "at" / "README.md", "not read")
    made = run(imagenet_samples.pool(at=tmp_path / "at"))
    assert [(row["id"], row["label"]) for row in made.rows] == [
        ("n01440764_tench", 0),
        ("n01484850_great_white_shark", 1),
    ]
    assert made.classes[1] == {"label": 1, "class": "n01484850", "names": {"en": ["great white shark"]}}
