"""JSON lines, plain or compressed. Only LF ends a line; types are those of all rows of all files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from sensorium.core.errors import InputError
from sensorium.core.files import safe_name
from sensorium.data.locations import Location
from sensorium.data.packing import DamagedError, packing, unpacked
from sensorium.data.shapes import Shapes, parse
from sensorium.data.shards import PIECE_BYTES, Raw, Refused, Survey

SPLIT_BYTES = 256 << 20
MAX_LINE_BYTES = 256 << 20
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class JsonLinesPart:
    """A file of JSON lines, or a stretch of a big uncompressed one.

    Attributes:
        start: byte at which the stretch begins; its first line is `line`.
        stop: byte at which the next stretch begins; None reads to the end.
    """

    file: Location
    stem: str
    shapes: Shapes
    start: int = 0
    stop: int | None = None
    line: int = 1
    whole: bool = True
    num_rows: int | None = None

    @property
    def name(self) -> str:
        """The file's stem, with the first line where the file is split."""
        return safe_name(self.stem if self.whole else f"{self.stem}.l{self.line:09d}")

    @property
    def folder(self) -> str:
        """The file's folder."""
        return self.file.folder

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[Raw]:
        """Rows in stored order; see `shards.Part`. A bad line is rejected by its id, or by its number."""
        values: list[dict[str, Any]] = []
        rejected: list[Refused] = []
        held, first = 0, 0
        for number, _, line, damage in _lines(self.file, self.start, self.stop, self.line):
            value, reason = _row(line, damage)
            if reason is not None:
                known = value if isinstance(value, dict) else {}
                rejected.append(Refused(f"{self.stem}:{number}", f"{reason} (line {number})", known))
            elif value is not None:
                values.append(value)
                held += len(line)
            if len(values) >= rows or held >= PIECE_BYTES:
                yield Raw(self._table(values, columns), rejected=tuple(rejected), first=first)
                first, held, values, rejected = first + len(values), 0, [], []
        if values or rejected:
            yield Raw(self._table(values, columns), rejected=tuple(rejected), first=first)

    def _table(self, values: list[dict[str, Any]], columns: Sequence[str]) -> pa.Table:
        found = {name: self.shapes.column(name, values) for name in columns if name in self.shapes.of}
        return pa.table(found or {"": pa.nulls(len(values))})


def survey(files: Sequence[tuple[Location, str]]) -> list[Survey]:
    """Parts and the common schema of each (file, stem). Every row is read: the last one may decide a type.

    Raises:
        InputError: a file is not JSON lines but one JSON array or object, or there are lines and none can be read.
    """
    with ThreadPoolExecutor(4) as pool:
        surveyed = list(pool.map(lambda pair: _survey(*pair), files))
    shapes = Shapes().merge(shapes for _, shapes, _ in surveyed)
    bad = next((f"{parts[0].file.uri} can be read: {reason}" for parts, _, reason in surveyed if reason), None)
    if bad and not shapes.of:
        raise InputError(f"no line of {bad}.")
    schema = shapes.schema()
    return [
        Survey(parts[0].file.name, tuple(replace(part, shapes=shapes) for part in parts), schema)
        for parts, _, _ in surveyed
    ]


def _survey(file: Location, stem: str) -> tuple[list[JsonLinesPart], Shapes, str | None]:
    """Parts, shapes, and why the first bad line cannot be used."""
    shapes, bad = Shapes(), None
    splits = packing(file.name) is None and file.size > 1.5 * SPLIT_BYTES
    cuts = [(0, 1, 0)]  # (first byte, first line, rows before)
    rows = 0
    for number, position, line, damage in _lines(file, 0, None, 1):
        if number == 1 and line.strip()[:1] in (b"[", b"{"):
            _refuse_other_json(file, line)
        if splits and position - cuts[-1][0] >= SPLIT_BYTES:
            cuts.append((position, number, rows))
        value, reason = _row(line, damage)
        rows += reason is not None or value is not None
        if reason is None and value is not None:
            shapes.add(value)
        bad = bad or (reason and f"{reason} (line {number})")
    ends = [*cuts[1:], (None, 0, rows)]
    parts = [
        JsonLinesPart(file, stem, shapes, start, stop, line, len(cuts) == 1, last - before)
        for (start, line, before), (stop, _, last) in zip(cuts, ends, strict=True)
    ]
    return parts, shapes, bad


def _refuse_other_json(file: Location, line: bytes) -> None:
    value, _ = parse(line)
    if line.strip() in (b"[", b"{", b"[{") or (isinstance(value, list) and value and isinstance(value[0], dict)):
        what = "array" if line.strip().startswith(b"[") else "object"
        raise InputError(f"{file.uri} is one JSON {what}, not JSON lines; write one object per line (jq -c does it).")


def _row(line: bytes, damage: str | None) -> tuple[Any, str | None]:
    """A row, or the reason there is none; (None, None) for a blank line."""
    if damage is not None:
        return None, damage
    if not line.strip():
        return None, None
    value, reason = parse(line)
    if reason is None and not isinstance(value, dict):
        return None, f"not a JSON object: but {type(value).__name__}"
    return value, reason


def _lines(file: Location, start: int, stop: int | None, number: int) -> Iterator[tuple[int, int, bytes, str | None]]:
    """(line number, first byte, line without LF, damage) of a stretch; only LF ends a line."""
    with file.open() as handle:
        if start:
            handle.seek(start)
        position, parts, held, cut = start, list[bytes](), 0, False
        try:
            for block in unpacked(handle, packing(file.name)):
                *ended, rest = block.split(b"\n")
                for line in ended:
                    if stop is not None and position >= stop:
                        return
                    whole = b"".join([*parts, line])
                    yield number, position, whole.removeprefix(_BOM) if number == 1 else whole, _too_long(cut)
                    position += held + len(line) + 1
                    number, parts, held, cut = number + 1, [], 0, False
                parts.append(rest)
                held += len(rest)
                if held > MAX_LINE_BYTES:  # nothing of such a line is kept, but its end is looked for
                    parts, cut = [], True
        except DamagedError as error:
            yield number, position, b"", f"{error}: it is cut, or cannot be unpacked further"
            return
        last = b"".join(parts)
        if (last or cut) and (stop is None or position < stop):
            yield number, position, last.removeprefix(_BOM) if number == 1 else last, _too_long(cut)


def _too_long(cut: bool) -> str | None:
    return f"line too long: over {MAX_LINE_BYTES >> 20} MiB" if cut else None
