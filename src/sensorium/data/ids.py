"""Ids over all shards of a pool: which repeat, and numbers that keep equal rows apart. Memory is bounded."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import TracebackType

import numpy as np

from sensorium.data.chance import hash_ids
from sensorium.data.contents import Earlier, first_halves
from sensorium.data.shards import Shard

_ENTRY = np.dtype([("hash", "<u8"), ("shard", "<u4")])
_BUCKETS = 256
IN_MEMORY = 8_000_000
"""So many hashes (100 MB) are held; more go to 256 temporary files by their first byte, 12 bytes each."""


def repeated_ids(shards: Sequence[Shard], limit: int = 100) -> list[tuple[str, str, str]]:
    """Ids that occur more than once: (id, first shard that has it, next one), at most `limit`.

    Two passes: one over 64-bit hashes, and only if some of these repeat one that compares the ids themselves.
    """
    with _Hashes() as hashes:
        for number, shard in enumerate(shards):
            for piece in shard.pieces(()):
                hashes.add(number, hash_ids(piece.table["id"]))
        twice: list[int] = []
        for group in hashes.groups():
            values = group["hash"]
            same = values[1:] == values[:-1]
            twice += np.unique(values[1:][same]).tolist()[: max(0, 2 * limit + 64 - len(twice))]
    return _spelled(shards, np.array(sorted(twice), np.uint64), limit) if twice else []


def _spelled(shards: Sequence[Shard], wanted: np.ndarray, limit: int) -> list[tuple[str, str, str]]:
    first: dict[str, str] = {}
    found: dict[str, tuple[str, str, str]] = {}
    for shard in shards:
        for piece in shard.pieces(()):
            ids = piece.table["id"]
            for row in np.flatnonzero(np.isin(hash_ids(ids), wanted)).tolist():
                name = ids[row].as_py()
                if name in first and name not in found:
                    found[name] = (name, first[name], shard.name)
                first.setdefault(name, shard.name)
        if len(found) >= limit:
            break
    return list(found.values())[:limit]


def number_occurrences(shards: Sequence[Shard]) -> list[Shard]:
    """Shards that know how many rows equal to theirs lie in earlier shards, so that content ids are unique.

    The first of equal rows, in stored order over all shards, has the bare hash as its id, the next ones `.1`,
    `.2`, ...; so the ids of a pool do not depend on how it is cut into shards. One pass over the columns that
    make the id; what is kept is proportional to the rows that are not alone.
    """
    keys: list[list[np.ndarray]] = [[] for _ in shards]
    counts: list[list[np.ndarray]] = [[] for _ in shards]
    with _Hashes() as hashes:
        for number, shard in enumerate(shards):
            for digests in shard.digests():
                hashes.add(number, first_halves(digests))
        for group in hashes.groups():
            for number, found, before in _not_alone(group):
                keys[number].append(found)
                counts[number].append(before)
    return [replace(shard, earlier=_earlier(keys[number], counts[number])) for number, shard in enumerate(shards)]


def _not_alone(group: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """(shard, hashes, occurrences in earlier shards) from entries sorted by hash and shard."""
    if len(group) == 0:
        return
    starts = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])  # one run per (hash, shard)
    runs, sizes = group[starts], np.diff(np.r_[starts, len(group)])
    first = np.r_[True, runs["hash"][1:] != runs["hash"][:-1]]
    before = np.cumsum(sizes) - sizes
    before -= before[np.flatnonzero(first)][np.cumsum(first) - 1]
    totals = np.bincount(np.cumsum(first) - 1, weights=sizes)[np.cumsum(first) - 1]
    shared, prior = runs[totals > 1], before[totals > 1]
    order = np.argsort(shared["shard"], kind="stable")
    shared, prior = shared[order], prior[order]
    if len(shared) == 0:
        return
    numbers, begins = np.unique(shared["shard"], return_index=True)
    for number, begin, end in zip(numbers.tolist(), begins, [*begins[1:], len(shared)], strict=True):
        yield number, shared["hash"][begin:end], prior[begin:end]


def _sorted(entries: np.ndarray) -> np.ndarray:
    # Entries arrive in the order of shards, and a stable sort keeps that order within a hash.
    return np.asarray(entries[np.argsort(entries["hash"], kind="stable")])


def _earlier(keys: list[np.ndarray], counts: list[np.ndarray]) -> Earlier:
    # Buckets come in ascending order of hashes, so joining them keeps the order.
    found = np.concatenate([*keys, np.zeros(0, np.uint64)]).astype(np.uint64)
    return Earlier(found, np.concatenate([*counts, np.zeros(0, np.int64)]).astype(np.int64))


class _Hashes:
    """(hash, shard) pairs of a whole pool, in memory up to a limit, then in temporary files."""

    def __init__(self) -> None:
        self._held: list[np.ndarray] = []
        self._count = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> _Hashes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder:
            self._folder.cleanup()

    def add(self, shard: int, hashes: np.ndarray) -> None:
        """Take the hashes of some rows of a shard."""
        entries = np.empty(len(hashes), _ENTRY)
        entries["hash"], entries["shard"] = hashes, shard
        self._held.append(entries)
        self._count += len(entries)
        if self._count >= IN_MEMORY:
            self._spill()

    def groups(self) -> Iterator[np.ndarray]:
        """All entries, sorted by hash and shard; entries of one hash are never in two groups."""
        if self._folder is None:
            yield _sorted(np.concatenate([*self._held, np.empty(0, _ENTRY)]))
            return
        self._spill()
        for bucket in range(_BUCKETS):
            path = Path(self._folder.name, f"{bucket:03d}")
            if path.exists():
                yield _sorted(np.fromfile(path, _ENTRY))

    def _spill(self) -> None:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="sensorium-ids-")
        entries = np.concatenate([*self._held, np.empty(0, _ENTRY)])
        buckets = (entries["hash"] >> np.uint64(56)).astype(np.uint8)
        order = np.argsort(buckets, kind="stable")
        entries, buckets = entries[order], buckets[order]
        bounds = np.searchsorted(buckets, np.arange(_BUCKETS + 1))
        for bucket, (start, stop) in enumerate(pairwise(bounds.tolist())):
            if stop > start:
                with Path(self._folder.name, f"{bucket:03d}").open("ab") as handle:
                    entries[start:stop].tofile(handle)
        self._held, self._count = [], 0
