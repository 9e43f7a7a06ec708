"""The catalogue: real public data sets with licence, source, sha256 and rows, found in local folders.

The entries describe small prepared excerpts (Parquet with media as bytes, or Zstandard-compressed JSON lines)
of public sets, not the whole official sets. `sources` says where the material comes from, with commit;
`redistribute` whether it may go into a public place: "yes", "unclear" (ask first) or "no" (local use only).
Where a licence was not stated next to the files, `licence_basis` says so.

`find(name)` looks into the folders named in the environment variable SENSORIUM_DATA (separated like those of
PATH) for `NAME/FILE`, and gives a pool once every file has its sha256.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sensorium.core.errors import InputError, listing, unknown
from sensorium.data.checksums import sha256_of

if TYPE_CHECKING:
    from sensorium.data.sources import Files

VARIABLE = "SENSORIUM_DATA"


@dataclass(frozen=True, kw_only=True)
class CardFile:
    """One file of a prepared set."""

    file: str
    bytes: int
    sha256: str
    rows: int | None = None


@dataclass(frozen=True, kw_only=True)
class CardSource:
    """Where the material comes from."""

    url: str
    commit: str | None = None
    date: str | None = None
    paths: str = ""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What is known of a set.

    Attributes:
        name, title, modality, rows, hours: what it is.
        licence, licence_note, licence_basis: its terms, and how they are known.
        redistribute: whether the files may be published; `redistribute_terms` under which conditions.
        columns: name -> meaning, over all tables of the set.
        files, sources: the prepared files, and where the material comes from.
        notes: what to watch for.
        pool_files, pool_columns, pool_ids: which files make the pool that `find` gives, our name -> theirs,
            and where ids come from (see `sources.Files`).
    """

    name: str
    title: str
    modality: str
    rows: int
    licence: str
    redistribute: Literal["yes", "unclear", "no"]
    redistribute_terms: str
    columns: Mapping[str, str]
    files: tuple[CardFile, ...]
    sources: tuple[CardSource, ...]
    pool_files: tuple[str, ...]
    pool_columns: Mapping[str, str]
    pool_ids: Literal["given", "content"] = "given"
    hours: float | None = None
    licence_note: str = ""
    licence_basis: str = ""
    notes: str = ""

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(file.bytes for file in self.files)

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        content = {name: getattr(self, name) for name in self.__dataclass_fields__}
        content |= {
            "files": [vars(file) for file in self.files],
            "sources": [vars(source) for source in self.sources],
        }
        return content | {
            "bytes": self.bytes,
            "columns": dict(self.columns),
            "pool_columns": dict(self.pool_columns),
        }

    def attribution(self) -> str:
        """One sentence for pages and pools: the set, its sources and its licence."""
        places = ", ".join(
            source.url + (f" at {source.commit[:12]}" if source.commit else "") for source in self.sources
        )
        return f"{self.name}: {places}. Licence: {self.licence}. May be published: {self.redistribute_terms}."


@functools.cache
def _cards() -> dict[str, Card]:
    text = importlib.resources.files("sensorium.data").joinpath("catalog.json").read_text("utf-8")
    return {entry["name"]: _card(entry) for entry in json.loads(text)["sets"]}


def _card(entry: dict[str, Any]) -> Card:
    pool = entry.pop("pool")
    entry["files"] = tuple(CardFile(**file) for file in entry["files"])
    entry["sources"] = tuple(CardSource(**source) for source in entry["sources"])
    return Card(**entry, pool_files=tuple(pool["files"]), pool_columns=pool["columns"], pool_ids=pool["ids"])


def names() -> list[str]:
    """All sets, by name."""
    return sorted(_cards())


def card(name: str) -> Card:
    """The card of a set.

    Raises:
        SettingError: there is no such set; the nearest name is given.
    """
    if name not in _cards():
        raise unknown("data set", name, names())
    return _cards()[name]


def overview() -> list[dict[str, Any]]:
    """One mapping a set, for lists.

    `here` says whether the files are there by name and size; nothing is hashed.
    """
    shown = ("name", "title", "modality", "rows", "hours", "bytes", "licence", "redistribute")
    return [{name: getattr(_cards()[one], name) for name in shown} | {"here": is_here(one)} for one in names()]


def folders() -> list[Path]:
    """The folders named in SENSORIUM_DATA, in their order."""
    return [Path(folder).expanduser() for folder in os.environ.get(VARIABLE, "").split(os.pathsep) if folder]


def is_here(name: str) -> bool:
    """Whether the files of a set are there, by name and size."""
    return next(_candidates(card(name)), None) is not None


def folder(name: str) -> Path | None:
    """The folder that holds a set, or None; all its files have their sha256.

    Raises:
        SettingError: there is no such set.
        InputError: a file is there under the right name and is another one.
    """
    known = card(name)
    found = next(_candidates(known), None)
    if found is None:
        _refuse_others(known)
        return None
    for file in known.files:
        if sha256_of(found / file.file) != file.sha256:
            raise _differs(known, found / file.file)
    return found


def find(name: str) -> Files | None:
    """The pool of a set with our column names; None if unknown, absent, or without a table.

    Raises:
        InputError: a file is there under the right name and is another one.
    """
    # sources opens sets by name through this module, so it can only be imported later.
    from sensorium.data.sources import Files

    if name not in _cards():
        return None
    known, place = card(name), folder(name)
    if place is None or not known.pool_files:
        return None
    paths = tuple(str(place / file) for file in known.pool_files)
    return Files(paths if len(paths) > 1 else paths[0], columns=known.pool_columns, ids=known.pool_ids)


def missing(name: str) -> InputError:
    """The error for a set that is not here: which files go where, and where the material comes from."""
    known = card(name)
    places = folders()
    where = f"none of {listing(map(str, places), 3)} (from {VARIABLE}) has it" if places else f"{VARIABLE} is not set"
    expected = listing((f"{known.name}/{file.file}" for file in known.files), 4)
    return InputError(
        f"the data set '{known.name}' is not here ({where}); put {expected} into a folder "
        f"named in {VARIABLE}. Its material comes from {_origin(known)}."
    )


def _origin(known: Card) -> str:
    parts = []
    for source in known.sources[:3]:
        commit = f" at commit {source.commit}" if source.commit else ""
        parts.append(f"{source.url}{commit}" + (f" ({source.paths})" if source.paths else ""))
    return "; ".join(parts) + (f" and {len(known.sources) - 3} more" if len(known.sources) > 3 else "")


def _candidates(known: Card) -> Iterator[Path]:
    """Folders that hold every file of a set in its size."""
    for place in folders():
        found = place / known.name
        if all(_size(found / file.file) == file.bytes for file in known.files):
            yield found


def _refuse_others(known: Card) -> None:
    """Say so when all files are there by name and some have another size."""
    for place in folders():
        sizes = [(place / known.name / file.file, file.bytes) for file in known.files]
        if all(_size(path) is not None for path, _ in sizes):
            raise _differs(known, next(path for path, size in sizes if _size(path) != size))


def _differs(known: Card, path: Path) -> InputError:
    return InputError(
        f"{path} is not the catalogued file of '{known.name}': its content differs from the recorded sha256; "
        f"get it again, or name the folder itself as the pool to use it as it is."
    )


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size if path.is_file() else None
    except OSError:
        return None
