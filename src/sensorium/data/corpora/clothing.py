"""Clothing: photographs of amateurs in ten classes, CC0, so the first choice for pictures that are shown.

Official layout (repository clothing-dataset-small): `train/CLASS/*.jpg`, `validation/CLASS/*.jpg`,
`test/CLASS/*.jpg`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from sensorium.data.corpora import classes
from sensorium.data.corpora.corpus import Corpus, corpus

_SUBSETS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class Clothing:
    """Reads `id`, `image`, `label`, `class`, `subset`.

    Args:
        subset: "train", "validation", "test" or "all"; the excerpt has no "test".
    """

    name: ClassVar[str] = "clothing"
    layout: ClassVar[tuple[str, ...]] = tuple(f"{subset}/*/*" for subset in _SUBSETS)
    subset: str = "all"

    def __post_init__(self) -> None:
        classes.check_subset(self.subset, _SUBSETS)

    def prepared(self, folder: Path) -> Iterator[pa.Table]:
        """Rows of the excerpt."""
        path = folder / "data.parquet"
        yield from classes.prepared(path, self.subset, classes.column_values(path, "label"))

    def official(self, folder: Path) -> Iterator[pa.Table]:
        """Rows of the folders."""
        chosen = _SUBSETS if self.subset == "all" else (self.subset,)
        yield from classes.from_folders(folder, chosen, classes.class_folders(folder, _SUBSETS))

    def classes(self, folder: Path, *, official: bool) -> list[dict[str, Any]]:
        """The classes by name; the names are the words of the set."""
        found = (
            classes.class_folders(folder, _SUBSETS)
            if official
            else classes.column_values(folder / "data.parquet", "label")
        )
        return classes.entries({name: (name,) for name in found})


def pool(subset: str = "all", at: str | Path | None = None) -> Corpus:
    """The set as a pool; `at` is a checkout of its repository."""
    return corpus(Clothing(subset=subset), at)
