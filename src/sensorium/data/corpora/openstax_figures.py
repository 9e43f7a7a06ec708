"""Figures of OpenStax textbooks with alternative texts and captions (English, Polish, Spanish).

The alternative text describes the picture for readers who cannot see it; the caption says what the picture is
about and often ends in a credit. Several of these books went over to a non-commercial licence in 2025 and
2026: use the commits of the catalogue's card, and later ones only after reading their LICENSE.

Official layout: checkouts of the books' repositories side by side, `osbooks-*/modules/*/index.cnxml` and
`osbooks-*/media/`. The documents do not say their language; it follows the repository's name (fizyka, fisica,
others).
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, get_args

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sensorium.core.errors import InputError, unknown
from sensorium.data.bitmap import IMAGE
from sensorium.data.corpora.classes import is_picture, pictures
from sensorium.data.corpora.corpus import Corpus, corpus

Text = Literal["alt_text", "caption"]
_CNXML = "{http://cnx.rice.edu/cnxml}"
_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),
        ("image", IMAGE),
        ("lang", pa.string()),
        ("alt_text", pa.string()),
        ("caption", pa.string()),
        ("book", pa.string()),
    ]
)


@dataclass(frozen=True, kw_only=True)
class OpenstaxFigures:
    """Reads `id`, `text`, `image`, `lang`, `alt_text`, `caption`, `book`.

    Rows without the chosen text are left out.

    Args:
        text: which one becomes `text`: "alt_text" or "caption".
        languages: "en", "pl", "es"; none means all.
    """

    name: ClassVar[str] = "openstax_figures"
    layout: ClassVar[tuple[str, ...]] = ("osbooks-*/modules/*/index.cnxml", "osbooks-*/media/*")
    text: Text = "alt_text"
    languages: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.text not in get_args(Text):
            raise unknown("text", self.text, get_args(Text))
        for language in self.languages:
            if language not in ("en", "pl", "es"):
                raise unknown("language", language, ("en", "pl", "es"))

    def prepared(self, folder: Path) -> Iterator[pa.Table]:
        """Rows of the excerpt (longest side 192)."""
        columns = ["id", "image", "language", "alt_text", "caption", "book"]
        yield self._chosen(pq.read_table(folder / "data.parquet", columns=columns))

    def official(self, folder: Path) -> Iterator[pa.Table]:
        """Rows of the books, one module after the other."""
        seen: set[str] = set()
        for path in sorted(folder.glob(self.layout[0])):
            rows = [row for row in _figures(path, folder) if row[0] not in seen]
            seen.update(row[0] for row in rows)
            if rows:
                yield self._chosen(_table(rows, path.relative_to(folder).parts[0]))

    def classes(self, folder: Path, *, official: bool) -> None:
        """There are none."""

    def _chosen(self, table: pa.Table) -> pa.Table:
        table = table.append_column("text", table[self.text]).rename_columns({"language": "lang"})
        table = table.filter(pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(table["text"])), 0))
        if self.languages:
            table = table.filter(pc.is_in(table["lang"], pa.array(self.languages)))
        return table.select(_SCHEMA.names).cast(_SCHEMA)


def pool(text: Text = "alt_text", languages: tuple[str, ...] = (), at: str | Path | None = None) -> Corpus:
    """The figures as a pool; `at` is the folder that holds the checkouts."""
    return corpus(OpenstaxFigures(text=text, languages=languages), at)


def _figures(path: Path, folder: Path) -> Iterator[tuple[str, Path, str, str]]:
    """Id, picture, alternative text and caption of each figure of a module with one picture."""
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise InputError(f"{path} is not a CNXML document: {error}.") from error
    book = path.relative_to(folder).parts[0]
    for figure in root.iter(f"{_CNXML}figure"):
        media, images = figure.find(f"{_CNXML}media"), list(figure.iter(f"{_CNXML}image"))
        if media is None or len(images) != 1:
            continue
        # Only the name counts: a module points at ../../media/NAME, and nothing outside media/ is read.
        picture = folder / book / "media" / Path(images[0].get("src", "")).name
        if is_picture(picture):
            caption = figure.find(f"{_CNXML}caption")
            spoken = " ".join("".join(caption.itertext()).split()) if caption is not None else ""
            yield (
                f"{_short(book)}/{picture.stem}",
                picture,
                " ".join((media.get("alt") or "").split()),
                spoken,
            )


def _table(rows: list[tuple[str, Path, str, str]], book: str) -> pa.Table:
    language = "pl" if "fizyka" in book else "es" if "fisica" in book else "en"
    columns = {
        "id": pa.array([row[0] for row in rows], pa.string()),
        "image": pictures([row[1] for row in rows]),
        "alt_text": pa.array([row[2] for row in rows], pa.string()),
        "caption": pa.array([row[3] for row in rows], pa.string()),
        "language": pa.array([language] * len(rows), pa.string()),
        "book": pa.array([_short(book)] * len(rows), pa.string()),
    }
    return pa.table(columns)


def _short(book: str) -> str:
    return book.removeprefix("osbooks-").removesuffix("-bundle")
