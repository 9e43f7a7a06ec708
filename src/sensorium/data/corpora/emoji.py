"""Noto emoji with their Unicode CLDR names or keywords in thirty languages: small and permissive.

Official layout: checkouts side by side, `noto-emoji/png/72/emoji_u*.png` and, of cldr-json,
`cldr-json/cldr-json/cldr-annotations*-full/annotations*/LANGUAGE/annotations.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from sensorium.core.errors import InputError, SettingError, listing, unknown
from sensorium.data.bitmap import IMAGE
from sensorium.data.corpora.classes import pictures
from sensorium.data.corpora.corpus import Corpus, corpus

Texts = Literal["name", "keywords"]
_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),
        ("image", IMAGE),
        ("lang", pa.string()),
        ("key", pa.string()),
        ("emoji", pa.string()),
    ]
)
_SKINS = frozenset(chr(point) for point in range(0x1F3FB, 0x1F400))


@dataclass(frozen=True, kw_only=True)
class Emoji:
    """Reads `id`, `text`, `image`, `lang`, `key`, `emoji`: a row for each picture and language.

    Args:
        languages: codes of CLDR ("en", "de", "zh", ...); none means all.
        texts: "name" ("dog face") or "keywords" ("animal, dog, face, ...").
    """

    name: ClassVar[str] = "emoji"
    layout: ClassVar[tuple[str, ...]] = (
        "noto-emoji/png/72/emoji_u*.png",
        "cldr-json/cldr-json/cldr-annotations-full/annotations/*/annotations.json",
    )
    languages: tuple[str, ...] = ("en",)
    texts: Texts = "name"

    def __post_init__(self) -> None:
        if self.texts not in get_args(Texts):
            raise unknown("texts", self.texts, get_args(Texts))

    def prepared(self, folder: Path) -> Iterator[pa.Table]:
        """Rows of the excerpt, one language after the other."""
        images = pq.read_table(folder / "images.parquet", columns=["id", "image", "emoji"])
        annotations = pq.read_table(folder / "annotations.parquet")
        chosen = self._chosen(sorted(set(annotations["language"].to_pylist())))
        texts: dict[str, dict[str, str]] = {language: {} for language in chosen}
        for row in annotations.to_pylist():
            if row["language"] in texts:
                texts[row["language"]][row["emoji"]] = self._text(row["name"], row["keywords"])
        for language in chosen:
            yield from _rows(images, texts[language], language)

    def official(self, folder: Path) -> Iterator[pa.Table]:
        """Rows of the checkouts, one language after the other."""
        paths = [path for path in sorted(folder.glob(self.layout[0])) if not _SKINS & set(_character(path))]
        images = pa.table(
            {
                "id": pa.array([f"noto_{path.stem.removeprefix('emoji_u')}" for path in paths], pa.string()),
                "image": pictures(paths),
                "emoji": pa.array([_character(path) for path in paths], pa.string()),
            }
        )
        places = folder.glob(self.layout[1])
        for language in self._chosen(sorted(path.parent.name for path in places)):
            yield from _rows(images, self._annotations(folder, language), language)

    def classes(self, folder: Path, *, official: bool) -> None:
        """There are none: each picture is its own."""

    def _text(self, name: str | None, keywords: list[str] | None) -> str:
        return (name or "") if self.texts == "name" else ", ".join(keywords or ())

    def _chosen(self, known: list[str]) -> list[str]:
        for language in self.languages:
            if language not in known:
                raise SettingError(f"'{language}' has no names here; languages are {listing(known, 40)}.")
        return list(self.languages) or known

    def _annotations(self, folder: Path, language: str) -> dict[str, str]:
        """Text of each emoji, by its characters without variation selectors."""
        found: dict[str, str] = {}
        for kind, key in (("annotations", "annotations"), ("annotations-derived", "annotationsDerived")):
            place = folder / "cldr-json" / "cldr-json" / f"cldr-{kind}-full" / key / language / "annotations.json"
            if place.exists():
                found.update({_plain(one): self._entry(entry) for one, entry in _entries(place, key).items()})
        return found

    def _entry(self, entry: dict[str, Any]) -> str:
        return self._text((entry.get("tts") or [None])[0], entry.get("default"))


def pool(languages: tuple[str, ...] = ("en",), texts: Texts = "name", at: str | Path | None = None) -> Corpus:
    """Emoji as a pool; `at` is the folder that holds both checkouts."""
    return corpus(Emoji(languages=languages, texts=texts), at)


def _rows(images: pa.Table, texts: dict[str, str], language: str) -> Iterator[pa.Table]:
    """The pictures that have a text in a language."""
    emoji = images["emoji"].to_pylist()
    found = [texts.get(one) or texts.get(_plain(one)) or "" for one in emoji]
    rows = [row for row, text in enumerate(found) if text]
    if rows:
        kept = images.take(rows)
        columns = [
            pa.array([f"{one}/{language}" for one in kept["id"].to_pylist()], pa.string()),
            pa.array([found[row] for row in rows], pa.string()),
            kept["image"],
            pa.array([language] * len(rows), pa.string()),
            kept["id"],
            kept["emoji"],
        ]
        yield pa.table(columns, names=_SCHEMA.names).cast(_SCHEMA)


def _entries(path: Path, key: str) -> dict[str, dict[str, Any]]:
    try:
        found: dict[str, dict[str, Any]] = json.loads(path.read_text("utf-8"))[key]["annotations"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a file of CLDR annotations.") from error
    return found


def _plain(emoji: str) -> str:
    return emoji.replace("\ufe0f", "")


def _character(path: Path) -> str:
    return "".join(chr(int(point, 16)) for point in path.stem.removeprefix("emoji_u").split("_"))
