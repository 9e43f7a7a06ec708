"""Tatoeba: sentences in 112 languages with an English translation; good for language identification too.

Official layout (the LASER repository): `data/tatoeba/v1/tatoeba.LANGUAGE-eng.LANGUAGE` and `....eng`, line by
line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from sensorium.core.errors import InputError, SettingError, listing
from sensorium.data.contents import Occurrences, row_digests
from sensorium.data.corpora.corpus import Corpus, corpus
from sensorium.data.corpora.texts import lines, tables

_ROOT = "data/tatoeba/v1"
_SCHEMA = pa.schema([("id", pa.string()), ("text", pa.string()), ("lang", pa.string()), ("english", pa.string())])


@dataclass(frozen=True, kw_only=True)
class Tatoeba:
    """Reads `id` (a hash of the content), `text`, `lang` (ISO 639-3), `english`.

    Args:
        languages: ISO 639-3 codes; none means all.
    """

    name: ClassVar[str] = "tatoeba"
    layout: ClassVar[tuple[str, ...]] = (f"{_ROOT}/tatoeba.*-eng.eng",)
    languages: tuple[str, ...] = ()

    def prepared(self, folder: Path) -> Iterator[pa.Table]:
        """Rows of the excerpt (at most 200 a language)."""
        found = pa.concat_tables(tables(folder / "data.parquet", {"lang": "language"})).select(_SCHEMA.names)
        self._check(pc.unique(found["lang"]).to_pylist())
        yield found.filter(pc.is_in(found["lang"], pa.array(self.languages))) if self.languages else found

    def official(self, folder: Path) -> Iterator[pa.Table]:
        """Rows of the files, one language after the other."""
        known = sorted(path.name.split(".")[1].removesuffix("-eng") for path in folder.glob(self.layout[0]))
        self._check(known)
        for language in self.languages or known:
            yield _pairs(folder / _ROOT, language)

    def classes(self, folder: Path, *, official: bool) -> None:
        """There are none."""

    def _check(self, known: list[str]) -> None:
        for language in self.languages:
            if language not in known:
                raise SettingError(f"'{language}' is not in tatoeba here; languages are {listing(known, 120)}.")


def pool(languages: tuple[str, ...] = (), at: str | Path | None = None) -> Corpus:
    """Tatoeba as a pool; `at` is a checkout of the LASER repository."""
    return corpus(Tatoeba(languages=languages), at)


def _pairs(root: Path, language: str) -> pa.Table:
    stem = f"tatoeba.{language}-eng"
    if not (root / f"{stem}.{language}").exists():
        raise InputError(f"{root} lacks {stem}.{language}, the other half of {stem}.eng.")
    texts, english = lines(root / f"{stem}.{language}"), lines(root / f"{stem}.eng")
    if len(texts) != len(english):
        raise InputError(f"{stem}.{language} has {len(texts)} lines and {stem}.eng {len(english)}; they must pair up.")
    columns = {"text": texts, "lang": [language] * len(texts), "english": english}
    table = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
    ids = Occurrences(None).ids(row_digests(table))
    return table.add_column(0, "id", pa.array(ids, pa.string())).cast(_SCHEMA)
