"""Two parts of a pool that never meet: one to train on, one held out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import pyarrow as pa
import pyarrow.compute as pc

from sensorium.core.errors import SettingError, unknown
from sensorium.curate.states import State
from sensorium.curate.steps import DROPPED, as_text, reason_where, with_columns
from sensorium.data.chance import hash_ids, uniform


@dataclass(frozen=True, kw_only=True)
class HoldOut:
    """Keep one of two parts, decided per row by a hash of `by`; equal values of `by` stay together.

    Args:
        share: of the held-out part, between 0 and 1.
        part: which part is kept: "held", or "rest".
        by: the column that must not be in both parts: `id`, `key` (texts of one image), `text` (equal captions).
            Rows with null there go by their id.
        seed: chooses the parts; both parts need the same.
    """

    share: float = 0.05
    part: Literal["held", "rest"] = "rest"
    by: str = "id"
    seed: int = 0

    adds: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise SettingError(f"HoldOut.share is {self.share}; it is a share between 0 and 1.")
        if self.part not in ("held", "rest"):
            raise unknown("part of HoldOut", str(self.part), ("held", "rest"))

    @property
    def columns(self) -> tuple[str, ...]:
        """The column that decides."""
        return () if self.by == "id" else (self.by,)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Drop the rows of the other part."""
        values = pc.coalesce(as_text(table[self.by], self.by), as_text(table["id"], "id"))
        held = uniform(hash_ids(values), self.seed, "held out") < self.share
        gone = ~held if self.part == "held" else held
        return with_columns(table, {DROPPED: reason_where(gone, "held out" if self.part == "rest" else "not held out")})

    def card(self, state: State | None) -> Mapping[str, Any]:
        """What makes the parts."""
        return {"share": self.share, "part": self.part, "by": self.by, "seed": self.seed}
