"""WebDataset tars: a record is all members of one key, wherever they stand in the tar.

The key of `dir/a.jpg` is `dir/a`, its field `jpg`: a name is cut at its **last** dot. A plain word before it
belongs to the field (`a.seg.png` is field `seg.png` of `a`) if the tar has the shorter key with other
suffixes, or if at least half of the shorter keys, and two, carry that same word; so `Track 2.0 (clean).jpg`
and `mr.bean.jpg` keep their names. Folders that hold one kind of member each (`images/0.jpg`,
`captions/0.txt`) are joined by base name.
Columns: `image`, `audio`, `video` (struct of bytes and path) by suffix, `text` (txt), `label` (cls), the
fields of json objects under their own names (`json.NAME` where a member already has the name), and any other
field as bytes (a field `id` as `member.id`). Records with a name that leads out of the tar (`..`) are rejected.
"""

from __future__ import annotations

import re
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO, cast

import pyarrow as pa

from sensorium.core.errors import InputError
from sensorium.core.files import safe_name
from sensorium.data.kinds import MEDIA_SUFFIXES
from sensorium.data.locations import Location, is_hidden
from sensorium.data.packing import DamagedError, packing, unpacked
from sensorium.data.shapes import Shapes, parse
from sensorium.data.shards import MEDIA_TYPE, PIECE_BYTES, Raw, Refused, Survey

_TEXT = {"txt": "text", "text": "text", "caption": "text", "cls": "label"}
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_BLOCK = 1 << 20


@dataclass
class Member:
    """A file in a tar: where its bytes are."""

    name: str
    offset: int
    size: int


@dataclass
class Record:
    """The members of one key, by column: media columns, text, label, "json", or the field's own name."""

    key: str
    members: dict[str, Member] = field(default_factory=dict)
    fault: str | None = None


@dataclass(frozen=True)
class TarPart:
    """One tar.

    Attributes:
        fields: columns that are members.
        keys: columns that are fields of the json member -> their key in it.
    """

    file: Location
    stem: str
    num_rows: int
    fields: frozenset[str] = frozenset()
    keys: Mapping[str, str] = field(default_factory=dict)
    shapes: Shapes = field(default_factory=Shapes)

    @property
    def name(self) -> str:
        """The tar's stem."""
        return safe_name(self.stem)

    @property
    def folder(self) -> str:
        """The tar's folder."""
        return self.file.folder

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[Raw]:
        """Records in the order of their first members; see `shards.Part`. Ids are `stem/key`."""
        with _opened(self.file) as (handle, damage):
            records, refused, _ = _records(handle, self.stem, damage)
            wanted = {name for name in columns if name in self.fields}
            keys = {name: self.keys[name] for name in columns if name in self.keys}
            waiting: list[Record] = []
            held, first = 0, 0
            for record in records:
                waiting.append(record)
                held += sum(member.size for name, member in record.members.items() if name in wanted)
                if len(waiting) >= rows or held >= PIECE_BYTES:
                    yield self._raw(handle, waiting, wanted, keys, first)
                    first, held, waiting = first + len(waiting), 0, []
            last = self._raw(handle, waiting, wanted, keys, first)
            yield replace(last, rejected=tuple(refused))

    def _raw(
        self, handle: BinaryIO, records: list[Record], wanted: set[str], keys: Mapping[str, str], first: int
    ) -> Raw:
        faults = {row: record.fault for row, record in enumerate(records) if record.fault}
        columns = {"id": pa.array([_storable(f"{self.stem}/{record.key}") for record in records], pa.string())}
        for name in sorted(wanted):
            columns[name] = _column(name, [_value(handle, record, name) for record in records])
        if keys:
            parsed = [self._parsed(handle, row, record, faults) for row, record in enumerate(records)]
            columns.update({name: self.shapes.column(key, parsed) for name, key in keys.items()})
        return Raw(pa.table(columns), faults=faults, first=first)

    def _parsed(self, handle: BinaryIO, row: int, record: Record, faults: dict[int, str]) -> dict[str, Any]:
        value, reason = _json(handle, record)
        if reason:
            faults.setdefault(row, reason)
        return value


def survey(files: Sequence[tuple[Location, str]]) -> list[Survey]:
    """Parts and the common schema of each (file, stem). Names and json members are read, media are not."""
    with ThreadPoolExecutor(4) as pool:
        surveyed = list(pool.map(lambda pair: _survey(*pair), files))
    fields = frozenset(name for part, _ in surveyed for name in part.fields) - {"json"}
    shapes = Shapes().merge(part.shapes for part, _ in surveyed)
    keys = {f"json.{key}" if key in fields | {"id"} else key: key for key in shapes.of}
    kinds = [pa.field(name, _type(name)) for name in _ordered(fields)]
    kinds += [pa.field(name, shapes.of[key].type()) for name, key in keys.items()]
    schema = pa.schema([("id", pa.string()), *kinds])
    return [
        Survey(part.file.name, (replace(part, fields=fields, keys=keys, shapes=shapes),), schema, notes)
        for part, notes in surveyed
    ]


def _survey(file: Location, stem: str) -> tuple[TarPart, tuple[str, ...]]:
    shapes = Shapes()
    with _opened(file) as (handle, damage):
        records, refused, left = _records(handle, stem, damage)
        if file.size == 0 or (not records and refused and refused[-1].place.endswith(":end")):
            raise InputError(
                f"{file.uri} is not a readable tar: {refused[-1].reason if refused else 'empty (0 bytes)'}."
            )
        for record in records:
            value, reason = _json(handle, record)
            if not reason:
                shapes.add(value)
        handle.seek(max(0, _end(handle) - 512))
        unmarked = bool(records) and handle.read(512).strip(b"\0") != b"" and not refused
    fields = frozenset(name for record in records for name in record.members)
    notes = [f"{file.name}: {left} hidden members or folders left out"] if left else []
    notes += [f"{file.name}: has no end mark, so it may have been cut"] if unmarked else []
    return TarPart(file, stem, len(records) + len(refused), fields, {}, shapes), tuple(notes)


def _ordered(fields: frozenset[str]) -> list[str]:
    known = ["image", "audio", "video", "text", "label"]
    return [name for name in known if name in fields] + sorted(fields - set(known))


def _type(name: str) -> pa.DataType:
    return MEDIA_TYPE if name in MEDIA_SUFFIXES else pa.string() if name in ("text", "label") else pa.binary()


def _column(name: str, values: list[tuple[bytes, str] | None]) -> pa.Array:
    content = pa.array([value and value[0] for value in values], pa.binary())
    if name in MEDIA_SUFFIXES:
        paths = pa.array([value and _storable(value[1]) for value in values], pa.string())
        absent = pa.array([value is None for value in values], pa.bool_())
        return pa.StructArray.from_arrays([content, paths], fields=list(MEDIA_TYPE), mask=absent)
    # Not decoded here: the border finds invalid UTF-8 with the same words for every format.
    return content.view(pa.string()) if name in ("text", "label") else content


def _value(handle: BinaryIO, record: Record, name: str) -> tuple[bytes, str] | None:
    member = record.members.get(name)
    if member is None or record.fault:
        return None
    content = _read(handle, member)
    return (content.strip() if name == "label" else content), member.name


def _json(handle: BinaryIO, record: Record) -> tuple[dict[str, Any], str | None]:
    member = record.members.get("json")
    if member is None or record.fault:
        return {}, None
    value, reason = parse(_read(handle, member))
    if reason is None and not isinstance(value, dict):
        reason = f"not a JSON object: but {type(value).__name__}"
    return ({}, f"{reason} in member '{member.name}'") if reason else (value, None)


def _read(handle: BinaryIO, member: Member) -> bytes:
    handle.seek(member.offset)
    return handle.read(member.size)


def _records(handle: BinaryIO, stem: str, damage: str | None) -> tuple[list[Record], list[Refused], int]:
    """The records of a tar, what belongs to none, and how many hidden members were left out."""
    members: list[tuple[Member, str | None]] = []
    refused: list[Refused] = []
    left = 0
    for item in _members(handle):
        if isinstance(item, str):
            damage = damage or item
            continue
        parts = [part for part in item.name.split("/") if part != "."]
        name = "/".join(parts)
        if item.isdir() or is_hidden("/".join(part for part in parts if part != "..")):
            left += not item.isdir()
        elif "." not in name.rpartition("/")[2]:
            refused.append(Refused(_storable(f"{stem}/{name}"), f"member without a suffix: '{name}'"))
        else:
            members.append((Member(name, item.offset_data, item.size), _member_fault(item)))
    if damage:
        refused.append(Refused(f"{stem}:end", f"damaged tar: {damage}"))
    return _grouped(members, _end(handle)), refused, left


def _member_fault(item: tarfile.TarInfo) -> str | None:
    if ".." in item.name.split("/"):
        return f"name leaves the tar: member '{item.name}'"
    if item.isfile() and not item.issparse():
        return None
    kind = "link" if item.issym() or item.islnk() else "special file"
    return f"not a plain file: member '{item.name}' is a {kind}"


def _grouped(members: list[tuple[Member, str | None]], end: int) -> list[Record]:
    records: dict[str, Record] = {}
    places = _split_names([member.name for member, _ in members])
    taken: dict[str, dict[str, str]] = {}
    for (member, fault), (key, suffix) in zip(members, places, strict=True):
        record = records.setdefault(key, Record(key))
        fields = taken.setdefault(key, {})
        if suffix in fields:
            both = dict.fromkeys([fields[suffix], member.name])
            record.fault = record.fault or "repeated member: " + " and ".join(f"'{name}'" for name in both)
            continue
        if member.offset + member.size > end:
            fault = fault or f"truncated: member '{member.name}'"
        elif _storable(member.name) != member.name:
            fault = fault or f"invalid UTF-8: in the name of member '{_storable(member.name)}'"
        fields[suffix] = member.name
        record.members.setdefault(_free_column(record, suffix), member)
        record.fault = record.fault or fault
    return list(records.values())


def _free_column(record: Record, suffix: str) -> str:
    """The column of a field; a second picture (a.jpg beside a.png) keeps its suffix as its name."""
    for column, suffixes in MEDIA_SUFFIXES.items():
        if f".{suffix}" in suffixes:
            return suffix if column in record.members else column
    column = "member.id" if suffix == "id" else _TEXT.get(suffix, suffix)  # the id is the key
    return suffix if column in record.members else column


def _split_names(names: Sequence[str]) -> list[tuple[str, str]]:
    """(key, field) of each member name, by the rules at the head of this file."""
    cut = [(name[: name.rindex(".")], name[name.rindex(".") + 1 :].lower()) for name in names]
    suffixes: dict[str, set[str]] = {}
    for key, suffix in cut:
        suffixes.setdefault(key, set()).add(suffix)
    common = _common_words(suffixes)
    moved = {key: _shorter(key, suffixes, common) for key in suffixes}
    places = [
        (moved[key], f"{key[len(moved[key]) + 1 :]}.{suffix}" if moved[key] != key else suffix) for key, suffix in cut
    ]
    return _without_folders(places)


def _heads(key: str) -> Iterator[tuple[str, str]]:
    """(shorter key, words) for each way to take plain words off the end of a key, longest head first."""
    head, words = key, ""
    while True:
        folder, _, file = head.rpartition("/")
        rest, dot, word = file.rpartition(".")
        if not dot or not rest or not _WORD.fullmatch(word):
            return
        head = f"{folder}/{rest}" if folder else rest
        words = f"{word}.{words}" if words else word
        yield head, words


def _common_words(suffixes: Mapping[str, set[str]]) -> set[tuple[str, str]]:
    single = [
        (head, words, min(suffixes[key])) for key in suffixes if len(suffixes[key]) == 1 for head, words in _heads(key)
    ]
    heads = {head for head, _, _ in single}
    counts = Counter((words, suffix) for _, words, suffix in single)
    return {pair for pair, count in counts.items() if count >= 2 and 2 * count >= len(heads)}


def _shorter(key: str, suffixes: Mapping[str, set[str]], common: set[tuple[str, str]]) -> str:
    own = suffixes[key]
    for head, words in _heads(key):
        if head in suffixes and suffixes[head] != own:
            return head
        if len(own) == 1 and (words, min(own)) in common:
            return head
    return key


def _without_folders(places: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Keys without their folders, where each folder holds another kind of field and base names meet."""
    kinds: dict[str, set[str]] = {}
    bases: dict[str, set[str]] = {}
    for key, suffix in places:
        folder, _, base = key.rpartition("/")
        media = next((column for column, known in MEDIA_SUFFIXES.items() if f".{suffix}" in known), None)
        kinds.setdefault(folder, set()).add(media or _TEXT.get(suffix, suffix))
        bases.setdefault(folder, set()).add(base)
    named = [kind for found in kinds.values() for kind in found]
    meet = len(kinds) > 1 and all(len(found) == 1 for found in kinds.values()) and len(set(named)) == len(named)
    if meet and set.intersection(*bases.values()):
        return [(key.rpartition("/")[2], suffix) for key, suffix in places]
    return places


def _members(handle: BinaryIO) -> Iterator[tarfile.TarInfo | str]:
    """Headers in order, also of archives put one behind the other; at last a text if there is damage."""
    offset, end = 0, _end(handle)
    while offset < end:
        handle.seek(offset)
        before = offset
        try:
            with tarfile.open(fileobj=handle, mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
                while (item := tar.next()) is not None:
                    if item.size < 0:
                        raise tarfile.ReadError(f"'{item.name}' has {item.size} bytes")
                    yield item
                    offset = item.offset_data + item.size
                    tar.members = []  # type: ignore[attr-defined]  # or it keeps every header it has met
                offset = max(offset, tar.offset)
        except (tarfile.TarError, EOFError) as error:
            yield f"{error} near byte {offset}"
            return
        offset = _next_content(handle, -(-offset // 512) * 512)
        if offset < end and before == offset:
            yield f"no header at byte {offset}"
            return


def _next_content(handle: BinaryIO, offset: int) -> int:
    """The first 512-byte block at or behind an offset that is not all zero; the end if there is none."""
    handle.seek(offset)
    while block := handle.read(_BLOCK):
        filled = len(block) - len(block.lstrip(b"\0"))
        if filled < len(block):
            return offset + filled // 512 * 512
        offset += len(block)
    return offset


def _end(handle: BinaryIO) -> int:
    return handle.seek(0, 2)


@contextmanager
def _opened(file: Location) -> Iterator[tuple[BinaryIO, str | None]]:
    """The tar as a seekable file (unpacked if need be), and what is wrong with its compression."""
    how = packing(file.name)
    with file.open() as handle:
        if how is None:
            yield handle, None
            return
        with tempfile.TemporaryFile() as plain:
            damage = None
            try:
                for block in unpacked(handle, how):
                    plain.write(block)
            except DamagedError as error:
                damage = str(error)
            yield cast(BinaryIO, plain), damage


def _storable(text: str) -> str:
    """Text that Arrow can hold; bytes of a name that are not UTF-8 are shown as escapes."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
