"""Pictures with classes: labels as numbers, what they mean, and folders named after them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sensorium.core.errors import InputError, unknown
from sensorium.data.bitmap import IMAGE
from sensorium.data.kinds import MEDIA_SUFFIXES

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("image", IMAGE),
        ("label", pa.int64()),
        ("class", pa.string()),
        ("subset", pa.string()),
    ]
)
"""`label` counts classes in the order of `classes.json`, from 0; `class` is the name or code in the set."""
BATCH = 1024


def entries(names: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """The content of `classes.json`: label, class, and English names, best first."""
    return [
        {"label": label, "class": one, "names": {"en": list(known)}} for label, (one, known) in enumerate(names.items())
    ]


def labelled(table: pa.Table, order: Sequence[str], column: str = "class") -> pa.Table:
    """Give a table with `id`, `image`, a class column and perhaps `subset` the columns of SCHEMA.

    Args:
        table: its images are structs of bytes and path.
        order: the classes, in the order of their labels.
        column: which one holds the class.
    """
    label = pc.index_in(table[column], pa.array(order, table.schema.field(column).type)).cast(pa.int64())
    subset = table["subset"] if "subset" in table.column_names else pa.nulls(table.num_rows, pa.string())
    columns = [table["id"], table["image"], label, table[column].cast(pa.string()), subset]
    return pa.table(columns, names=SCHEMA.names).cast(SCHEMA)


def of_subset(table: pa.Table, subset: str) -> pa.Table:
    """The rows of a subset; "all" keeps every row."""
    return table if subset == "all" else table.filter(pc.equal(table["subset"], subset))


def check_subset(subset: str, known: Sequence[str]) -> None:
    """Refuse a subset the set does not have."""
    if subset not in ("all", *known):
        raise unknown("subset", subset, ("all", *known))


def prepared(path: Path, subset: str, order: Sequence[str], column: str = "label") -> Iterator[pa.Table]:
    """The rows of a prepared Parquet file, batch by batch."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=BATCH):
            yield labelled(of_subset(pa.Table.from_batches([batch]), subset), order, column)


def column_values(path: Path, column: str) -> list[str]:
    """The different values of a column, sorted."""
    found: list[str] = pc.unique(pq.read_table(path, columns=[column])[column]).to_pylist()
    return sorted(found)


def class_folders(folder: Path, subsets: Sequence[str]) -> list[str]:
    """The names of the folders in `folder/SUBSET/`, sorted; every subset has them."""
    found = {one.name for subset in subsets for one in (folder / subset).iterdir() if one.is_dir()}
    if not found:
        raise InputError(f"{folder} has no folders named after classes in {', '.join(subsets)}.")
    return sorted(found)


def from_folders(folder: Path, subsets: Sequence[str], order: Sequence[str], inner: str = "") -> Iterator[pa.Table]:
    """Pictures of `folder/SUBSET/CLASS/inner/`, batch by batch; the id is the path without suffix."""
    for subset in subsets:
        for one in order:
            place = folder / subset / one / inner
            paths = [path for path in sorted(place.iterdir()) if is_picture(path)] if place.is_dir() else []
            for start in range(0, len(paths), BATCH):
                yield _read(folder, paths[start : start + BATCH], subset, one, order)


def _read(folder: Path, paths: Sequence[Path], subset: str, one: str, order: Sequence[str]) -> pa.Table:
    ids = [path.relative_to(folder).with_suffix("").as_posix() for path in paths]
    columns = {
        "id": pa.array(ids, pa.string()),
        "image": pictures(paths),
        "class": pa.array([one] * len(paths), pa.string()),
        "subset": pa.array([subset] * len(paths), pa.string()),
    }
    return labelled(pa.table(columns), order)


def pictures(paths: Sequence[Path]) -> pa.Array:
    """Picture files as an image column, bytes and name."""
    values = [{"bytes": path.read_bytes(), "path": path.name} for path in paths]
    return pa.array(values, IMAGE)


def is_picture(path: Path) -> bool:
    """Whether a file's suffix says it is a picture; dot files are not."""
    return path.is_file() and not path.name.startswith(".") and path.suffix.lower() in MEDIA_SUFFIXES["image"]
