"""CIFAR-10: 32 x 32 photographs of ten classes (Krizhevsky 2009).

Official layout: the binary version, `cifar-10-batches-bin/` with `data_batch_1.bin` to `data_batch_5.bin`,
`test_batch.bin` and `batches.meta.txt`; a record is one label byte and 3,072 bytes, red, green and blue
planes by rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from sensorium.core.errors import InputError
from sensorium.data.bitmap import bmp, image_column
from sensorium.data.corpora import classes
from sensorium.data.corpora.corpus import Corpus, corpus

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_RECORD = 1 + 3 * 32 * 32


@dataclass(frozen=True, kw_only=True)
class Cifar10:
    """Reads `id`, `image`, `label`, `class`, `subset`.

    Args:
        subset: "train", "test" or "all".
    """

    name: ClassVar[str] = "cifar10"
    layout: ClassVar[tuple[str, ...]] = (
        *(f"cifar-10-batches-bin/data_batch_{number}.bin" for number in range(1, 6)),
        "cifar-10-batches-bin/test_batch.bin",
    )
    subset: str = "all"

    def __post_init__(self) -> None:
        classes.check_subset(self.subset, ("train", "test"))

    def prepared(self, folder: Path) -> Iterator[pa.Table]:
        """Rows of the excerpt."""
        yield from classes.prepared(folder / "data.parquet", self.subset, NAMES)

    def official(self, folder: Path) -> Iterator[pa.Table]:
        """Rows of the binary files; pictures become BMP files."""
        for file in self.layout:
            subset = "test" if "test" in file else "train"
            if self.subset in ("all", subset):
                yield _batch(folder / file, subset)

    def classes(self, folder: Path, *, official: bool) -> list[dict[str, Any]]:
        """The ten classes."""
        return classes.entries({name: (name,) for name in NAMES})


def pool(subset: str = "all", at: str | Path | None = None) -> Corpus:
    """CIFAR-10 as a pool; `at` is the folder that holds `cifar-10-batches-bin`."""
    return corpus(Cifar10(subset=subset), at)


def _batch(path: Path, subset: str) -> pa.Table:
    content = np.fromfile(path, np.uint8)
    if len(content) % _RECORD or (content[::_RECORD] >= len(NAMES)).any():
        raise InputError(f"{path} is not a CIFAR-10 batch: records are a label from 0 to 9 and 3,072 bytes.")
    records = content.reshape(-1, _RECORD)
    planes = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    ids = [f"{subset}/{path.stem}/{number:05d}" for number in range(len(records))]
    columns = {
        "id": pa.array(ids, pa.string()),
        "image": image_column(bmp(np.ascontiguousarray(planes))),
        "class": pa.array([NAMES[label] for label in records[:, 0]], pa.string()),
        "subset": pa.array([subset] * len(records), pa.string()),
    }
    return classes.labelled(pa.table(columns), NAMES)
