"""The step that matches texts against a vocabulary: column `matches`, rows without a match dropped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sensorium.core.errors import SettingError
from sensorium.core.stage import Here, Stage
from sensorium.curate.atoms import Rules, Semantics
from sensorium.curate.matcher import Matcher
from sensorium.curate.states import State
from sensorium.curate.steps import DROPPED, with_columns
from sensorium.curate.vocabulary import Vocabulary, one_array
from sensorium.data.table_file import write_table

NO_MATCH = "no match"
COUNTS = "counts.parquet"


@dataclass(frozen=True, kw_only=True)
class Match:
    """Find the entries of a vocabulary in each text.

    Args:
        vocabulary: a stage that gives "vocabulary".
        semantics: "published-v1" (whole words between blanks, case-sensitive), "published-v2" (no blank
            needed beside CJK, Thai and other open characters, or punctuation), "strict" (ours: v2 with
            entries normalised like texts).
        column: the text column.
    """

    vocabulary: Stage
    semantics: Semantics = "published-v1"
    column: str = "text"

    adds: ClassVar[tuple[str, ...]] = ("matches",)

    def __post_init__(self) -> None:
        Rules.of(self.semantics)
        gives = getattr(self.vocabulary, "gives", None)
        if gives != "vocabulary":
            given = f"{self.vocabulary!r} gives {gives}" if gives else f"it is {self.vocabulary!r:.60}"
            raise SettingError(f"Match.vocabulary takes a stage that gives vocabulary, but {given}.")

    @property
    def columns(self) -> tuple[str, ...]:
        """The text column."""
        return (self.column,)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Not before it is bound to the vocabulary's folder."""
        raise SettingError(
            "Match works inside Curate(steps=...); for texts in memory use Matcher(vocabulary).match(texts)."
        )

    def bound(self, here: Here) -> BoundMatch:
        """The step with the vocabulary's folder."""
        return BoundMatch(str(here.path(self.vocabulary)), self.semantics, self.column)


@dataclass(frozen=True)
class BoundMatch:
    """`Match` with the folder of its vocabulary; opened once per process."""

    folder: str
    semantics: Semantics
    column: str

    adds: ClassVar[tuple[str, ...]] = ("matches",)
    needs_rows: ClassVar[bool] = True
    stands_for: ClassVar[str] = "Match"

    @property
    def columns(self) -> tuple[str, ...]:
        """The text column."""
        return (self.column,)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The opened vocabulary."""
        return Vocabulary.open(Path(self.folder))

    @cached_property
    def matcher(self) -> Matcher:
        """The vocabulary made ready."""
        return Matcher(self.vocabulary, self.semantics)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Add `matches` (list<int32>, sorted entry ids) and drop rows that have none."""
        matches = self.matcher.match(table[self.column])
        none = pc.equal(pc.list_value_length(matches), 0)
        reason = pc.if_else(none, pa.scalar(NO_MATCH), pa.scalar(None, pa.string()))
        return with_columns(table, {"matches": matches, DROPPED: reason})

    def nothing_left(self, first: Mapping[str, Any]) -> str:
        """The sentence for a pool in which no text matches."""
        text = first.get(self.column)
        return (
            f"no text of the pool matches any of the {len(self.vocabulary):,} entries ({self.semantics}); "
            f"first text {'null' if text is None else repr(text[:80])}, first entry {self.vocabulary[0][:80]!r}"
        )

    def tally(self, table: pa.Table) -> State:
        """How many texts hold each entry, of the rows that came here and of those kept in the end."""
        matches, kept = one_array(table["matches"]), table[DROPPED].is_null()
        came = int(matches.is_valid().to_numpy(zero_copy_only=False).sum())
        left = matches.filter(one_array(kept))
        return {
            "before": count_entries(matches, len(self.vocabulary)),
            "after": count_entries(left, len(self.vocabulary)),
            "rows": np.array([came, _matched(matches), _matched(left)], np.int64),
        }

    def publish(self, out: Path, state: State | None, tally: State) -> Mapping[str, Any]:
        """Write `counts.parquet` (entry, texts, kept) and return curves, heads and dead entries."""
        before, after = tally["before"], tally["after"]
        columns = {"entry": self.vocabulary.entries, "texts": pa.array(before), "kept": pa.array(after)}
        write_table(out / COUNTS, pa.table(columns))
        dead = np.flatnonzero(before == 0)
        rows, matched, kept = (int(number) for number in tally["rows"])
        return {
            "entries": len(self.vocabulary),
            "rows": rows,
            "matched_rows": matched,
            "kept_rows": kept,
            "matches": int(before.sum()),
            "matches_kept": int(after.sum()),
            "entries_found": int((before > 0).sum()),
            "entries_kept": int((after > 0).sum()),
            "dead_entries": len(dead),
            "dead_examples": [
                self.vocabulary[index] for index in dead[np.argsort(self.vocabulary.rank[dead])][:20].tolist()
            ],
            "top": self._top(before, after),
            "curve": curve(before, after),
        }

    def _top(self, before: np.ndarray, after: np.ndarray, limit: int = 40) -> list[dict[str, Any]]:
        head = np.argsort(-before, kind="stable")[:limit].tolist()
        return [
            {"entry": self.vocabulary[index], "texts": int(before[index]), "kept": int(after[index])}
            for index in head
            if before[index]
        ]

    def card(self, state: State | None) -> Mapping[str, Any]:
        """What makes the matches."""
        about = self.vocabulary.about()
        return {
            "semantics": self.semantics,
            "column": self.column,
            "entries": about["entries"],
            "vocabulary_sha256": about["sha256"],
        }


def count_entries(matches: pa.ListArray, num_entries: int = 0) -> np.ndarray:
    """In how many texts each entry occurs, (num_entries or more,) int64; a text counts once per entry."""
    return np.bincount(matches.flatten().to_numpy(), minlength=num_entries)


def curve(before: np.ndarray, after: np.ndarray, points: int = 200) -> dict[str, list[int]]:
    """Both counts sorted from head to tail, each on its own, at ranks even on a logarithmic axis."""
    rank = np.unique(np.geomspace(1, max(len(before), 1), points).round().astype(np.int64))
    high, low = np.sort(before)[::-1], np.sort(after)[::-1]
    return {"rank": rank.tolist(), "before": high[rank - 1].tolist(), "after": low[rank - 1].tolist()}


def num_matches(matches: pa.ListArray) -> np.ndarray:
    """Entries of each row, (N,) int64; 0 for null."""
    return np.asarray(pc.fill_null(pc.list_value_length(matches), 0).to_numpy(), np.int64)


def _matched(matches: pa.ListArray) -> int:
    return int((num_matches(matches) > 0).sum())
