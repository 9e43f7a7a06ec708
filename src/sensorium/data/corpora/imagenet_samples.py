"""One photograph for each of many ImageNet classes; the excerpt has 400 of the 1,000, with WordNet's names.

Official layout (the repository of the samples): `CODE_name_of_class.JPEG` in one folder. There the only name
of a class is the one in the file name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from sensorium.data.corpora import classes
from sensorium.data.corpora.corpus import Corpus, corpus

_FILE = re.compile(r"(n\d{8})_(.+)")


@dataclass(frozen=True, kw_only=True)
class ImagenetSamples:
    """Reads `id`, `image`, `label`, `class` (the WordNet code); `subset` is null."""

    name: ClassVar[str] = "imagenet_samples"
    layout: ClassVar[tuple[str, ...]] = ("n*_*.JPEG",)

    def prepared(self, folder: Path) -> Iterator[pa.Table]:
        """Rows of the excerpt."""
        path = folder / "data.parquet"
        yield classes.labelled(pq.read_table(path), classes.column_values(path, "wnid"), "wnid")

    def official(self, folder: Path) -> Iterator[pa.Table]:
        """Rows of the files."""
        known = _files(folder)
        order = sorted(known)
        for start in range(0, len(order), classes.BATCH):
            codes = order[start : start + classes.BATCH]
            columns = {
                "id": pa.array([known[code].stem for code in codes], pa.string()),
                "image": classes.pictures([known[code] for code in codes]),
                "class": pa.array(codes, pa.string()),
            }
            yield classes.labelled(pa.table(columns), order)

    def classes(self, folder: Path, *, official: bool) -> list[dict[str, Any]]:
        """The classes; names are WordNet's lemmas, or the file's."""
        if official:
            known = _files(folder)
            return classes.entries({code: (_name(known[code]),) for code in sorted(known)})
        table = pq.read_table(folder / "data.parquet", columns=["wnid", "lemmas"])
        lemmas = dict(zip(table["wnid"].to_pylist(), table["lemmas"].to_pylist(), strict=True))
        return classes.entries({code: lemmas[code] for code in sorted(lemmas)})


def pool(at: str | Path | None = None) -> Corpus:
    """The samples as a pool; `at` is the folder of the JPEG files."""
    return corpus(ImagenetSamples(), at)


def _files(folder: Path) -> dict[str, Path]:
    found = ((_FILE.match(path.stem), path) for path in sorted(folder.glob("n*_*.JPEG")))
    return {match[1]: path for match, path in found if match}


def _name(path: Path) -> str:
    match = _FILE.match(path.stem)
    return match[2].replace("_", " ") if match else path.stem
