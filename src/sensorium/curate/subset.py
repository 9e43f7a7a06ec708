"""Controls: a random subset of exact size, and captions shuffled among rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from sensorium.core import files
from sensorium.core.errors import InputError, SettingError
from sensorium.core.stage import Here, Stage
from sensorium.curate.balance import check_whole, hash_order
from sensorium.curate.states import State, add_up
from sensorium.curate.steps import DROPPED, Fold, reason_where, with_columns
from sensorium.curate.vocabulary import one_array
from sensorium.data.chance import hash_ids, keyed

NOT_DRAWN = "not drawn"
_BUCKET = np.uint64(48)  # the upper 16 bits of a hash name its bucket


@dataclass(frozen=True, kw_only=True)
class RandomSubset:
    """Keep exactly `size` rows, those with the smallest hashes; the same rows on any sharding.

    Args:
        size: rows to keep.
        like: or a stage that gives a pool: keep as many rows as it has, for arms of equal size.
        seed: chooses the rows.
    """

    size: int | None = None
    like: Stage | None = None
    seed: int = 0

    columns: ClassVar[tuple[str, ...]] = ()
    adds: ClassVar[tuple[str, ...]] = ()
    needs_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if (self.size is None) == (self.like is None):
            raise SettingError("RandomSubset takes either size or like, exactly one of them.")
        check_whole("RandomSubset.size", self.size, low=1)
        check_whole("RandomSubset.seed", self.seed, low=None)
        if self.like is not None and getattr(self.like, "gives", None) != "pool":
            raise SettingError(f"RandomSubset.like takes a stage that gives pool, not {self.like!r:.80}.")

    def bound(self, here: Here) -> RandomSubset:
        """With the size of the pool it is to be like."""
        if self.like is None:
            return self
        rows = files.read_json(here.path(self.like) / "pool.json")["rows_out"]
        return RandomSubset(size=rows, seed=self.seed)

    def measure(self, table: pa.Table) -> State:
        """Rows per bucket of hashes."""
        buckets = (self._hashes(table) >> _BUCKET).astype(np.int64)
        return {"rows": table.num_rows, "buckets": np.bincount(buckets, minlength=1 << 16)}

    def merge(self, states: Sequence[State]) -> State:
        """Sums of integers."""
        return add_up(states)

    def finish(self, state: State) -> State:
        """Find the bucket in which the last kept row lies."""
        size, rows = self._size(), state["rows"]
        if size > rows:
            raise InputError(f"RandomSubset.size is {size}, but only {rows} rows are there; give at most {rows}.")
        total = np.cumsum(state["buckets"])
        bucket = int(np.searchsorted(total, size))
        return {"bucket": bucket, "wanted": size - int(total[bucket] - state["buckets"][bucket])}

    def then(self, state: State) -> Fold | None:
        """Look into that bucket, until the last kept row is known."""
        return None if "hash" in state else _Edge(state["bucket"], state["wanted"], self.seed)

    def apply(self, state: State, table: pa.Table) -> pa.Table:
        """Drop the rows behind the last kept one."""
        hashes, last = self._hashes(table), np.uint64(state["hash"])
        keep = hashes < last
        for row in np.flatnonzero(hashes == last).tolist():
            keep[row] = table["id"][row].as_py() <= state["id"]
        return with_columns(table, {DROPPED: reason_where(~keep, NOT_DRAWN)})

    def card(self, state: State | None) -> Mapping[str, Any]:
        """What makes the draw."""
        return {"size": self._size(), "seed": self.seed}

    def _hashes(self, table: pa.Table) -> np.ndarray:
        return keyed(hash_ids(one_array(table["id"])), self.seed, "subset")

    def _size(self) -> int:
        assert self.size is not None, "a subset like another pool is bound before it runs"
        return self.size


@dataclass(frozen=True)
class _Edge:
    """The `wanted`-th smallest (hash, id) in one bucket."""

    bucket: int
    wanted: int
    seed: int

    columns: ClassVar[tuple[str, ...]] = ()
    adds: ClassVar[tuple[str, ...]] = ()

    def measure(self, table: pa.Table) -> State:
        hashes = keyed(hash_ids(one_array(table["id"])), self.seed, "subset")
        inside = np.flatnonzero((hashes >> _BUCKET) == self.bucket)
        ids = table["id"].take(pa.array(inside)).to_pylist()
        return self._smallest(list(zip(hashes[inside].tolist(), ids, strict=True)))

    def merge(self, states: Sequence[State]) -> State:
        pairs = [pair for state in states for pair in zip(state["hashes"], state["ids"], strict=True)]
        return self._smallest(pairs)

    def _smallest(self, pairs: list[tuple[int, str]]) -> State:
        kept = sorted(pairs)[: self.wanted]
        return {"hashes": [pair[0] for pair in kept], "ids": [pair[1] for pair in kept]}

    def finish(self, state: State) -> State:
        return {"hash": state["hashes"][-1], "id": state["ids"][-1]}

    def apply(self, state: State, table: pa.Table) -> pa.Table:
        raise AssertionError("a search measures only")


@dataclass(frozen=True, kw_only=True)
class ShuffleText:
    """The control without meaning: every row gets the caption of another row.

    Rows are put in the order of a hash, and each takes the caption of the next one, the last that of the
    first; so the captions are the same multiset and no row keeps its own (of two rows or more). Above some
    250,000 rows this is done within random groups of about that size, to bound memory.

    Args:
        seed: chooses the order.
        column: the column to shuffle.
    """

    seed: int = 0
    column: str = "text"

    key: ClassVar[str] = "id"  # groups then hold rows by the hash of their ids, whatever the sharding

    def __post_init__(self) -> None:
        check_whole("ShuffleText.seed", self.seed, low=None)

    @property
    def columns(self) -> tuple[str, ...]:
        """The column to shuffle."""
        return (self.column,)

    @property
    def adds(self) -> tuple[str, ...]:
        """The shuffled column, and `<column>_from`: the id it came from."""
        return (self.column, f"{self.column}_from")

    def gather(self, table: pa.Table) -> pa.Table:
        """Move the captions by one place in the order of the hash."""
        ids = one_array(table["id"])
        hashes = keyed(hash_ids(ids), self.seed, "shuffle")
        order = hash_order(ids, hashes)
        source = np.empty(len(order), np.int64)
        source[order] = np.roll(order, -1)
        taken = table.select(["id", self.column]).take(pa.array(source))
        return with_columns(table, {self.column: taken[self.column], f"{self.column}_from": taken["id"]})
