"""The figures of updates, left on the device until somebody looks, so that no step waits for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from sensorium.engine import ranks


@dataclass
class Figures:
    """What one update has to say.

    Args:
        update: updates made, this one included.
        examples: examples seen, those of this update included.
        ids: the rows of this rank's batch.
    """

    update: int
    examples: int
    ids: Sequence[str]
    on_device: dict[str, Tensor] = field(default_factory=dict)
    known: dict[str, Any] = field(default_factory=dict)
    skipped: Tensor | None = None

    def add(self, values: Mapping[str, Tensor], weight: Tensor | None = None) -> None:
        """Add scalars under their names; what is there already is summed."""
        for name, value in values.items():
            value = value.detach() if weight is None else value.detach() * weight
            self.on_device[name] = self.on_device[name] + value if name in self.on_device else value

    def add_skipped(self, skipped: Tensor) -> None:
        """Count the update as skipped when any of its turns was."""
        self.skipped = skipped if self.skipped is None else torch.maximum(self.skipped, skipped)


def looked_at(waiting: Sequence[Figures]) -> list[dict[str, Any]]:
    """Lines for metrics.jsonl: means over ranks; the one place where the device is waited for."""
    if not waiting:
        return []
    scalars = [value.double() for figures in waiting for value in figures.on_device.values()]
    flags = [figures.skipped for figures in waiting if figures.skipped is not None]
    numbers = iter((ranks.all_sum(torch.stack(scalars)) / ranks.num_ranks()).tolist())
    skipped = iter(torch.stack(flags).tolist())
    lines = []
    for figures in waiting:
        line: dict[str, Any] = {"update": figures.update, "examples": figures.examples}
        line.update({name: next(numbers) for name in figures.on_device})
        line.update(figures.known)
        if next(skipped):
            # Which rows did it is what a person wants to know next.
            line.update(skipped=True, ids=list(figures.ids))
        lines.append(line)
    return lines
