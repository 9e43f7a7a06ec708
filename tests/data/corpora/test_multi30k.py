"""Multi30K from the excerpt and from the repository."""

from __future__ import annotations

import gzip

import pytest

from sensorium.core.errors import InputError, SettingError
from sensorium.data.corpora import multi30k

from .conftest import parquet, put


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "repository" / "data" / "task1"
    for subset in ("train", "val"):
        put(root / "raw" / f"{subset}.en.gz", gzip.compress(b"A dog.\nA cat.\n"))
        put(root / "raw" / f"{subset}.de.gz", gzip.compress("Ein Hund.\nEine Kätzin.\n".encode()))
    put(root / "image_splits" / "val.txt", "1.jpg\n2.jpg#3\n")
    return tmp_path / "repository"


def test_the_excerpt(excerpt, run):
    columns = {language: [f"{language} 1", f"{language} 2"] for language in multi30k.LANGUAGES}
    parquet(excerpt / "data.parquet", image=["1.jpg", "2.jpg"], **columns)
    made = run(multi30k.pool(languages=("de", "en")))
    assert [(row["id"], row["text"], row["key"]) for row in made.rows] == [
        ("1.jpg/de", "de 1", "1.jpg"),
        ("2.jpg/de", "de 2", "2.jpg"),
        ("1.jpg/en", "en 1", "1.jpg"),
        ("2.jpg/en", "en 2", "2.jpg"),
    ]
    with pytest.raises(InputError, match="no subset 'val', only train"):
        run(multi30k.pool(subset="val"))


def test_the_repository_with_and_without_names_of_photographs(repository, run):
    named = run(multi30k.pool(languages=("de",), subset="val", at=repository))
    assert [(row["key"], row["text"]) for row in named.rows] == [
        ("1.jpg", "Ein Hund."),
        ("2.jpg", "Eine Kätzin."),
    ]
    numbered = run(multi30k.pool(languages=("en",), at=repository))
    assert [row["key"] for row in numbered.rows] == ["train-00000", "train-00001"]


def test_missing_languages_and_wrong_lengths(repository, run):
    with pytest.raises(InputError, match=r"train\.fr\.gz is missing"):
        run(multi30k.pool(languages=("fr",), at=repository))
    put(repository / "data" / "task1" / "image_splits" / "val.txt", "1.jpg\n")
    with pytest.raises(InputError, match=r"has 2 lines, but val\.txt lists 1"):
        run(multi30k.pool(languages=("en",), subset="val", at=repository))


@pytest.mark.parametrize(("settings", "says"), [({"languages": ("xx",)}, "'xx'"), ({"subset": "tset"}, "'tset'")])
def test_wrong_settings(settings, says):
    with pytest.raises(SettingError, match=says):
        multi30k.pool(**settings)
