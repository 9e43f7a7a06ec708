"""Zero-shot classification: a class is the mean of its prompts' embeddings, a picture gets the nearest class.

Radford et al. (2021), section 3.1.4: e_c = normalise(mean over prompts of normalised embeddings), score =
cosine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sensorium.core.errors import InputError, SettingError, listing
from sensorium.core.score import Score
from sensorium.core.stage import Here
from sensorium.data.shards import Piece
from sensorium.data.sources import Pool, open_pool
from sensorium.metrics.classification import (
    TIED,
    class_mean_score,
    group_scores,
    predictions,
    rate_score,
    true_ranks,
)
from sensorium.metrics.names import metric
from sensorium.tasks.classes import ClassList, Names
from sensorium.tasks.task import Need, TaskCard
from sensorium.tasks.templates import Templates

ITEMS = pa.schema(
    [
        ("id", pa.string()),
        ("label", pa.string()),
        ("prediction", pa.string()),
        ("rank", pa.int32()),
        ("group", pa.string()),
    ]
)
"""One line per scored picture: `prediction` is null where two classes share the lead, `rank` starts at 1."""


@dataclass(frozen=True, kw_only=True)
class Frequency:
    """Groups of classes by frequency.

    Args:
        head: how many of the most frequent classes.
        tail: how many of the least frequent ones.
    """

    head: int = 100
    tail: int = 200

    def __post_init__(self) -> None:
        if self.head < 1 or self.tail < 1:
            raise SettingError(f"head = {self.head} and tail = {self.tail}; both are at least 1.")

    def fits(self, classes: ClassList) -> bool:
        """Whether the classes have ranks and are enough for both groups."""
        return self.head + self.tail <= len(classes) and all(one.rank is not None for one in classes.classes)

    def groups(self, classes: ClassList) -> dict[str, tuple[str, ...]]:
        """Class ids of "head" and "tail".

        Raises:
            SettingError: the two would overlap.
            InputError: a class has no rank.
        """
        if self.head + self.tail > len(classes):
            raise SettingError(
                f"head {self.head} and tail {self.tail} need {self.head + self.tail} classes, there are {len(classes)}."
            )
        order = [classes.ids[number] for number in classes.by_frequency()]
        return {"head": tuple(order[: self.head]), "tail": tuple(order[-self.tail :])}


@dataclass(frozen=True, kw_only=True)
class ZeroShotClassification:
    """Which class does the picture show? Answered by names alone. A `tasks.task.Task`.

    Args:
        card: what it is.
        pool: rows with `image` and `label`; None where the caller brings the rows.
        classes: the classes with their names.
        templates: sentences around the names, see `tasks.templates`.
        languages: whose names are used; with several, a class is the mean over all of them.
        groups: class ids by the name of a group; disjoint. Each gets a score of its own.
        names: all names of a class, or the first of each language only.
    """

    card: TaskCard
    pool: Pool | None = None
    classes: ClassList
    templates: Templates = "general"
    languages: tuple[str, ...] = ("en",)
    groups: Mapping[str, Sequence[str]] | None = None
    names: Names = "all"

    def __post_init__(self) -> None:
        seen: dict[str, str] = {}
        for group, ids in (self.groups or {}).items():
            unknown_ids = [name for name in map(str, ids) if name not in set(self.classes.ids)]
            if unknown_ids:
                raise SettingError(f"group '{group}' names classes that do not exist: {listing(unknown_ids)}.")
            shared = [name for name in map(str, ids) if seen.setdefault(name, group) != group]
            if shared:
                raise SettingError(f"groups '{seen[shared[0]]}' and '{group}' share classes: {listing(shared)}.")

    @property
    def needs(self) -> tuple[Need, ...]:
        """Embeddings of pictures and texts in one space."""
        return ("image", "text")

    def items(self, split: str = "test", here: Here | None = None) -> Iterator[Piece]:
        """The rows of the pool; there is one split, "test"."""
        if split != "test":
            raise SettingError(f"a zero-shot task has the split 'test' only, not '{split}'.")
        if self.pool is None:
            raise SettingError(f"the task {self.card.name} has no pool; give pool=...")
        for shard in open_pool(self.pool, here):
            yield from shard.pieces(("image", "label"))

    def prompts(self) -> tuple[list[str], np.ndarray]:
        """The texts to embed for `fit`, and their class numbers."""
        return self.classes.prompts(self.templates, self.languages, self.names)

    def fit(self, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Class vectors, (C, D) float64 of length 1.

        Args:
            inputs: embeddings of the prompts, (P, D).
            labels: their class numbers, (P,).

        Raises:
            InputError: an embedding is zero or not finite, or a class's prompts cancel out.
        """
        means = np.zeros((len(self.classes), np.asarray(inputs).shape[1]))
        np.add.at(means, labels, unit(inputs, "prompt"))
        return unit(means, "class")

    def twins(self, head: np.ndarray) -> list[tuple[str, str]]:
        """Pairs of classes that no picture can tell apart: their vectors are equal to `TIED`.

        Same names, or words the model does not know, do that; ties then count against both.

        Args:
            head: class vectors, (C, D).
        """
        # Equal vectors lie side by side on any line, so one sort finds them.
        order = np.argsort(head @ np.cos(np.arange(head.shape[1])), kind="stable")
        same = np.flatnonzero(np.abs(np.diff(head[order], axis=0)).max(1) <= TIED)
        pairs = sorted(tuple(sorted((int(order[place]), int(order[place + 1])))) for place in same)
        return [(self.classes.ids[first], self.classes.ids[second]) for first, second in pairs]

    def predict(self, head: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """Cosines of pictures (N, D) and class vectors (C, D): (N, C) float64."""
        return np.asarray(unit(inputs, "picture") @ head.T)

    def outcomes(self, ids: Sequence[str], scores: np.ndarray, labels: np.ndarray) -> pa.Table:
        """What came of each picture, as a table with the schema `ITEMS`.

        Args:
            ids: N ids.
            scores: (N, C) from `predict`.
            labels: (N,) class numbers.
        """
        group_of = {str(name): group for group, names in (self.groups or {}).items() for name in names}
        names = [self.classes.ids[number] for number in labels]
        chosen = [self.classes.ids[number] if number >= 0 else None for number in predictions(scores, TIED)]
        columns = [
            list(ids),
            names,
            chosen,
            true_ranks(scores, labels, TIED),
            [group_of.get(n) for n in names],
        ]
        return pa.table(
            [pa.array(column, kind) for column, kind in zip(columns, ITEMS.types, strict=True)], schema=ITEMS
        )

    def score(self, predictions: np.ndarray, labels: np.ndarray) -> dict[str, Score]:
        """The scores of (N, C) cosines and (N,) class numbers; see `score_items`."""
        ids = [f"{place:012}" for place in range(len(labels))]
        return self.score_items(self.outcomes(ids, predictions, np.asarray(labels, np.int64)))

    def score_items(self, items: pa.Table, given: Mapping[str, int] | None = None) -> dict[str, Score]:
        """top1, top5, mean_per_class and one score per group; sums over items, so no batch or order matters.

        Intervals are bootstraps over classes (pictures of one class share a concept), Wilson's where there
        are few.

        Args:
            items: schema `ITEMS`; an id twice is refused.
            given: how many pictures there were, scored or not: in all under "", and by group.
        """
        if pc.count_distinct(items["id"]).as_py() != len(items):
            raise InputError("some pictures would be scored twice: their ids occur more than once.")
        items = items.sort_by("id")
        labels, ranks = self.classes.numbers(items["label"]), items["rank"].to_numpy()
        of = (given or {}).get("")
        found = {name: self._top(k, ranks, labels, of) for name, k in (("top1", 1), ("top5", 5))}
        found["mean_per_class"] = class_mean_score(
            ranks <= 1, labels, len(self.classes), of=of, definition=metric("mean_per_class").definition
        )
        groups = {name: self.classes.numbers(list(ids)).tolist() for name, ids in (self.groups or {}).items()}
        definition = metric("top1").definition
        return {**found, **group_scores(ranks <= 1, labels, groups, of=given, definition=definition)}

    def _top(self, k: int, ranks: np.ndarray, labels: np.ndarray, of: int | None) -> Score:
        definition = metric(f"top{k}").definition
        if len(self.classes) <= k:
            note = f"with {len(self.classes)} classes every answer is among the first {k}"
            return Score(value=None, n=len(ranks), of=of, definition=definition, note=note)
        return rate_score(ranks <= k, labels, of=of, definition=definition, shared="classes")


def unit(vectors: np.ndarray, what: str) -> np.ndarray:
    """Rows divided by their length, float64.

    Raises:
        InputError: a row has length zero or values that are not finite; `what` names it in the sentence.
    """
    array = np.asarray(vectors, np.float64)
    lengths = np.linalg.norm(array, axis=1, keepdims=True)
    bad = np.flatnonzero(~((lengths > 0) & np.isfinite(lengths))[:, 0])
    if len(bad):
        raise InputError(
            f"the embedding of {what} {bad[0]} is zero or not finite ({len(bad)} of {len(array)} are); "
            "the model or its precision is unfit for this task."
        )
    return np.asarray(array / lengths)
