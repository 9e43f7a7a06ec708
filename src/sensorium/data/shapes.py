"""The types of JSON values over all rows: null gives way to anything, and what cannot agree becomes text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

MAX_FIELDS = 1000
"""An object with more field names than this is a map with data in its keys; it is kept as JSON text."""

_BLANKS = " \t\r\n"
_scan: Any = json.JSONDecoder().scan_once  # type: ignore[attr-defined]
_INT64 = range(-(2**63), 2**63)
_EXACT = range(-(2**53), 2**53 + 1)  # integers that a double holds exactly


class Shape:
    """What has been seen at one place of the rows; `merge` makes shapes of several files one, in any order.

    Rules: null (and an absent field) fits everything; whole numbers and fractions are float64, unless a whole
    number would lose digits; lists and objects by their parts; any other mixture, a whole number beyond 64
    bits, an object without fields, and one with over MAX_FIELDS of them are kept as text: strings as they
    are, the rest in JSON.
    """

    def __init__(self) -> None:
        self.scalars: set[str] = set()
        self.items: Shape | None = None
        self.fields: Shapes | None = None
        self.wide = False

    def add(self, value: Any) -> None:
        """Take a value into account."""
        if isinstance(value, dict):
            self.fields = Shapes() if self.fields is None else self.fields
            if not self.wide:
                self.fields.add(value)
                self._widen()
        elif isinstance(value, list):
            self.items = Shape() if self.items is None else self.items
            self.items.add_all(value)
        elif value is not None:
            self.scalars.add(_scalar(value))

    def add_all(self, values: Sequence[Any]) -> None:
        """Take several values into account; cheap for strings and fractions."""
        kinds = set(map(type, values))
        if kinds <= _SIMPLE.keys():
            self.scalars.update(_SIMPLE[kind] for kind in kinds if _SIMPLE[kind])
            return
        for value in values:
            self.add(value)

    def merge(self, other: Shape) -> None:
        """Take all into account that the other shape has seen."""
        self.scalars |= other.scalars
        if other.items is not None:
            self.items = self.items or Shape()
            self.items.merge(other.items)
        self.wide |= other.wide
        if other.fields is not None:
            self.fields = (Shapes() if self.fields is None else self.fields).merge([other.fields])
            self._widen()

    def _widen(self) -> None:
        if self.wide or (self.fields is not None and len(self.fields.of) > MAX_FIELDS):
            self.wide, self.fields = True, Shapes()

    def type(self) -> pa.DataType:
        """The Arrow type; string where nothing but null was seen."""
        if self.is_text():
            return pa.string()
        if self.fields is not None:
            return pa.struct(list(self.fields.schema()))
        if self.items is not None:
            return pa.list_(pa.field("element", self.items.type()))
        if self.scalars == {"bool"}:
            return pa.bool_()
        return pa.int64() if self.scalars <= {"int", "exact"} else pa.float64()

    def is_text(self) -> bool:
        """Whether values are kept as text."""
        groups = bool(self.scalars) + (self.items is not None) + (self.fields is not None)
        if groups != 1:
            return True
        if self.scalars:
            whole = self.scalars <= {"int", "exact"}
            return not (self.scalars == {"bool"} or whole or self.scalars <= {"exact", "float"})
        return self.fields is not None and not self.fields.of

    def converts(self) -> bool:
        """Whether `convert` changes any value, so that most columns can skip it."""
        if self.is_text():
            return self.scalars != {"text"} or self.items is not None or self.fields is not None
        inner = [*(self.fields.of.values() if self.fields else ()), *([self.items] if self.items else ())]
        return any(shape.converts() for shape in inner)

    def convert(self, value: Any) -> Any:
        """The value as its column holds it."""
        if value is None or (self.is_text() and isinstance(value, str)):
            return value
        if self.is_text():
            return json.dumps(value, ensure_ascii=False)
        if isinstance(value, dict) and self.fields is not None:
            return {key: self.fields.of[key].convert(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.items.convert(inner) if self.items else inner for inner in value]
        return value


_SIMPLE: dict[type, str] = {str: "text", float: "float", bool: "bool", type(None): ""}


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "exact" if value in _EXACT else "int" if value in _INT64 else "long"
    return "float" if isinstance(value, float) else "text"


class Shapes:
    """The shape of each top-level field of many rows; rows that look like an earlier one cost little."""

    def __init__(self) -> None:
        self.of: dict[str, Shape] = {}
        self._known: dict[tuple[tuple[str, ...], tuple[type, ...]], tuple[str, ...]] = {}

    def add(self, row: Mapping[str, Any]) -> None:
        """Take a row into account."""
        look = (tuple(row), tuple(map(type, row.values())))
        watched = self._known.get(look)
        if watched is None:
            for key, value in row.items():
                self.of.setdefault(key, Shape()).add(value)
            # Of rows with these types only the values that can still change a shape are looked at again.
            self._known[look] = tuple(key for key, value in row.items() if type(value) in (dict, list, int))
            return
        for key in watched:
            value = row[key]
            if type(value) is not int or value not in _EXACT:
                self.of[key].add(value)

    def merge(self, others: Iterable[Shapes]) -> Shapes:
        """One description for all; fields keep the order of their first appearance."""
        for other in others:
            for key, shape in other.of.items():
                self.of.setdefault(key, Shape()).merge(shape)
        return self

    def schema(self) -> pa.Schema:
        """Names and types of the columns."""
        return pa.schema([pa.field(key, shape.type()) for key, shape in self.of.items()])

    def column(self, key: str, rows: Sequence[Mapping[str, Any]]) -> pa.Array:
        """One column of parsed rows."""
        shape = self.of.get(key) or Shape()
        values = [row.get(key) for row in rows]
        if shape.converts():
            values = [shape.convert(value) for value in values]
        return pa.array(values, shape.type())


def parse(line: bytes) -> tuple[Any, str | None]:
    """The JSON value in some bytes and the reason it cannot be used, if any; never raises.

    With invalid text the value is what can still be read of it, so that the row can be named by its id.
    """
    try:
        text, reason = line.decode("utf-8").strip(_BLANKS), None
    except UnicodeDecodeError:
        text, reason = line.decode("utf-8", "replace").strip(_BLANKS), "invalid UTF-8: in the line"
    try:
        value, end = _scan(text, 0)  # half the time of json.loads, which does the rest when this is not all
        if end != len(text):
            value = json.loads(text)
    except (ValueError, RecursionError, StopIteration) as error:
        what = "nested too deeply" if isinstance(error, RecursionError) else str(error) or "no value"
        if isinstance(error, StopIteration):
            what = f"Expecting value: column {int(error.value or 0) + 1}"
        return None, reason or f"invalid JSON: {what}"
    if reason is None and (b"\\ud" in line or b"\\uD" in line) and _has_surrogates(value):
        reason = "invalid UTF-8: a lone surrogate"
    return value, reason


def _has_surrogates(value: Any) -> bool:
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            return True
        return False
    if isinstance(value, dict):
        return any(_has_surrogates(part) for pair in value.items() for part in pair)
    return isinstance(value, list) and any(_has_surrogates(inner) for inner in value)
