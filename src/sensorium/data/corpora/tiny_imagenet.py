"""Tiny ImageNet: 64 x 64 photographs of 200 ImageNet classes; the excerpt has 40, for training only.

Official layout: `tiny-imagenet-200/` with `wnids.txt`, `words.txt` (code, tab, names separated by commas),
`train/CODE/images/*.JPEG`, `val/images/*.JPEG` and `val/val_annotations.txt` (file, tab, code, ...).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from sensorium.data.corpora import classes
from sensorium.data.corpora.corpus import Corpus, corpus

_ROOT = "tiny-imagenet-200"


@dataclass(frozen=True, kw_only=True)
class TinyImagenet:
    """Reads `id`, `image`, `label`, `class` (the WordNet code), `subset`.

    Args:
        subset: "train", "val" or "all"; the excerpt has no "val".
    """

    name: ClassVar[str] = "tiny_imagenet"
    layout: ClassVar[tuple[str, ...]] = (
        f"{_ROOT}/wnids.txt",
        f"{_ROOT}/words.txt",
        f"{_ROOT}/train/*/images/*",
        f"{_ROOT}/val/val_annotations.txt",
        f"{_ROOT}/val/images/*",
    )
    subset: str = "all"

    def __post_init__(self) -> None:
        classes.check_subset(self.subset, ("train", "val"))

    def prepared(self, folder: Path) -> Iterator[pa.Table]:
        """Rows of the excerpt."""
        path = folder / "data.parquet"
        order = classes.column_values(path, "wnid")
        table = pq.read_table(path)
        table = table.append_column("subset", pa.array(["train"] * len(table), pa.string()))
        yield classes.labelled(classes.of_subset(table, self.subset), order, "wnid")

    def official(self, folder: Path) -> Iterator[pa.Table]:
        """Rows of the folders."""
        root = folder / _ROOT
        order = _codes(root)
        if self.subset in ("all", "train"):
            yield from classes.from_folders(root, ["train"], order, "images")
        if self.subset in ("all", "val"):
            yield from _validation(root, order)

    def classes(self, folder: Path, *, official: bool) -> list[dict[str, Any]]:
        """The classes with their names."""
        if official:
            words = dict(_fields(folder / _ROOT / "words.txt"))
            return classes.entries({code: words[code].split(", ") for code in _codes(folder / _ROOT)})
        table = pq.read_table(folder / "data.parquet", columns=["wnid", "label"])
        known = dict(zip(table["wnid"].to_pylist(), table["label"].to_pylist(), strict=True))
        return classes.entries({code: (known[code],) for code in sorted(known)})


def pool(subset: str = "all", at: str | Path | None = None) -> Corpus:
    """Tiny ImageNet as a pool; `at` is the folder that holds `tiny-imagenet-200`."""
    return corpus(TinyImagenet(subset=subset), at)


def _codes(root: Path) -> list[str]:
    return sorted((root / "wnids.txt").read_text("utf-8").split())


def _fields(path: Path) -> Iterator[tuple[str, str]]:
    for line in path.read_text("utf-8").splitlines():
        if line.strip():
            first, second, *_ = line.split("\t")
            yield first, second


def _validation(root: Path, order: list[str]) -> Iterator[pa.Table]:
    rows = [(root / "val" / "images" / file, code) for file, code in _fields(root / "val" / "val_annotations.txt")]
    for start in range(0, len(rows), classes.BATCH):
        batch = rows[start : start + classes.BATCH]
        columns = {
            "id": pa.array([f"val/{path.stem}" for path, _ in batch], pa.string()),
            "image": classes.pictures([path for path, _ in batch]),
            "class": pa.array([code for _, code in batch], pa.string()),
            "subset": pa.array(["val"] * len(batch), pa.string()),
        }
        yield classes.labelled(pa.table(columns), order)
