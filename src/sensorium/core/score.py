"""Scores: a number with its interval, its count, its direction and the rows it came from."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal

from sensorium.core.errors import SettingError, unknown


@dataclass(frozen=True, kw_only=True)
class Score:
    """One measured value.

    Args:
        value: the estimate; None where the formula has no value (no reference words), with `note` saying why.
        n: how many items it rests on; `of` how many were given, when some were excluded.
        low, high: a 95 % interval, where one was computed.
        better: the direction.
        unit: "fraction", "percent", "seconds", ...
        definition: one sentence: what was averaged over what, ties, selection.
    """

    value: float | None
    n: int
    of: int | None = None
    low: float | None = None
    high: float | None = None
    better: Literal["higher", "lower"] = "higher"
    unit: str = "fraction"
    definition: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if self.better not in ("higher", "lower"):
            raise unknown("direction of a score", str(self.better), ("higher", "lower"))
        for name in ("value", "low", "high"):
            number = getattr(self, name)
            if number is not None and not math.isfinite(number):
                raise SettingError(f"a score's {name} is {number}; a value that does not exist is None with a note.")

    def as_json(self) -> dict[str, Any]:
        """A plain mapping without the empty fields."""
        content = dataclasses.asdict(self)
        return {key: value for key, value in content.items() if value not in (None, "") or key == "value"}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Score:
        """The inverse of `as_json`."""
        return cls(**content)
