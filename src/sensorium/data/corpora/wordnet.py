"""WordNet 3.0: synsets as a pool, and its words as vocabulary entries.

Official layout: the database files `data.noun`, `data.verb`, `data.adj`, `data.adv` (in a folder, as Debian's
wordnet-base puts them into /usr/share/wordnet). A line is `offset lex_filenum ss_type w_cnt word lex_id ...
p_cnt pointer ... | gloss`, with counts of words in hexadecimal (wndb(5WN)).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from sensorium.core.errors import InputError, unknown
from sensorium.data.corpora.corpus import Corpus, Official, Prepared, corpus
from sensorium.data.corpora.texts import lines

Which = Literal["first", "all"]
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


@dataclass(frozen=True)
class WordnetEntries:
    """WordNet's words as a source of vocabulary entries.

    Args:
        which: "first" takes the first lemma of every synset, as MetaCLIP's metadata does; "all" takes every
            lemma.
        source: the prepared file or an official folder.
    """

    which: Which = "first"
    source: Prepared | Official = field(default_factory=lambda: Prepared("wordnet"))

    def __post_init__(self) -> None:
        if self.which not in get_args(Which):
            raise unknown("which", self.which, get_args(Which))

    def identity(self) -> dict[str, Any]:
        """The choice and the content."""
        return {"which": self.which, "source": self.source.identity()}

    def entries(self) -> dict[str, list[str]]:
        """Entries by language: sorted lower-case words, blanks instead of underscores."""
        folder, reader = self.source.folder(), Wordnet()
        tables = reader.official(folder) if isinstance(self.source, Official) else reader.prepared(folder)
        return {"en": entries([lemmas for table in tables for lemmas in table["lemmas"].to_pylist()], self.which)}


def entries(synsets: Sequence[Sequence[str]], which: Which = "first") -> list[str]:
    """Vocabulary entries of synsets given as their lemmas: sorted, lower case, blanks instead of underscores.

    The first lemma of a synset ends at its first dot, as in MetaCLIP's metadata (86,554 entries, and with the
    digits 0 to 99 the published 86,654); all lemmas are whole.
    """
    if which == "first":
        chosen = (lemmas[0].partition(".")[0] for lemmas in synsets if lemmas)
    else:
        chosen = (lemma for lemmas in synsets for lemma in lemmas)
    return sorted({lemma.replace("_", " ").lower() for lemma in chosen} - {""})


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
