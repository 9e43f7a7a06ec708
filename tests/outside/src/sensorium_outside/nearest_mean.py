"""A task: find the label of a text by the nearest mean of the labelled ones. It sees arrays, never the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from sensorium.core.errors import unknown
from sensorium.core.score import Score
from sensorium.core.stage import Here
from sensorium.data.shards import Piece
from sensorium.data.sources import Pool, open_pool
from sensorium.tasks.task import Need, TaskCard


@dataclass(frozen=True, kw_only=True)
class NearestMean:
    """Labels of texts; the head is one mean vector for each label."""

    train: Pool
    test: Pool
    labels: tuple[str, ...]

    @property
    def card(self) -> TaskCard:
        """What it is."""
        return TaskCard(
            name="outside/tone-of-voice",
            says="Find the tone of a text by the nearest mean.",
            columns=("text", "label"),
            chance=1 / len(self.labels),
        )

    @property
    def needs(self) -> tuple[Need, ...]:
        """Embeddings of texts."""
        return ("text",)

    def items(self, split: str, here: Here | None = None) -> Iterator[Piece]:
        """The rows of "train" or "test"."""
        pools = {"train": self.train, "test": self.test}
        if split not in pools:
            raise unknown("split", split, pools)
        for shard in open_pool(pools[split], here):
            yield from shard.pieces(["text", "label"])

    def fit(self, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Means, (labels, D)."""
        return np.stack([inputs[labels == label].mean(0) for label in self.labels])

    def predict(self, head: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """The nearest mean's label for each vector."""
        distance = ((inputs[:, None] - head[None]) ** 2).sum(2)
        return np.array(self.labels)[distance.argmin(1)]

    def score(self, predictions: np.ndarray, labels: np.ndarray) -> Mapping[str, Score]:
        """Share of right labels."""
        right = float((predictions == labels).mean())
        return {"top1": Score(value=right, n=len(labels), definition="share of texts with the right label")}
