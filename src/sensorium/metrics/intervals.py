"""Intervals: Wilson for proportions, Student's t for means of a few numbers, and the bootstrap with clusters.

Nothing here depends on the order in which a run met its rows: clusters are sorted by name, and the resamples
are a hash of a counter (`data.chance.mix`), not a generator whose stream may change with a library.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any, Literal

import numpy as np

from sensorium.core.errors import InputError, SettingError
from sensorium.data.chance import mix

LEVEL = 0.95
RESAMPLES = 1000
FEW_CLUSTERS = 20
"""Below this many clusters a bootstrap over them is too coarse to be shown: its tails rest on few values."""

BootstrapMethod = Literal["percentile", "bca"]

_BLOCK = 1 << 21  # cluster draws held in memory at once: 16 MiB
_NORMAL = NormalDist()


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Two ends and how they were found; `level` is the coverage aimed at, as a fraction."""

    low: float
    high: float
    level: float
    method: str

    def beyond(self, margin: float) -> bool:
        """Whether the whole interval lies strictly above the margin."""
        return self.low > margin

    def below(self, margin: float) -> bool:
        """Whether the whole interval lies strictly below the margin."""
        return self.high < margin


def wilson(successes: float, n: int, level: float = LEVEL) -> Interval:
    """The score interval of a proportion (Wilson 1927): inside [0, 1], with a width also at 0 and n hits.

    Args:
        successes: how many of the n, from 0 to n; need not be whole (a rate with an effective n).
        n: number of independent trials; with none the interval is the whole of [0, 1].
        level: coverage.

    Raises:
        SettingError: the count lies outside 0..n, or the level outside (0, 1).
    """
    _check_level(level)
    if n < 0 or not 0 <= successes <= n:
        raise SettingError(f"a proportion of {successes} in {n} does not exist; successes lie between 0 and n.")
    if n == 0:
        return Interval(low=0.0, high=1.0, level=level, method="Wilson")
    z2 = _NORMAL.inv_cdf((1 + level) / 2) ** 2
    rate = successes / n
    centre = (rate + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (rate * (1 - rate) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    # The formula gives exactly 0 and 1 at the two ends; rounding would put the estimate outside its interval.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return Interval(low=low, high=high, level=level, method="Wilson")


def t_interval(values: Sequence[float] | np.ndarray, level: float = LEVEL, scale: float = 0.0) -> Interval:
    """Student's interval of a mean: mean -+ t(df = n - 1) * s / sqrt(n), with s over n - 1.

    Args:
        values: at least two numbers, one per independent repetition (a seed).
        level: coverage.
        scale: see `spread`.

    Raises:
        InputError: fewer than two values, or one that is not finite.
    """
    _check_level(level)
    array = _finite(values)
    if len(array) < 2:
        raise InputError(f"a t interval needs at least 2 values, not {len(array)}.")
    mean = float(array.mean())
    half = t_quantile((1 + level) / 2, len(array) - 1) * spread(array, scale) / math.sqrt(len(array))
    return Interval(low=mean - half, high=mean + half, level=level, method=f"t over {len(array)} values")


def spread(values: np.ndarray, scale: float = 0.0) -> float:
    """The standard deviation over n - 1; exactly zero where values differ by rounding only.

    Args:
        values: at least two.
        scale: size of the numbers that the values are differences of; 1e-12 of it counts as rounding.
    """
    rounding = 1e-12 * max(scale, float(np.abs(values).max()))
    return float(np.std(values, ddof=1)) if np.ptp(values) > rounding else 0.0


def bootstrap_mean(
    values: Sequence[float] | np.ndarray,
    clusters: Sequence[Any] | np.ndarray | None = None,
    *,
    level: float = LEVEL,
    method: BootstrapMethod = "percentile",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """The bootstrap interval of the mean over rows; rows of one cluster are drawn together.

    A resample draws as many clusters as there are, with replacement, and its mean is (sum of their rows) /
    (number of their rows), so clusters count by their size as they do in the estimate.

    Args:
        values: one number per row, shape (N,), in an order that does not depend on the run (sort by id).
        clusters: one name per row (speaker, document, video, concept); None makes each row its own.
        level: coverage.
        method: "percentile", or "bca" (bias-corrected and accelerated, Efron 1987, jackknife over clusters).
        resamples: how many.
        seed: another one gives other resamples.

    Raises:
        InputError: fewer than two clusters, or a value that is not finite.
    """
    array = _finite(values)
    sums, sizes = _cluster_sums(array, clusters)
    _check_bootstrap(len(sums), level, resamples)
    found = [sums[drawn].sum(1) / sizes[drawn].sum(1) for drawn in _draws(len(sums), resamples, seed)]
    estimate = float(sums.sum() / sizes.sum())
    # Leaving one cluster out has a closed form for a mean.
    left = (sums.sum() - sums) / (sizes.sum() - sizes) if method == "bca" else np.zeros(0)
    return _ends(np.concatenate(found), estimate, left, level, _name(method, len(sums), clusters is not None))


def bootstrap(
    statistic: Callable[[np.ndarray], float],
    clusters: Sequence[Any] | np.ndarray | int,
    *,
    level: float = LEVEL,
    method: BootstrapMethod = "percentile",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """The bootstrap interval of any statistic of rows.

    Args:
        statistic: takes row numbers (int64, repeated where a row is drawn repeatedly) and gives a number; NaN
            where a resample has no value (one class only). Such resamples are left out while they are at most
            5 %.
        clusters: one name per row, or the number of rows when each is its own.
        level: coverage.
        method: "percentile" or "bca", see `bootstrap_mean`.
        resamples: how many.
        seed: another one gives other resamples.

    Raises:
        InputError: fewer than two clusters, or too many resamples without a value.
    """
    named = not isinstance(clusters, int)
    names = np.arange(clusters) if isinstance(clusters, int) else np.asarray(clusters)
    owner = np.unique(names, return_inverse=True)[1]
    num_clusters = int(owner.max(initial=-1)) + 1
    _check_bootstrap(num_clusters, level, resamples)
    rows = np.argsort(owner, kind="stable")
    starts = np.searchsorted(owner[rows], np.arange(num_clusters + 1))
    members = [rows[start:end] for start, end in itertools.pairwise(starts)]
    drawn = (one for block in _draws(num_clusters, resamples, seed) for one in block)
    found = np.array([statistic(np.concatenate([members[i] for i in one])) for one in drawn], np.float64)
    finite = found[np.isfinite(found)]
    if len(finite) < 0.95 * len(found):
        raise InputError(f"only {len(finite)} of {len(found)} resamples have a value; the set is too small.")
    left = np.zeros(0)
    if method == "bca":
        left = np.array([statistic(rows[owner[rows] != i]) for i in range(num_clusters)], np.float64)
        left = left[np.isfinite(left)]
    estimate = float(statistic(np.arange(len(owner))))
    return _ends(finite, estimate, left, level, _name(method, num_clusters, named))


def rate_interval(
    hits: Sequence[bool] | np.ndarray,
    clusters: Sequence[Any] | np.ndarray | None = None,
    *,
    level: float = LEVEL,
) -> Interval:
    """The interval of a proportion whose rows may come in clusters; also where the bootstrap has none.

    Without clusters, with one row each, or with fewer than `FEW_CLUSTERS` of them: Wilson over rows (few
    clusters are then taken as fixed, not as a sample). If every row is a hit or none is, all resamples are
    equal and the bootstrap would claim certainty: Wilson with the number of clusters as n. Else the
    percentile bootstrap over clusters.

    Args:
        hits: one truth value per row.
        clusters: one name per row.
        level: coverage.

    Raises:
        InputError: not one cluster for each row.
    """
    array = np.asarray(hits, bool)
    if clusters is not None and len(clusters) != len(array):
        raise InputError(f"{len(array)} rows need as many clusters, not {len(clusters)}.")
    num_clusters = len(array) if clusters is None else len(np.unique(np.asarray(clusters)))
    if num_clusters == len(array) or num_clusters < FEW_CLUSTERS:
        return wilson(int(array.sum()), len(array), level)
    if array.all() or not array.any():
        return wilson(num_clusters * bool(array.all()), num_clusters, level)
    return bootstrap_mean(array, clusters, level=level)


# Student's t ------------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def t_quantile(p: float, df: float) -> float:
    """The value that Student's t with `df` degrees of freedom stays below with probability p.

    The relative error is below 1e-11.

    Found by bisection on the tail, P(T > t) = I_x(df / 2, 1 / 2) / 2 with x = df / (df + t^2) for t > 0.

    Args:
        p: a probability strictly between 0 and 1.
        df: degrees of freedom, positive; infinity gives the normal quantile.
    """
    if not 0 < p < 1 or not df > 0:
        raise SettingError(f"the t quantile needs 0 < p < 1 and df > 0, not p = {p}, df = {df}.")
    if math.isinf(df):
        return _NORMAL.inv_cdf(p)
    if p == 0.5:
        return 0.0
    tail = min(p, 1 - p)
    high = 1.0
    while _upper_tail(high, df) > tail:
        high *= 2
        if math.isinf(high):
            raise SettingError(f"the t quantile for p = {p}, df = {df} is too large for a float.")
    low = 0.0 if high == 1.0 else high / 2
    while True:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if _upper_tail(middle, df) > tail else (low, middle)
    return high if p > 0.5 else -high


def t_cdf(t: float, df: float) -> float:
    """P(T <= t) for Student's t with `df` degrees of freedom."""
    if math.isnan(t) or not df > 0:
        raise SettingError(f"Student's t needs a number and df > 0, not t = {t}, df = {df}.")
    return 1 - _upper_tail(t, df) if t >= 0 else _upper_tail(-t, df)


def _upper_tail(t: float, df: float) -> float:
    # 1 - x is formed directly: near t = 0 the difference would lose all its digits.
    x, rest = df / (df + t * t), t * t / (df + t * t)
    return incomplete_beta(df / 2, 0.5, x, rest) / 2


def incomplete_beta(a: float, b: float, x: float, rest: float | None = None) -> float:
    """The regularised incomplete beta function I_x(a, b), by its continued fraction (DLMF 8.17.22).

    Args:
        a: positive.
        b: positive.
        x: in [0, 1].
        rest: 1 - x, where the caller knows it more precisely.
    """
    rest = 1 - x if rest is None else rest
    if x <= 0 or rest <= 0:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast below this point only
        return 1 - incomplete_beta(b, a, rest, x)
    # `log(1 - rest)` keeps the digits that a large exponent would magnify when x is close to 1.
    log_x = math.log1p(-rest) if rest < 0.5 else math.log(x)
    log_rest = math.log1p(-x) if x < 0.5 else math.log(rest)
    front = math.exp(a * log_x + b * log_rest - _log_beta(a, b)) / a
    return front / _beta_fraction(a, b, x)


def _log_beta(a: float, b: float) -> float:
    small, large = min(a, b), max(a, b)
    if small == 0.5 and large > 50:
        # log Gamma(a + 1/2) - log Gamma(a) as a series in 1/a: for large a their difference is noise.
        ratio = 0.5 * math.log(large) - 1 / (8 * large) + 1 / (192 * large**3) - 1 / (640 * large**5)
        return 0.5 * math.log(math.pi) - ratio
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _beta_fraction(a: float, b: float, x: float) -> float:
    """1 + d1/(1 + d2/(1 + ...)) by the modified Lentz method (Thompson and Barnett 1986)."""
    tiny = 1e-300
    value = c = 1.0
    d = 0.0
    for step in range(1, 100_000):
        m, odd = divmod(step, 2)
        if odd:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / (1 + term * d or tiny)
        c = 1 + term / c or tiny
        value *= c * d
        if abs(c * d - 1) < 1e-16:
            break
    return value


# The bootstrap ----------------------------------------------------------------------------------------------


def _draws(num_clusters: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Blocks of drawn cluster numbers, shape (block, num_clusters) int64."""
    salt = mix(np.array([seed & (2**64 - 1)], np.uint64))
    per_block = max(1, _BLOCK // num_clusters)
    for first in range(0, resamples, per_block):
        last = min(resamples, first + per_block)
        counter = np.arange(first * num_clusters, last * num_clusters, dtype=np.uint64)
        fraction = (mix(mix(counter) ^ salt) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        yield (fraction * num_clusters).astype(np.int64).reshape(last - first, num_clusters)


def _cluster_sums(values: np.ndarray, clusters: Sequence[Any] | np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    if clusters is None:
        return values, np.ones(len(values))
    names = np.asarray(clusters)
    if names.shape != values.shape:
        raise InputError(f"{len(values)} values have {len(names)} cluster names; there must be one each.")
    owner = np.unique(names, return_inverse=True)[1]
    return np.bincount(owner, values), np.bincount(owner).astype(np.float64)


def _ends(found: np.ndarray, estimate: float, left: np.ndarray, level: float, method: str) -> Interval:
    """Two quantiles of the resampled values; `left` (leave-one-out values) is empty for plain percentiles."""
    quantiles = np.array([(1 - level) / 2, (1 + level) / 2])
    if len(left) and np.ptp(found) > 0:
        quantiles = _corrected(quantiles, found, estimate, left)
    low, high = np.quantile(found, quantiles)
    return Interval(low=float(low), high=float(high), level=level, method=method)


def _corrected(quantiles: np.ndarray, found: np.ndarray, estimate: float, left: np.ndarray) -> np.ndarray:
    """The BCa quantiles: Phi(z0 + (z0 + z) / (1 - a (z0 + z))), after Efron (1987)."""
    share = (np.sum(found < estimate) + 0.5 * np.sum(found == estimate)) / len(found)
    # A share of 0 or 1 has no normal quantile; half a resample is the finest statement B resamples allow.
    share = min(max(share, 0.5 / len(found)), 1 - 0.5 / len(found))
    z0 = _NORMAL.inv_cdf(float(share))
    away = left.mean() - left
    square = float((away**2).sum())
    acceleration = float((away**3).sum()) / (6 * square**1.5) if square > 0 else 0.0
    shifted = [z0 + _NORMAL.inv_cdf(float(q)) for q in quantiles]
    return np.array([_NORMAL.cdf(z0 + s / max(1 - acceleration * s, 1e-9)) for s in shifted])


def _name(method: BootstrapMethod, num_clusters: int, named: bool) -> str:
    return f"{method} bootstrap over {num_clusters} {'clusters' if named else 'rows'}"


def _check_bootstrap(num_clusters: int, level: float, resamples: int) -> None:
    _check_level(level)
    if num_clusters < 2:
        raise InputError(f"a bootstrap needs at least 2 rows or clusters, not {num_clusters}.")
    if resamples < 1:
        raise SettingError(f"resamples = {resamples}; at least 1 is needed.")


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise SettingError(f"level = {level}; a coverage lies between 0 and 1, such as 0.95.")


def _finite(values: Sequence[float] | np.ndarray) -> np.ndarray:
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise InputError("an interval needs a plain list of finite numbers.")
    return array
