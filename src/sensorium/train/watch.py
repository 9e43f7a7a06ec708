"""Validation while training: a task scored every so many updates, the best weights kept, an early end."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sensorium.core.errors import SettingError, StageFailedError
from sensorium.core.score import Score
from sensorium.core.stage import Buildable


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What is measured on the way.

    Args:
        task: a setting whose `build()` gives a function from the exported modules (by name) to a Score or a
            number.
        every: updates between two measurements; the last update is always measured.
        keep: "best" exports the weights of the best measurement (the earliest of equals), "last" the final
            ones.
        patience: stop after so many measurements in a row without a new best; None never stops.
        better: the direction of plain numbers; a Score brings its own.
    """

    task: Buildable
    every: int
    keep: Literal["best", "last"] = "last"
    patience: int | None = None
    better: Literal["higher", "lower"] = "higher"

    def __post_init__(self) -> None:
        if self.every < 1 or (self.patience is not None and self.patience < 1):
            raise SettingError(f"every and patience are at least 1, not {self.every} and {self.patience}.")


class Watching:
    """The state of a watch during one run; `state` goes into checkpoints."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._measure: Callable[[Any], Any] = watch.task.build()
        self.state: dict[str, Any] = {"best": None, "update": None, "without": 0}

    def due(self, update: int, num_updates: int) -> bool:
        """Whether to measure after so many updates."""
        return update % self.watch.every == 0 or update == num_updates

    def measure(self, models: Mapping[str, Any], update: int) -> tuple[float, bool]:
        """The value now, and whether it is a new best."""
        found = self._measure(models)
        value = found.value if isinstance(found, Score) else float(found)
        if value is None:
            raise StageFailedError(f"the watched task has no value after update {update}: {found.note}")
        if not math.isfinite(value):
            # NaN is neither better nor worse than anything: taken as the best, it could never be beaten.
            raise StageFailedError(f"the watched task gave {value} after update {update}; it must be finite.")
        higher = (found.better if isinstance(found, Score) else self.watch.better) == "higher"
        best = self.state["best"]
        is_best = best is None or (value > best if higher else value < best)
        if is_best:
            self.state.update(best=value, update=update, without=0)
        else:
            self.state["without"] += 1
        return value, is_best

    @property
    def over(self) -> bool:
        """Whether patience has run out."""
        return self.watch.patience is not None and self.state["without"] >= self.watch.patience
