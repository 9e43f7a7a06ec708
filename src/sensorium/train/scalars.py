"""The figures of metrics.jsonl for TensorBoard: the only file that imports it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter


class Scalars:
    """Writes numbers of each update; after a restart TensorBoard drops what lies beyond the checkpoint.

    Args:
        folder: where the event files lie.
        update: updates up to this one are there already.
    """

    def __init__(self, folder: Path, update: int) -> None:
        self._writer = SummaryWriter(str(folder), purge_step=update + 1)

    def add(self, line: Mapping[str, Any]) -> None:
        """Write the numbers of one line of metrics.jsonl."""
        for name, value in line.items():
            if name != "update" and isinstance(value, float):
                self._writer.add_scalar(name, value, line["update"])

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()
