"""The vocabulary ("metadata"): a sorted set of entries with a content hash; an entry's id is its position."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sensorium.core import files
from sensorium.core.errors import InputError, SettingError
from sensorium.data.table_file import read_table, write_table

ENTRIES, ABOUT = "entries.parquet", "vocabulary.json"
MAX_BYTES = 10_000
"""Of an entry. A longer one is a file that holds no list: a document, or JSON in one line."""


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Unique, non-empty entries in the order of their UTF-8 bytes; an entry's id is its place.

    An entry is any text without blanks at its ends: it may hold quotes, tabs inside, any script. Where
    published lists stored a Python set, whose order (and so the ids) changed from run to run, this one is
    sorted and hashed.

    Args:
        entries: large_string, sorted, unique.
        rank: int32, shape (num_entries,): the place in the list it came from, best first; `Union` caps by it.
        origin: int16, shape (num_entries,): index into `origins`: which part brought the entry.
        origins: names of the parts.
        facts: counts of what was merged or left out when the list was made.
    """

    entries: pa.LargeStringArray
    rank: np.ndarray
    origin: np.ndarray
    origins: tuple[str, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, entry_id: int) -> str:
        return str(self.entries[entry_id].as_py())

    def ids(self, entries: Sequence[str]) -> list[int | None]:
        """The ids of entries by their text; None for one that is not in the vocabulary."""
        found: list[int | None] = pc.index_in(pa.array(entries, pa.large_string()), value_set=self.entries).to_pylist()
        return found

    @cached_property
    def sha256(self) -> str:
        """The content hash: sha256 over the number of entries, their end offsets and their bytes."""
        offsets, content = text_buffers(self.entries)
        digest = hashlib.sha256(b"sensorium vocabulary 1\n")
        digest.update(np.uint64(len(self)).tobytes())
        digest.update((offsets[1:] - offsets[0]).astype("<u8").tobytes())
        digest.update(content[offsets[0] : offsets[-1]].tobytes())
        return digest.hexdigest()

    @classmethod
    def build(cls, parts: Iterable[tuple[str, Sequence[str] | pa.Array]], what: str = "the vocabulary") -> Vocabulary:
        """Collect entries from named parts, the first of equal ones wins.

        Args:
            parts: pairs of a name and its entries, best first. Blanks, tabs and line ends at the ends of an
                entry are removed; what is empty then, or equal to an earlier entry, is left out and counted
                in `facts`.
            what: how to call this list in the sentence when nothing is left.

        Raises:
            InputError: no entry is left, or one has more than MAX_BYTES.
        """
        arrays, origins = [], []
        for name, part in parts:
            array = part if isinstance(part, pa.Array) else _text_array(part, what)
            arrays.append(pc.ascii_trim_whitespace(pc.fill_null(array.cast(pa.large_string()), "")))
            origins.append(name)
        everything = pa.concat_arrays(arrays) if arrays else pa.array([], pa.large_string())
        _refuse_long(everything, what)
        origin = np.repeat(np.arange(len(arrays), dtype=np.int16), [len(array) for array in arrays])
        filled = pc.not_equal(everything, "").to_numpy(zero_copy_only=False)
        kept = everything.filter(pa.array(filled))
        codes = kept.dictionary_encode()
        first = np.unique(codes.indices.to_numpy(), return_index=True)[1]  # the first place of each distinct entry
        facts = {"given": len(everything), "empty": int((~filled).sum()), "merged": len(kept) - len(first)}
        if len(first) == 0:
            raise InputError(f"{what} holds no entry: {facts['given']} were given, {facts['empty']} of them empty.")
        place = np.flatnonzero(filled)[np.sort(first)]
        return cls._sorted(everything.take(pa.array(place)), origin[place], tuple(origins), facts)

    @classmethod
    def _sorted(
        cls, unique: pa.Array, origin: np.ndarray, origins: tuple[str, ...], facts: Mapping[str, Any]
    ) -> Vocabulary:
        # Binary order is the order of code points; no locale takes part.
        order = pc.sort_indices(unique.cast(pa.large_binary())).to_numpy().astype(np.int64)
        entries = unique.take(pa.array(order))
        return cls(entries, order.astype(np.int32), origin[order], origins, facts)

    def best_first(self) -> pa.LargeStringArray:
        """The entries in the order of their rank."""
        return self.entries.take(pa.array(np.argsort(self.rank, kind="stable")))

    def about(self) -> dict[str, Any]:
        """Size, content hash, and how many entries each part brought."""
        brought = np.bincount(self.origin, minlength=len(self.origins))
        parts = [{"name": name, "entries": int(count)} for name, count in zip(self.origins, brought, strict=True)]
        return {"entries": len(self), "sha256": self.sha256, "parts": parts, **self.facts}

    def save(self, folder: Path) -> None:
        """Write `entries.parquet` (entry, rank, part) and `vocabulary.json`; equal ones give equal bytes."""
        part = pa.DictionaryArray.from_arrays(
            pa.array(self.origin.astype(np.int32)), pa.array(self.origins, pa.string())
        )
        columns = {"entry": self.entries, "rank": pa.array(self.rank, pa.int32()), "part": part}
        write_table(folder / ENTRIES, pa.table(columns))
        files.write_json(folder / ABOUT, self.about())

    @classmethod
    def open(cls, folder: Path) -> Vocabulary:
        """Read what `save` wrote."""
        table = read_table(folder / ENTRIES).combine_chunks()
        about = files.read_json(folder / ABOUT)
        names = tuple(part["name"] for part in about["parts"])
        place = {name: index for index, name in reversed(list(enumerate(names)))}
        origin = np.array([place[name] for name in table["part"].to_pylist()], np.int16)
        facts = {key: value for key, value in about.items() if key not in ("entries", "sha256", "parts")}
        found = cls(one_array(table["entry"]).cast(pa.large_string()), table["rank"].to_numpy(), origin, names, facts)
        if found.sha256 != about["sha256"]:
            raise InputError(f"{folder / ENTRIES} does not have the content hash its {ABOUT} names; make it again.")
        return found


def _refuse_long(entries: pa.LargeStringArray, what: str) -> None:
    sizes = pc.binary_length(entries)
    longest = pc.max(sizes).as_py() or 0
    if longest > MAX_BYTES:
        begin = entries[pc.index(sizes, longest).as_py()].as_py()[:40]
        raise InputError(
            f"{what} holds an entry of {longest:,} bytes that begins with {begin!r}; "
            f"an entry has at most {MAX_BYTES:,}, and a file of them one in each line."
        )


def _text_array(entries: Sequence[str], what: str) -> pa.Array:
    wrong = next((entry for entry in entries if not isinstance(entry, str)), None)
    if wrong is not None:
        raise SettingError(f"{what} holds {wrong!r}, which is not text; entries must be strings.")
    try:
        return pa.array(list(entries), pa.large_string())
    except UnicodeEncodeError as error:
        raise InputError(f"{what} holds an entry that is not valid Unicode: {error.object!r:.60}.") from error


def one_array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column as one Arrow array."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def text_buffers(array: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Offsets (N + 1, int64) and bytes (uint8) of large_string, as views; slices keep their offset."""
    buffers = array.buffers()
    offsets = np.zeros(1, np.int64)
    if len(array):
        offsets = np.frombuffer(buffers[1], np.int64)[array.offset : array.offset + len(array) + 1]
    content = np.frombuffer(buffers[2], np.uint8) if buffers[2] is not None else np.zeros(0, np.uint8)
    return offsets, content
