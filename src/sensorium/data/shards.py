"""Shards: what a pool consists of. Whatever the format, rows come out as one kind of checked table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from sensorium.core.errors import InputError
from sensorium.data import rejected as rejects
from sensorium.data.contents import Earlier, Occurrences, row_digests
from sensorium.data.locations import leaves_folder
from sensorium.data.schema import MEDIA, check_types, is_media, no_column, plain_type

Ids = Literal["given", "shard", "content"]
ROWS = 65536
PIECE_BYTES = 16 << 20
"""A piece holds at most this many bytes where the format can tell, or one row."""

MOST_NOTES = 50

MEDIA_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""How media read from tars and folders stand in a table; the same as in the `datasets` library."""

_SUSPECT = r"(^|/)\.\.(/|$)|^/|://|\x00"


@dataclass(frozen=True)
class Refused:
    """Something that did not even become a row.

    Attributes:
        place: where it stands.
        reason: why it cannot be used.
        known: fields that could be read all the same, under their names; if the id is among them, it names
            the row.
    """

    place: str
    reason: str
    known: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Raw:
    """What a format reader hands over.

    Attributes:
        table: columns as asked for, under their names, in the types of the file.
        faults: row of the table -> why it cannot be used. The row is in the table, with null for what is
            broken, so that the numbering of equal rows does not depend on which columns were asked for.
        rejected: what did not even become a row.
        first: number of the table's first row within the file.
    """

    table: pa.Table
    faults: Mapping[int, str] = field(default_factory=dict)
    rejected: tuple[Refused, ...] = ()
    first: int = 0


class Part(Protocol):
    """One stretch of one file (or of a folder of media files), as its format reads it. Picklable."""

    @property
    def name(self) -> str:
        """Unique in the pool, stable, safe as a file name."""

    @property
    def stem(self) -> str:
        """The file's relative name without suffix: the prefix of ids with `ids="shard"`."""

    @property
    def folder(self) -> str:
        """The folder that relative media paths start from."""

    @property
    def num_rows(self) -> int | None:
        """Rows including those that will be rejected, where known."""

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[Raw]:
        """Rows in stored order, at most `rows` at a time, with those of the columns that the file has."""


@dataclass(frozen=True)
class Survey:
    """What a format found in one file before any row is handed out.

    Attributes:
        file: the file's name, for sentences.
        parts: in stored order.
        schema: names and types as in the file.
        notes: sentences about what was left out.
    """

    file: str
    parts: tuple[Part, ...]
    schema: pa.Schema
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """What all shards of a pool share.

    Attributes:
        pool: the pool as the user wrote it, for sentences.
        schema: our column names and types, without `id`.
        theirs: our column name -> name in the files.
        given: name of the id column in the files, if there is one.
        ids: where ids come from; "given" is "content" when nothing is given.
        key: columns whose content makes the id; none means all.
        unique: ids are unique by the form of the pool: of tars, media folders, finished stages, content.
        prefixed: ids are preceded by the name of their file.
        notes: sentences about what was left out, at most about MOST_NOTES.
    """

    pool: str
    schema: pa.Schema
    theirs: Mapping[str, str]
    given: str | None = None
    ids: Ids = "given"
    key: tuple[str, ...] = ()
    unique: bool = False
    prefixed: bool = False
    notes: tuple[str, ...] = ()

    def select(self, columns: Sequence[str] | None) -> list[str]:
        """Our column names for a request, without `id`.

        Raises:
            InputError: the pool lacks one, or it has a type that cannot be what its name says.
        """
        if columns is None:
            return list(self.schema.names)
        wanted = [name for name in dict.fromkeys(columns) if name != "id"]
        for name in wanted:
            if name not in self.schema.names:
                raise no_column(self.pool, name, self.schema.names)
        check_types(self.pool, self.schema, wanted)
        return wanted

    def hashed(self) -> list[str]:
        """The columns that make a content id."""
        return list(self.key or self.schema.names)


@dataclass(frozen=True)
class Piece:
    """Some rows of a shard.

    Attributes:
        table: `id` (string, never null) first, then the columns asked for; media not decoded.
        rejected: id, shard, reason of the rows that cannot be used.
    """

    table: pa.Table
    rejected: pa.Table


@dataclass(frozen=True)
class Shard:
    """A unit of work: a file, a stretch of a big file, or some media files. Picklable, cheap to send."""

    part: Part
    layout: Layout
    earlier: Earlier | None = field(default=None, repr=False, compare=False)

    @property
    def name(self) -> str:
        """Unique in the pool, stable, safe as a file name."""
        return self.part.name

    @property
    def num_rows(self) -> int | None:
        """Rows including those that will be rejected, where the format tells."""
        return self.part.num_rows

    @property
    def folder(self) -> str:
        """The folder that relative media paths start from."""
        return self.part.folder

    def schema(self, columns: Sequence[str] | None = None) -> pa.Schema:
        """The schema of the pieces; the same for all shards of a pool, empty ones included."""
        fields = [_our_field(self.layout.schema.field(name)) for name in self.layout.select(columns)]
        return pa.schema([pa.field("id", pa.string()), *fields])

    def pieces(self, columns: Sequence[str] | None = None, rows: int = ROWS) -> Iterator[Piece]:
        """Read the shard in stored order; an empty shard gives one empty piece.

        A row is rejected for faults in the requested columns and in its id; a fault in a column nobody asked
        for is met by whoever asks for it.

        Args:
            columns: our names; None is all. `id` is always there.
            rows: at most so many rows in a piece; pieces of large values are shorter.

        Raises:
            InputError: a column is missing or has a wrong type, or the file is damaged as a whole.
        """
        wanted = self.layout.select(columns)
        schema = self.schema(columns)
        needed = list(dict.fromkeys([*wanted, *(self.layout.hashed() if self.layout.ids == "content" else ())]))
        numbering = Occurrences(self.earlier)
        empty = True
        for raw in self.part.batches(self._theirs(needed), rows):
            empty = False
            yield self._piece(raw, needed, schema, numbering)
        if empty:
            yield Piece(schema.empty_table(), rejects.SCHEMA.empty_table())

    def digests(self, rows: int = ROWS) -> Iterator[np.ndarray]:
        """Content hashes in stored order, each (N, 16) uint8, of the rows that can be hashed."""
        hashed = self.layout.hashed()
        for raw in self.part.batches(self._theirs(hashed), rows):
            table = self._ours(raw.table, hashed)
            yield row_digests(_without(table, self._faults(table, hashed)).select(hashed))

    def _theirs(self, needed: Sequence[str]) -> list[str]:
        names = [self.layout.theirs[name] for name in needed]
        if self.layout.given and self.layout.ids != "content":
            names.append(self.layout.given)
        return list(dict.fromkeys(names))

    def _piece(self, raw: Raw, needed: Sequence[str], schema: pa.Schema, numbering: Occurrences) -> Piece:
        table = self._ours(raw.table, needed)
        faults = self._faults(table, self.layout.hashed() if self.layout.ids == "content" else ())
        if self.layout.ids == "content":
            table = self._with_content_ids(table, faults, numbering)
        else:
            table = _with_text_ids(table, self._prefix(), self.layout.pool, faults)
        faults = {**self._faults(table, schema.names[1:]), **faults, **raw.faults}
        refused = [(self._known(one), one.reason) for one in raw.rejected]
        bad = [(self._named(table, row, raw.first), faults[row]) for row in sorted(faults)]
        table = _without(table, faults)
        columns = [_as(table[item.name], item.type) for item in schema]
        return Piece(pa.table(columns, schema=schema), rejects.table(self.name, [*refused, *bad]))

    def _with_content_ids(self, table: pa.Table, faults: Mapping[int, str], numbering: Occurrences) -> pa.Table:
        digests = row_digests(_without(table, faults).select(self.layout.hashed()))
        ids = iter(numbering.ids(digests))
        named = [None if row in faults else next(ids) for row in range(table.num_rows)]
        return table.append_column("id", pa.array(named, pa.string()))

    def _faults(self, table: pa.Table, names: Sequence[str]) -> dict[int, str]:
        """Rows with invalid UTF-8, or with a media path that must not be followed, in the named columns."""
        faults: dict[int, str] = {}
        for name in names:
            for row in _invalid_rows(table[name], text=name == "text"):
                faults.setdefault(row, f"invalid UTF-8: in column '{name}'")
            if name in MEDIA:
                for row, path in _foreign_paths(table[name], self.folder, set(faults)):
                    faults.setdefault(row, f"path leaves the pool's folder: '{path}' in column '{name}'")
        return faults

    def _ours(self, table: pa.Table, needed: Sequence[str]) -> pa.Table:
        columns = {}
        for name in needed:
            kind = self.layout.schema.field(name).type
            theirs = self.layout.theirs[name]
            there = theirs in table.column_names
            columns[name] = self._converted(name, table[theirs], kind) if there else pa.nulls(table.num_rows, kind)
        if self.layout.given and self.layout.ids != "content":
            absent = pa.nulls(table.num_rows, pa.string())
            columns["id"] = table[self.layout.given] if self.layout.given in table.column_names else absent
        if not columns:
            columns[""] = pa.nulls(table.num_rows)  # keeps the number of rows
        return pa.table(columns)

    def _converted(self, name: str, column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | pa.Array:
        try:
            return _as(column, kind)
        except pa.ArrowException as error:
            raise InputError(
                f"column '{name}' of {self.part.stem} in pool {self.layout.pool} is {column.type} and cannot be read "
                f"as {kind}, which all files together ask for: {str(error).splitlines()[0][:200]}."
            ) from error

    def _prefix(self) -> str:
        return f"{self.part.stem}/" if self.layout.prefixed else ""

    def _known(self, refused: Refused) -> str:
        name = refused.known.get(self.layout.given or "")
        usable = (
            isinstance(name, str | int) and not isinstance(name, bool) and name != "" and self.layout.ids != "content"
        )
        return f"{self._prefix()}{name}" if usable else refused.place

    def _named(self, table: pa.Table, row: int, first: int) -> str:
        """What to call a rejected row: its id where it has a usable one, else its place."""
        value = table["id"][row] if "id" in table.column_names else None
        try:
            return (value.as_py() if value is not None else None) or f"{self.name}:{first + row}"
        except UnicodeDecodeError:
            return f"{self.name}:{first + row}"


def need_columns(shards: Sequence[Shard], columns: Sequence[str]) -> None:
    """Raise the InputError of the first column that the pool lacks or that has a wrong type."""
    if shards:
        shards[0].layout.select(columns)


def _without(table: pa.Table, faults: Mapping[int, str]) -> pa.Table:
    if not faults:
        return table
    keep = np.ones(table.num_rows, bool)
    keep[list(faults)] = False
    return table.filter(pa.array(keep))


def _our_field(item: pa.Field) -> pa.Field:
    is_text = item.name == "text" and pat.is_binary(item.type)
    return pa.field(item.name, pa.string() if is_text else item.type)


def _as(column: pa.ChunkedArray | pa.Array, kind: pa.DataType) -> pa.ChunkedArray | pa.Array:
    if isinstance(column, pa.ChunkedArray) and isinstance(column.type, pa.BaseExtensionType):
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)
    return column if column.type == kind else column.cast(kind)


def is_id(kind: pa.DataType) -> bool:
    """Whether values of this type can be ids: text, bytes that are text, whole numbers, UUIDs."""
    plain = plain_type(kind)
    return bool(
        pat.is_string(plain) or pat.is_binary(plain) or pat.is_integer(plain) or pat.is_fixed_size_binary(plain)
    )


def _with_text_ids(table: pa.Table, prefix: str, pool: str, faults: dict[int, str]) -> pa.Table:
    """The table with `id` as text; rows whose id is null, empty or not UTF-8 are added to the faults."""
    column = table["id"]
    if not is_id(column.type):
        raise InputError(
            f"column 'id' of pool {pool} is {column.type}; ids must be text or whole numbers. "
            "Use ids='content', or map another column with columns id=..."
        )
    column = _as(column, plain_type(column.type)) if not pat.is_null(column.type) else column.cast(pa.string())
    if pat.is_fixed_size_binary(column.type):
        text = pa.chunked_array([[None if value is None else value.hex() for value in column.to_pylist()]], pa.string())
    else:
        text = column.cast(pa.string() if pat.is_integer(column.type) else pa.binary())
    bad = dict.fromkeys(_invalid_rows(text, text=True), "invalid UTF-8: in column 'id'")
    blank = pc.fill_null(pc.equal(pc.binary_length(text), 0), True).to_numpy(zero_copy_only=False)
    bad.update({int(row): "no id" for row in np.flatnonzero(blank)})
    faults.update(bad)
    if bad:
        usable = np.ones(table.num_rows, bool)
        usable[list(bad)] = False
        text = pc.if_else(pa.array(usable), text, pa.scalar(None, text.type))
    text = text.cast(pa.string())
    if prefix:
        text = pc.binary_join_element_wise(pa.scalar(prefix), text, "")
    return table.set_column(table.column_names.index("id"), "id", text)


def _invalid_rows(column: pa.ChunkedArray | pa.Array, *, text: bool) -> list[int]:
    """Rows that hold invalid UTF-8, also deep inside; with `text`, bytes are taken for text as well."""
    kind = column.type
    if text and pat.is_binary(kind):
        try:
            column.cast(pa.string())
        except pa.ArrowInvalid:
            return [row for row, value in enumerate(column.to_pylist()) if value is not None and not _is_utf8(value)]
        return []
    if not _holds_text(kind):
        return []
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        if pat.is_string(kind):
            return _invalid_rows(column.cast(pa.binary()), text=True)
        return [row for row in range(len(column)) if not _is_valid(column.slice(row, 1))]
    return []


def _holds_text(kind: pa.DataType) -> bool:
    inner = [kind.field(position).type for position in range(kind.num_fields)]
    return bool(pat.is_string(kind)) or any(_holds_text(one) for one in inner)


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _is_valid(one: pa.ChunkedArray | pa.Array) -> bool:
    try:
        pa.concat_arrays(one.chunks if isinstance(one, pa.ChunkedArray) else [one]).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _foreign_paths(column: pa.ChunkedArray | pa.Array, folder: str, skip: set[int]) -> Iterator[tuple[int, str]]:
    """Rows whose media must be read from a path that points outside the pool's folder."""
    if not is_media(column.type) or pat.is_binary(column.type):
        return
    paths = column
    if pat.is_struct(column.type):
        names = [item.name for item in column.type]
        if "path" not in names:
            return
        paths = pc.struct_field(column, "path")
        if "bytes" in names:  # beside bytes a path is only a remark
            paths = pc.if_else(pc.is_null(pc.struct_field(column, "bytes")), paths, pa.scalar(None, pa.string()))
    if skip:
        usable = np.ones(len(column), bool)
        usable[list(skip)] = False
        paths = pc.if_else(pa.array(usable), paths, pa.scalar(None, pa.string()))
    suspects = pc.fill_null(pc.match_substring_regex(paths, _SUSPECT), False).to_numpy(zero_copy_only=False)
    for row in np.flatnonzero(suspects).tolist():
        path = paths[row].as_py()
        if leaves_folder(path, folder):
            yield row, path
