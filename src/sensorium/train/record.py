"""metrics.jsonl: one line per update, each update once, also after restarts."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sensorium.core import files

METRICS = "metrics.jsonl"


class Record:
    """Appends lines; what a killed run wrote beyond its checkpoint is cut off first.

    A line holds {"update": updates made, "examples": seen so far, "loss": sum of the terms, terms and
    watched values by name, "lr", "gradient": norm before clipping}. A value that is not finite is null, and
    the line then says "skipped": true. There are no times in it: an undisturbed run and a restarted one
    write the same bytes.

    Args:
        folder: where metrics.jsonl lies.
        update: lines up to this update stay.
        tensorboard: something with `add(line)` and `close()` that is told every line too.
        writes: False on ranks that only follow.
    """

    def __init__(self, folder: Path, update: int, *, tensorboard: Any = None, writes: bool = True) -> None:
        self.path = folder / METRICS
        self._tensorboard, self._file = tensorboard, None
        if writes:
            kept = [line for line in read(folder) if line["update"] <= update]
            files.write_text(self.path, "".join(_line(line) for line in kept))
            self._file = self.path.open("a", encoding="utf-8", newline="\n")

    def __enter__(self) -> Record:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, line: Mapping[str, Any]) -> None:
        """Append one line."""
        if self._file:
            self._file.write(_line(line))
        if self._tensorboard is not None:
            self._tensorboard.add(line)

    def sync(self) -> None:
        """Wait until every line is on the disk; done before each checkpoint, so that none is missing."""
        if self._file:
            with files.says_when_full(self.path):
                self._file.flush()
                os.fsync(self._file.fileno())

    def close(self) -> None:
        """Write what is left."""
        if self._file:
            self._file.close()
        if self._tensorboard is not None:
            self._tensorboard.close()


def read(folder: Path) -> list[dict[str, Any]]:
    """The lines of a folder's metrics.jsonl; a last line that was cut by a kill is left out."""
    path = folder / METRICS
    if not path.exists():
        return []
    lines = []
    # Bytes: a kill may have cut a character of an id in two.
    for text in path.read_bytes().split(b"\n"):
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue
    return lines


def _line(values: Mapping[str, Any]) -> str:
    def finite(value: Any) -> Any:
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps({key: finite(value) for key, value in values.items()}, ensure_ascii=False) + "\n"
