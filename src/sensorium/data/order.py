"""Orders: which row a training run sees at which place; each is computable, so resuming needs only a number.

An order turns facts about a pool (ids, a column of probabilities) into an endless sequence of places. Place
q belongs to an epoch e and has a position k in it; both follow from q, the seed and the ids alone. Rows are
permuted by hashes of their ids, so with `Shuffle()` and `Draw` the sequence of ids is the same on 1, 3 or 7
shards in any order.

Batches may span two epochs: no row is dropped, and within an epoch every row occurs exactly once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from sensorium.core.errors import InputError, SettingError, unknown
from sensorium.data import chance

_PIECES = 16  # runs of neighbouring rows that share one window
_BLOCK = 1000  # places over which a mix has exactly its shares


class Facts(Protocol):
    """What an order may know of a pool; computed only when asked for."""

    @property
    def num_rows(self) -> int:
        """N, the number of rows."""

    def hashes(self) -> np.ndarray:
        """Hashes of the ids, (N,) uint64."""

    def numbers(self, column: str) -> np.ndarray:
        """A numeric column, (N,) float64."""

    def parts(self) -> Mapping[str, range]:
        """The rows of each named part of the pool; one part named "" when it has no parts."""


@dataclass(frozen=True)
class Places:
    """Rows to be seen, in order: positions in the pool (N,) int64, and the epoch of each (N,) int64."""

    rows: np.ndarray
    epochs: np.ndarray


class Visits(Protocol):
    """An endless sequence of places with random access."""

    def places(self, start: int, stop: int) -> Places:
        """The places start <= q < stop."""


class Order(Protocol):
    """A setting: in which order rows are seen."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns it needs besides the id."""

    def visits(self, facts: Facts, seed: int) -> Visits:
        """The sequence for one pool and seed."""


@dataclass(frozen=True)
class Shuffle:
    """Each epoch sees every row once, in a new order.

    Args:
        window: None permutes the whole pool (8 bytes a row in memory). A number keeps reading local for
            pools that do not fit in memory: runs of `window / 16` neighbouring rows are permuted, and rows
            are permuted within windows of 16 such runs. Then the order depends on how rows are stored, not
            only on their ids.
    """

    window: int | None = None
    columns: tuple[str, ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        if self.window is not None and self.window < _PIECES:
            raise SettingError(f"the window of a shuffle is at least {_PIECES} rows, not {self.window}.")

    def visits(self, facts: Facts, seed: int) -> Visits:
        """The sequence for one pool and seed."""
        if self.window is None or self.window >= facts.num_rows:
            return _Whole(facts, seed)
        return _Windowed(facts.num_rows, seed, self.window)


@dataclass(frozen=True)
class Draw:
    """Each epoch draws its rows anew, each with the probability in its column, and permutes them.

    This is curation in the loader: over many epochs more rows are seen than one fixed subset holds.

    Args:
        p: the column of probabilities, each in [0, 1].
    """

    p: str = "keep"

    @property
    def columns(self) -> tuple[str, ...]:
        """The column of probabilities."""
        return (self.p,)

    def visits(self, facts: Facts, seed: int) -> Visits:
        """The sequence for one pool and seed.

        Raises:
            InputError: a probability is missing or outside [0, 1], or the probabilities add up to less than
                1.
        """
        p = facts.numbers(self.p)
        bad = np.flatnonzero(~((p >= 0) & (p <= 1)))
        if len(bad):
            raise InputError(f"column '{self.p}' holds {p[bad[0]]}; a probability of being drawn lies in [0, 1].")
        if p.sum() < 1:
            raise InputError(
                f"column '{self.p}' adds up to {p.sum():.3g}: less than one row would be drawn in an epoch."
            )
        return _Drawn(facts, seed, p)


@dataclass(frozen=True)
class Mix:
    """Rows of several pools in fixed shares, exact over 1,000 places; each pool goes through its own epochs.

    Args:
        shares: weight per part of the pool, as named in `Train.pool={"new": ..., "seen": ...}`; they add up
            to 1.
        within: the order inside each part.
    """

    shares: Mapping[str, float]
    within: Shuffle | Draw = Shuffle()

    def __post_init__(self) -> None:
        total = math.fsum(self.shares.values())
        if not self.shares or min(self.shares.values()) < 1 / _BLOCK or abs(total - 1) > 1e-9:
            raise SettingError(
                f"shares of a mix are at least {1 / _BLOCK} each and add up to 1, not {dict(self.shares)}."
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """What the inner order needs."""
        return self.within.columns

    def visits(self, facts: Facts, seed: int) -> Visits:
        """The sequence for one pool and seed."""
        parts = facts.parts()
        for name in self.shares:
            if name not in parts:
                raise unknown("part of the pool", name, parts)
        inner = [(parts[name], self.within.visits(_Part(facts, parts[name]), seed)) for name in self.shares]
        return _Mixed(inner, _counts(list(self.shares.values())), seed)


def _counts(shares: list[float]) -> np.ndarray:
    """Places of each part in a block, by largest remainder; ties go to the earlier part."""
    exact = np.asarray(shares) * _BLOCK
    counts = np.floor(exact + 1e-9).astype(np.int64)
    largest = np.argsort(-(exact - counts), kind="stable")
    counts[largest[: _BLOCK - int(counts.sum())]] += 1
    return counts


@dataclass(frozen=True)
class _Part:
    """The facts of a run of rows."""

    facts: Facts
    rows: range

    @property
    def num_rows(self) -> int:
        return len(self.rows)

    def hashes(self) -> np.ndarray:
        return self.facts.hashes()[self.rows.start : self.rows.stop]

    def numbers(self, column: str) -> np.ndarray:
        return self.facts.numbers(column)[self.rows.start : self.rows.stop]

    def parts(self) -> Mapping[str, range]:
        return {"": range(self.num_rows)}


class _Epochs:
    """Places by epoch, for orders whose epochs may have different lengths; the last two epochs are kept."""

    def __init__(self) -> None:
        self._starts = [0]
        self._kept: dict[int, np.ndarray] = {}

    def epoch(self, number: int) -> np.ndarray:
        """The rows of one epoch, in order."""
        raise NotImplementedError

    def rows_of(self, number: int) -> np.ndarray:
        """The rows of one epoch, from memory where possible; safe to call from several threads."""
        found = self._kept.get(number)
        if found is None:
            found = self.epoch(number)
            self._kept = {
                **{other: rows for other, rows in self._kept.items() if abs(other - number) == 1},
                number: found,
            }
        return found

    def length_of(self, number: int) -> int:
        """How many rows one epoch has."""
        return len(self.rows_of(number))

    def places(self, start: int, stop: int) -> Places:
        """The places start <= q < stop."""
        # A copy, replaced at the end: two threads may extend it at once, and both find the same starts.
        starts = list(self._starts)
        while starts[-1] <= stop:
            starts.append(starts[-1] + self.length_of(len(starts) - 1))
        self._starts = starts if len(starts) > len(self._starts) else self._starts
        first = int(np.searchsorted(starts, start, side="right")) - 1
        rows, epochs = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        while start < stop:
            end = min(stop, starts[first + 1])
            if end > start:
                rows.append(self.rows_of(first)[start - starts[first] : end - starts[first]])
                epochs.append(np.full(end - start, first, np.int64))
            start, first = end, first + 1
        return Places(np.concatenate(rows), np.concatenate(epochs))


class _Whole(_Epochs):
    """Every row once an epoch, permuted over the whole pool."""

    def __init__(self, facts: Facts, seed: int) -> None:
        super().__init__()
        if facts.num_rows == 0:
            raise InputError("there are no rows to put in an order.")
        self._facts, self._seed = facts, seed

    def epoch(self, number: int) -> np.ndarray:
        keys = chance.keyed(self._facts.hashes(), self._seed, "order", number)
        return np.argsort(keys, kind="stable").astype(np.int64)

    def places(self, start: int, stop: int) -> Places:
        # Equal lengths: where an epoch starts needs no list, so any place costs the same.
        rows, epochs, length = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], self._facts.num_rows
        while start < stop:
            epoch, first = divmod(start, length)
            count = min(stop - start, length - first)
            rows.append(self.rows_of(epoch)[first : first + count])
            epochs.append(np.full(count, epoch, np.int64))
            start += count
        return Places(np.concatenate(rows), np.concatenate(epochs))


class _Drawn(_Epochs):
    """The rows whose coin fell below their probability, permuted."""

    def __init__(self, facts: Facts, seed: int, p: np.ndarray) -> None:
        super().__init__()
        self._facts, self._seed, self._p = facts, seed, p

    def epoch(self, number: int) -> np.ndarray:
        kept = np.flatnonzero(self._drawn(number))
        keys = chance.keyed(self._facts.hashes()[kept], self._seed, "order", number)
        return kept[np.argsort(keys, kind="stable")].astype(np.int64)

    def length_of(self, number: int) -> int:
        return int(np.count_nonzero(self._drawn(number)))

    def _drawn(self, number: int) -> np.ndarray:
        return chance.uniform(self._facts.hashes(), self._seed, "draw", number) < self._p


class _Windowed:
    """Runs of neighbouring rows permuted, then rows within windows of some runs; memory follows runs."""

    def __init__(self, num_rows: int, seed: int, window: int) -> None:
        self._num_rows, self._seed = num_rows, seed
        self._piece = window // _PIECES
        self._sizes = np.full(-(-num_rows // self._piece), self._piece, np.int64)
        self._sizes[-1] = num_rows - self._piece * (len(self._sizes) - 1)
        self._kept: dict[tuple[int, int], np.ndarray] = {}

    def places(self, start: int, stop: int) -> Places:
        """The places start <= q < stop."""
        rows, epochs = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        while start < stop:
            epoch, position = divmod(start, self._num_rows)
            found = self._from(epoch, position)[: stop - start]
            rows.append(found)
            epochs.append(np.full(len(found), epoch, np.int64))
            start += len(found)
        return Places(np.concatenate(rows), np.concatenate(epochs))

    def _from(self, epoch: int, position: int) -> np.ndarray:
        """The rows from a position to the end of its window."""
        order = self._order(epoch)
        ends = np.cumsum(self._sizes[order])
        window = int(np.searchsorted(ends, position, side="right")) // _PIECES
        before = int(ends[window * _PIECES - 1]) if window else 0
        return self._window(epoch, window, order)[position - before :]

    def _order(self, epoch: int) -> np.ndarray:
        return self._keep((epoch, -1), lambda: _permuted(np.arange(len(self._sizes)), self._seed, "pieces", epoch))

    def _window(self, epoch: int, window: int, order: np.ndarray) -> np.ndarray:
        def make() -> np.ndarray:
            pieces = order[window * _PIECES : (window + 1) * _PIECES]
            rows = [piece * self._piece + np.arange(self._sizes[piece]) for piece in pieces]
            return _permuted(np.concatenate(rows), self._seed, "window", epoch)

        return self._keep((epoch, window), make)

    def _keep(self, key: tuple[int, int], make: _Make) -> np.ndarray:
        found = self._kept.get(key)
        if found is None:
            found = make()
            recent = dict(list(self._kept.items())[-7:])
            self._kept = {**recent, key: found}
        return found


class _Make(Protocol):
    def __call__(self) -> np.ndarray: ...


def _permuted(values: np.ndarray, seed: int, purpose: str, epoch: int) -> np.ndarray:
    keys = chance.keyed(values.astype(np.uint64), seed, purpose, epoch)
    return np.asarray(values[np.argsort(keys, kind="stable")], np.int64)


class _Mixed:
    """Blocks of places with a fixed number of each part, permuted within the block."""

    def __init__(self, inner: list[tuple[range, Visits]], counts: np.ndarray, seed: int) -> None:
        self._inner, self._counts, self._seed = inner, counts, seed

    def places(self, start: int, stop: int) -> Places:
        """The places start <= q < stop."""
        rows, epochs = np.zeros(stop - start, np.int64), np.zeros(stop - start, np.int64)
        blocks = [self._block(number) for number in range(start // _BLOCK, -(-stop // _BLOCK))]
        offset = start - start // _BLOCK * _BLOCK
        parts = np.concatenate([part for part, _ in blocks])[offset : offset + stop - start] if blocks else np.zeros(0)
        ranks = np.concatenate([rank for _, rank in blocks])[offset : offset + stop - start] if blocks else np.zeros(0)
        for number, (span, visits) in enumerate(self._inner):
            mine = np.flatnonzero(parts == number)
            if len(mine):
                # Ranks of one part grow by one from place to place, so they are one run of its own sequence.
                found = visits.places(int(ranks[mine[0]]), int(ranks[mine[-1]]) + 1)
                rows[mine], epochs[mine] = found.rows + span.start, found.epochs
        return Places(rows, epochs)

    def _block(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Part of each place in a block, and the place's number in the sequence of its part."""
        parts = np.repeat(np.arange(len(self._counts)), self._counts)
        keys = chance.keyed(np.arange(_BLOCK, dtype=np.uint64), self._seed, "mix", number)
        parts = parts[np.argsort(keys, kind="stable")]
        ranks = np.zeros(_BLOCK, np.int64)
        for part, count in enumerate(self._counts):
            ranks[parts == part] = number * int(count) + np.arange(count)
        return parts, ranks
