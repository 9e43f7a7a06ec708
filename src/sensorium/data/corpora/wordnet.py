"""WordNet 3.0: synsets as a pool. Its words as metadata: `curate.metadata.WordNetEntries`.

Official layout: the database files `data.noun`, `data.verb`, `data.adj`, `data.adv` (in a folder, as Debian's
wordnet-base puts them into /usr/share/wordnet). A line is `offset lex_filenum ss_type w_cnt word lex_id ...
p_cnt pointer ... | gloss`, with counts of words in hexadecimal (wndb(5WN)).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from sensorium.core.errors import InputError
from sensorium.data.corpora.corpus import Corpus, corpus
from sensorium.data.corpora.texts import lines

_FILES = ("data.noun", "data.verb", "data.adj", "data.adv")
_MARKER = re.compile(r"\((a|p|ip)\)$")  # the syntactic marker of adjectives
_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),
        ("lang", pa.string()),
        ("lemmas", pa.list_(pa.string())),
        ("hypernyms", pa.list_(pa.string())),
    ]
)


@dataclass(frozen=True, kw_only=True)
class Wordnet:
    """Reads `id` (part of speech and offset), `text` (the gloss), `lang`, `lemmas`, `hypernyms`."""

    name: ClassVar[str] = "wordnet"
    layout: ClassVar[tuple[str, ...]] = _FILES

    def prepared(self, folder: Path) -> Iterator[pa.Table]:
        """Rows of the prepared file: all 117,659 synsets."""
        table = pq.read_table(folder / "synsets.parquet")
        language = pa.array(["en"] * len(table), pa.string())
        columns = [table["synset"], table["gloss"], language, table["lemmas"], table["hypernyms"]]
        yield pa.table(columns, names=_SCHEMA.names).cast(_SCHEMA)

    def official(self, folder: Path) -> Iterator[pa.Table]:
        """Rows of the database files."""
        for file in _FILES:
            rows = [_synset(line, folder / file) for line in lines(folder / file) if line[:1].isdigit()]
            columns = [list(column) for column in zip(*rows, strict=True)] or [[]] * len(_SCHEMA)
            yield pa.table(columns, schema=_SCHEMA)

    def classes(self, folder: Path, *, official: bool) -> None:
        """There are none."""


def pool(at: str | Path | None = None) -> Corpus:
    """WordNet's glosses as a pool; `at` is the folder of the database files."""
    return corpus(Wordnet(), at)


def _synset(line: str, path: Path) -> tuple[str, str, str, list[str], list[str]]:
    facts, _, gloss = line.partition(" | ")
    parts = facts.split()
    try:
        count = int(parts[3], 16)
        words = [_MARKER.sub("", word).replace("_", " ") for word in parts[4 : 4 + 2 * count : 2]]
        start = 4 + 2 * count
        pointers = [parts[start + 1 + 4 * number :][:4] for number in range(int(parts[start]))]
    except (ValueError, IndexError) as error:
        raise InputError(f"{path} has a line that is not of WordNet's database: {line[:40]!r}.") from error
    letter = _letter(parts[2])
    above = [f"{_letter(kind)}{offset}" for symbol, offset, kind, _ in pointers if symbol in ("@", "@i")]
    return f"{letter}{parts[0]}", gloss.strip(), "en", words, above


def _letter(kind: str) -> str:
    return "a" if kind == "s" else kind
