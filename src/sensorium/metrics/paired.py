"""Paired comparisons: the difference of two arms by seed, or of two systems by item."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sensorium.core.errors import InputError, listing
from sensorium.metrics.intervals import LEVEL, Interval, bootstrap_mean, spread, t_interval, t_quantile

POWER = 0.8


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """first - second, pair by pair.

    Args:
        mean: the mean difference, in the unit of the scores.
        low, high: the ends of the two-sided t interval of the mean.
        level: its coverage.
        n: number of pairs.
        sd: standard deviation of the differences over n - 1.
        effect_size: mean / sd (Cohen's d for paired values); None when all differences are equal.
        detectable: the smallest true difference this many pairs would have shown with probability `POWER`.
        pairs: the differences by name, sorted by name.
    """

    mean: float
    low: float
    high: float
    level: float
    n: int
    sd: float
    effect_size: float | None
    detectable: float
    pairs: Mapping[str, float]

    @property
    def interval(self) -> Interval:
        """The t interval, for `beyond` and `below`."""
        return Interval(low=self.low, high=self.high, level=self.level, method=f"t over {self.n} pairs")

    def as_json(self) -> dict[str, Any]:
        """Plain values for a result file."""
        return {**self.__dict__, "pairs": dict(self.pairs)}


def paired_difference(
    first: Mapping[Hashable, float], second: Mapping[Hashable, float], level: float = LEVEL
) -> PairedDifference:
    """Compare two arms whose scores share names (seeds): mean difference, t interval, effect, resolution.

    Args:
        first: score by seed.
        second: score by the same seeds.
        level: coverage of the two-sided interval.

    Raises:
        InputError: the names differ, there are fewer than two, or a score is not a finite number.
    """
    missing = sorted(str(name) for name in first.keys() ^ second.keys())
    if missing:
        raise InputError(
            f"a paired comparison needs the same names on both sides; only one side has {listing(missing)}."
        )
    if len(first) < 2:
        raise InputError(f"a paired comparison needs at least 2 pairs, not {len(first)}.")
    names = sorted(first, key=_by_number_then_text)
    differences = np.array([first[name] - second[name] for name in names], np.float64)
    # 0.3 - 0.1 and 0.5 - 0.3 are the same difference: rounding must not pass for a tiny spread.
    scale = max(abs(value) for side in (first, second) for value in side.values())
    interval = t_interval(differences, level, scale)
    sd = spread(differences, scale)
    mean = float(differences.mean())
    return PairedDifference(
        mean=mean,
        low=interval.low,
        high=interval.high,
        level=level,
        n=len(names),
        sd=sd,
        effect_size=mean / sd if sd > 0 else None,
        detectable=smallest_detectable(sd, len(names), level=level),
        pairs={str(name): float(value) for name, value in zip(names, differences, strict=True)},
    )


def smallest_detectable(sd: float, n: int, *, level: float = LEVEL, power: float = POWER) -> float:
    """The true mean difference whose t interval lies wholly beyond zero with probability `power`.

    (t_{(1 + level) / 2} + t_power) * sd / sqrt(n), with n - 1 degrees of freedom: the usual approximation of
    the non-central t distribution, a few per cent from exact for n >= 5.

    Args:
        sd: standard deviation of the paired differences.
        n: number of pairs, at least 2.
        level: coverage of the interval.
        power: the probability of seeing it.
    """
    if n < 2:
        raise InputError(f"the smallest detectable difference needs at least 2 pairs, not {n}.")
    return (t_quantile((1 + level) / 2, n - 1) + t_quantile(power, n - 1)) * sd / math.sqrt(n)


def item_difference(
    first: Mapping[str, float],
    second: Mapping[str, float],
    clusters: Mapping[str, Any] | None = None,
    *,
    level: float = LEVEL,
) -> tuple[float, Interval]:
    """Compare two systems on the same items: the mean difference and its bootstrap interval.

    Args:
        first: value by item id (1 and 0 for right and wrong).
        second: value by the same ids.
        clusters: what an item shares with others (speaker, document, video, concept), by id; resampled
            together.
        level: coverage.

    Raises:
        InputError: the ids differ, or an item has no cluster.
    """
    missing = sorted(first.keys() ^ second.keys())
    if missing:
        raise InputError(f"two systems are compared on the same items; only one has {listing(missing)}.")
    ids = sorted(first)
    differences = np.array([first[i] - second[i] for i in ids], np.float64)
    names: Sequence[Any] | None = None
    if clusters is not None:
        lacking = [i for i in ids if i not in clusters]
        if lacking:
            raise InputError(f"these items have no cluster: {listing(lacking)}.")
        names = [str(clusters[i]) for i in ids]
    return float(differences.mean()), bootstrap_mean(differences, names, level=level)


def _by_number_then_text(name: Hashable) -> tuple[int, float, str]:
    # Seeds 2 and 10 sort as numbers, whether they come as numbers or from JSON as text.
    try:
        return 0, float(str(name)), str(name)
    except ValueError:
        return 1, 0.0, str(name)
