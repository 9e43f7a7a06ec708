"""Folders of pictures, sounds or clips: one row per file, named by its place, labelled by its folder.

Names mean nothing: `train.wav` is a sound. Columns: the media (struct of bytes and path); `label`, the
relative folder, and `label_index`, its rank among the folders that hold files, where there are folders;
`text` from a `.txt` of the same name; and the columns of a `metadata.jsonl` or `metadata.csv` with a column
`file_name` (as the `datasets` library has it).
"""

from __future__ import annotations

import csv
import io
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from sensorium.core.errors import InputError, listing
from sensorium.data.locations import Listing, Location
from sensorium.data.shapes import Shapes, parse
from sensorium.data.shards import MEDIA_TYPE, PIECE_BYTES, Raw, Refused, Survey

SHARD_FILES = 4096
SHARD_BYTES = 256 << 20
MAX_FILE_BYTES = 1 << 30
METADATA = ("metadata.jsonl", "metadata.csv")


@dataclass(frozen=True)
class MediaPart:
    """Some media files of a folder, in the order of their names.

    Attributes:
        column: "image", "audio" or "video".
        texts: media name -> its caption file.
        described: media name -> its fields in the metadata file.
        labels: label -> rank; empty when all files lie in the folder itself.
        refused: entries of the metadata file that belong to no file; in the first part.
    """

    name: str
    folder: str
    column: str
    files: tuple[Location, ...]
    texts: Mapping[str, Location] = field(default_factory=dict)
    described: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    shapes: Shapes = field(default_factory=Shapes)
    labels: Mapping[str, int] = field(default_factory=dict)
    refused: tuple[Refused, ...] = ()

    @property
    def stem(self) -> str:
        """The part's name; ids are file names already."""
        return self.name

    @property
    def num_rows(self) -> int:
        """Files, and metadata entries without a file."""
        return len(self.files) + len(self.refused)

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[Raw]:
        """Rows in the order of names; see `shards.Part`. Media are read only if asked for."""
        waiting: list[Location] = []
        held, first = 0, 0
        for file in self.files:
            waiting.append(file)
            held += file.size if self.column in columns else 0
            if len(waiting) >= rows or held >= PIECE_BYTES:
                yield self._raw(waiting, columns, first)
                first, held, waiting = first + len(waiting), 0, []
        if waiting or self.refused:
            last = self._raw(waiting, columns, first)
            yield Raw(last.table, last.faults, self.refused, first)

    def _raw(self, files: list[Location], columns: Sequence[str], first: int) -> Raw:
        faults: dict[int, str] = {}
        found: dict[str, pa.Array] = {
            "id": pa.array([_storable(file.name, row, faults) for row, file in enumerate(files)], pa.string())
        }
        for name in columns:
            if name == self.column:
                content = [_content(file, row, faults) for row, file in enumerate(files)]
                paths = pa.array([_storable(file.name) for file in files], pa.string())
                found[name] = pa.StructArray.from_arrays(
                    [pa.array(content, pa.binary()), paths], fields=list(MEDIA_TYPE)
                )
            elif name in self.shapes.of:
                found[name] = self.shapes.column(name, [self.described.get(file.name, {}) for file in files])
            elif name == "text":
                texts = [self.texts.get(file.name) for file in files]
                captions = [text and _content(text, row, faults) for row, text in enumerate(texts)]
                found[name] = pa.array(captions, pa.binary()).view(pa.string())
            elif name in ("label", "label_index"):
                labels = [posixpath.dirname(file.name) for file in files]
                ranks = [self.labels.get(label) for label in labels]
                found[name] = pa.array(ranks, pa.int64()) if name == "label_index" else _label_names(labels)
        return Raw(pa.table(found), faults, (), first)


def survey(found: Listing, column: str, files: Sequence[Location], others: Sequence[Location]) -> list[Survey]:
    """Parts and the schema of a folder's media files.

    Args:
        found: the folder, for its root and its empty folders.
        column: "image", "audio" or "video".
        files: the media files, sorted by name.
        others: other files beside them: captions, metadata, and what will be left out and named.
    """
    texts = _captions(files, others)
    described, shapes, refused = _metadata(files, others)
    folders = sorted({posixpath.dirname(file.name) for file in files} - {""})
    labels = {label: rank for rank, label in enumerate(folders)}
    kinds = [pa.field("id", pa.string()), pa.field(column, MEDIA_TYPE)]
    kinds += (
        [pa.field("label", pa.string()), pa.field("label_index", pa.int64())]
        if labels and "label" not in shapes.of
        else []
    )
    kinds += [pa.field("text", pa.string())] if texts and "text" not in shapes.of else []
    schema = pa.schema([*kinds, *(item for item in shapes.schema() if item.name not in ("id", column))])
    used = {file.uri for file in texts.values()}
    left = [file.name for file in others if file.uri not in used and file.name not in METADATA]
    notes = [f"left out, no {column}: {listing(left, 5)}"] if left else []
    notes += [f"no {column} in the folder {listing(found.empty, 5)}"] if found.empty else []
    surveys = []
    for number, chunk in enumerate(_chunks(files)):
        names = {file.name for file in chunk}
        part = MediaPart(
            name=f"{column}-{number:05d}",
            folder=found.root,
            column=column,
            files=chunk,
            texts={name: text for name, text in texts.items() if name in names},
            described={name: row for name, row in described.items() if name in names},
            shapes=shapes,
            labels=labels,
            refused=() if number else tuple(refused),
        )
        surveys.append(Survey(part.name, (part,), schema, () if number else tuple(notes)))
    return surveys


def _chunks(files: Sequence[Location]) -> Iterator[tuple[Location, ...]]:
    chunk: list[Location] = []
    held = 0
    for file in files:
        if chunk and (len(chunk) >= SHARD_FILES or held + file.size > SHARD_BYTES):
            yield tuple(chunk)
            chunk, held = [], 0
        chunk.append(file)
        held += file.size
    yield tuple(chunk)


def _captions(files: Sequence[Location], others: Sequence[Location]) -> dict[str, Location]:
    """Media name -> the `.txt` of the same name, for those that have one and do not share it."""
    texts = {file.name.rpartition(".")[0]: file for file in others if file.name.lower().endswith(".txt")}
    return {file.name: texts[stem] for file in files if (stem := file.name.rpartition(".")[0]) in texts}


def _metadata(
    files: Sequence[Location], others: Sequence[Location]
) -> tuple[dict[str, dict[str, Any]], Shapes, list[Refused]]:
    shapes, refused = Shapes(), list[Refused]()
    described: dict[str, dict[str, Any]] = {}
    known = {file.name for file in files}
    sheet = next((file for file in others if file.name in METADATA), None)
    for number, row, reason in _entries(sheet) if sheet else ():
        name = row.pop("file_name", None)
        if reason or not isinstance(name, str) or name not in known or name in described:
            place = name if isinstance(name, str) and name not in known else f"{sheet.name if sheet else ''}:{number}"
            reason = reason or (
                "no file_name"
                if not isinstance(name, str)
                else "file not found"
                if name not in known
                else "named twice"
            )
            refused.append(Refused(place, f"{reason}: {sheet.name if sheet else ''} line {number}"))
            continue
        described[name] = row
        shapes.add(row)
    return described, shapes, refused


def _entries(sheet: Location) -> Iterator[tuple[int, dict[str, Any], str | None]]:
    """(line, fields, reason it cannot be used) of a metadata file."""
    with sheet.open() as handle:
        content = handle.read()
    if sheet.name.endswith(".csv"):
        try:
            reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
            for row in reader:
                yield reader.line_num, {key: value for key, value in row.items() if key is not None}, None
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{sheet.uri} is not a readable CSV file in UTF-8: {error}.") from error
        return
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.strip():
            value, reason = parse(line)
            yield number, value if isinstance(value, dict) else {}, reason


def _label_names(labels: Sequence[str]) -> pa.Array:
    return pa.array([_storable(label) if label else None for label in labels], pa.string())


def _content(file: Location, row: int, faults: dict[int, str]) -> bytes | None:
    if file.size > MAX_FILE_BYTES:
        faults.setdefault(row, f"too large: {file.size >> 20} MiB in one file")
        return None
    try:
        with file.open() as handle:
            return handle.read()
    except (InputError, OSError):
        faults.setdefault(row, f"cannot be read: {_storable(file.name)}")
        return None


def _storable(name: str, row: int = 0, faults: dict[int, str] | None = None) -> str:
    try:
        name.encode("utf-8")
        return name
    except UnicodeEncodeError:
        shown = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        if faults is not None:
            faults.setdefault(row, f"invalid UTF-8: in the file name {shown}")
        return shown
