"""Balancing: entries that many texts hold are thinned to about t texts, rare ones keep all.

    c[e]     number of texts that hold entry e, each text at most once
    p[e]     1 if c[e] < t, else t / c[e]
    P(text)  1 - product over its entries of (1 - p[e])       (any of independent draws succeeds)
    keep     iff uniform(hash(id), seed, "balance", epoch) < P

A text that holds a rare entry is always kept, so the counts of frequent entries stay above t.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sensorium.core.errors import InputError, SettingError
from sensorium.curate.match import NO_MATCH, count_entries, num_matches
from sensorium.curate.states import State, add_up
from sensorium.curate.steps import DROPPED, Fold, reason_where, with_columns
from sensorium.curate.vocabulary import one_array
from sensorium.data.chance import hash_ids, keyed, uniform
from sensorium.data.table_file import write_table

COUNTS = "balance_counts.parquet"
BALANCED_AWAY, OTHER_TEXT = "balanced away", "another text of its image was drawn"
_UNIT = 1 << 30  # sums of probabilities are kept as integers of this size: exact on any sharding
_GRID = 32  # thresholds tried in one pass over the matches


@dataclass(frozen=True, kw_only=True)
class Balance:
    """Thin out frequent entries.

    Args:
        t: the threshold, in texts. Published: 20,000 for 400 million pairs, 170,000 for 2.5 billion.
        size: or the number of rows to keep, in expectation; t is solved for.
        tail: or the share of all matches that entries below t hold; about 0.06 fits the published thresholds.
        by: column that groups several texts of one image: one of its matched texts is drawn, the image kept
            with it.
        seed: chooses the coins.
        epoch: another epoch, other coins: with a new one each pass, more rows are seen than one subset holds.

    Exactly one of t, size and tail is given. Put it last, behind deduplication and filters. It defeats itself
    on long texts: with nine matches a text nearly always holds a rare entry; curate short alt-texts, not
    synthetic captions.
    """

    t: int | None = None
    size: int | None = None
    tail: float | None = None
    by: str | None = None
    seed: int = 0
    epoch: int = 0

    columns: ClassVar[tuple[str, ...]] = ("matches",)
    adds: ClassVar[tuple[str, ...]] = ("keep_probability",)
    needs_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        given = [name for name in ("t", "size", "tail") if getattr(self, name) is not None]
        if len(given) != 1:
            raise SettingError(f"Balance takes exactly one of t, size and tail, not {' and '.join(given) or 'none'}.")
        for name in ("t", "size"):
            check_whole(f"Balance.{name}", getattr(self, name), low=1)
        for name in ("seed", "epoch"):
            check_whole(f"Balance.{name}", getattr(self, name), low=None)
        if self.tail is not None and not (isinstance(self.tail, float) and 0 < self.tail < 1):
            raise SettingError(
                f"Balance.tail is {self.tail!r}; it must be a fraction above 0 and below 1, such as 0.06."
            )

    def parts(self) -> tuple[Any, ...]:
        """With `by`, a text per image is drawn after counting over all of them and before the coins."""
        if self.by is None:
            return (self,)
        drawn = DrawText(by=self.by, seed=self.seed, epoch=self.epoch)
        return drawn, _BalanceDrawn(**(_fields(self) | {"by": None}))

    def measure(self, table: pa.Table) -> State:
        """Counts per entry over all rows that came here, and how many rows could be kept."""
        matches = one_array(table["matches"])
        could = self._eligible(table, matches)
        return {"counts": count_entries(matches), "rows": table.num_rows, "matched": int(could.sum())}

    def merge(self, states: Sequence[State]) -> State:
        """Sums of integers."""
        return add_up(states)

    def finish(self, state: State) -> State:
        """Set t where it is given or follows from the counts; for `size` begin to search."""
        counts, matched = state["counts"], state["matched"]
        if matched == 0:
            raise InputError(
                f"none of the {state['rows']} rows that reached balancing has a match; nothing to balance."
            )
        if self.t is not None:
            return {**state, "t": self.t}
        if self.tail is not None:
            return {**state, "t": tail_threshold(counts, self.tail)}
        assert self.size is not None, "one of t, size, tail is given"
        if self.size > matched:
            raise InputError(
                f"Balance.size is {self.size}, but only {matched} rows have a match; give at most {matched}."
            )
        # At t = max + 1 every entry has p = 1, so all matched rows are kept.
        return {**state, "low": 0, "at_low": 0, "high": int(counts.max()) + 1, "at_high": matched * _UNIT}

    def then(self, state: State) -> Fold | None:
        """One more look at all rows while the search for t goes on."""
        if "t" in state:
            return None
        return _Expect(dict(state), self.size or 0, self.columns)

    def apply(self, state: State, table: pa.Table) -> pa.Table:
        """Add `keep_probability` and toss each row's coin."""
        matches = one_array(table["matches"])
        probability = keep_probability(matches, entry_probability(state["counts"], state["t"]))
        coins = uniform(hash_ids(one_array(table["id"])), self.seed, "balance", self.epoch)
        has_match = num_matches(matches) > 0
        reason = reason_where(coins >= probability, BALANCED_AWAY)
        reason = reason_where(~self._eligible(table, matches), OTHER_TEXT, reason)
        reason = reason_where(~has_match, NO_MATCH, reason)
        return with_columns(table, {"keep_probability": pa.array(probability), DROPPED: reason})

    def _eligible(self, table: pa.Table, matches: pa.ListArray) -> np.ndarray:
        """Rows that have a coin."""
        return num_matches(matches) > 0

    def nothing_left(self, first: Mapping[str, Any]) -> str:
        """The sentence for a pool of which no row won its coin."""
        setting = next(f"{name} = {getattr(self, name)}" for name in ("t", "size", "tail") if getattr(self, name))
        return f"with {setting} balancing kept none of the rows that match, since each had a small chance; give more"

    def tally(self, table: pa.Table) -> State:
        """The expected size and its variance in 2^-30, and the real size."""
        table = table.filter(table["keep_probability"].is_valid())
        matches = one_array(table["matches"])
        probability = table["keep_probability"].to_numpy() * self._eligible(table, matches)
        return {
            "expected": int(np.rint(probability * _UNIT).astype(np.int64).sum()),
            "variance": int(np.rint(probability * (1 - probability) * _UNIT).astype(np.int64).sum()),
            "kept": table[DROPPED].null_count,
        }

    def publish(self, out: Path, state: State | None, tally: State) -> Mapping[str, Any]:
        """Write `balance_counts.parquet` (by entry id) and return what was expected and what came out."""
        assert state is not None, "balancing has measured"
        counts, t = state["counts"], state["t"]
        table = pa.table({"texts": counts, "p": entry_probability(counts, t)})
        write_table(out / COUNTS, table)
        return {
            "t": t,
            "tail_share": tail_share(counts, t),
            "head_entries": int((counts >= t).sum()),
            "tail_entries": int(((counts > 0) & (counts < t)).sum()),
            "rows": state["rows"],
            "matched_rows": state["matched"],
            "matches": int(counts.sum()),
            "matches_per_row": int(counts.sum()) / state["matched"],
            "expected_rows": tally["expected"] / _UNIT,
            "expected_deviation": (tally["variance"] / _UNIT) ** 0.5,
            "kept_rows": tally["kept"],
        }

    def card(self, state: State | None) -> Mapping[str, Any]:
        """What makes the coins."""
        assert state is not None, "balancing has measured"
        digest = hashlib.sha256(np.trim_zeros(state["counts"], "b").astype("<i8").tobytes()).hexdigest()
        return {"t": state["t"], "counts_sha256": digest, "seed": self.seed, "epoch": self.epoch}


def _fields(step: Balance) -> dict[str, Any]:
    return {spec.name: getattr(step, spec.name) for spec in dataclasses.fields(step)}


@dataclass(frozen=True, kw_only=True)
class _BalanceDrawn(Balance):
    """Counts are over all texts of all images; only the drawn text of an image can be kept."""

    columns: ClassVar[tuple[str, ...]] = ("matches", "drawn")
    stands_for: ClassVar[str] = "Balance"

    def _eligible(self, table: pa.Table, matches: pa.ListArray) -> np.ndarray:
        drawn = one_array(table["drawn"]).to_numpy(zero_copy_only=False).astype(bool)
        return np.asarray(drawn & super()._eligible(table, matches))


@dataclass(frozen=True)
class _Expect:
    """Expected sizes at a grid of thresholds between the two that enclose the wanted size."""

    found: dict[str, Any]
    size: int
    columns: tuple[str, ...]

    adds: ClassVar[tuple[str, ...]] = ()

    @property
    def grid(self) -> list[int]:
        low, high = self.found["low"], self.found["high"]
        if high - low - 1 <= _GRID:
            return list(range(low + 1, high))
        spaced = np.unique(np.geomspace(low + 1, high - 1, _GRID).round().astype(np.int64))
        return [int(t) for t in spaced]

    def measure(self, table: pa.Table) -> State:
        fold = Balance(t=1) if "drawn" not in self.columns else _BalanceDrawn(t=1)
        matches = one_array(table["matches"])
        could = fold._eligible(table, matches)
        matches = matches.filter(pa.array(could))
        sums = [
            int(
                np.rint(keep_probability(matches, entry_probability(self.found["counts"], t)) * _UNIT)
                .astype(np.int64)
                .sum()
            )
            for t in self.grid
        ]
        return {"sums": np.array(sums, np.int64)}

    def merge(self, states: Sequence[State]) -> State:
        return add_up(states)

    def finish(self, state: State) -> State:
        """Narrow the enclosure; when it is one wide, take the side nearer to the wanted size."""
        found, wanted = dict(self.found), self.size * _UNIT
        for t, value in zip(self.grid, state["sums"].tolist(), strict=True):
            if value < wanted and t > found["low"]:
                found |= {"low": t, "at_low": value}
            if value >= wanted and t < found["high"]:
                found |= {"high": t, "at_high": value}
        if found["high"] - found["low"] > 1:
            return found
        if found["low"] == 0 and found["at_high"] - wanted > _UNIT:
            raise InputError(
                f"Balance.size is {self.size}, but t = 1 keeps {found['at_high'] // _UNIT} rows already, "
                "since every text with a rare entry is kept; give a larger size, or use RandomSubset."
            )
        low_is_nearer = found["low"] > 0 and wanted - found["at_low"] < found["at_high"] - wanted
        return {**found, "t": found["low"] if low_is_nearer else found["high"]}

    def apply(self, state: State, table: pa.Table) -> pa.Table:
        raise AssertionError("a search measures only")


@dataclass(frozen=True, kw_only=True)
class DrawText:
    """Draw one of the texts of each image, uniformly by hash among those that came here; adds `drawn` (bool).

    Args:
        by: the column that equal images share; rows with null there are their own image.
        seed, epoch: choose the draws.
    """

    by: str = "key"
    seed: int = 0
    epoch: int = 0

    adds: ClassVar[tuple[str, ...]] = ("drawn",)

    @property
    def key(self) -> str:
        """The image's column."""
        return self.by

    @property
    def columns(self) -> tuple[str, ...]:
        """The image's column."""
        return (self.by,)

    def gather(self, table: pa.Table) -> pa.Table:
        """Of each key, the row with the smallest hash is drawn; equal hashes are told apart by id."""
        ids = one_array(table["id"])
        groups = one_array(table[self.by]).dictionary_encode().indices.to_numpy(zero_copy_only=False)
        alone = np.isnan(groups) if groups.dtype.kind == "f" else np.zeros(len(groups), bool)
        number = np.where(alone, -1, groups).astype(np.int64)
        hashes = keyed(hash_ids(ids), self.seed, "text of an image", self.epoch)
        order = hash_order(ids, hashes, number)
        first = np.ones(len(order), bool)
        first[1:] = number[order[1:]] != number[order[:-1]]
        drawn = np.zeros(len(order), bool)
        drawn[order[first]] = True
        drawn[alone] = True
        return with_columns(table, {"drawn": pa.array(drawn)})


def hash_order(ids: pa.Array, hashes: np.ndarray, *outer: np.ndarray) -> np.ndarray:
    """The order by `outer` keys, hash and id, (N,): equal hashes do not fall back on stored order."""
    by_id = pc.rank(ids, sort_keys="ascending", tiebreaker="first").to_numpy() if len(ids) else np.zeros(0)
    return np.asarray(np.lexsort([by_id, hashes, *reversed(outer)]), np.int64)


def entry_probability(counts: np.ndarray, t: int) -> np.ndarray:
    """p[e] = 1 where c[e] < t, else t / c[e]; (num_entries,) float64. Exactly t texts: p = 1 either way."""
    return np.asarray(np.minimum(1.0, t / np.maximum(counts, 1)))


def keep_probability(matches: pa.ListArray, p: np.ndarray) -> np.ndarray:
    """P = 1 - prod(1 - p[e]) over each row's entries, (N,) float64; 0 for rows without a match.

    The product runs over a row's entries in the order of their ids, so it does not depend on the rows around
    it.
    """
    lengths = num_matches(matches)
    misses = 1.0 - p[matches.flatten().to_numpy()]
    begin = np.cumsum(lengths) - lengths
    result = np.zeros(len(lengths))
    some = np.flatnonzero(lengths)
    if len(some):
        result[some] = 1.0 - np.multiply.reduceat(misses, begin[some])
    return result


def tail_share(counts: np.ndarray, t: int) -> float:
    """Share of all matches that entries with c < t hold; 0 without matches."""
    total = int(counts.sum())
    return int(counts[counts < t].sum()) / total if total else 0.0


def tail_threshold(counts: np.ndarray, share: float) -> int:
    """The threshold whose tail share is nearest to the given one; the smaller of two equally near.

    Entries sorted by count; the share changes only at values that occur, so these are the candidates, and the
    value above the largest (everything is tail).
    """
    values, times = np.unique(counts[counts > 0], return_counts=True)
    below = np.concatenate([[0], np.cumsum(values * times)])
    candidates = np.concatenate([values, values[-1:] + 1])
    return int(candidates[np.argmin(np.abs(below / below[-1] - share))])


def check_whole(name: str, value: Any, low: int | None) -> None:
    """Refuse what is not a whole number, or is below `low`; None passes.

    Raises:
        SettingError: one sentence with what was given and what is allowed.
    """
    if value is None:
        return
    allowed = "a whole number" if low is None else f"a whole number of {low} or more"
    if isinstance(value, bool) or not isinstance(value, int) or (low is not None and value < low):
        raise SettingError(f"{name} is {value!r}; it must be {allowed}.")
