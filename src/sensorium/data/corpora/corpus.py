"""Public data sets as pools with our columns: prepared excerpts, or folders in the official layout.

A module of this room knows one set: its `pool(...)` builds the stage, its reader turns files into tables. The
prepared excerpts are found by the catalogue (SENSORIUM_DATA) and known by their recorded sha256; an official
folder is known by the content of the files that are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import pyarrow as pa

from sensorium.core import files
from sensorium.core.errors import InputError, listing
from sensorium.core.stage import Here, Stage, stage
from sensorium.data import catalog
from sensorium.data.locations import Location, content_identity
from sensorium.data.tables import write_shard


class Reader(Protocol):
    """Knows the files of one set; a frozen dataclass whose fields are what the user may choose."""

    name: ClassVar[str]
    """Name in the catalogue."""
    layout: ClassVar[tuple[str, ...]]
    """Patterns of the files that are read in an official folder; each must match at least one."""

    def prepared(self, folder: Path) -> Iterator[pa.Table]:
        """Tables of one schema, `id` first, from the prepared excerpt."""

    def official(self, folder: Path) -> Iterator[pa.Table]:
        """The same from the official layout."""

    def classes(self, folder: Path, *, official: bool) -> list[dict[str, Any]] | None:
        """What the labels mean, in their order, or None for a set without classes."""


@dataclass(frozen=True)
class Prepared:
    """The prepared excerpt of a set, as a source."""

    name: str

    def identity(self) -> dict[str, Any]:
        """Name and recorded sha256 of every file; they are checked when the stage runs."""
        return {"set": self.name, "files": {file.file: file.sha256 for file in catalog.card(self.name).files}}

    def folder(self) -> Path:
        """The folder with the checked files."""
        found = catalog.folder(self.name)
        if found is None:
            raise catalog.missing(self.name)
        return found


@dataclass(frozen=True)
class Official:
    """A folder of the user's that holds a set as its makers publish it, as a source."""

    path: str
    layout: tuple[str, ...]

    def identity(self) -> dict[str, Any]:
        """Relative names, sizes and content hashes of the files that are read."""
        folder = self.folder()
        found = sorted({path for pattern in self.layout for path in folder.glob(pattern) if path.is_file()})
        places = [Location(str(path), path.relative_to(folder).as_posix(), path.stat().st_size) for path in found]
        return {"files": content_identity(places)}

    def folder(self) -> Path:
        """The folder; each pattern of the layout has a file in it.

        Raises:
            InputError: the folder, or files of the layout, are missing; all are named.
        """
        folder = Path(self.path)
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder}; it should hold {listing(self.layout)}.")
        absent = [pattern for pattern in self.layout if next(folder.glob(pattern), None) is None]
        if absent:
            raise InputError(
                f"{folder} lacks {listing(absent)}; the official layout read here has {listing(self.layout)}."
            )
        return folder


@stage
class Corpus(Stage):
    """A public set as a pool; `pool.json` carries its attribution, `classes.json` what labels mean.

    Args:
        reader: which set, and what of it.
        source: the prepared excerpt or an official folder.
    """

    gives: ClassVar[str] = "pool"
    reader: Reader
    source: Prepared | Official

    def label(self) -> str:
        """The set's name, unless another was given."""
        return self.name or self.reader.name

    def run(self, here: Here) -> Mapping[str, float]:
        """Read the set and write it as one shard."""
        folder, official = self.source.folder(), isinstance(self.source, Official)
        tables = self.reader.official(folder) if official else self.reader.prepared(folder)
        first = next(tables, None)
        if first is None:
            raise InputError(f"{folder} has no rows of '{self.reader.name}' with these settings.")
        schema = first.schema
        rows = write_shard(here.out / "rows" / "part-00000.parquet", _chain(first, tables), schema)
        if rows == 0:
            raise InputError(f"{folder} has no rows of '{self.reader.name}' with these settings.")
        classes = self.reader.classes(folder, official=official)
        if classes is not None:
            files.write_json(here.out / "classes.json", {"classes": classes})
        card = catalog.card(self.reader.name)
        content = {
            "columns": {field.name: str(field.type) for field in schema},
            "rows_in": rows,
            "rows_out": rows,
            "dropped": 0,
            "rejected": 0,
            "attribution": card.attribution(),
            "redistribute": card.redistribute,
        }
        files.write_json(here.out / "pool.json", content)
        return {"rows": rows, **({"classes": len(classes)} if classes is not None else {})}


def corpus(reader: Reader, at: str | Path | None = None) -> Corpus:
    """The stage for a reader: its prepared excerpt, or the official folder `at`."""
    source = Prepared(reader.name) if at is None else Official(str(at), reader.layout)
    return Corpus(reader=reader, source=source)


def _chain(first: pa.Table, rest: Iterable[pa.Table]) -> Iterator[pa.Table]:
    yield first
    yield from rest
