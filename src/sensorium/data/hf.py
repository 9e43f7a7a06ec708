"""What the `datasets` library of Hugging Face writes: folders of Arrow files; and splits on its Hub."""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from sensorium.core.errors import InputError, listing
from sensorium.core.files import safe_name
from sensorium.data.locations import Listing, Location
from sensorium.data.shards import PIECE_BYTES, Raw, Survey

_SPLIT = re.compile(r"(?:^|/)(train|training|test|testing|validation|valid|val|dev|eval)-\d{5}-of-\d{5}[^/]*$")


@dataclass(frozen=True)
class ArrowPart:
    """One Arrow file, a stream or one with a footer."""

    file: Location
    stem: str
    num_rows: int | None

    @property
    def name(self) -> str:
        """The file's stem."""
        return safe_name(self.stem)

    @property
    def folder(self) -> str:
        """The file's folder."""
        return self.file.folder

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[Raw]:
        """Rows in stored order; see `shards.Part`. Short batches are put together, long ones cut."""
        waiting: list[pa.Table] = []
        count, held, first = 0, 0, 0
        for batch in _batches(self.file):
            table = pa.Table.from_batches([batch])
            names = [name for name in columns if name in table.column_names]
            table = table.select(names) if names else pa.table({"": pa.nulls(len(batch))})
            for piece in _slices(table, rows):
                if waiting and (count + piece.num_rows > rows or held + piece.nbytes > PIECE_BYTES):
                    yield Raw(pa.concat_tables(waiting), first=first)
                    first, count, held, waiting = first + count, 0, 0, []
                waiting.append(piece)
                count, held = count + piece.num_rows, held + piece.nbytes
        if waiting:
            yield Raw(pa.concat_tables(waiting), first=first)


def survey(files: Sequence[tuple[Location, str]]) -> list[Survey]:
    """Parts and schema of each Arrow (file, stem); of local files only the structure is read."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda pair: _survey(*pair), files))


def _survey(file: Location, stem: str) -> Survey:
    if file.size == 0:
        raise InputError(f"{file.uri} is empty (0 bytes), so it is no Arrow file; delete it or write it again.")
    with _reader(file) as reader:
        schema = reader.schema.remove_metadata()
        try:
            str(schema)
        except UnicodeDecodeError as error:
            raise InputError(f"{file.uri} is not a readable Arrow file: a name is not UTF-8.") from error
    num_rows = sum(len(batch) for batch in _batches(file)) if file.local else None
    return Survey(file.name, (ArrowPart(file, stem, num_rows),), schema)


def _slices(table: pa.Table, rows: int) -> Iterator[pa.Table]:
    width = table.nbytes / max(1, table.num_rows)
    step = max(1, min(rows, int(PIECE_BYTES / max(1.0, width))))
    for start in range(0, table.num_rows, step):
        yield table.slice(start, step)


def _batches(file: Location) -> Iterator[pa.RecordBatch]:
    with _reader(file) as reader:
        try:
            numbered = isinstance(reader, pa.RecordBatchFileReader)
            found = (reader.get_batch(n) for n in range(reader.num_record_batches)) if numbered else reader
            for batch in found:
                for column in batch.columns:
                    _check(column)
                yield batch
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise InputError(f"{file.uri} is damaged: {_brief(error)}.") from error


def _check(column: pa.Array) -> None:
    """Raise ArrowInvalid where offsets point outside their buffers: Arrow trusts them, and would crash."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid as error:
        if "UTF8" not in str(error):  # invalid text is rejected by row, later
            raise


@contextmanager
def _reader(file: Location) -> Iterator[Any]:
    source = pa.memory_map(os.fsencode(file.uri)) if file.local else pa.PythonFile(file.open(), "r")
    with source:
        try:
            magic = source.read(6)
            source.seek(0)
            reader = pa.ipc.open_file(source) if magic == b"ARROW1" else pa.ipc.open_stream(source)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{file.uri} is not a readable Arrow file: {_brief(error)}.") from error
        yield reader


def _brief(error: Exception) -> str:
    return str(error).split("\n")[0].rstrip(".")[:200]


def is_saved(found: Listing) -> bool:
    """Whether a folder was made by `save_to_disk`, of one split or of several."""
    names = {file.name for file in found.files}
    return found.folder and ("dataset_dict.json" in names or {"state.json", "dataset_info.json"} <= names)


def saved_files(found: Listing) -> list[Location]:
    """The Arrow files of a folder made by `save_to_disk`, in their stated order.

    Raises:
        InputError: it holds several splits, files are missing, or rows were selected without being written.
    """
    by_name = {file.name: file for file in found.files}
    prefix = ""
    if "dataset_dict.json" in by_name:
        splits = _read_json(by_name["dataset_dict.json"]).get("splits", [])
        if len(splits) != 1:
            one = posixpath.join(found.given, str((splits or ["train"])[0]))
            raise InputError(f"{found.given} holds the splits {listing(splits)}; name one: {one}.")
        prefix = f"{splits[0]}/"
    state = by_name.get(f"{prefix}state.json")
    if state is None:
        raise InputError(f"{found.given} lacks {prefix}state.json; save the data set again with save_to_disk.")
    content = _read_json(state)
    if content.get("_indices_files") or content.get("_indices_data_files"):
        raise InputError(f"{found.given} holds a selection of rows by index; save it again after flatten_indices().")
    names = [f"{prefix}{entry['filename']}" for entry in content.get("_data_files", [])]
    missing = [name for name in names if name not in by_name]
    if missing or not names:
        raise InputError(f"{found.given} lacks data files named in {state.name}: {listing(missing)}.")
    return [by_name[name] for name in names]


def _read_json(file: Location) -> dict[str, Any]:
    try:
        with file.open() as handle:
            return dict(json.loads(handle.read()))
    except ValueError as error:
        raise InputError(f"{file.uri} is not readable JSON: {error}.") from error


def refuse_mixed_splits(found: Listing, files: Sequence[Location]) -> None:
    """Stop where a folder mixes files of several splits in the Hub's form `train-00000-of-00002.parquet`.

    Training on the test part by naming a folder is a mistake nobody sees; a pattern says what is meant.
    """
    splits = (
        {match.group(1): file.name for file in files if (match := _SPLIT.search(file.name))} if found.folder else {}
    )
    if len(splits) > 1:
        one = sorted(splits, key=lambda name: not name.startswith("train"))[0]
        place = posixpath.join(found.given, posixpath.dirname(splits[one]))
        raise InputError(
            f"{found.given} holds the splits {listing(sorted(splits))}; "
            f"name one: '{posixpath.join(place, one)}-*', or all of them: '{posixpath.join(place, '*')}'."
        )
