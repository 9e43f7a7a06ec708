"""Ids from content: 128-bit hashes of rows, and occurrence numbers that keep equal rows apart."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as pat

_DOUBLE = struct.Struct("<d")
_DIGEST = 16  # bytes: two of a billion different rows share 128 bits with probability 1e-21


@dataclass(frozen=True)
class Earlier:
    """For one shard, the rows that are not alone in the pool, and how many equal ones lie before it.

    Attributes:
        hashes: shape (N,) uint64, ascending: first half of the digests that occur more than once in the pool.
        counts: shape (N,) int64: how often each occurs in earlier shards.
    """

    hashes: np.ndarray
    counts: np.ndarray


def row_digests(table: pa.Table) -> np.ndarray:
    """BLAKE2b hashes of rows, shape (N, 16) uint8.

    A row is its non-null leaves in the order of their names, each with name, kind and length, so that column
    order, absent columns, and string or integer widths have no influence.
    """
    leaves = sorted(
        (leaf for name in table.column_names for leaf in _leaves(name, _one(table[name]))),
        key=lambda leaf: leaf[0],
    )
    heads = [head for head, _ in leaves]
    hashed = bytearray()
    for row in zip(*(values for _, values in leaves), strict=True):
        parts = [
            part
            for head, value in zip(heads, row, strict=True)
            if value is not None
            for part in (head, b"%d:" % len(value), value)
        ]
        hashed += hashlib.blake2b(b"".join(parts), digest_size=_DIGEST).digest()
    if not leaves:
        hashed += hashlib.blake2b(b"", digest_size=_DIGEST).digest() * table.num_rows
    return np.frombuffer(bytes(hashed), np.uint8).reshape(-1, _DIGEST)


def first_halves(digests: np.ndarray) -> np.ndarray:
    """The first 64 bits of each digest, shape (N,) uint64."""
    return np.ascontiguousarray(digests[:, :8]).view("<u8")[:, 0]


class Occurrences:
    """Makes ids from digests: of equal rows the first has the bare hash, later ones `.1`, `.2`, ...

    Args:
        earlier: what `ids.number_occurrences` found for this shard; without it only this shard's own rows are
            counted.
    """

    def __init__(self, earlier: Earlier | None) -> None:
        self._earlier = earlier
        self._seen: dict[int, int] = {}
        if earlier is not None:
            self._seen = dict(zip(earlier.hashes.tolist(), earlier.counts.tolist(), strict=True))

    def ids(self, digests: np.ndarray) -> list[str]:
        """The ids of the next rows, in stored order."""
        text = digests.tobytes().hex()
        ids = [text[start : start + 2 * _DIGEST] for start in range(0, len(text), 2 * _DIGEST)]
        halves = first_halves(digests)
        rows = np.arange(len(halves)) if self._earlier is None else np.flatnonzero(_among(halves, self._earlier.hashes))
        for row in rows.tolist():
            half = int(halves[row])
            number = self._seen.get(half, 0)
            self._seen[half] = number + 1
            if number:
                ids[row] = f"{ids[row]}.{number}"
        return ids


def _among(values: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    if len(ordered) == 0:
        return np.zeros(len(values), bool)
    places = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return np.asarray(ordered[places] == values)


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _leaves(name: str, array: pa.Array) -> Iterator[tuple[bytes, list[bytes | None]]]:
    """Columns of bytes for a column: structs by field, text and bytes as they are, all else written out."""
    kind = array.type
    if pat.is_struct(kind):
        for field, values in zip(kind, array.flatten(), strict=True):
            yield from _leaves(f"{name}.{field.name}", values)
    elif pat.is_string(kind):
        yield _head(name, "s"), array.cast(pa.binary()).to_pylist()
    elif pat.is_binary(kind):
        yield _head(name, "b"), array.to_pylist()
    elif pat.is_floating(kind):
        values = array.to_pylist()
        yield _head(name, "f"), [None if value is None else _DOUBLE.pack(value) for value in values]
    elif pat.is_temporal(kind) and not pat.is_interval(kind):
        # By number: a damaged date can lie beyond what Python's have words for.
        yield from _leaves(name, array.view(pa.int64() if kind.bit_width == 64 else pa.int32()))
    elif pat.is_integer(kind) or pat.is_boolean(kind):
        yield _head(name, "v"), array.cast(pa.string()).cast(pa.binary()).to_pylist()
    else:
        yield _head(name, "v"), [None if value is None else _written(value) for value in array.to_pylist()]


def _head(name: str, kind: str) -> bytes:
    return f"\0{name}\0{kind}".encode("utf-8", "surrogatepass")


def _written(value: Any) -> bytes:
    return json.dumps(_without_nulls(value), sort_keys=True, default=_other).encode()


def _without_nulls(value: Any) -> Any:
    # A field that a shard lacks reads as null, so null fields must not count.
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value]
    return value


def _other(value: Any) -> str:
    return bytes(value).hex() if isinstance(value, bytes | bytearray | memoryview) else str(value)
