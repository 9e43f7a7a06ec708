"""Prompt templates: sentences around a class name, by language.

The lists are our own and short. They are not the 80 prompts of CLIP: those were tuned on ImageNet, and a list
tuned elsewhere is given as `templates=(...)` and recorded with the result. Sentences outside English put the
name behind a colon or in quotes where grammar would otherwise ask for a case, an article or a gender that a
list of names lacks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sensorium.core.errors import SettingError, listing, unknown

MARK = "{}"
"""Where the name goes. It is replaced as text, so names and sentences may hold other braces."""

PLAIN = (MARK,)
"""The name alone, in any language."""

GENERAL: Mapping[str, tuple[str, ...]] = {
    "en": (
        "{}",
        "a {}",
        "a photo of a {}",
        "a picture of the {}",
        "a small image of a {}",
        "a drawing of a {}",
        "this is a {}",
    ),
    "ar": ("{}", "صورة: {}", "رسم: {}"),
    "de": ("{}", "ein Bild: {}", "ein Foto: {}", "eine Zeichnung: {}"),
    "es": ("{}", "una imagen: {}", "una foto: {}", "un dibujo: {}"),
    "fa": ("{}", "تصویر: {}", "عکس: {}"),
    "fr": ("{}", "une image : {}", "une photo : {}", "un dessin : {}"),
    "id": ("{}", "gambar {}", "foto {}"),
    "it": ("{}", "un'immagine: {}", "una foto: {}", "un disegno: {}"),
    "ja": ("{}", "{}の画像", "{}の写真", "{}の絵"),
    "ko": ("{}", "{} 이미지", "{} 사진", "{} 그림"),
    "pt": ("{}", "uma imagem: {}", "uma foto: {}", "um desenho: {}"),
    "ru": ("{}", "изображение: {}", "фото: {}", "рисунок: {}"),
    "tr": ("{}", "resim: {}", "fotoğraf: {}"),
    "zh": ("{}", "{}的图片", "{}的照片", "{}的画"),
}
"""A few neutral sentences in the languages of the emoji web."""

SETS = ("general", "plain")

Templates = str | Sequence[str] | Mapping[str, Sequence[str]]
"""A set's name ("general", "plain"), own sentences for every language, or own sentences by language."""


def sentences(templates: Templates, language: str) -> tuple[str, ...]:
    """The templates of one language.

    Args:
        templates: see `Templates`.
        language: a language code.

    Raises:
        SettingError: an unknown set, a language the set lacks, no sentence at all, or a sentence without the
            mark.
    """
    if isinstance(templates, str):
        return _of_set(templates, language)
    if isinstance(templates, Mapping):
        if language not in templates:
            raise SettingError(f"the templates have no language '{language}'; they have {listing(sorted(templates))}.")
        templates = templates[language]
    if isinstance(templates, str):
        raise SettingError(f"templates of '{language}' are a list of sentences, not the text {templates!r}.")
    found = tuple(dict.fromkeys(templates))
    wrong = [repr(text) for text in found if text.count(MARK) != 1]
    if wrong or not found:
        given = listing(wrong) if wrong else "no sentence"
        raise SettingError(f"every template holds {MARK} once, where the name goes; given: {given}.")
    return found


def fill(template: str, name: str) -> str:
    """The sentence with the name in its place."""
    return template.replace(MARK, name)


def _of_set(name: str, language: str) -> tuple[str, ...]:
    if name == "plain":
        return PLAIN
    if name != "general":
        hint = f" Own sentences are given as a list: ({name!r},)." if MARK in name else ""
        raise SettingError(f"{unknown('set of templates', name, SETS)}{hint}")
    if language not in GENERAL:
        raise SettingError(
            f"the general templates have no language '{language}'; they have {listing(sorted(GENERAL), 20)}. "
            "Use templates='plain' or own sentences."
        )
    return GENERAL[language]
