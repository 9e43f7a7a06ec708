"""Stages that make a vocabulary ("metadata"): your own lists, WordNet, titles, unions; see also `ngrams`."""

from __future__ import annotations

import gzip
import hashlib
import os
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from sensorium.core import files
from sensorium.core.errors import InputError, SettingError, listing
from sensorium.core.stage import Here, Stage, stage, takes
from sensorium.curate.balance import check_whole
from sensorium.curate.vocabulary import Vocabulary, one_array
from sensorium.data.table_file import open_table

DIGITS = tuple(str(number) for number in range(100))
_DEBIAN = Path("/usr/share/wordnet")
_WHOLE = 64 << 20  # files up to this size are hashed in full


@dataclass(frozen=True)
class TextFiles:
    """Files known by their content: sizes and hashes (of the first and last MiB where they are large)."""

    paths: tuple[Path, ...]

    def identity(self) -> Any:
        """Content only: a list may move and be renamed."""
        return [_digest(path) for path in self.existing()]

    def label(self) -> str:
        """Names for people."""
        return listing([path.name for path in self.paths], 3)

    def existing(self) -> tuple[Path, ...]:
        """The paths.

        Raises:
            InputError: one is not a file.
        """
        for path in self.paths:
            if not path.is_file():
                raise InputError(f"there is no file {path}; name an existing one.")
        return self.paths


def _digest(path: Path) -> str:
    size = path.stat().st_size
    if size <= _WHOLE:
        return files.sha256_file(path)
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as handle:
        digest.update(handle.read(1 << 20))
        handle.seek(-(1 << 20), os.SEEK_END)
        digest.update(handle.read())
    return digest.hexdigest()


def _as_files(value: Any, what: str) -> TextFiles:
    if isinstance(value, TextFiles):
        return value
    listed = value if isinstance(value, tuple | list) else (value,)
    if not listed or not all(isinstance(path, str | os.PathLike) and str(path) for path in listed):
        raise SettingError(f"{what} is {value!r}; it must be a path or a tuple of paths.")
    return TextFiles(tuple(Path(path) for path in listed))


def _finish(vocabulary: Vocabulary, here: Here) -> dict[str, float]:
    vocabulary.save(here.out)
    facts = {name: value for name, value in vocabulary.facts.items() if isinstance(value, int)}
    return {"entries": len(vocabulary), **facts}


@stage
class Entries(Stage):
    """A vocabulary from entries in memory, best first; equal ones are merged and counted.

    Args:
        entries: texts; blanks at their ends are removed.
    """

    gives: ClassVar[str] = "vocabulary"

    entries: tuple[str, ...]

    def check(self) -> None:
        """Refuse an empty list, and a text in the place of a list."""
        given: Any = self.entries
        if not isinstance(given, tuple | list) or not all(isinstance(entry, str) for entry in given):
            raise SettingError(f"Entries.entries is {given!r:.80}; it must be a tuple of texts.")
        if not given:
            raise SettingError("Entries.entries is empty; give at least one entry.")

    def run(self, here: Here) -> Mapping[str, float]:
        """Write the vocabulary."""
        return _finish(Vocabulary.build([(self.label(), self.entries)], self.label()), here)


@stage
class EntriesFile(Stage):
    """A vocabulary from a text file with one entry per line, UTF-8, best first.

    Lines end with LF or CRLF only; a byte order mark, empty lines and blanks at the ends of a line are
    removed; equal lines are merged and counted. The file is known by its content, so it may move.
    """

    gives: ClassVar[str] = "vocabulary"

    path: Any

    def check(self) -> None:
        """Take a path."""
        object.__setattr__(self, "path", _as_files(self.path, "EntriesFile.path"))

    def run(self, here: Here) -> Mapping[str, float]:
        """Read the lines and write the vocabulary."""
        parts = [(os.fsencode(path.name).decode("utf-8", "replace"), _lines(path)) for path in self.path.existing()]
        return _finish(Vocabulary.build(parts, str(self.path.paths[0])), here)


def _lines(path: Path) -> list[str]:
    found = []
    content = path.read_bytes().removeprefix(b"\xef\xbb\xbf").removesuffix(b"\n")
    for number, line in enumerate(content.split(b"\n"), start=1):
        try:
            found.append(line.removesuffix(b"\r").decode("utf-8"))
        except UnicodeDecodeError as error:
            raise InputError(f"line {number} of {path} is not UTF-8: {line[:40]!r}; save the file as UTF-8.") from error
    return found


@stage
class WordNetEntries(Stage):
    """The first lemma of every WordNet synset, lower-cased, up to its first dot, and the digits 0 to 99.

    This is the rule behind the published list: on WordNet 3.0 it gives 86,654 entries, its number. (The cut
    at the dot turns "St. Louis" into "st"; an entry with a dot could not match anyway.)

    Args:
        path: a folder with data.noun, data.verb, data.adj, data.adv (Debian's wordnet-base:
            /usr/share/wordnet), or a Parquet file with a column `lemmas` (lists). Empty:
            `wordnet/synsets.parquet` in a folder of SENSORIUM_DATA, then /usr/share/wordnet.
        digits: add the digits.
    """

    gives: ClassVar[str] = "vocabulary"

    path: Any = ""
    digits: bool = True

    def check(self) -> None:
        """Find the files; their content is the identity."""
        if not isinstance(self.path, TextFiles):
            object.__setattr__(self, "path", WordNetFiles(_find_wordnet(Path(self.path) if self.path else None)))

    def run(self, here: Here) -> Mapping[str, float]:
        """Read the lemmas and write the vocabulary."""
        lemmas = [lemma.lower().partition(".")[0] for lemma in self.path.first_lemmas()]
        parts: list[tuple[str, Sequence[str]]] = [("digits", DIGITS)] if self.digits else []
        return _finish(Vocabulary.build([*parts, ("wordnet", without_marks(lemmas))], "WordNet"), here)


@dataclass(frozen=True)
class WordNetFiles(TextFiles):
    """WordNet's database files, or a Parquet file of synsets."""

    def first_lemmas(self) -> Iterator[str]:
        """The first lemma of every synset, with blanks for underscores."""
        if not self.paths:
            raise InputError(
                "WordNet was not found; install it (Debian: apt install wordnet-base), put "
                "wordnet/synsets.parquet into a folder of SENSORIUM_DATA, or give a list of your own "
                "(WordNetEntries(path=...), EntriesFile(path=...), on the command line --concepts FILE)."
            )
        for path in self.existing():
            if path.suffix == ".parquet":
                yield from _parquet_lemmas(path)
            else:
                yield from _database_lemmas(path)


def _find_wordnet(given: Path | None) -> tuple[Path, ...]:
    roots = [Path(folder) for folder in os.environ.get("SENSORIUM_DATA", "").split(os.pathsep) if folder]
    places = [given] if given else [*(root / "wordnet" / "synsets.parquet" for root in roots), _DEBIAN]
    for place in places:
        if place.is_file():
            return (place,)
        parts = tuple(place / f"data.{kind}" for kind in ("noun", "verb", "adj", "adv"))
        if all(part.is_file() for part in parts):
            return parts
        if (place / "synsets.parquet").is_file():
            return (place / "synsets.parquet",)
    if given:
        raise InputError(f"there is no WordNet at {given}; give the folder of data.noun, or a Parquet file of synsets.")
    return ()


def _parquet_lemmas(path: Path) -> Iterator[str]:
    with open_table(path) as file:
        names = file.schema_arrow.names
        if "lemmas" not in names:
            raise InputError(f"{path} has no column 'lemmas'; it has {', '.join(names)}.")
        lemmas = one_array(file.read(["lemmas"])["lemmas"])
    filled = lemmas.filter(pc.greater(pc.list_value_length(lemmas), 0))
    yield from (lemma.replace("_", " ") for lemma in pc.list_element(filled, 0).to_pylist())


def _database_lemmas(path: Path) -> Iterator[str]:
    # A synset's line: offset, file number, type, number of words (hexadecimal), first word, ...; notes begin
    # with a blank.
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if not line.startswith(" "):
                word = line.split(" ", 5)[4]
                yield word.partition("(")[0].replace("_", " ")  # adjectives carry a marker such as "(a)"


def without_marks(entries: Sequence[str]) -> list[str]:
    """The entries without those that are one ASCII punctuation mark."""
    return [entry for entry in entries if entry not in string.punctuation]


@stage
class Titles(Stage):
    """Titles of much viewed pages, from hourly page-view files ("project title views bytes", plain or gzip).

    An hour counts from `min_hour` views on, a title from a sum of `min_total`; titles with ":" (other name
    spaces) are skipped, underscores are blanks. Published: "en", 50, 70, 26 fixed days of 24 files.

    Args:
        path: a file or a tuple of files.
        project: the first word of the lines to keep.
        min_hour, min_total: see above.
    """

    gives: ClassVar[str] = "vocabulary"

    path: Any
    project: str = "en"
    min_hour: int = 50
    min_total: int = 70

    def check(self) -> None:
        """Take paths; refuse negative limits."""
        object.__setattr__(self, "path", _as_files(self.path, "Titles.path"))
        check_whole("Titles.min_hour", self.min_hour, low=0)
        check_whole("Titles.min_total", self.min_total, low=0)

    def run(self, here: Here) -> Mapping[str, float]:
        """Add up the hours; most viewed titles first, equal ones by their text."""
        views: dict[bytes, int] = {}
        for path in self.path.existing():
            for title, count in _views(path, self.project.encode(), self.min_hour):
                views[title] = views.get(title, 0) + count
        kept = sorted((-count, title) for title, count in views.items() if count >= self.min_total)
        titles = [title.replace(b"_", b" ").decode("utf-8", "replace") for _, title in kept]
        what = f"{self.path.paths[0]} (project {self.project}, at least {self.min_total} views)"
        return _finish(Vocabulary.build([("titles", without_marks(titles))], what), here)


def _views(path: Path, project: bytes, least: int) -> Iterator[tuple[bytes, int]]:
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
        for line in lines:
            words = line.split()
            # Broken lines occur in the published files; they carry no count.
            if len(words) < 3 or words[0] != project or not words[2].isdigit():
                continue
            if int(words[2]) >= least and b":" not in words[1]:
                yield words[1], int(words[2])


@stage
class Union(Stage):
    """Vocabularies one after another; an entry belongs to the first part that brings it.

    Args:
        parts: stages that give "vocabulary", in order.
        caps: for each part, how many entries it may add at most (None: all). Only entries that are new count,
            best ranks first.
    """

    gives: ClassVar[str] = "vocabulary"

    parts: tuple[Stage, ...] = takes("vocabulary")
    caps: tuple[int | None, ...] = ()

    def check(self) -> None:
        """Refuse an empty union, and caps that do not belong to parts."""
        if not isinstance(self.parts, tuple) or not self.parts:
            raise SettingError("Union.parts must be a tuple of at least one vocabulary.")
        if self.caps and len(self.caps) != len(self.parts):
            raise SettingError(
                f"Union.caps has {len(self.caps)} values for {len(self.parts)} parts; one each, None for all."
            )
        for cap in self.caps:
            check_whole("a value of Union.caps", cap, low=0)

    def run(self, here: Here) -> Mapping[str, float]:
        """Collect new entries part by part."""
        parts: list[tuple[str, pa.Array]] = []
        known = pa.array([], pa.large_string())
        for part, cap in zip(self.parts, self.caps or (None,) * len(self.parts), strict=True):
            entries = Vocabulary.open(here.path(part)).best_first()
            new = entries.filter(pc.invert(pc.is_in(entries, value_set=known)))
            new = new if cap is None else new.slice(0, cap)
            parts.append((part.label(), new))
            known = pa.concat_arrays([known, new])
        return _finish(Vocabulary.build(parts, self.label()), here)
