"""Names of emoji in fourteen languages (Unicode CLDR, from the package `emoji`) and the vocabulary."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from sensorium.core.errors import SettingError, unknown
from sensorium.data.worlds import drawings

LANGUAGES = ("en", "ar", "de", "es", "fa", "fr", "id", "it", "ja", "ko", "pt", "ru", "tr", "zh")
"""Languages with a name for every concept (ISO 639-1)."""

UNSPACED = frozenset({"ja", "zh"})
"""Languages written without blanks between words."""

_PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~«»“”‘’、。（）・"


def check_languages(languages: Sequence[str]) -> None:
    """Refuse unknown, repeated or no languages."""
    if not languages:
        raise SettingError(f"languages is empty; choose from {', '.join(LANGUAGES)}.")
    for language in languages:
        if language not in LANGUAGES:
            raise unknown("language", str(language), LANGUAGES)
    if len(set(languages)) < len(languages):
        raise SettingError(f"languages names one twice: {', '.join(languages)}.")


def name(emoji: str, language: str = "en") -> str:
    """The CLDR name of an emoji: 'dog face', 'hundegesicht', 'イヌの顔'."""
    return _plain(_entry(emoji, language)[language])


def aliases(emoji: str) -> tuple[str, ...]:
    """Other English names, as chat programs use them: 'dog' for the dog face; may be empty."""
    known = _entry(emoji, "en")
    found = dict.fromkeys(_plain(alias) for alias in known.get("alias", ()))
    return tuple(alias for alias in found if alias and alias != _plain(known["en"]))


def entries_of(emoji: Sequence[str], language: str) -> list[str]:
    """Vocabulary entries of some emoji in one language: names, aliases (English only), their words; sorted.

    Words are cut at blanks and freed from punctuation at their ends; names in languages without blanks stay
    whole.
    """
    found: set[str] = set()
    for character in emoji:
        for phrase in (name(character, language), *(aliases(character) if language == "en" else ())):
            found.add(phrase)
            if language not in UNSPACED:
                found.update(word.strip(_PUNCTUATION) for word in phrase.split())
    found.discard("")
    return sorted(found)


def web_entries(concepts: int = 400, languages: Sequence[str] = ("en",), seed: int = 0) -> list[str]:
    """The vocabulary of the emoji web with these settings, all languages together, sorted.

    Args:
        concepts: how many concepts the world has.
        languages: the languages of its captions.
        seed: the world's seed, which decides the concepts.
    """
    return sorted(set().union(*web_entries_by_language(concepts, languages, seed).values()))


def web_entries_by_language(
    concepts: int = 400, languages: Sequence[str] = ("en",), seed: int = 0
) -> dict[str, list[str]]:
    """The vocabulary of each language; see `web_entries`."""
    check_languages(languages)
    chosen = drawings.concepts(concepts, seed)
    return {language: entries_of(chosen, language) for language in languages}


@dataclass(frozen=True, kw_only=True)
class WebEntries:
    """The vocabulary of an emoji web as a source: known by its settings, read only when a stage runs."""

    concepts: int = 400
    languages: tuple[str, ...] = ("en", "de", "es", "fr", "ja")
    seed: int = 0

    gives: ClassVar[str] = "vocabulary"

    def __post_init__(self) -> None:
        check_languages(self.languages)

    def identity(self) -> dict[str, Any]:
        """The settings; the packages' versions are recorded where the world is made."""
        return {"concepts": self.concepts, "languages": list(self.languages), "seed": self.seed, "version": 1}

    def entries(self) -> dict[str, list[str]]:
        """Entries of each language."""
        return web_entries_by_language(self.concepts, self.languages, self.seed)


def _plain(code: str) -> str:
    return code.strip(":").replace("_", " ").strip()


def _entry(emoji: str, language: str) -> dict[str, Any]:
    return _table(language)[emoji]


@functools.cache
def _table(language: str) -> dict[str, dict[str, Any]]:
    drawings.need_packages()
    import emoji

    if language != "en":
        emoji.config.load_language(language)
    table: dict[str, dict[str, Any]] = emoji.EMOJI_DATA
    return table
