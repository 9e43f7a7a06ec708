"""The 24 Kodak photographs: classic material to look at reconstructions with; no texts, no classes.

Official layout: PNG files in one folder, usually `kodim01.png` to `kodim24.png`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from sensorium.data.bitmap import IMAGE
from sensorium.data.corpora.classes import is_picture, pictures
from sensorium.data.corpora.corpus import Corpus, corpus

_SCHEMA = pa.schema([("id", pa.string()), ("image", IMAGE)])


@dataclass(frozen=True, kw_only=True)
class Kodak:
    """Reads `id` and `image`."""

    name: ClassVar[str] = "kodak"
    layout: ClassVar[tuple[str, ...]] = ("*.png",)

    def prepared(self, folder: Path) -> Iterator[pa.Table]:
        """Rows of the excerpt (longest side 384)."""
        yield pq.read_table(folder / "data.parquet", columns=["id", "image"]).cast(_SCHEMA)

    def official(self, folder: Path) -> Iterator[pa.Table]:
        """Rows of the files."""
        paths = [path for path in sorted(folder.glob("*.png")) if is_picture(path)]
        yield pa.table([pa.array([path.stem for path in paths], pa.string()), pictures(paths)], schema=_SCHEMA)

    def classes(self, folder: Path, *, official: bool) -> None:
        """There are none."""


def pool(at: str | Path | None = None) -> Corpus:
    """The photographs as a pool; `at` is the folder of the PNG files."""
    return corpus(Kodak(), at)
