"""Parquet files of this machine by the letters of their path; pyarrow alone would look for a URI in `a:b/c.parquet`.

File names are bytes to the system, so a name that is not UTF-8 is opened as well.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sensorium.core import files


def local_file(path: str | os.PathLike[str], mode: str = "rb") -> pa.OSFile:
    """A file of this machine, for pyarrow."""
    return pa.OSFile(os.fsencode(path), mode)


@contextmanager
def open_table(path: str | os.PathLike[str]) -> Iterator[pq.ParquetFile]:
    """A Parquet file for reading."""
    with local_file(path) as source, pq.ParquetFile(source) as file:
        yield file


def read_table(path: str | os.PathLike[str], columns: Sequence[str] | None = None) -> pa.Table:
    """A whole Parquet file, or some of its columns."""
    with open_table(path) as file:
        return file.read(None if columns is None else list(columns))


def write_table(path: Path, table: pa.Table) -> None:
    """Write a small table, whole or not at all; rows of a pool go through `tables.PoolWriter`."""
    with files.atomic(path) as temporary, local_file(temporary, "wb") as sink:
        pq.write_table(table, sink, compression="zstd")
