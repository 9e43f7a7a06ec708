"""Tatoeba from the excerpt and from the LASER repository: the same rows have the same ids."""

from __future__ import annotations

import pytest

from sensorium.core.errors import InputError, SettingError
from sensorium.data.corpora import tatoeba

from .conftest import parquet, put


@pytest.fixture
def prepared(excerpt):
    parquet(
        excerpt / "data.parquet",
        language=["deu", "fra"],
        text=["Hallo.", "Bonjour."],
        english=["Hello.", "Good day."],
    )


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "repository" / "data" / "tatoeba" / "v1"
    for language, text, english in (("deu", "Hallo.\n", "Hello.\n"), ("fra", "Bonjour.\n", "Good day.\n")):
        put(root / f"tatoeba.{language}-eng.{language}", text)
        put(root / f"tatoeba.{language}-eng.eng", english)
    return tmp_path / "repository"


@pytest.mark.usefixtures("prepared")
def test_both_layouts_give_the_same_rows(repository, run):
    made = run(tatoeba.pool())
    assert [(row["text"], row["lang"], row["english"]) for row in made.rows] == [
        ("Hallo.", "deu", "Hello."),
        ("Bonjour.", "fra", "Good day."),
    ]
    assert run(tatoeba.pool(at=repository)).rows == made.rows


@pytest.mark.usefixtures("prepared")
def test_languages(repository, run):
    for at in (None, repository):
        assert [row["lang"] for row in run(tatoeba.pool(("fra",), at=at)).rows] == ["fra"]
        with pytest.raises(SettingError, match="'fr' is not in tatoeba here; languages are deu, fra"):
            run(tatoeba.pool(("fr",), at=at))


def test_halves_that_do_not_pair_up(repository, run):
    root = repository / "data" / "tatoeba" / "v1"
    put(root / "tatoeba.deu-eng.eng", "Hello.\nAgain.\n")
    with pytest.raises(InputError, match=r"has 1 lines and .* 2; they must pair up"):
        run(tatoeba.pool(("deu",), at=repository))
    (root / "tatoeba.fra-eng.fra").unlink()
    with pytest.raises(InputError, match=r"lacks tatoeba\.fra-eng\.fra"):
        run(tatoeba.pool(("fra",), at=repository))
