"""The bytes behind a media value: a struct of bytes and path, plain bytes, or a path in the pool's folder."""

from __future__ import annotations

import os
import posixpath
from typing import Any

import pyarrow as pa
import pyarrow.types as pat

from sensorium.core.errors import InputError, UserError
from sensorium.data.locations import leaves_folder, read_uri

MAX_BYTES = 1 << 30
"""The largest file that is read for one example."""


class BrokenMediaError(UserError):
    """One example cannot be decoded; `reason` is short, fit for a table: "truncated", "too large", ..."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def media_bytes(value: Any, *, folder: str | os.PathLike[str] | None = None) -> bytes:
    """The encoded bytes of a media value.

    Args:
        value: `{"bytes": ..., "path": ...}`, bytes, a path, or an Arrow scalar of these.
        folder: where relative paths start; a path found in data may not leave it. Without a folder the value
            is a path that the caller vouches for.

    Raises:
        BrokenMediaError: "empty", "file not found", "path leaves the pool's folder", "too large", "cannot be
            read".
    """
    if isinstance(value, pa.Scalar):
        value = value.as_py()
    if isinstance(value, dict):
        content = value.get("bytes")
        value = content if content is not None else value.get("path")
    if isinstance(value, str | os.PathLike):
        value = _read(os.fspath(value), None if folder is None else os.fspath(folder))
    if value is None:
        raise BrokenMediaError("empty")
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError(f"media must be bytes, a path, or a struct of both, not {type(value).__name__}")
    if not len(value):
        raise BrokenMediaError("empty")
    return bytes(value)


def _read(path: str, folder: str | None) -> bytes:
    place = path
    if folder is not None:
        if leaves_folder(path, folder):
            raise BrokenMediaError("path leaves the pool's folder")
        place = path if path.startswith("/") or "://" in path else posixpath.join(folder, path)
    try:
        return read_uri(place, limit=MAX_BYTES)
    except FileNotFoundError as error:
        raise BrokenMediaError("file not found") from error
    except OverflowError as error:
        raise BrokenMediaError("too large") from error
    except (OSError, InputError) as error:
        raise BrokenMediaError("cannot be read") from error


def embed(
    column: pa.Array | pa.ChunkedArray, *, folder: str, max_bytes: int = MAX_BYTES
) -> tuple[pa.Array, dict[int, str]]:
    """A media column with its bytes inside, for tables that will lie in another folder than their files.

    Args:
        column: structs, bytes or paths, shape (N,).
        folder: where relative paths start.
        max_bytes: reading ends with the row that reaches so many; the rest is for another call.

    Returns:
        Structs {bytes, path} of the first rows, at least one, and row -> reason for those whose file cannot be
        read (null in the column).
    """
    faults: dict[int, str] = {}
    contents: list[bytes | None] = []
    paths: list[str | None] = []
    held = 0
    for row, value in enumerate(column.to_pylist()):
        if held >= max_bytes:
            break
        path = value.get("path") if isinstance(value, dict) else value if isinstance(value, str) else None
        content = None
        if value is not None:
            try:
                content = media_bytes(value, folder=folder)
                held += len(content)
            except BrokenMediaError as error:
                faults[row] = error.reason
        contents.append(content)
        paths.append(path)
    kinds = [pa.field("bytes", pa.binary()), pa.field("path", pa.string())]
    absent = pa.array([content is None for content in contents], pa.bool_())
    arrays = [pa.array(contents, pa.binary()), pa.array(paths, pa.string())]
    return pa.StructArray.from_arrays(arrays, fields=kinds, mask=absent), faults


def needs_embedding(kind: pa.DataType) -> bool:
    """Whether a media column of this type may hold paths in place of bytes."""
    return bool(pat.is_string(kind) or (pat.is_struct(kind) and kind.get_field_index("path") >= 0))
