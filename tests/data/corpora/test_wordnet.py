"""WordNet from the prepared file and from the database files, and its entries."""

from __future__ import annotations

import pytest

from sensorium.core.errors import InputError
from sensorium.data.corpora import wordnet

from .conftest import parquet, put

NOUNS = """  1 This software and database is being provided to you, the LICENSEE, by
00001740 03 n 01 entity 0 003 ~ 00001930 n 0000 ~ 00002137 n 0000 ~ 04424418 n 0000 | that which is perceived
02084071 05 n 03 dog 0 domestic_dog 0 Canis_familiaris 0 002 @ 02083346 n 0000 @i 01317541 n 0000 | a "p | q"
"""
ADJECTIVES = "00001740 00 s 01 St._Elmo(p) 0 001 = 05200169 n 0000 | of fire\n"


@pytest.fixture
def database(tmp_path):
    put(tmp_path / "dict" / "data.noun", NOUNS)
    put(tmp_path / "dict" / "data.adj", ADJECTIVES)
    put(tmp_path / "dict" / "data.verb", "")
    put(tmp_path / "dict" / "data.adv", "")
    return tmp_path / "dict"


def test_the_database_files(database, run):
    made = run(wordnet.pool(at=database))
    dog = made.rows[1]
    assert [row["id"] for row in made.rows] == ["n00001740", "n02084071", "a00001740"]
    assert dog["lemmas"] == ["dog", "domestic dog", "Canis familiaris"]
    assert dog["hypernyms"] == ["n02083346", "n01317541"]
    assert dog["text"] == 'a "p | q"'
    assert made.rows[2]["lemmas"] == ["St. Elmo"]


def test_the_prepared_file(excerpt, run):
    parquet(excerpt / "synsets.parquet", synset=["n1"], lemmas=[["dog"]], gloss=["a pet"], hypernyms=[["n0"]])
    assert run(wordnet.pool()).rows == [
        {"id": "n1", "text": "a pet", "lang": "en", "lemmas": ["dog"], "hypernyms": ["n0"]}
    ]


def test_lines_of_another_format_are_shown(database, run):
    put(database / "data.verb", "00001740 29 v zz breathe\n")
    with pytest.raises(InputError, match=r"data\.verb has a line that is not of WordNet's database"):
        run(wordnet.pool(at=database))
