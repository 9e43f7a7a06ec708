"""Classification: ranks of the true class, top-k accuracy, mean per class, groups, nearest neighbours.

Ties. The rank of an item's own class is 1 + the number of other classes with a score that is greater *or
equal*: ties count against the model. So a model that gives every class one score has top-1 accuracy 0, where
"first of the largest" would reward the order of the classes. A class whose score is -inf (no neighbour voted
for it) is never a hit, whatever k.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sensorium.core.errors import InputError, SettingError, listing
from sensorium.core.score import Score
from sensorium.metrics.intervals import FEW_CLUSTERS, LEVEL, bootstrap_mean, rate_interval

TIED = 1e-6
"""Cosines closer than this are tied: float32 sums of another batch or machine differ by about 1e-7."""


def true_ranks(scores: np.ndarray, labels: np.ndarray, tied: float = 0.0) -> np.ndarray:
    """The rank of each item's own class, best is 1; ties count against it.

    Args:
        scores: (N, C), higher is better; -inf where a class has no score.
        labels: (N,) column of the true class.
        tied: scores that differ by at most this are equal.

    Returns:
        (N,) int64 in 1..C, and C + 1 where the true class itself has no score.

    Raises:
        InputError: shapes that do not fit, a label outside 0..C-1, or NaN among the scores.
    """
    scores, labels = _checked(scores, labels)
    own = scores[np.arange(len(labels)), labels]
    # The own class always is as good as itself, which supplies the 1.
    at_least = (scores >= (own - tied)[:, None]).sum(1)
    return np.asarray(np.where(np.isneginf(own), scores.shape[1] + 1, at_least), np.int64)


def predictions(scores: np.ndarray, tied: float = 0.0) -> np.ndarray:
    """The class that is ahead of all others, or -1 where the lead is shared; (N, C) -> (N,) int64.

    With the same `tied`, prediction == label exactly where the true class has rank 1.
    """
    scores = _matrix(scores)
    best = scores.argmax(1)
    lead = scores[np.arange(len(scores)), best]
    shared = (scores >= (lead - tied)[:, None]).sum(1) > 1
    return np.asarray(np.where(shared | np.isneginf(lead), -1, best), np.int64)


def top_k_accuracy(ranks: np.ndarray, k: int) -> float:
    """The share of items whose own class ranks among the first k.

    Args:
        ranks: (N,) from `true_ranks`.
        k: at least 1.

    Raises:
        InputError: no items.
    """
    if k < 1:
        raise SettingError(f"top-{k} does not exist; k is at least 1.")
    if len(ranks) == 0:
        raise InputError("an accuracy needs at least one item.")
    return float(np.mean(np.asarray(ranks) <= k))


def class_accuracies(hits: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """The accuracy of every class, shape (C,); NaN for classes without items.

    Args:
        hits: (N,) truth values.
        labels: (N,) class of each item.
        num_classes: C.
    """
    counts = np.bincount(labels, minlength=num_classes)
    right = np.bincount(labels, np.asarray(hits, np.float64), minlength=num_classes)
    found = np.full(num_classes, np.nan)
    np.divide(right, counts, out=found, where=counts > 0)
    return found


def mean_per_class(hits: np.ndarray, labels: np.ndarray, num_classes: int) -> float:
    """The mean of the class accuracies, over the classes that have items."""
    found = class_accuracies(hits, labels, num_classes)
    found = found[~np.isnan(found)]
    if len(found) == 0:
        raise InputError("a mean over classes needs at least one item.")
    return float(found.mean())


def rate_score(
    hits: Sequence[bool] | np.ndarray,
    clusters: Sequence[Any] | np.ndarray | None = None,
    *,
    of: int | None = None,
    definition: str = "",
    level: float = LEVEL,
    shared: str = "clusters",
) -> Score:
    """A share of hits as a Score with its interval (see `rate_interval`) and the way it was found.

    Args:
        hits: one truth value per scored item.
        clusters: what items share (class, image, speaker), resampled together.
        of: how many items were given, when some could not be scored.
        definition: what the share is of; the method of the interval is added.
        level: coverage of the interval.
        shared: what the clusters are ("classes", "images"), for the sentence.
    """
    array = np.asarray(hits, bool)
    if len(array) == 0:
        return Score(value=None, n=0, of=of, definition=definition, note="no items")
    interval = rate_interval(array, clusters, level=level)
    return Score(
        value=float(array.mean()),
        n=len(array),
        of=of,
        low=interval.low,
        high=interval.high,
        definition=_sentence(definition, level, interval.method.replace("clusters", shared)),
    )


def class_mean_score(
    hits: np.ndarray, labels: np.ndarray, num_classes: int, *, of: int | None = None, definition: str = ""
) -> Score:
    """`mean_per_class` as a Score; the interval is a bootstrap over classes, or absent for few classes.

    Args:
        hits: (N,) truth values.
        labels: (N,) class of each item.
        num_classes: C.
        of: how many items were given.
        definition: what was averaged; the method of the interval is added.
    """
    found = class_accuracies(hits, labels, num_classes)
    found = found[~np.isnan(found)]
    if len(found) == 0:
        return Score(value=None, n=0, of=of, definition=definition, note="no items")
    if len(found) < FEW_CLUSTERS or np.ptp(found) == 0:
        note = (
            f"no interval: {len(found)} classes" if len(found) < FEW_CLUSTERS else "no interval: all classes are equal"
        )
        return Score(value=float(found.mean()), n=len(hits), of=of, definition=definition, note=note)
    interval = bootstrap_mean(found)
    text = _sentence(definition, LEVEL, interval.method.replace("rows", "classes"))
    return Score(value=float(found.mean()), n=len(hits), of=of, low=interval.low, high=interval.high, definition=text)


def group_scores(
    hits: np.ndarray,
    labels: np.ndarray,
    groups: Mapping[str, Sequence[int]],
    *,
    of: Mapping[str, int] | None = None,
    definition: str = "",
) -> dict[str, Score]:
    """The share of hits among the items of each group of classes, with intervals over classes.

    Args:
        hits: (N,) truth values.
        labels: (N,) class of each item.
        groups: class numbers by group name; groups may share classes.
        of: items given per group, when some could not be scored.
        definition: what the share is of; the group and the method of the interval are added.
    """
    found = {}
    for name, classes in groups.items():
        inside = np.isin(labels, np.asarray(classes, np.int64))
        text = f"{definition}; items of the {len(classes)} classes of {name}" if definition else ""
        found[name] = rate_score(
            hits[inside],
            labels[inside],
            of=of.get(name) if of is not None else None,
            definition=text,
            shared="classes",
        )
    return found


def neighbour_votes(
    test: np.ndarray,
    train: np.ndarray,
    train_labels: np.ndarray,
    *,
    k: int,
    num_classes: int,
    temperature: float = 0.07,
) -> np.ndarray:
    """Class scores by the k nearest training vectors: the sum of exp(cosine / temperature) of the voters.

    Wu et al. (2018), as used with self-supervised encoders. A class without a vote has no score (-inf), so it
    is no hit in any top-k. When the k-th and later neighbours are equally near, all of them vote: the order
    of the training rows decides nothing.

    Args:
        test: (N, D) vectors.
        train: (M, D) vectors.
        train_labels: (M,) class of each training vector.
        k: number of neighbours, at most M.
        num_classes: C.
        temperature: of the weights.

    Returns:
        (N, C) float64.

    Raises:
        SettingError: k is not within 1..M.
    """
    if not 1 <= k <= len(train):
        raise SettingError(
            f"k = {k} neighbours among {len(train)} training vectors; k is at least 1 and at most that many."
        )
    cosine = _unit(test) @ _unit(train).T
    nearest = np.partition(cosine, len(train) - k, axis=1)[:, len(train) - k]
    votes = cosine >= (nearest - TIED)[:, None]
    # exp((cosine - 1) / temperature) keeps the ratios and cannot overflow.
    weights = np.where(votes, np.exp((cosine - 1) / temperature), 0.0)
    member = np.zeros((len(train), num_classes))
    member[np.arange(len(train)), train_labels] = 1.0
    scores, voted = weights @ member, votes.astype(np.float64) @ member
    return np.where(voted > 0, scores, -np.inf)


def _unit(vectors: np.ndarray) -> np.ndarray:
    array = np.asarray(vectors, np.float64)
    length = np.linalg.norm(array, axis=1, keepdims=True)
    bad = np.flatnonzero(~((length > 0) & np.isfinite(length))[:, 0])
    if len(bad):
        raise InputError(f"vectors of length zero or with values that are not finite: rows {listing(map(str, bad))}.")
    return np.asarray(array / length)


def _matrix(scores: np.ndarray) -> np.ndarray:
    scores = np.asarray(scores)
    if scores.ndim != 2 or scores.shape[1] == 0:
        raise InputError(f"class scores have the shape (items, classes), not {scores.shape}.")
    if np.isnan(scores).any():
        raise InputError("class scores hold NaN; an item that could not be scored must be left out and counted.")
    return scores


def _checked(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scores, labels = _matrix(scores), np.asarray(labels)
    if labels.shape != scores.shape[:1]:
        raise InputError(
            f"{len(scores)} rows of scores have labels of the shape {labels.shape}; there must be one each."
        )
    if len(labels) and (labels.min() < 0 or labels.max() >= scores.shape[1]):
        raise InputError(
            f"labels reach from {labels.min()} to {labels.max()}, but there are {scores.shape[1]} classes."
        )
    return scores, labels.astype(np.int64)


def _sentence(definition: str, level: float, method: str) -> str:
    interval = f"{level:.0%} interval: {method}"
    return f"{definition}; {interval}" if definition else interval
