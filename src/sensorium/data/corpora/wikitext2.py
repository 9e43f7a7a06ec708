"""WikiText-2: Wikipedia articles, tokenised, with rare words as <unk>; the excerpt is the validation part.

Official layout: `wiki.SUBSET.tokens` or `SUBSET.txt` (train, valid, test), where an article begins with ` =
Title = `.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from sensorium.core.errors import InputError, unknown
from sensorium.data.contents import Occurrences, row_digests
from sensorium.data.corpora.corpus import Corpus, corpus
from sensorium.data.corpora.texts import json_lines, lines

SUBSETS = ("train", "valid", "test")
_TITLE = re.compile(r"= (?!= )(.+?) =")
_SCHEMA = pa.schema([("id", pa.string()), ("text", pa.string()), ("lang", pa.string()), ("title", pa.string())])


@dataclass(frozen=True, kw_only=True)
class Wikitext2:
    """Reads `id` (a hash of the content), `text`, `lang`, `title`: one row an article.

    Args:
        subset: "train", "valid" or "test"; the excerpt has "valid" only.
    """

    name: ClassVar[str] = "wikitext2"
    layout: ClassVar[tuple[str, ...]] = ("*valid*",)
    subset: str = "valid"

    def __post_init__(self) -> None:
        if self.subset not in SUBSETS:
            raise unknown("subset", self.subset, SUBSETS)

    def prepared(self, folder: Path) -> Iterator[pa.Table]:
        """Rows of the excerpt."""
        if self.subset != "valid":
            raise InputError(f"the prepared excerpt of wikitext2 has no subset '{self.subset}', only valid.")
        numbering = Occurrences(None)
        for rows in json_lines(folder / "data.jsonl.zst"):
            yield _articles([(row["title"], row["text"]) for row in rows], numbering)

    def official(self, folder: Path) -> Iterator[pa.Table]:
        """Rows of one file."""
        names = (f"wiki.{self.subset}.tokens", f"{self.subset}.txt")
        path = next((folder / name for name in names if (folder / name).exists()), None)
        if path is None:
            raise InputError(f"{folder} has neither {names[0]} nor {names[1]}.")
        yield _articles(list(split(lines(path))), Occurrences(None))

    def classes(self, folder: Path, *, official: bool) -> None:
        """There are none."""


def pool(subset: str = "valid", at: str | Path | None = None) -> Corpus:
    """WikiText-2 as a pool; `at` is the folder of its text files."""
    return corpus(Wikitext2(subset=subset), at)


def split(found: list[str]) -> Iterator[tuple[str, str]]:
    """Articles (title, text); a title stands between blank lines, sections have more equals signs."""
    title: str | None = None
    body: list[str] = []
    for number, line in enumerate(found):
        match = _TITLE.fullmatch(line.strip())
        alone = (number == 0 or not found[number - 1].strip()) and (
            number + 1 == len(found) or not found[number + 1].strip()
        )
        if match and alone:
            if title is not None:
                yield title, "\n".join(body)
            title, body = match[1], []
        elif title is not None:
            body.append(line)
    if title is not None:
        yield title, "\n".join(body)


def _articles(rows: list[tuple[str, str]], numbering: Occurrences) -> pa.Table:
    found = {"text": [text for _, text in rows], "title": [title for title, _ in rows]}
    table = pa.table({name: pa.array(values, pa.string()) for name, values in found.items()})
    ids = pa.array(numbering.ids(row_digests(table)), pa.string())
    language = pa.array(["en"] * len(rows), pa.string())
    return pa.table([ids, table["text"], language, table["title"]], names=_SCHEMA.names).cast(_SCHEMA)
