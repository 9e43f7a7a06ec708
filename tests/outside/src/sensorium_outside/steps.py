"""A curation step: a frozen dataclass with columns, adds and a call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sensorium.core.errors import SettingError
from sensorium.curate.steps import DROPPED, reason_where, with_columns


@dataclass(frozen=True, kw_only=True)
class MinWords:
    """Drops texts of fewer words, and counts them in `num_words`."""

    words: int = 2
    columns: ClassVar[tuple[str, ...]] = ("text",)
    adds: ClassVar[tuple[str, ...]] = ("num_words",)

    def __post_init__(self) -> None:
        if self.words < 1:
            raise SettingError(f"words is at least 1, not {self.words}.")

    def __call__(self, table: pa.Table) -> pa.Table:
        """The same rows, counted; short ones with a reason."""
        counts = pc.list_value_length(pc.utf8_split_whitespace(pc.utf8_trim_whitespace(table["text"])))
        short = np.asarray(pc.less(counts, self.words).combine_chunks())
        reason = reason_where(short, f"fewer than {self.words} words")
        return with_columns(table, {"num_words": pc.cast(counts, pa.int32()), DROPPED: reason})
