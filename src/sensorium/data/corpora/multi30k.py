"""Multi30K: descriptions of Flickr photographs in English, German, French and Czech (text only).

Official layout: a checkout of the repository, `data/task1/raw/SUBSET.LANGUAGE.gz` and
`data/task1/image_splits/`. The texts derive from Flickr30K and are for non-commercial research and education.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from sensorium.core.errors import InputError, unknown
from sensorium.data.corpora.corpus import Corpus, corpus
from sensorium.data.corpora.texts import lines, texts

LANGUAGES = ("en", "de", "fr", "cs")
SUBSETS = ("train", "val", "test_2016_flickr")


@dataclass(frozen=True, kw_only=True)
class Multi30k:
    """Reads `id`, `text`, `lang`, `key` (the photograph's file name): one row a photograph and language.

    Args:
        languages: of "en", "de", "fr", "cs".
        subset: of the official layout; the excerpt is a part of "train".
    """

    name: ClassVar[str] = "multi30k"
    layout: ClassVar[tuple[str, ...]] = ("data/task1/raw/*.gz",)
    languages: tuple[str, ...] = LANGUAGES
    subset: str = "train"

    def __post_init__(self) -> None:
        for language in self.languages:
            if language not in LANGUAGES:
                raise unknown("language", language, LANGUAGES)
        if self.subset not in SUBSETS:
            raise unknown("subset", self.subset, SUBSETS)

    def prepared(self, folder: Path) -> Iterator[pa.Table]:
        """Rows of the excerpt, one language after the other."""
        if self.subset != "train":
            raise InputError(f"the prepared excerpt of multi30k has no subset '{self.subset}', only train.")
        table = pq.read_table(folder / "data.parquet")
        for language in self.languages:
            yield _rows(table["image"].to_pylist(), table[language].to_pylist(), language)

    def official(self, folder: Path) -> Iterator[pa.Table]:
        """Rows of the files, by language; the key is a line number where no list names photographs."""
        root = folder / "data" / "task1"
        split = root / "image_splits" / f"{self.subset}.txt"
        keys = [line.split("#")[0] for line in lines(split)] if split.exists() else None
        for language in self.languages:
            path = root / "raw" / f"{self.subset}.{language}.gz"
            if not path.exists():
                raise InputError(f"{path} is missing; multi30k has {self.subset}.LANGUAGE.gz for each language.")
            found = lines(path)
            known = keys or [f"{self.subset}-{number:05d}" for number in range(len(found))]
            if len(known) != len(found):
                raise InputError(f"{path} has {len(found)} lines, but {split.name} lists {len(known)} photographs.")
            yield _rows(known, found, language)

    def classes(self, folder: Path, *, official: bool) -> None:
        """There are none."""


def pool(languages: tuple[str, ...] = LANGUAGES, subset: str = "train", at: str | Path | None = None) -> Corpus:
    """Multi30K as a pool; `at` is a checkout of its repository."""
    return corpus(Multi30k(languages=languages, subset=subset), at)


def _rows(keys: list[str], found: list[str], language: str) -> pa.Table:
    return texts([(f"{key}/{language}", text, key) for key, text in zip(keys, found, strict=True)], language)
