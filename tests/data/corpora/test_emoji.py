"""Emoji from the excerpt and from checkouts of Noto Emoji and CLDR."""

from __future__ import annotations

import json

import pytest

from sensorium.core.errors import InputError, SettingError
from sensorium.data.corpora import emoji

from .conftest import parquet, png, put


@pytest.fixture
def prepared(excerpt):
    parquet(excerpt / "images.parquet", id=["noto_1f436", "noto_2764"], image=[png(1), png(2)], emoji=["🐶", "❤"])
    parquet(
        excerpt / "annotations.parquet",
        emoji=["🐶", "❤", "🐶"],
        language=["en", "en", "de"],
        name=["dog face", "red heart", "Hundegesicht"],
        keywords=[["dog", "pet"], ["love"], ["Hund"]],
    )


@pytest.fixture
def checkouts(tmp_path):
    root = tmp_path / "checkouts"
    for name in ("1f436", "2764", "1f44b_1f3fb", "1f468_200d_1f33e"):
        put(root / "noto-emoji" / "png" / "72" / f"emoji_u{name}.png", png(len(name)))
    cldr = root / "cldr-json" / "cldr-json"
    full = {"🐶": {"tts": ["dog face"], "default": ["dog", "pet"]}, "❤️": {"tts": ["red heart"]}}
    derived = {"👨‍🌾": {"tts": ["man farmer"]}}
    for language, extra in (("en", ""), ("fr", " (fr)")):
        entries = {
            key: {"tts": [value["tts"][0] + extra]} | {"default": value.get("default")} for key, value in full.items()
        }
        put(
            cldr / "cldr-annotations-full" / "annotations" / language / "annotations.json",
            json.dumps({"annotations": {"annotations": entries}}),
        )
    put(
        cldr / "cldr-annotations-derived-full" / "annotationsDerived" / "en" / "annotations.json",
        json.dumps({"annotationsDerived": {"annotations": derived}}),
    )
    return root


@pytest.mark.usefixtures("prepared")
def test_the_excerpt_joins_pictures_and_names(run):
    made = run(emoji.pool(languages=("de", "en")))
    assert [(row["id"], row["text"], row["lang"], row["key"]) for row in made.rows] == [
        ("noto_1f436/de", "Hundegesicht", "de", "noto_1f436"),
        ("noto_1f436/en", "dog face", "en", "noto_1f436"),
        ("noto_2764/en", "red heart", "en", "noto_2764"),
    ]
    assert made.rows[0]["image"]["bytes"] == png(1)


@pytest.mark.usefixtures("prepared")
def test_no_languages_means_all_and_keywords_are_joined(run):
    made = run(emoji.pool(languages=(), texts="keywords"))
    assert [row["text"] for row in made.rows] == ["Hund", "dog, pet", "love"]


def test_checkouts(checkouts, run):
    made = run(emoji.pool(languages=(), at=checkouts))
    assert [(row["id"], row["text"]) for row in made.rows] == [
        ("noto_1f436/en", "dog face"),
        ("noto_1f468_200d_1f33e/en", "man farmer"),
        ("noto_2764/en", "red heart"),
        ("noto_1f436/fr", "dog face (fr)"),
        ("noto_2764/fr", "red heart (fr)"),
    ]


@pytest.mark.usefixtures("prepared")
def test_unknown_languages_and_texts(run):
    with pytest.raises(SettingError, match="'xx' has no names here; languages are de, en"):
        run(emoji.pool(languages=("xx",)))
    with pytest.raises(SettingError, match="unknown texts 'names'"):
        emoji.pool(texts="names")


def test_other_json_is_named(checkouts, run):
    cldr = checkouts / "cldr-json" / "cldr-json"
    put(cldr / "cldr-annotations-full" / "annotations" / "fr" / "annotations.json", "[]")
    with pytest.raises(InputError, match=r"fr/annotations\.json is not a file of CLDR annotations"):
        run(emoji.pool(languages=("fr",), at=checkouts))
