"""COCO captions: about five sentences a photograph; the photographs are not included (text only).

Official layout: `annotations/captions_val2017.json` and `annotations/captions_train2017.json` (either is
enough).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from sensorium.core.errors import InputError
from sensorium.data.corpora.corpus import Corpus, corpus
from sensorium.data.corpora.texts import SCHEMA, json_lines, texts


@dataclass(frozen=True, kw_only=True)
class CocoCaptions:
    """Reads `id`, `text`, `lang`, `key` (the image's number): one row a caption."""

    name: ClassVar[str] = "coco_captions"
    layout: ClassVar[tuple[str, ...]] = ("annotations/captions_*2017.json",)

    def prepared(self, folder: Path) -> Iterator[pa.Table]:
        """Rows of the excerpt; its captions are lower case with blanks around punctuation."""
        for rows in json_lines(folder / "data.jsonl.zst"):
            pairs = [
                (f"{row['image_id']}-{number}", text, str(row["image_id"]))
                for row in rows
                for number, text in enumerate(row["captions"])
            ]
            yield texts(pairs, "en")

    def official(self, folder: Path) -> Iterator[pa.Table]:
        """Rows of the annotation files."""
        for path in sorted(folder.glob(self.layout[0])):
            found = [
                (f"{row['image_id']}-{row['id']}", row["caption"], str(row["image_id"])) for row in _annotations(path)
            ]
            yield texts(found, "en") if found else SCHEMA.empty_table()

    def classes(self, folder: Path, *, official: bool) -> None:
        """There are none."""


def pool(at: str | Path | None = None) -> Corpus:
    """The captions as a pool; `at` is the folder that holds `annotations`."""
    return corpus(CocoCaptions(), at)


def _annotations(path: Path) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["annotations"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a file of COCO annotations.") from error
    return found
