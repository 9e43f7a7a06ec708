"""Pools: tables of rows in files of many formats, opened by path, pattern, URI or catalogue name.

    shards = Files("my/*.parquet", columns={"text": "caption"}).shards()
    for piece in shards[0].pieces(["text", "image"]):
        piece.table, piece.rejected

Ids are unique in a pool: given in a column `id`, made of shard and given id, or of content. Their stability:
given ids never change; ids of tars and media folders follow the names inside the pool's folder; content ids
follow the content.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, get_args

import pyarrow as pa

from sensorium.core.errors import InputError, SettingError, listing, nearest, unknown
from sensorium.core.recipe import Parser
from sensorium.core.stage import Here, Stage
from sensorium.data import catalog, folders, hf, jsonl, parquet, webdataset
from sensorium.data.ids import number_occurrences, repeated_ids
from sensorium.data.kinds import MEDIA_SUFFIXES
from sensorium.data.locations import Location, content_identity, locate
from sensorium.data.schema import no_column, unify
from sensorium.data.selection import Selection, select
from sensorium.data.shards import MOST_NOTES, Ids, Layout, Part, Piece, Shard, Survey, is_id, need_columns
from sensorium.data.tables import PoolWriter, write_shard

__all__ = [
    "Files",
    "Piece",
    "Pool",
    "PoolWriter",
    "Shard",
    "need_columns",
    "number_occurrences",
    "open_pool",
    "parse_pool",
    "repeated_ids",
    "with_columns",
    "write_shard",
]

_SURVEYS = {
    "parquet": parquet.survey,
    "webdataset": webdataset.survey,
    "jsonl": jsonl.survey,
    "arrow": hf.survey,
}


@dataclass(frozen=True)
class Files:
    """A pool that lies in files: Parquet, WebDataset tars, JSON lines, `datasets` or media folders.

    Known by content (`identity`), so it may move. What a text stands for is decided by `locations.locate`: a
    path that exists is literal, then ranges `{00000..00003}`, globs, and URIs of fsspec.

    Attributes:
        uri: a file, a folder, a pattern or a URI, or several of them.
        columns: our name -> name in the files, {"text": "caption"}; all other columns keep their names.
        ids: "given": the column `id` (content where there is none); "shard": "<file>/<id>", for ids that are
            unique in a file only; "content": a hash of the `key` columns, or of all but `id`. Equal rows get
            `.1`, `.2`, ... Where there is a column `id`, rows without a value in it are rejected.
        key: columns (our names) whose content makes an id; fewer columns are faster to hash.
    """

    uri: str | Sequence[str]
    columns: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    ids: Ids = field(default="given", kw_only=True)
    key: tuple[str, ...] = field(default=(), kw_only=True)

    gives: ClassVar[str] = "pool"

    def __post_init__(self) -> None:
        uris: Any = self.uri  # paths and lists of them are taken as well
        plain = os.fspath(uris) if isinstance(uris, str | os.PathLike) else tuple(os.fspath(uri) for uri in uris)
        object.__setattr__(self, "uri", plain)
        object.__setattr__(self, "columns", dict(self.columns))
        key: Any = self.key
        object.__setattr__(self, "key", (key,) if isinstance(key, str) else tuple(key))
        if not plain:
            raise SettingError("a pool of no files was given; name at least one file, folder or pattern.")
        if self.ids not in get_args(Ids):
            raise unknown("ids", self.ids, get_args(Ids))
        if self.key and self.ids == "shard":
            raise SettingError("key has no effect with ids='shard'; use ids='content' to make ids from columns.")
        if not all(isinstance(name, str) and name for pair in self.columns.items() for name in pair):
            raise SettingError(
                f"columns must map our names to theirs, as in text=caption; given {dict(self.columns)!r}."
            )

    def __hash__(self) -> int:
        return hash((self.uri, tuple(sorted(self.columns.items())), self.ids, self.key))

    def label(self) -> str:
        """The pool as the user wrote it, for sentences."""
        return self.uri if isinstance(self.uri, str) else listing(self.uri, 3)

    def identity(self) -> dict[str, Any]:
        """Relative names, sizes and content hashes of the files, with the settings that shape rows."""
        chosen = self._selected()
        beside = chosen.others if chosen.kind in MEDIA_SUFFIXES else ()
        return {
            "files": content_identity([*chosen.files, *beside]),
            "columns": dict(self.columns),
            "ids": self.ids,
            "key": list(self.key),
        }

    def shards(self) -> list[Shard]:
        """The shards in stored order, all of one schema; footers, tar headers, JSON lines are read for it.

        Content ids take one more pass over the columns that make them (see `ids.number_occurrences`).

        Raises:
            InputError: nothing to read, an unreadable file, types that differ between files, a missing
                column.
        """
        chosen = self._selected()
        surveys = _surveys(chosen)
        layout = self._layout(chosen, surveys)
        parts: list[Part] = [part for survey in surveys for part in survey.parts]
        shards = [Shard(part, layout) for part in parts]
        return number_occurrences(shards) if layout.ids == "content" else shards

    def notes(self) -> list[str]:
        """Sentences about files that were left out and columns that some files lack."""
        chosen = self._selected()
        surveys = _surveys(chosen)
        return self._notes(chosen, surveys, self._unified(surveys)[1])

    def locations(self) -> tuple[Location, ...]:
        """The files that are read, and those beside them that may be."""
        chosen = self._selected()
        return (*chosen.files, *chosen.others)

    def _selected(self) -> Selection:
        return select([self.uri] if isinstance(self.uri, str) else self.uri)

    def _unified(self, surveys: Sequence[Survey]) -> tuple[pa.Schema, list[str]]:
        """One schema for all files, and what some of them lack; ids may be numbers here and text there."""
        theirs = self.columns.get("id", "id")
        return unify(self.label(), [(survey.file, _with_text_id(survey.schema, theirs)) for survey in surveys])

    def _notes(self, chosen: Selection, surveys: Sequence[Survey], lacks: Sequence[str]) -> list[str]:
        return [*chosen.notes, *(note for survey in surveys for note in survey.notes), *lacks]

    def _layout(self, chosen: Selection, surveys: Sequence[Survey]) -> Layout:
        """Names, types, ids and notes that all shards share."""
        pool = self.label()
        unified, lacks = self._unified(surveys)
        notes = self._notes(chosen, surveys, lacks)
        theirs_of = self._renamed(unified.names)
        names = [name for name in theirs_of if name != "id"]
        given = theirs_of.get("id")
        layout_ids = self._ids(given, names, pool)
        schema = pa.schema([pa.field(name, unified.field(theirs_of[name]).type) for name in names])
        named = (chosen.kind == "webdataset" or chosen.kind in MEDIA_SUFFIXES) and "id" not in self.columns
        return Layout(
            pool=pool,
            schema=schema,
            theirs=theirs_of,
            given=given,
            ids=layout_ids,
            key=self.key,
            unique=named or chosen.finished or layout_ids == "content",
            prefixed=layout_ids == "shard" and not named,
            notes=(*notes[:MOST_NOTES], *([f"and {len(notes) - MOST_NOTES} notes more"] * (len(notes) > MOST_NOTES))),
        )

    def _renamed(self, names: Sequence[str]) -> dict[str, str]:
        """Our name -> theirs for every column, in the order of theirs."""
        for ours, theirs in self.columns.items():
            if theirs not in names:
                near = nearest(theirs, names)
                hint = f" Did you mean columns {ours}={near}?" if near else ""
                raise InputError(
                    f"pool {self.label()} has no column '{theirs}' (columns {ours}={theirs}); "
                    f"it has: {listing(names)}.{hint}"
                )
        ours_of: dict[str, list[str]] = {}
        for ours, theirs in self.columns.items():
            ours_of.setdefault(theirs, []).append(ours)
        # A name of theirs that is one of ours for another column is hidden by it.
        kept = [name for name in names if name in ours_of or name not in self.columns]
        return {ours: theirs for theirs in kept for ours in ours_of.get(theirs, [theirs])}

    def _ids(self, given: str | None, names: Sequence[str], pool: str) -> Ids:
        for name in self.key:
            if name not in names:
                raise no_column(pool, name, names)
        if self.ids == "shard" and given is None:
            raise InputError(
                f"pool {pool} has no column 'id' to put the shard's name before; use ids='content', or columns id=..."
            )
        if self.key and self.ids == "given" and given is not None:
            raise SettingError(
                f"key has no effect, since pool {pool} has a column 'id'; use ids='content' to ignore it."
            )
        return "content" if given is None else self.ids


def _with_text_id(schema: pa.Schema, theirs: str) -> pa.Schema:
    """The schema with the id column as text where it becomes text; see `shards`."""
    position = schema.get_field_index(theirs)
    if position < 0 or not is_id(schema.field(position).type):
        return schema
    return schema.set(position, pa.field(theirs, pa.string()))


def _surveys(chosen: Selection) -> list[Survey]:
    if chosen.kind in MEDIA_SUFFIXES:
        return folders.survey(chosen.found, chosen.kind, chosen.files, chosen.others)
    return list(_SURVEYS[chosen.kind](chosen.stems()))


def parse_pool(
    text: str, columns: Mapping[str, str] | None = None, *, ids: Ids = "given", key: Sequence[str] = ()
) -> Files:
    """A pool from what a user typed: an existing path, a range or glob, a URI, or a catalogue name.

    Args:
        text: tried in this order; a path that exists is never read as a pattern.
        columns: our name -> theirs.
        ids: where ids come from, see `Files`.
        key: columns that make content ids.

    Raises:
        InputError: nothing has that name; the nearest one is named.
    """
    wanted: dict[str, Any] = {"columns": dict(columns or {}), "ids": ids, "key": tuple(key)}
    if not os.path.exists(text) and (named := catalog.find(text)) is not None:
        changed = {name: value for name, value in wanted.items() if value and value != "given"}
        return dataclasses.replace(named, **changed) if changed else named
    try:
        locate(text)
    except InputError as error:
        raise _not_found(text, error) from error
    return Files(text, **wanted)


def _not_found(text: str, error: InputError) -> InputError:
    if text in catalog.names():
        return catalog.missing(text)
    near = None if "/" in text else nearest(text, catalog.names())
    return (
        error if near is None else InputError(f"there is no file, folder or set {text}; did you mean the set '{near}'?")
    )


Pool = Annotated[Stage | Files, Parser(parse_pool, "a pool")]
"""What recipes take: a stage that gives a pool, or files; on the command line, what `parse_pool` reads."""


def with_columns(pool: Stage | Files, columns: Mapping[str, str]) -> Stage | Files:
    """The pool with its columns under our names, {"text": "caption"}; nothing is read.

    Raises:
        SettingError: columns of a stage, which declares its own.
    """
    if not columns:
        return pool
    if isinstance(pool, Stage):
        raise SettingError(f"columns are for files; {pool.label()} is a stage and names its columns itself.")
    return dataclasses.replace(pool, columns={**pool.columns, **columns})


def open_pool(pool: Pool, here: Here | None = None) -> list[Shard]:
    """The shards of a pool with ids that are sure to be unique.

    Args:
        pool: a stage that gives a pool, or files.
        here: what the running stage was given; needed to find the folder of a stage.

    Raises:
        InputError: ids repeat; the sentence says which, where, and how to prefix them.
    """
    if isinstance(pool, Stage):
        if here is None:
            raise TypeError("the pool is a stage; open_pool needs `here` to find its folder")
        return Files(str(here.path(pool) / "rows")).shards()
    shards = pool.shards()
    if shards and not shards[0].layout.unique:
        _refuse_repeated(pool, repeated_ids(shards, limit=20))
    return shards


def _refuse_repeated(pool: Files, repeated: list[tuple[str, str, str]]) -> None:
    if not repeated:
        return
    name, first, other = repeated[0]
    where = f"in {first} and in {other}" if first != other else f"twice in {first}"
    many = f" ({'at least ' if len(repeated) == 20 else ''}{len(repeated)} ids repeat)" if repeated[1:] else ""
    hint = "ids='shard', which puts the shard's name before them"
    if first == other or pool.ids == "shard":
        hint = "ids='content', which makes ids from the content"
    raise InputError(f"ids of pool {pool.label()} repeat: '{name}' is {where}{many}. Use {hint}.")
