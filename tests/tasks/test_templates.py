import pytest

from sensorium.core.errors import SettingError
from sensorium.tasks.templates import GENERAL, fill, sentences


def test_sets_by_name():
    assert sentences("plain", "sw") == ("{}",)
    assert sentences("general", "en") == GENERAL["en"]


@pytest.mark.parametrize("language", sorted(GENERAL))
def test_every_general_sentence_holds_the_name_once_and_none_twice(language):
    found = GENERAL[language]
    assert found[0] == "{}"
    assert len(set(found)) == len(found) >= 3
    assert all(text.count("{}") == 1 for text in found)


def test_own_sentences_for_all_languages_or_by_language():
    assert sentences(("a {}", "a {}", "the {}"), "de") == ("a {}", "the {}")
    assert sentences({"de": ("ein Bild: {}",), "en": ("{}",)}, "de") == ("ein Bild: {}",)


def test_names_and_sentences_may_hold_braces():
    assert fill("set {x}: {}", "a{0}b") == "set {x}: a{0}b"


@pytest.mark.parametrize(
    ("templates", "language", "says"),
    [
        ("generl", "en", "did you mean 'general'"),
        ("a photo of a {}", "en", "Own sentences are given as a list"),
        ("general", "sw", "no language 'sw'"),
        ({"en": ("{}",)}, "de", "no language 'de'"),
        ({"en": "{}"}, "en", "a list of sentences"),
        (("a photo",), "en", "'a photo'"),
        (("{} and {}",), "en", "once"),
        ((), "en", "no sentence"),
    ],
)
def test_templates_that_cannot_work_are_refused(templates, language, says):
    with pytest.raises(SettingError, match=says):
        sentences(templates, language)
