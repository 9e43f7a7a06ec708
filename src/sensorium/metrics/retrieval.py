"""Retrieval: what a ranked list of ids, or a matrix of scores, finds.

Rules, the same for every measure:

- A result that is repeated counts where it first stands; the repeats keep their places and gain nothing, so a
  list that repeats itself is never better than one that does not, and no rate exceeds 1.
- A relevant id that is named twice is one id (with the larger gain).
- A query without a relevant id has no value: it is left out and counted, never taken as 0 or 1.
- Equal scores count against the system: relevant items stand behind all others of the same score.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sensorium.core.errors import InputError, SettingError, listing

Relevant = Mapping[Hashable, float] | Iterable[Hashable]
"""Gains by id, or ids that all have gain 1."""

Measure = Callable[[Sequence[Hashable], Relevant], float | None]


def recall_at_k(ranked: Sequence[Hashable], relevant: Relevant, k: int) -> float | None:
    """Distinct relevant ids among the first k places over all distinct relevant ids; None without any."""
    wanted, found = _gains(relevant), _found(ranked, relevant, k)
    return len(found) / len(wanted) if wanted else None


def precision_at_k(ranked: Sequence[Hashable], relevant: Relevant, k: int) -> float | None:
    """Distinct relevant ids among the first k places over k, also for shorter lists; None without any."""
    return len(_found(ranked, relevant, k)) / k if _gains(relevant) else None


def hit_at_k(ranked: Sequence[Hashable], relevant: Relevant, k: int) -> float | None:
    """1 if any of the first k places holds a relevant id, else 0 ("R@k" of image-text retrieval)."""
    return float(bool(_found(ranked, relevant, k))) if _gains(relevant) else None


def reciprocal_rank(ranked: Sequence[Hashable], relevant: Relevant, k: int | None = None) -> float | None:
    """1 / place of the first relevant id within the first k (all when None); 0 when there is none."""
    if not _gains(relevant):
        return None
    found = _found(ranked, relevant, k)
    return 1 / (1 + min(found)) if found else 0.0


def ndcg_at_k(ranked: Sequence[Hashable], relevant: Relevant, k: int) -> float | None:
    """Normalised discounted cumulative gain (Jarvelin and Kekalainen 2002, with log2(1 + rank)).

    DCG = sum over the first k places of gain / log2(1 + place), places from 1; divided by the DCG of the best
    order. The gain enters as given (not 2^gain - 1); with gains of 1 the two forms are equal.
    """
    gains = _gains(relevant)
    if not gains:
        return None
    best = sorted(gains.values(), reverse=True)[: _checked_k(k)]
    ideal = math.fsum(gain / math.log2(2 + place) for place, gain in enumerate(best))
    # The same summation, so that the best order gives exactly 1.
    got = math.fsum(gains[ranked[place]] / math.log2(2 + place) for place in _found(ranked, relevant, k))
    return got / ideal


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Values of one measure over queries.

    Args:
        mean: over the queries that have a value; None when none has.
        values: by query.
        without_relevant: queries that have no relevant id.
        repeated_results: places taken by an id that stood in the list before.
        repeated_relevant: relevant ids named more than once.
    """

    mean: float | None
    values: Mapping[Hashable, float]
    without_relevant: tuple[Hashable, ...]
    repeated_results: int
    repeated_relevant: int


def over_queries(
    runs: Mapping[Hashable, Sequence[Hashable]], gold: Mapping[Hashable, Relevant], measure: Measure
) -> Ranking:
    """Apply a measure to every query of the gold list.

    Args:
        runs: ranked ids by query. A query that the system did not answer counts as an empty list.
        gold: relevant ids by query.
        measure: such as `lambda ranked, relevant: recall_at_k(ranked, relevant, 3)`.

    Raises:
        InputError: the runs answer queries that nobody asked.
    """
    foreign = [query for query in runs if query not in gold]
    if foreign:
        raise InputError(f"results for queries without a gold entry: {listing(map(str, foreign))}.")
    values: dict[Hashable, float] = {}
    repeats = {"results": 0, "relevant": 0}
    for query, relevant in gold.items():
        ids = list(relevant)
        ranked = list(runs.get(query, ()))
        repeats["results"] += len(ranked) - len(set(ranked))
        repeats["relevant"] += len(ids) - len(set(ids))
        value = measure(ranked, relevant if isinstance(relevant, Mapping) else ids)
        if value is not None:
            values[query] = value
    return Ranking(
        mean=math.fsum(values.values()) / len(values) if values else None,
        values=values,
        without_relevant=tuple(query for query in gold if query not in values),
        repeated_results=repeats["results"],
        repeated_relevant=repeats["relevant"],
    )


def best_ranks(scores: np.ndarray, relevant: np.ndarray, tied: float = 0.0) -> np.ndarray:
    """The rank of every query's best relevant item: 1 + irrelevant items whose score is greater or equal.

    Args:
        scores: (Q, N), higher is better.
        relevant: (Q, N) truth values.
        tied: scores that differ by at most this are equal.

    Returns:
        (Q,) int64; 0 for queries without a relevant item.

    Raises:
        InputError: shapes differ, or a score is NaN.
    """
    scores, relevant = np.asarray(scores), np.asarray(relevant, bool)
    if scores.ndim != 2 or scores.shape != relevant.shape:
        raise InputError(
            f"scores {scores.shape} and relevance {relevant.shape} must have the same shape (queries, items)."
        )
    if np.isnan(scores).any():
        raise InputError("retrieval scores hold NaN; an item without an embedding must be left out and counted.")
    best = np.where(relevant, scores, -np.inf).max(axis=1, initial=-np.inf)
    ahead = ((scores >= (best - tied)[:, None]) & ~relevant).sum(1)
    return np.where(relevant.any(1), 1 + ahead, 0).astype(np.int64)


def ranked_list(scores: np.ndarray, ids: Sequence[Hashable], relevant: Relevant) -> list[Hashable]:
    """Ids by falling score for the list measures above, relevant ones last among equal scores.

    Args:
        scores: (N,) of one query.
        ids: (N,) names.
        relevant: decides the order of ties, to the system's disadvantage; irrelevant ties stay in the given
            order.
    """
    gains = _gains(relevant)
    array = np.asarray(scores, np.float64)
    if array.shape != (len(ids),) or np.isnan(array).any():
        raise InputError(f"{len(ids)} ids need as many scores, none of them NaN.")
    order = sorted(range(len(ids)), key=lambda i: (-array[i], gains.get(ids[i], 0.0)))
    return [ids[i] for i in order]


def _found(ranked: Sequence[Hashable], relevant: Relevant, k: int | None) -> list[int]:
    """Places (from 0) within the first k where a relevant id stands for the first time."""
    gains = _gains(relevant)
    limit = len(ranked) if k is None else _checked_k(k)
    seen: set[Hashable] = set()
    places = []
    for place, name in enumerate(ranked[:limit]):
        if name in gains and name not in seen:
            places.append(place)
            seen.add(name)
    return places


def _gains(relevant: Relevant) -> dict[Hashable, float]:
    if isinstance(relevant, str):
        raise SettingError(f"relevant ids are a list or a mapping, not the text {relevant!r}.")
    gains = dict(relevant) if isinstance(relevant, Mapping) else dict.fromkeys(relevant, 1.0)
    wrong = [name for name, gain in gains.items() if not (math.isfinite(gain) and gain >= 0)]
    if wrong:
        raise InputError(f"gains are finite and not negative; not so for {listing(map(str, wrong))}.")
    return {name: gain for name, gain in gains.items() if gain > 0}


def _checked_k(k: int) -> int:
    if k < 1:
        raise SettingError(f"k = {k}; at least 1 is needed.")
    return k
