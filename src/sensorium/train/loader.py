"""Batches by number: rows in the order's places, decoded once, varied by chance, broken ones replaced.

Decoding runs in threads of this process (Pillow frees the interpreter lock), a few batches ahead. Decoded
rows stay in memory up to a budget, so pictures of a miniature are decoded once and not once an epoch.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from sensorium.core.errors import StageFailedError
from sensorium.data.order import Places, Visits
from sensorium.data.prepare import Arrays, Chance, Prepare
from sensorium.data.rows import Rows

_ATTEMPTS = 100


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One rank's part of the batch of one update.

    Args:
        arrays: what the preparation made, B entries each.
        ids: of the B rows, in order.
        broken: id and reason of the rows that were met and could not be decoded.
        num_replaced: places at which another row stands in.
    """

    arrays: Arrays
    ids: list[str]
    broken: dict[str, str]
    num_replaced: int


@dataclass(frozen=True, kw_only=True)
class Loading:
    """How batches are made.

    Args:
        batch: rows of one update over all ranks.
        seed: of the run.
        rank: this process.
        num_ranks: of so many; each takes one stretch of the batch.
        workers: threads that decode ahead; 0 makes batches when they are asked for.
        memory_bytes: budget for decoded rows.
    """

    batch: int
    seed: int
    rank: int = 0
    num_ranks: int = 1
    workers: int = 1
    memory_bytes: int = 2 << 30


class Loader:
    """Makes the batch of any update.

    A row that cannot be decoded is replaced by the row at the same place of the next batch, or of the one
    after it, and so on: a rule of places alone, so it does not depend on workers, restarts or what was met
    before.

    Args:
        rows: the pool.
        prepare: rows to arrays.
        visits: which row stands at which place.
        loading: sizes, seed and rank.
    """

    def __init__(self, rows: Rows, prepare: Prepare, visits: Visits, loading: Loading) -> None:
        self._rows, self._prepare, self._visits, self._loading = rows, prepare, visits, loading
        size = loading.batch // loading.num_ranks
        assert size * loading.num_ranks == loading.batch, "checked before a run starts"
        self._mine = slice(loading.rank * size, (loading.rank + 1) * size)
        self._decoded = _Decoded(rows, prepare, loading.memory_bytes)

    def run(self, start: int, stop: int) -> Iterator[Batch]:
        """The batches of the updates start <= u < stop, in order."""
        workers = self._loading.workers
        if workers == 0:
            yield from (self.load(update) for update in range(start, stop))
            return
        waiting: deque[Future[Batch]] = deque()
        pool = ThreadPoolExecutor(workers, thread_name_prefix="loader")
        try:
            for update in range(start, stop):
                waiting.append(pool.submit(self.load, update))
                if len(waiting) > workers + 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def load(self, update: int) -> Batch:
        """The batch of one update."""
        places = self._places(update)
        positions, epochs = places.rows.copy(), places.epochs.copy()
        replaced, met, loose = np.zeros(len(positions), bool), dict[int, str](), _Loose()
        for attempt in range(1, _ATTEMPTS + 1):
            broken = self._decoded.fill(positions, loose)
            if not broken:
                break
            met.update(broken)
            bad = np.isin(positions, list(broken))
            later = self._places(update + attempt)
            positions[bad], epochs[bad] = later.rows[bad], later.epochs[bad]
            replaced |= bad
        else:
            raise StageFailedError(
                f"at one place of update {update} none of {_ATTEMPTS} rows could be decoded "
                f"({next(iter(met.values()))}); the pool holds hardly any row that can be used."
            )
        chance = Chance(self._rows.hashes()[positions], epochs, self._loading.seed)
        arrays = self._prepare(self._decoded.take(positions, loose), chance)
        broken_ids = dict(zip(self._rows.names(np.array(list(met), np.int64)), met.values(), strict=True))
        return Batch(
            arrays=arrays,
            ids=self._rows.names(positions),
            broken=broken_ids,
            num_replaced=int(replaced.sum()),
        )

    def _places(self, update: int) -> Places:
        batch = self._loading.batch
        found = self._visits.places(update * batch, (update + 1) * batch)
        return Places(found.rows[self._mine], found.epochs[self._mine])


_Loose = dict[int, dict[str, np.ndarray]]
"""Decoded rows of one batch that are not kept, by position."""


class _Decoded:
    """Decoded rows, kept for the first rows of the pool as far as the budget reaches.

    Each array is laid out for all kept rows at once; the system gives memory only to what is written. Two
    threads may decode one row at the same time: both write the same bytes.
    """

    def __init__(self, rows: Rows, prepare: Prepare, memory_bytes: int) -> None:
        self._rows, self._prepare, self._budget = rows, prepare, memory_bytes
        self._kept: dict[str, np.ndarray] = {}
        self._filled = np.zeros(len(rows), bool)
        self._broken: dict[int, str] = {}
        self._capacity = -1
        self._layout = threading.Lock()

    def fill(self, positions: np.ndarray, loose: _Loose) -> dict[int, str]:
        """Decode what is not there yet, into `loose` what is not kept; the broken rows and why."""
        asked = [int(position) for position in np.unique(positions)]
        todo = [row for row in asked if not (self._filled[row] or row in self._broken or row in loose)]
        if todo:
            self._decode(np.array(todo, np.int64), loose)
        return {row: self._broken[row] for row in asked if row in self._broken}

    def take(self, positions: np.ndarray, loose: _Loose) -> dict[str, np.ndarray]:
        """Arrays of rows that `fill` has seen, in order; copies."""
        if not loose:
            return {name: kept[positions] for name, kept in self._kept.items()}
        kept = np.array([int(position) not in loose for position in positions])
        taken = {}
        for name, array in self._kept.items():
            taken[name] = np.empty((len(positions), *array.shape[1:]), array.dtype)
            taken[name][kept] = array[positions[kept]]
            for place in np.flatnonzero(~kept):
                taken[name][place] = loose[int(positions[place])][name]
        return taken

    def _decode(self, todo: np.ndarray, loose: _Loose) -> None:
        decoded = self._prepare.decode(self._rows.take(todo))
        self._lay_out(decoded.arrays)
        good = np.ones(len(todo), bool)
        for place, reason in decoded.broken.items():
            self._broken[int(todo[place])] = reason
            good[place] = False
        keep = good & (todo < self._capacity)
        for name, array in decoded.arrays.items():
            self._kept[name][todo[keep]] = array[keep]
        self._filled[todo[keep]] = True
        for place in np.flatnonzero(good & ~keep):
            loose[int(todo[place])] = {name: array[place] for name, array in decoded.arrays.items()}

    def _lay_out(self, arrays: Arrays) -> None:
        with self._layout:
            if self._capacity >= 0:
                return
            row_bytes = sum(array.nbytes // max(1, len(array)) for array in arrays.values())
            capacity = min(len(self._rows), self._budget // max(1, row_bytes))
            self._kept = {name: np.zeros((capacity, *array.shape[1:]), array.dtype) for name, array in arrays.items()}
            self._capacity = capacity
